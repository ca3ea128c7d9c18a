--- Makes devices for `directmethods hub --config` of what Azure exports: the file of
-- `az iot hub state export`, and IoT Hub's export of device identities (devices.txt).

local identity_name = require "directmethods.identity_name"
local json = require "directmethods.json"
local logs = require "directmethods.cli.log"
local names_of = require "directmethods.cli.names"
local places = require "directmethods.cli.json_places"

local M = {}

local BYTE_ORDER_MARK = "^\xEF\xBB\xBF"

--- The parts of a config that come from an export.
---@class directmethods.HubImport
---@field devices table[] as in a config
---@field left_out string[] lines that name what a local hub cannot take
---@field wrong string? why the file cannot be read
---@field wrong_line integer? its line
local Import = {}
Import.__index = Import

-- Members that do not describe a device, or only its state at that moment.
local SILENT = {}
for name in ([[id deviceId moduleId eTag etag deviceEtag twinETag generationId version
  connectionState connectionStateUpdatedTime lastActivityTime statusUpdateTime
  statusUpdatedTime cloudToDeviceMessageCount modelId importMode authentication
  authenticationType x509Thumbprint status tags properties deviceScope]])
  :gmatch("%S+") do SILENT[name] = true end

local REASONS = {
  parent = "parents", parentScopes = "parents", managedBy = "what manages modules",
  capabilities = "capabilities (IoT Edge)", statusReason = "reasons of a status",
}

local function given(value)
  return value ~= json.null and value or nil
end

-- An error about a member; `guard` catches it.
local Wrong = {}

local function fail(message)
  error(setmetatable({ message }, Wrong), 0)
end

-- A member that is an object, or absent.
local function object(value, name)
  if value == nil or value == json.null then return {} end
  if type(value) == "table" and value[1] == nil then return value end
  fail(("member '%s' must be an object"):format(name))
end

-- Call a function that reads one line; false: the line is wrong.
local function guard(import, line, fn, ...)
  local ok, raised = pcall(fn, import, ...)
  if ok then return true end
  if getmetatable(raised) ~= Wrong then error(raised, 0) end
  import.wrong, import.wrong_line = raised[1], line
  return false
end

local function new_import()
  return setmetatable({ devices = {}, lines = {}, counts = {}, kinds = {} }, Import)
end

