--- Many identities in one request: each entry says what is to be done with it. What
-- can be done is done, and the rest told; the store keeps it all or none.

local body = require "directmethods.hub.body"
local documents = require "directmethods.hub.twin_document"
local identity_document = require "directmethods.hub.identity_document"
local json = require "directmethods.json"
local problems = require "directmethods.hub.problems"
local registry = require "directmethods.hub.registry"
local twins = require "directmethods.hub.twins"

local M = {}

local ENTRIES_MAX = 100

local function shape_of_entry()
  local members = identity_document.members()
  for name, shape in pairs(twins.members()) do members[name] = shape end
  for _, name in ipairs { "id", "importMode", "eTag", "twinETag" } do
    members[name] = true
  end
  return { any_case = true, members = members }
end

local SHAPE = { items = shape_of_entry() }

-- Functions of registry, changes and entry: the record, true when there is none any
-- more, or nil and a problem.
local MODES = {}

function MODES.create(registered, changes, entry)
  return registered:decide_create(changes, entry.device_id, entry.module_id,
    entry.fields)
end

function MODES.update(registered, changes, entry)
  return registered:decide_update(changes, entry.device_id, entry.module_id,
    entry.fields, entry.condition)
end

function MODES.createorupdate(registered, changes, entry)
  local there = changes:find(entry.device_id, entry.module_id)
  return MODES[there and "update" or "create"](registered, changes, entry)
end

function MODES.delete(registered, changes, entry)
  return registered:decide_remove(changes, entry.device_id, entry.module_id,
    entry.condition)
end

function MODES.updatetwin(_, changes, entry)
  return registry.find(changes, entry.device_id, entry.module_id)
end

local function text_member(document, ...)
  for _, name in ipairs { ... } do
    local value = document[name]
    if type(value) == "string" and value ~= "" then return value end
  end
end

-- "updateIfMatchETag" is "update" with a condition; case does not count.
local function read_mode(entry, document)
  local name = (text_member(document, "importMode") or "createOrUpdate"):lower()
  local base, conditional = name:gsub("ifmatchetag$", "")
  entry.run = MODES[base]
  if not entry.run then
    return problems.invalid("'importMode' is not known")
  end
  if conditional == 1 then
    local of_twin = base == "updatetwin"
    entry.condition = text_member(document, of_twin and "twinETag" or "eTag", "eTag")
    if not entry.condition then
      return problems.invalid("'eTag' is required by the importMode")
    end
  end
  entry.twin_condition = base == "updatetwin" and entry.condition or nil
  entry.deletes = base == "delete"
end

local invalid = problems.invalid

local TEXTS = { "moduleId", "importMode" }

-- What is wrong with the members that name an identity and what to do with it. If a
-- moduleId that is not a text were ignored, the entry would change the device itself.
local function wrong_target(document, entry)
  if entry.device_id == "" then
    return invalid("'id' must be a text that is not empty")
  end
  for _, name in ipairs(TEXTS) do
    local value = document[name]
    if value ~= nil and value ~= json.null and type(value) ~= "string" then
      return invalid(("'%s' must be a text"):format(name))
    end
  end
end

-- An entry of the request; its `problem` says what is wrong with it.
local function read_entry(document)
  if not documents.is_object(document) then
    return { device_id = "", problem = invalid("an entry must be a JSON object") }
  end
  local entry = {
    device_id = text_member(document, "id", "deviceId") or "",
    module_id = text_member(document, "moduleId"),
  }
  document.deviceId = entry.device_id
  local rule
  entry.problem = wrong_target(document, entry) or read_mode(entry, document)
  if entry.problem or entry.deletes then return entry end
  entry.fields, rule = identity_document.read(document, entry.device_id,
    entry.module_id)
  if not entry.fields then
    entry.problem = invalid(rule)
    return entry
  end
  entry.sections, rule = twins.read(document)
  if rule then entry.problem = invalid(rule) end
  return entry
end

local function decide(registered, changes, entry)
  if entry.problem then return nil, entry.problem end
  local record, problem = entry.run(registered, changes, entry)
  if not record or entry.deletes then return record, problem end
  if not entry.sections.tags and not entry.sections.desired then
    problem = twins.check_if_match(changes, record, entry.twin_condition)
    return not problem and record, problem
  end
  return twins.decide_update(changes, record, entry.sections,
    { whole = true, condition = entry.twin_condition })
end

local function error_of(entry, problem)
  return {
    deviceId = entry.device_id,
    moduleId = entry.module_id,
    errorCode = problem.code,
    errorStatus = ("%s;%s"):format(problem.name, problem.text),
  }
end

-- Errors for what is named twice; with one, nothing is done at all.
local function find_twice(entries)
  local seen, found = {}, json.array()
  for _, entry in ipairs(entries) do
    local name = entry.device_id .. "/" .. (entry.module_id or "")
    seen[name] = (seen[name] or 0) + 1
    if seen[name] == 2 then
      local problem = problems.new("DeviceDefinedMultipleTimes")
      found[#found + 1] = error_of(entry, problem)
    end
  end
  return found
end

local function result(list)
  return #list == 0 and 200 or 400, nil, json.encode {
    isSuccessful = #list == 0,
    errors = list,
    warnings = json.array(),
  }
end

--- Do what a request asks for.
---@param hub directmethods.HubState
---@param text string a JSON array
---@return integer? status 200; 400: some entries could not be done
---@return directmethods.Problem|nil problem
---@return string? json isSuccessful, errors, warnings
function M.run(hub, text)
  local list, unreadable = body.read(text, SHAPE, hub.background)
  if unreadable then return nil, unreadable end
  if type(list) ~= "table" or documents.is_object(list) then
    return nil, invalid("the body must be a JSON array")
  elseif #list > ENTRIES_MAX then
    return nil, problems.new("TooManyDevices")
  end
  local entries = {}
  hub.background:each(list, function(document, i) entries[i] = read_entry(document) end)
  local failed = find_twice(entries)
  if failed[1] then return result(failed) end
  local wrong
  local _, problem = hub.registry:change(entries, function(changes)
    wrong = json.array()
    hub.background:each(entries, function(entry)
      local done, why = decide(hub.registry, changes, entry)
      if not done then wrong[#wrong + 1] = error_of(entry, why) end
    end)
  end)
  if problem then return nil, problem end
  return result(wrong)
end

return M
