--- Finds the wrong members of the file of `directmethods hub --config` before there is
-- a hub. It checks each member by itself, and in a fault rule also which members go
-- together.

local canned = require "directmethods.hub.canned"
local option_rules = require "directmethods.hub.option_rules"
local documents = require "directmethods.hub.twin_document"
local fault_rule = require "directmethods.hub.fault_rule"
local logs = require "directmethods.cli.log"
local options = require "directmethods.options"
local registered = require "directmethods.hub.devices"
local tables = require "directmethods.tables"

local M = {}

--- Members of a device that are not options of hub:add_device.
M.DEVICE = {
  id = { "string", required = true },
  tags = { "table" },
  desired = { "table" },
  methods = { "table" },
}

--- Split a device into the members that only the file has, and the options of
-- hub:add_device.
---@param device table
---@return { id: string, tags: table?, desired: table?, methods: table? } own
---@return directmethods.NewIdentity identity
function M.split(device)
  local own, identity = {}, {}
  for name, value in pairs(device) do
    (M.DEVICE[name] and own or identity)[name] = value
  end
  return own, identity
end

-- Call note(path, text) for each text.
local function note_all(note, path, texts)
  for _, text in ipairs(texts) do note(path, text) end
end

-- The path of a member of a device.
local function inside(path, ...)
  return { path[1], path[2], ... }
end

-- Check tags or desired properties as if they replaced those of an empty twin.
local function check_section(note, path, name, section)
  if type(section) ~= "table" then return end
  local wrong = documents.wrong(name, section, true)
    or documents.change(tables.copy(documents.BLANK), name, section, "")
  if wrong then note(inside(path, name), wrong) end
end

local function check_id(note, path, id)
  if type(id) ~= "string" then return end
  local ok, why = pcall(registered.split_name, id, nil, "config")
  if not ok then note(inside(path, "id"), why) end
end

local function check_methods(note, path, methods)
  if type(methods) ~= "table" then return end
  for name, answer in pairs(methods) do
    local method = tostring(name)
    local wrong = options.rules.method_name(method)
    wrong = wrong and "the name " .. wrong
      or type(answer) ~= "table" and "an answer must be an object"
    if wrong then
      note(inside(path, "methods", method), ("handler '%s': %s"):format(
        logs.word(method), wrong))
    end
  end
  note_all(note, inside(path, "methods"), canned.all_wrong(methods))
end

local function check_device(note, path, device)
  if type(device) ~= "table" then return note(path, "a device must be an object") end
  local own, identity = M.split(device)
  note_all(note, path, options.all_wrong(own, M.DEVICE))
  note_all(note, path, registered.all_wrong(identity))
  check_id(note, path, own.id)
  check_section(note, path, "tags", own.tags)
  check_section(note, path, "desired", own.desired)
  check_methods(note, path, own.methods)
end

local function check_fault(note, path, rule)
  if type(rule) ~= "table" then return note(path, "a rule must be an object") end
  note_all(note, path, fault_rule.all_wrong(rule))
end

local function check_list(note, name, list, check)
  if documents.is_object(list) then
    return note({}, ("option '%s' must be a list, not an object"):format(name))
  elseif type(list) ~= "table" then
    return
  end
  for i, each in ipairs(list) do check(note, { name, i }, each) end
end

--- Each wrong member.
---@param document table the decoded file
---@param spec table<string, directmethods.OptionSpec> of its own members
---@return { path: (string|integer)[], message: string }[]
function M.all_wrong(document, spec)
  local found = {}
  local function note(path, message)
    found[#found + 1] = { path = path, message = message }
  end
  note_all(note, {}, options.all_wrong(document, spec))
  if type(document.options) == "table" then
    note_all(note, { "options" }, option_rules.all_wrong(document.options))
  end
  if type(document.policies) == "table" then
    note_all(note, {}, option_rules.all_wrong { policies = document.policies })
  end
  check_list(note, "devices", document.devices, check_device)
  check_list(note, "faults", document.faults, check_fault)
  return found
end

return M