-- Count what is left out, by its kind.
local function leave_out(import, kind, id)
  if not import.counts[kind] then
    import.kinds[#import.kinds + 1] = kind
    import.counts[kind] = { count = 0, first = id }
  end
  import.counts[kind].count = import.counts[kind].count + 1
end

local function finish(import)
  import.left_out = {}
  for i, kind in ipairs(import.kinds) do
    local each = import.counts[kind]
    local of = each.first and (" of %s%s"):format(logs.word(each.first),
      each.count > 1 and (" and %d more"):format(each.count - 1) or "") or ""
    import.left_out[i] = ("not taken: %s%s"):format(kind, of)
  end
  return import
end

--- The line of a device, as of json_places.
---@param path (string|integer)[]
---@return integer
function Import:line(path)
  return path[1] == "devices" and self.lines[path[2]] or 1
end

-- Devices ----------------------------------------------------------------------

local function set_keys(device, authentication)
  local keys = object(authentication.symmetricKey, "symmetricKey")
  local prints = object(authentication.x509Thumbprint, "x509Thumbprint")
  local kind = given(authentication.type)
  local primary, next_print = given(prints.primaryThumbprint),
    given(prints.secondaryThumbprint)
  kind = kind or (primary or next_print) and "selfSigned" or "sas"
  device.authentication = kind
  if kind == "sas" then
    device.primary_key = given(keys.primaryKey)
    device.secondary_key = given(keys.secondaryKey)
  elseif kind == "selfSigned" then
    device.primary_thumbprint, device.secondary_thumbprint = primary, next_print
  end
end

local function is_empty(properties)
  for name in pairs(properties) do
    if name:sub(1, 1) ~= "$" then return false end
  end
  return true
end

local function set_twin(import, device, twin)
  local properties = object(twin.properties, "properties")
  local desired = object(properties.desired, "desired")
  desired["$metadata"], desired["$version"] = nil, nil
  device.desired = next(desired) and desired
  local tags = object(twin.tags, "tags")
  device.tags = next(tags) and tags
  if not is_empty(object(properties.reported, "reported")) then
    leave_out(import, "reported properties", device.id)
  end
end

-- Has the member a value that the import drops?
local function tells(value)
  if value == json.null or value == false or value == "" then return false end
  if type(value) ~= "table" then return true end
  for _, each in pairs(value) do
    if tells(each) then return true end
  end
  return false
end

local function note_members(import, id, value)
  for _, name in ipairs(names_of(value)) do
    if not SILENT[name] and tells(value[name]) then
      leave_out(import, REASONS[name] or ("member '%s'"):format(name), id)
    end
  end
end

local function add_device(import, id, identity, twin, line)
  local device = { id = id }
  local status = given(identity.status)
  device.status = type(status) == "string" and status:lower() or status
  set_keys(device, object(identity.authentication, "authentication"))
  set_twin(import, device, twin)
  note_members(import, id, identity)
  import.devices[#import.devices + 1] = device
  import.lines[#import.devices] = line
end

-- az iot hub state export --------------------------------------------------------

local EDGE = { ["$edgeAgent"] = true, ["$edgeHub"] = true }

local function add_state_device(import, id, entry, found)
  entry = object(entry, id)
  add_device(import, id, object(entry.identity, "identity"),
    object(entry.twin, "twin"), found:line { "devices", id })
  if given(entry.parent) then leave_out(import, REASONS.parent, id) end
  local modules = object(entry.modules, "modules")
  for _, name in ipairs(names_of(modules)) do
    local module_id, module = id .. "/" .. name, object(modules[name], name)
    if EDGE[name] then
      leave_out(import, "IoT Edge's own modules", module_id)
    else
      add_device(import, module_id, object(module.identity, "identity"),
        object(module.twin, "twin"), found:line { "devices", id, "modules", name })
    end
  end
end

local OTHERS = {
  { "arm", "arm: endpoints, routes and policies of the hub in Azure" },
  { "configurations", "configurations: device configurations and Edge deployments" },
}

local function read_state(document, text)
  local import, found = new_import(), places.read(text)
  if found.twice then
    import.wrong, import.wrong_line = found:wrong(), found:line(found.twice)
    return import
  end
  for _, other in ipairs(OTHERS) do
    if tells(document[other[1]] or false) then leave_out(import, other[2]) end
  end
  local devices = given(document.devices) or {}
  for _, id in ipairs(names_of(devices)) do
    local line = found:line { "devices", id }
    if not guard(import, line, add_state_device, id, devices[id], found) then
      return import
    end
  end
  return finish(import)
end

-- devices.txt --------------------------------------------------------------------

local function is_deletion(value)
  local mode = given(value.importMode)
  return type(mode) == "string" and mode:lower():find("^delete") ~= nil
end

local function add_line(import, text, line)
  local value, err = json.decode(text)
  if err then fail(err.message) end
  if type(value) ~= "table" or type(value.id) ~= "string" then
    fail("must be an object with an 'id'")
  end
  local module = given(value.moduleId)
  if module and type(module) ~= "string" then fail("member 'moduleId' must be text") end
  local id = identity_name(value.id, module)
  if is_deletion(value) then return leave_out(import, "lines to delete", id) end
  add_device(import, id, value, value, line)
end

local function read_lines(text)
  local import, line = new_import(), 0
  for each in (text .. "\n"):gmatch("([^\n]*)\n") do
    line = line + 1
    if each:find("%S") and not guard(import, line, add_line, each, line) then
      return import
    end
  end
  return finish(import)
end

-- Which --------------------------------------------------------------------------

-- In our own config `devices` is a list; in the state of a hub it is an object.
local function is_state(document)
  if type(document) ~= "table" then return false end
  local devices = document.devices
  return document.arm ~= nil or document.configurations ~= nil
    or type(devices) == "table" and next(devices) ~= nil and devices[1] == nil
end

local function is_device_line(text)
  local value = json.decode(text)
  return type(value) == "table" and type(value.id) == "string"
end

--- Read an export. nil: the text is not an export.
---@param text string
---@return directmethods.HubImport?
function M.read(text)
  text = text:gsub(BYTE_ORDER_MARK, "")
  if is_device_line(text:match("^[^\n]*")) then return read_lines(text) end
  local document = json.decode(text)
  if is_state(document) then return read_state(document, text) end
  return nil
end

return M
