--- Registers the devices of the command line; the hub's store may have them already.

local errors = require "directmethods.errors"
local tables = require "directmethods.tables"

local M = {}

local TAKEN = { DeviceAlreadyExists = true, ModuleAlreadyExistsOnDevice = true }

--- Does an error mean that the hub has the device already?
---@param err directmethods.Error
---@return boolean
function M.is_taken(err)
  return TAKEN[err.name] or false
end

-- A copy of an identity with these keys.
local function with_keys(identity, primary, secondary)
  local copy = tables.copy(identity)
  copy.primary_key, copy.secondary_key = primary, secondary
  return copy
end

--- Register a device or module. If the hub's store has it with the same key, it stays
--- as it is. Raises as hub:add_device does.
---@param hub directmethods.Hub
---@param id string
---@param identity directmethods.NewIdentity
---@return directmethods.NewIdentity? identity with its keys, to be registered again
---@return directmethods.Error? err
function M.add(hub, id, identity)
  local made, err = hub:add_device(id, identity)
  if made then return with_keys(identity, made.primary_key, made.secondary_key) end
  if not M.is_taken(err) or hub.config.store == ":memory:" then return nil, err end
  local kept, failed = hub:connection_string(id)
  if not kept then return nil, failed end
  local key = kept:match("SharedAccessKey=(.*)$")
  if not identity.primary_key or identity.primary_key == key then
    return with_keys(identity, key, identity.secondary_key)
  end
  return nil, errors.new {
    name = err.name,
    code = err.code,
    message = "the store has this device with another key",
  }
end

return M
