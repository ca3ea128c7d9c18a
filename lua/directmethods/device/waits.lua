--- The waits for a device: until it is online, until it is closed.

local connection = require "directmethods.device.connection"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local signals = require "directmethods.signals"
local task = require "directmethods.task"

local M = {}

local function wait(device, who, timeout)
  local id = core.new_id()
  local ids = rawget(device, who) or {}
  device[who], ids[id] = ids, true
  return task.wait(id, function()
    ids[id] = nil
    core.free_id(id)
    connection.give_up(device)
  end, timeout)
end

local function gave_up(device, timeout)
  local last = device.last_error
  return errors.new {
    name = last and last.name or "Timeout",
    message = ("device %s: no connection within %g s: %s"):format(
      device.name, timeout, last and last.message or "the hub did not answer"),
  }
end

-- As the main program, let a signal end the wait in good order.
local function wait_for_online(device, timeout, on_main)
  if not on_main or signals.is_handled() then
    return wait(device, "connect_waiters", timeout)
  end
  local _ <close> = setmetatable({}, { __close = signals.stop_with(function(name)
    connection.interrupt(device, name)
  end) })
  return wait(device, "connect_waiters", timeout)
end

--- Wait until the device is online; start connecting when it is idle.
---@param timeout number?
---@param on_main boolean whether the main program waits
---@return boolean? online
---@return directmethods.Error? err
function M.connect(device, timeout, on_main)
  if device.state == "online" then return true end
  device.last_error = nil
  if device.state == "idle" then connection.start(device) end
  local outcome, err = wait_for_online(device, timeout, on_main)
  if outcome == "online" then return true end
  if outcome == nil then err = gave_up(device, timeout) end
  return nil, err
end

--- Wait until a closed device has no connection left.
---@return boolean? gone
---@return directmethods.Error? err
function M.gone(device, timeout)
  if device.state == "closed" and device.leaving == 0 then return true end
  local gone = wait(device, "close_waiters", timeout)
  if gone then return true end
  return nil, errors.new {
    name = "Timeout",
    message = ("device %s: not closed within %g s"):format(device.name, timeout),
  }
end

return M
