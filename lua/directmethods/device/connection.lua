--- Keeps a device connected: attempts, back-off, token renewal. Everything here
-- runs inside the loop or from a method of the device and never waits: see waits.lua.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local links = require "directmethods.device.link"
local machine = require "directmethods.device.machine"
local tokens = require "directmethods.device.token"
local report = require "directmethods.device.report"
local watch = require "directmethods.device.watch"
local why = require "directmethods.device.why"

local M = {}

local enter, arm, disarm = machine.enter, machine.arm, machine.disarm
local finish_all = machine.finish_all

local DRAIN = 5 -- seconds that calls in progress have before a renewal
local UNSUBACK = 1 -- seconds that the hub has to acknowledge an UNSUBSCRIBE
local LINGER = 5 -- seconds to send queued answers at the end
local SETTLED = 10 -- seconds online after which back-off starts again at its minimum
local CLOCK_POLL = 1 -- seconds between two looks at a clock that is not set
local SUBACK_FAILURE = 0x80
-- CONNACK: wrong protocol, client id refused, bad credentials, not authorized
local REFUSED = { [1] = true, [2] = true, [4] = true, [5] = true }

-- Close the current connection; its event "gone" comes later.
local function drop_link(device, linger, after_gone)
  local link = device.link
  device.link = nil
  if not link then return end
  link.after_gone = after_gone
  device.leaving = device.leaving + 1
  local counts = device.counts
  counts.dropped = counts.dropped + link:close(linger)
end

-- Failing -------------------------------------------------------------------

-- Can trying again not help?
local function is_final(device, err)
  if err.message == tokens.EXPIRED then return true end
  if device.config.persist or tokens.is_early(err) then return false end
  return err.info and REFUSED[err.info.connack] or err.name == "TlsFailed"
    or err.name == "Unauthorized"
end

local function delay(config, failures)
  local r = config.reconnect
  local full = math.min(r.max, r.min * 2.0 ^ math.min(failures - 1, 60))
  return full * (1 - r.jitter * math.random())
end

local attempt

local function back_off(device, seconds, fn)
  device.retry_at = core.now() + seconds
  arm(device, seconds, fn)
end

local function retry(device, err, short_lived)
  device.failures = device.failures + 1
  local text = why.explain(device.config, err, short_lived)
  enter(device, "backoff", text)
  report.away(device, err, text)
  back_off(device, delay(device.config, device.failures), attempt)
end

-- Was it online for a moment only? Then back-off continues where it was, so that two
-- devices of one id do not disconnect each other all the time.
local function was_short_lived(device)
  if device.state ~= "online" then return false end
  if core.now() - device.online_since < SETTLED then return device.failures > 0 end
  device.failures = 0
  return false
end

-- A device that was never online gives up when trying again cannot help.
local function fail(device, err)
  disarm(device)
  local short_lived = was_short_lived(device)
  drop_link(device, 0)
  err = tokens.expired(device.config) or err
  device.last_error = err
  if device.persistent or not is_final(device, err) then
    return retry(device, err, short_lived)
  end
  enter(device, "idle", why.explain(device.config, err))
  finish_all(device, "connect_waiters", "failed", err)
end

-- Connecting ----------------------------------------------------------------

local function on_silence(device)
  fail(device, errors.new {
    name = "Timeout",
    message = ("the hub did not accept the device within %g s"):format(
      device.config.open_timeout),
  })
end

local EVENTS = {}

-- Without the right time, no token can be signed and no certificate checked.
local function wait_for_clock(device, err)
  device.last_error = err
  if device.state == "backoff" then
    device.why = err.message
  else
    enter(device, "backoff", err.message)
  end
  report.away(device, err, err.message)
  back_off(device, CLOCK_POLL, attempt)
end

-- Errors are reported from the loop, never inside the call that starts connecting.
function attempt(device)
  local unset = tokens.clock_error()
  if unset then return wait_for_clock(device, unset) end
  if device.state ~= "renewing" then
    enter(device, "connecting", device.why or "connect was called")
  end
  local link
  local credentials, err = tokens.sign(device.config)
  if credentials then link, err = links.open(device, credentials.password, EVENTS) end
  if not link then
    return arm(device, 0, function() fail(device, err) end)
  end
  device.link = link
  device.expiry = credentials.expiry
  arm(device, device.config.open_timeout, on_silence)
end

