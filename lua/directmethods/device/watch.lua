--- Watches an online device: renews its token in time and after the clock was set, and
-- (option `probe`) checks that methods still arrive. Runs inside the loop, from the
-- device's one timer and when the kernel reports that the clock was set, so an idle
-- device never wakes up for it.
--
-- The probe repeats the SUBSCRIBE for methods and waits for its SUBACK. Every hub
-- accepts it: the subscription replaces the same one (MQTT 3.1.1, 3.8.4), and it costs
-- no message. If the hub had forgotten the subscription, this restores it.

local clock_set = require "directmethods.clock_set"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local machine = require "directmethods.device.machine"
local tokens = require "directmethods.device.token"

local M = {}

local STEP = 30 -- seconds: if the clock moved by more, somebody has set it

---@class directmethods.Watch
---@field offset number     the clock's offset at the last check
---@field probe_at number?  when to probe; in seconds of dm.now()
---@field answer_by number? when the SUBACK must have arrived
---@field told boolean      the expiry of the given token was logged

local watch

local function was_set(device)
  local state = device.watch
  local offset = tokens.clock_offset()
  local moved = offset - state.offset
  state.offset = offset
  return math.abs(moved) >= STEP and moved
end

-- Seconds until the token must be renewed; nil: there is no token to renew.
local function time_left(device)
  local expiry = device.expiry
  return expiry and expiry - device.config.token_renew - core.time()
end

-- The given token has expired: the hub will end the connection, and a new one cannot
-- be made.
local function tell_expired(device)
  local state = device.watch
  local err = not state.told and tokens.expired(device.config)
  if not err then return end
  state.told = true
  device.why = err.message
  core.log("warn", ("device %s: %s"):format(device.name, err.message))
end

local function probe(device)
  local state = device.watch
  local now = core.now()
  if state.answer_by then
    if now < state.answer_by then return nil end
    return errors.new {
      name = "Timeout",
      message = ("the hub did not acknowledge the subscription to methods within"
        .. " %g s"):format(device.config.open_timeout),
    }
  elseif state.probe_at and now >= state.probe_at then
    state.answer_by = now + device.config.open_timeout
    local ok, name, message = device.link.conn:subscribe()
    if not ok then return errors.new { name = name, message = message } end
  end
end

-- Seconds until there is something to do; nil: nothing is due.
local function next_look(device)
  local state = device.watch
  local soonest = time_left(device) or math.huge
  local probe_at = state.answer_by or state.probe_at
  if probe_at then soonest = math.min(soonest, probe_at - core.now()) end
  if device.config.sas and not state.told then
    soonest = math.min(soonest, device.config.sas_expiry - core.time())
  end
  return soonest < math.huge and math.max(0, soonest) or nil
end

local function look(device)
  local state = device.watch
  local moved = was_set(device)
  if moved and device.expiry then
    return state.renew(device, ("the clock was set by %+.0f s"):format(moved))
  end
  local left = time_left(device)
  if left and left <= 0 then
    return state.renew(device, "the token is about to expire")
  end
  tell_expired(device)
  local err = probe(device)
  if err then return state.fail(device, err) end
  watch(device)
end

function watch(device)
  local seconds = next_look(device)
  if seconds then machine.arm(device, seconds, look) else machine.disarm(device) end
end

local function look_if_online(device)
  if device.state == "online" then look(device) end
end

local function schedule_probe(device)
  local state = device.watch
  state.answer_by = nil
  state.probe_at = device.config.probe and core.now() + device.config.probe
end

--- Start to watch a device that is online now. `renew(device, why)` and
-- `fail(device, err)` end the watch.
function M.start(device, renew, fail)
  device.watch = { offset = tokens.clock_offset(), renew = renew, fail = fail }
  clock_set.watch(device, look_if_online)
  schedule_probe(device)
  watch(device)
end

--- Did this SUBACK answer a probe?
---@return boolean
function M.answered(device)
  if device.state ~= "online" or not device.watch.answer_by then return false end
  schedule_probe(device)
  watch(device)
  return true
end

return M
