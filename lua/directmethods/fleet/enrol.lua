--- The devices of a fleet at a local hub: their ids and their registration.

local connection_string = require "directmethods.connection_string"
local core = require "directmethods.core"
local options = require "directmethods.options"

local M = {}

--- Is the value a hub of this process? Works without loading the module of hubs.
---@return boolean
function M.is_hub(value)
  return (getmetatable(value) or {}).__name == "directmethods.Hub"
end

local function make_id(id, i)
  if type(id) == "function" then return id(i) end
  local ok, text = pcall(string.format, id, i)
  return ok and text or nil
end

--- The ids of devices 1 to `count`; nil and the rule that option `id` breaks.
---@param count integer
---@param pattern string|fun(i: integer): string
---@return string[]?
---@return string? rule
function M.ids(count, pattern)
  local seen, ids = {}, {}
  for i = 1, count do
    local id = make_id(pattern, i)
    local wrong = type(id) ~= "string" and "must return texts, like \"dev-%04d\""
      or options.rules.identity(id) and "must return ids of 1 to 128 characters that"
        .. " IoT Hub allows"
      or seen[id] and "must return another id for each device"
    if wrong then return nil, wrong end
    seen[id], ids[i] = true, id
  end
  return ids
end

--- A placeholder for the connection string of a device that is not registered yet.
---@return string
function M.sample(hub, ids)
  return connection_string.of_identity("HostName=" .. hub.hostname,
    { device_id = ids[1] },
    "SharedAccessKey=" .. core.base64_encode(("k"):rep(32)))
end

--- Register the devices that the hub does not know yet.
---@return string[]? connection_strings
---@return directmethods.Error? err  the registry has no room, or its store has failed
function M.register(hub, ids)
  local done, err = require("directmethods.hub.devices").create_all(hub, ids)
  if not done then return nil, err end
  local strings = {}
  for i, id in ipairs(ids) do strings[i] = hub:connection_string(id) end
  return strings
end

--- Add the options that a device needs to reach the hub. Options of the user stay.
---@return boolean? added
---@return directmethods.Error? err
function M.reach(hub, device)
  local ca, err = hub:ca_file()
  if err then return nil, err end
  local own = {
    port = hub:ports().mqtt,
    tls = ca and { ca = ca } or hub.config.tls or false,
    gateway_host_name = hub.gateway,
  }
  for name, value in pairs(own) do
    if device[name] == nil then device[name] = value end
  end
  return true
end

return M