-- Calls may arrive before the SUBACK, because the hub may have stored the subscription.
function EVENTS.connected(device, link, _, counted)
  link.live, link.counted = true, counted
  local ok, name, message = link.conn:subscribe()
  if not ok then fail(device, errors.new { name = name, message = message }) end
end

function EVENTS.failed(device, link, name, message, connack)
  local info = connack ~= 0 and { connack = connack } or nil
  if info then info.peer_time, info.peer = link.conn:date() end
  fail(device, errors.new { name = name, message = message, info = info })
end

function EVENTS.lost(device, _, name, message)
  fail(device, errors.new { name = name, message = message })
end

-- Online --------------------------------------------------------------------

-- Replace the connection: the calls in progress were answered, or their time is over.
local function swap(device)
  disarm(device)
  drop_link(device, LINGER, attempt)
end

-- Call fn(device) when no call is in progress, at the latest after DRAIN seconds.
local function when_drained(device, fn)
  local link = device.link
  link.drained = nil
  if not link:is_open() then return fn(device) end
  arm(device, math.max(0, device.drain_by - core.now()), swap)
  link.drained = function() when_drained(device, fn) end
end

-- UNSUBSCRIBE first: requests that the hub sends after it would be lost.
local function refuse_calls(device)
  if not device.link.conn:unsubscribe() then return swap(device) end
  arm(device, UNSUBACK, swap)
end

function EVENTS.unsubscribed(device)
  if device.state == "renewing" then when_drained(device, swap) end
end

-- A second connection of this device would end the calls of the first one
-- (400027), so the first one goes before the second comes.
local function renew(device, reason)
  disarm(device)
  was_short_lived(device)
  enter(device, "renewing", reason)
  device.drain_by = core.now() + DRAIN
  when_drained(device, refuse_calls)
end

function EVENTS.subscribed(device, _, granted)
  if granted == SUBACK_FAILURE then
    return fail(device, errors.new {
      name = "Unauthorized",
      message = "the hub refused the subscription to methods (SUBACK 0x80)",
    })
  end
  if watch.answered(device) then return end
  disarm(device)
  if device.persistent then
    device.counts.reconnects = device.counts.reconnects + 1
  end
  device.persistent = true
  device.connected_at = core.time()
  device.online_since = core.now()
  enter(device, "online")
  report.back(device)
  watch.start(device, renew, fail)
  finish_all(device, "connect_waiters", "online")
end

function EVENTS.request(device, link, method, rid, body)
  device.calls:accept(link, method, rid, body)
end

function EVENTS.overflow(device, link, rid)
  device.calls:overflow(link, rid)
end

function EVENTS.gone(device, link)
  device.leaving = device.leaving - 1
  if link.after_gone and device.state == "renewing" then link.after_gone(device) end
  if device.state == "closed" and device.leaving == 0 then
    finish_all(device, "close_waiters", true)
  end
end

-- What the device offers ------------------------------------------------------

--- Nobody waits for the connection any longer: stop, if it was never online.
function M.give_up(device)
  local trying = device.state == "connecting" or device.state == "backoff"
  if not trying or device.persistent or device.config.persist
    or next(device.connect_waiters) then
    return
  end
  disarm(device)
  drop_link(device, 0)
  local last = device.last_error
  enter(device, "idle", last and why.explain(device.config, last)
    or "the hub did not answer")
end

--- A signal ends the main program's wait for the connection.
function M.interrupt(device, signal)
  finish_all(device, "connect_waiters", "failed", errors.new {
    name = "Cancelled",
    message = ("device %s: %s came before it was connected"):format(device.name,
      signal),
  })
  M.give_up(device)
end

--- Start connecting an idle device.
function M.start(device)
  device.last_error = nil
  device.failures = 0
  device.why = nil
  attempt(device)
end

--- Reconnect: at once in backoff; when online, after the calls in progress.
function M.reconnect(device)
  if device.state == "backoff" then
    disarm(device)
    attempt(device)
  elseif device.state == "online" then
    renew(device, "reconnect was called")
  end
end

--- Start to close: queued answers are sent, and no request is read.
function M.close(device)
  if device.state == "closed" then return end
  disarm(device)
  enter(device, "closed", "the device was closed")
  drop_link(device, LINGER)
  links.close_engine(device)
  device.calls:clear()
  finish_all(device, "connect_waiters", "failed", errors.new {
    name = "Closed", message = ("device %s was closed"):format(device.name),
  })
  if device.leaving == 0 then finish_all(device, "close_waiters", true) end
end

return M
