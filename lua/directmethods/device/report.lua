--- Logs when a device goes offline, when the reason changes, and when it is online
-- again: one line each, and none for an attempt. Devices of a fleet log nothing.

local core = require "directmethods.core"

local M = {}

local function tell(device, what)
  core.log("warn", ("device %s: %s"):format(device.name, what))
end

-- For the log, errors with the same reason are the same, even if their texts differ.
local function reason_of(err)
  return ("%s %s"):format(err.name, err.info and err.info.connack or "")
end

--- The device is not reachable because of `err`; `text` says it in a sentence.
---@param device directmethods.Device
---@param err directmethods.Error
---@param text string
function M.away(device, err, text)
  local config = device.config
  if config.observer or not (device.persistent or config.persist) then return end
  local reason = reason_of(err)
  local before = device.away_reason
  if before == reason then return end
  device.away_reason = reason
  device.away_since = device.away_since or core.now()
  tell(device, (before and "still offline: " or "offline: ") .. text)
end

--- It is online.
---@param device directmethods.Device
function M.back(device)
  if not device.away_reason then return end
  tell(device, ("online again after %.0f s"):format(core.now() - device.away_since))
  device.away_reason, device.away_since = nil, nil
end

return M
