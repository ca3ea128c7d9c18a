--- The file of `directmethods hub --config`: JSON with options, keys of policies,
-- devices and rules for faults, or an export of Azure. An error message has the line of
-- what is wrong.

local checks = require "directmethods.cli.hub_file_check"
local command = require "directmethods.cli.command"
local imports = require "directmethods.cli.hub_import"
local json = require "directmethods.json"
local options = require "directmethods.options"
local places = require "directmethods.cli.json_places"
local register = require "directmethods.cli.register"

local M = {}

local SPEC = {
  options = { "table", default = {} },
  policies = { "table", default = {} },
  devices = { "table", default = {} },
  faults = { "table", default = {} },
}

---@class directmethods.HubFile
---@field path string
---@field options table      of dm.hub
---@field policies table<string, string>
---@field devices table[]
---@field faults table[]
---@field identities table<integer, directmethods.NewIdentity>
---@field clients table<integer, directmethods.Device>
---@field rules directmethods.Fault[]
---@field left_out string[] lines that name what an export has, and this hub cannot take
local File = {}
File.__index = File

-- The path of what a message names, as in "option 'limits.calls' must be ...".
local function steps_of(message, path)
  local steps = table.move(path, 1, #path, 1, {})
  local named = message:match "handler '([^']+)'"
  if named then steps[#steps + 1] = named end
  named = message:match "option '([^']+)'"
  for step in (named or ""):gmatch("[^.]+") do steps[#steps + 1] = step end
  return steps
end

-- Members of the file, and of its options, that are lists.
local LISTS = { devices = true, faults = true, aliases = true }

-- Turn a message about a Lua value into one about a JSON value.
local function in_json(text)
  local name = text:match "option '([^']+)'"
  return (text:gsub("of type table", LISTS[name] and "a list" or "an object")
    :gsub("not a userdata", "not null"):gsub("not a table", "not an object or a list")
    :gsub("option ('?)", "member %1"))
end

-- The line of a wrong member, and the message with it.
local function told(self, path, message)
  local text = in_json(tostring(message):gsub("^[^\n]-:%d+: ", "")
    :gsub("^[%w_.:]+: ", ""))
  local line = self.places:line(steps_of(tostring(message), path))
  return line, ("%s:%d: %s"):format(self.path, line, text)
end

--- End the command: something in the file is wrong.
---@param path (string|integer)[] where it is, as far as the message does not say
---@param message string what was raised
function File:fail(path, message)
  local _, text = told(self, path, message)
  command.fail(command.USAGE, text)
end

-- Call a function of the library with what stands at a path.
function File:call(path, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then self:fail(path, results[2]) end
  if results[2] == nil and results[3] then
    local err, line = results[3], self.places:line(path)
    local status = register.is_taken(err) and command.USAGE or command.LOCAL
    command.fail(status, ("%s:%d: %s"):format(self.path, line, tostring(err)))
  end
  return table.unpack(results, 2, results.n)
end

local function invalid(path, text, err)
  local at = tonumber(err.message:match("at byte (%d+)") or #text)
  local line = 1 + select(2, text:sub(1, at):gsub("\n", ""))
  command.fail(command.USAGE, ("%s:%d: %s"):format(path, line, err.message))
end

--- A file with nothing in it.
---@return directmethods.HubFile
function M.new()
  return setmetatable({
    options = {},
    policies = {},
    devices = {},
    faults = {},
    left_out = {},
    identities = {}, -- with their keys, at the places of their devices
    clients = {}, -- likewise, of devices with canned answers
    rules = {}, -- of the faults
  }, File)
end

--- A copy of the file that has not registered or connected anything yet.
---@return directmethods.HubFile
function File:copy()
  local copy = M.new()
  for _, name in ipairs { "path", "places", "options", "policies", "devices",
    "faults", "left_out" } do
    copy[name] = self[name]
  end
  return copy
end

-- Take the devices of an export.
local function read_import(file, import)
  if import.wrong then
    command.fail(command.USAGE, ("%s:%d: %s"):format(file.path, import.wrong_line,
      import.wrong))
  end
  file.places, file.devices, file.left_out = import, import.devices, import.left_out
  return file
end

-- End the command if members are wrong: a line for each, in the order of their lines.
local function check(file, document)
  local found = {}
  for i, each in ipairs(checks.all_wrong(document, SPEC)) do
    local line, text = told(file, each.path, each.message)
    found[i] = { line = line, text = text, rank = i }
  end
  table.sort(found, function(a, b)
    if a.line ~= b.line then return a.line < b.line end
    return a.rank < b.rank
  end)
  local texts = {}
  for i, each in ipairs(found) do texts[i] = each.text end
  if texts[1] then command.fail(command.USAGE, table.concat(texts, "\n")) end
end

--- Read the file.
---@param path string
---@return directmethods.HubFile
function M.read(path)
  local text = command.read_file(path)
  local file = M.new()
  file.path = path
  local import = imports.read(text)
  if import then return read_import(file, import) end
  local document, err = json.decode(text)
  if err then invalid(path, text, err) end
  file.places = places.read(text)
  if file.places.twice then
    file:fail(file.places.twice, file.places:wrong())
  elseif not text:find("^%s*{") then
    file:fail({}, "the file must hold an object")
  end
  check(file, document)
  local checked = file:call({}, options.check, document, SPEC, "config")
  for name, value in pairs(checked) do file[name] = value end
  return file
end

-- Devices --------------------------------------------------------------------

-- Connect a device with canned answers; after a reset another client does so, whose
-- sequences of answers begin anew.
function File:connect(hub, i, own)
  local path = { "devices", i, "methods" }
  if self.clients[i] then self.clients[i]:close() end
  local client = self:call(path, hub.device, hub, own.id, own.methods,
    { engine = "uv" })
  self.clients[i] = client
  self:call(path, client.connect, client)
end

--- Register a device, each time with the same keys, and connect it if it has canned
-- answers.
---@param hub directmethods.Hub
---@param i integer its place among the devices
---@param service directmethods.Service? of iothubowner; default: one of its own
function File:add_device(hub, i, service)
  local device, path = self.devices[i], { "devices", i }
  if type(device) ~= "table" then self:fail(path, "a device must be an object") end
  local own, identity = checks.split(device)
  self:call(path, options.check, own, checks.DEVICE, "config")
  self.identities[i] = self:call(path, register.add, hub, own.id,
    self.identities[i] or identity)
  self:set_twin(hub, own, path, service)
  if own.methods then self:connect(hub, i, own) end
end

--- Register the devices, and connect those with canned answers.
---@param hub directmethods.Hub
function File:add_devices(hub)
  local service <close> = hub:service "iothubowner" -- one connection for all
  for i in ipairs(self.devices) do self:add_device(hub, i, service) end
end

--- Close the devices with canned answers.
function File:close()
  for _, client in pairs(self.clients) do client:close() end
end

--- The ids of the devices, in order.
---@return string[]
function File:ids()
  local ids = {}
  for i, device in ipairs(self.devices) do ids[i] = device.id end
  return ids
end

function File:set_twin(hub, own, path, service)
  if not own.tags and not own.desired then return end
  local made <close> = not service and hub:service "iothubowner" or nil
  service = service or made
  local device_id, module_id = own.id:match("^([^/]+)/([^/]+)$")
  self:call(path, service.twins.replace, service.twins, device_id or own.id, {
    tags = own.tags,
    properties = own.desired and { desired = own.desired },
  }, { module_id = module_id })
end

--- Make the rules for faults.
---@param hub directmethods.Hub
function File:add_faults(hub)
  for i, rule in ipairs(self.faults) do
    self.rules[i] = self:call({ "faults", i }, hub.fault, hub, rule)
  end
end

--- Does an option of dm.hub come from this file?
---@param name string as in a message: "limits.calls"
---@param given table options of the command line
---@return boolean
function File:has(name, given)
  local first = name:match "^[^.]+"
  if given[first] ~= nil then return false end
  return self.options[first] ~= nil or first == "policies"
end

return M
