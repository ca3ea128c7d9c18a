--- Identities of devices and modules, in memory.

local core = require "directmethods.core"

local M = {}

local TICKS_PER_SECOND = 10000000
local TICKS_OF_1970 = 621355968000000000 -- .NET counts from the year 1
local ETAG_START = 100000000

---@class directmethods.IdentityRecord
---@field device_id string
---@field module_id string?     nil: a device
---@field primary_key string    base64
---@field secondary_key string  base64
---@field enabled boolean
---@field status_reason string?
---@field status_time string?   when the status last changed; nil: never
---@field etag string           another one after each change
---@field generation_id string  another one when an id is used again
---@field modules table<string, directmethods.IdentityRecord>? of a device
---@field twin directmethods.Twin?

---@class directmethods.Store
local Store = {}
Store.__index = Store

function M.new()
  return setmetatable({
    devices = {},
    changes = ETAG_START + string.unpack("I3", core.random(3)),
    generation = 0,
  }, Store)
end

---@param device_id string
---@param module_id string? nil: the device itself
---@return directmethods.IdentityRecord?
function Store:find(device_id, module_id)
  local device = self.devices[device_id]
  if device and module_id then return device.modules[module_id] end
  return device
end

-- Ticks as the service uses them, each a new one.
local function next_generation(self)
  local ticks = TICKS_OF_1970 + math.floor(core.time() * TICKS_PER_SECOND)
  self.generation = math.max(self.generation + 1, ticks)
  return tostring(self.generation)
end

local function next_etag(self)
  self.changes = self.changes + 1
  return core.base64_encode(tostring(self.changes))
end

--- Put a record in the place of the one with its ids, if there is one; it gets a
-- new etag. A module's device must be there.
---@param record directmethods.IdentityRecord
function Store:put(record)
  local old = self:find(record.device_id, record.module_id)
  record.etag = next_etag(self)
  record.generation_id = old and old.generation_id or next_generation(self)
  record.twin = old and old.twin
  if record.module_id then
    self.devices[record.device_id].modules[record.module_id] = record
  else
    record.modules = old and old.modules or {}
    self.devices[record.device_id] = record
  end
end

--- Remove an identity, with the modules of a device.
function Store:remove(device_id, module_id)
  if module_id then
    self.devices[device_id].modules[module_id] = nil
  else
    self.devices[device_id] = nil
  end
end

local function sorted_values(map)
  local ids, values = {}, {}
  for id in pairs(map) do ids[#ids + 1] = id end
  table.sort(ids)
  for i, id in ipairs(ids) do values[i] = map[id] end
  return values
end

--- All devices, or all modules of a device, ordered by id.
---@param device_id string?
---@return directmethods.IdentityRecord[]
function Store:list(device_id)
  return sorted_values(device_id and self.devices[device_id].modules or self.devices)
end

return M
