--- The states that a device goes through. One that lasts some milliseconds is easily
-- missed by a spec that looks at `device.state` now and then.

local wire = require "spec.support.wire"

local M = {}

local logs = setmetatable({}, { __mode = "k" }) -- by device: what it went through

--- Keep the states of a device from now on; the device.
function M.watch(device)
  local log = { seen = 0 }
  logs[device] = log
  device:on("state", function(new, _, why)
    log[#log + 1] = { state = new, why = why or true }
  end)
  return device
end

-- What comes after what was asked for before.
local function next_entry(log, state)
  for i = log.seen + 1, #log do
    if log[i].state == state then
      log.seen = i
      return log[i]
    end
  end
end

--- Wait until the device has come to a state, after the one that was waited for
-- before: why it did, or true; nil when the patience is over.
---@param device directmethods.Device
---@param state string
---@param patience number? seconds
---@return string|true?
function M.reaches(device, state, patience)
  local found
  wire.turn_until(function()
    found = next_entry(logs[device], state)
    return found ~= nil
  end, patience)
  return found and found.why
end

return M
