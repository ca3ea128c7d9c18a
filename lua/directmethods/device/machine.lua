--- The states of a device, its timer, and the tasks that wait for it.
--
--   idle ──connect──▶ connecting ──subscribed──▶ online ──token──▶ renewing
--    ▲                   │    ▲                    │  ▲               │   │
--    └──────gave up──────┤    └─────timer─────┐  lost └──subscribed───┘   │
--                        │                    │    ▼                      │
--                        └──────failed──────▶ backoff ◀─────failed────────┘
--                                                       any state ──▶ closed
-- From idle and renewing it goes straight to backoff if the clock is not set yet.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

local NEXT = {
  idle = { connecting = true, backoff = true, closed = true },
  connecting = { online = true, backoff = true, idle = true, closed = true },
  online = { renewing = true, backoff = true, closed = true },
  renewing = { online = true, backoff = true, closed = true },
  backoff = { connecting = true, idle = true, closed = true },
  closed = {},
}

--- Go to another state. Only this function writes device.state. `why` is the reason in
-- words, nil when the device is online.
function M.enter(device, state, why)
  local old = device.state
  assert(NEXT[old][state], "no way between these states")
  device.state = state
  device.why = why
  core.log("debug", ("device %s: %s -> %s (%s)"):format(
    device.name, old, state, why or "all is well"))
  local observer = device.config.observer
  if observer then observer(device, old) end
  local listener = device.listeners.state
  if listener then task.spawn(listener, state, old, why) end
end

--- The one timer of a device; its meaning depends on the state.
function M.disarm(device)
  local id = device.timer
  if not id then return end
  device.timer = nil
  task.objects[id] = nil
  core.cancel_timer(id)
end

--- Call fn(device) after some seconds, instead of the function that was set before.
function M.arm(device, seconds, fn)
  M.disarm(device)
  local id = core.timer(seconds)
  device.timer = id
  task.objects[id] = function()
    task.objects[id] = nil
    device.timer = nil
    fn(device)
  end
end

--- Finish the tasks in device.connect_waiters or device.close_waiters.
function M.finish_all(device, who, ...)
  local ids = device[who]
  device[who] = nil
  for id in pairs(ids) do
    task.finish(id, ...)
    core.free_id(id)
  end
end

return M
