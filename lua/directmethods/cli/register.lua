--- Devices that a hub is to have from the start; a store may know them already.

local errors = require "directmethods.errors"

local KNOWN = { DeviceAlreadyExists = true, ModuleAlreadyExistsOnDevice = true }

--- Register a device or module; one that the hub's store has by the same key stays as
--- it is. Raises as hub:add_device does.
---@param hub directmethods.Hub
---@param id string
---@param identity directmethods.NewIdentity
---@return boolean? done
---@return directmethods.Error? err
return function(hub, id, identity)
  local made, err = hub:add_device(id, identity)
  if made then return true end
  if not KNOWN[err.name] or hub.config.store == ":memory:" then return nil, err end
  local kept, failed = hub:connection_string(id)
  if not kept then return nil, failed end
  local key = identity.primary_key
  if not key or kept:match("SharedAccessKey=(.*)$") == key then return true end
  return nil, errors.new {
    name = err.name,
    code = err.code,
    message = "the store has it with another key",
  }
end
