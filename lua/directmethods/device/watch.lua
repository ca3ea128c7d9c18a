--- What an online device looks after: that its token is renewed in time, that a clock
-- that was set does not spoil it, and (option `probe`) that methods still arrive.
-- Runs inside the loop, by the device's one timer and when the kernel says that the
-- clock was set: an idle device wakes for nothing.
--
-- The probe sends the SUBSCRIBE for methods anew and waits for its SUBACK. Any hub
-- takes that: a subscription replaces the same one before it (MQTT 3.1.1, 3.8.4), no
-- message is counted for it, and if the hub had forgotten the subscription, it has it
-- again.

local clock_set = require "directmethods.clock_set"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local machine = require "directmethods.device.machine"
local tokens = require "directmethods.device.token"

local M = {}

local STEP = 30 -- seconds: a clock that moved by so much was set

---@class directmethods.Watch
---@field offset number     of the clock, when last looked at
---@field probe_at number?  when to probe; in seconds of dm.now()
---@field answer_by number? when the SUBACK must be there
---@field told boolean      that the given token has expired

local watch

local function was_set(device)
  local state = device.watch
  local offset = tokens.clock_offset()
  local moved = offset - state.offset
  state.offset = offset
  return math.abs(moved) >= STEP and moved
end

-- Seconds until the token must be renewed; nil: there is none of our own.
local function time_left(device)
  local expiry = device.expiry
  return expiry and expiry - device.config.token_renew - core.time()
end

-- The hub ends the connection when it likes; a new one cannot be made.
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

--- The device is online from now on. `renew(device, why)` and `fail(device, err)` end
-- the watch.
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
