--- dm.device: a device (or module) that answers direct methods over MQTT.

local core = require "directmethods.core"
local connection = require "directmethods.device.connection"
local calls = require "directmethods.device.calls"
local configs = require "directmethods.device.config"
local identity_name = require "directmethods.identity_name"
local options = require "directmethods.options"
local task = require "directmethods.task"
local waits = require "directmethods.device.waits"

local M = {}

M.reject = calls.reject

---@alias directmethods.Handler
---| fun(request: directmethods.Request): integer?, any

--- A device client. `<close>` works on it.
---@class directmethods.Device
---@field state "idle"|"connecting"|"online"|"renewing"|"backoff"|"closed"
---@field device_id string
---@field module_id string?
local Device = {
  __name = "directmethods.Device",
  -- Initial values. A device stores only the fields that differ, to save memory.
  leaving = 0, -- connections that are closed and not gone
  failures = 0, -- attempts that failed in a row
  persistent = false, -- was online: reconnects without a limit
  listeners = {},
  connect_waiters = {}, -- tasks that wait in connect
  close_waiters = {}, -- tasks that wait in closed
}
Device.__index = Device

-- The same for the statistics of each device.
local COUNTS = {
  calls = 0, errors = 0, rejected = 0, dropped = 0, late = 0, reconnects = 0,
}
local COUNTS_MT = { __index = COUNTS }

-- A copy with one more member, or without it.
local function with(members, name, value)
  local copy = {}
  for key, member in pairs(members) do copy[key] = member end
  copy[name] = value
  return copy
end

function Device:__tostring()
  return ("device %s (%s)"):format(self.name, self.state)
end

local function check_self(device, what)
  options.check_self(device, Device, what, 1)
end

local function check_open(device, what)
  check_self(device, what)
  if device.state == "closed" then
    error(what .. ": attempt to use a closed device", 3)
  end
end

local function is_callable(value)
  if type(value) == "function" then return true end
  local mt = getmetatable(value)
  return type(mt) == "table" and mt.__call ~= nil
end

local function check_function(value, what, argument)
  if value ~= nil and not is_callable(value) then
    error(("%s: %s must be a function or nil, not a %s"):format(
      what, argument, type(value)), 3)
  end
end

--- A copy of the option `handlers`; raises at the caller of dm.device.
function M.check_handlers(handlers)
  local checked = {}
  for name, handler in pairs(handlers) do
    local wrong = configs.wrong_method_name(name)
    if wrong then
      error("dm.device: option 'handlers': a method name " .. wrong, 3)
    elseif not is_callable(handler) then
      error(("dm.device: option 'handlers.%s' must be a function, not a %s"):format(
        name, type(handler)), 3)
    end
    checked[name] = handler
  end
  return checked
end

--- A device with a configuration that was checked before; several devices may share
-- it. config.observer(device, old), if set, is called inside the loop when the
-- device's state has changed.
---@return directmethods.Device
function M.make(config)
  local device = setmetatable({
    state = "idle",
    device_id = config.device_id,
    module_id = config.module_id,
    name = identity_name(config.device_id, config.module_id),
    config = config,
    handlers = config.handlers,
    fallback_handler = config.fallback,
    counts = setmetatable({}, COUNTS_MT),
  }, Device)
  device.calls = calls.new(device)
  return device
end

--- Make a device. It does nothing before `device:connect()`. Raises on wrong options.
--- ```lua
--- local device <close> = dm.device {
---   connection_string = "HostName=h;DeviceId=d1;SharedAccessKey=...",
---   handlers = { reboot = function(request) return 200, { ok = true } end },
--- }
--- assert(device:connect())
--- dm.run()
--- ```
---@param opts directmethods.DeviceOptions
---@return directmethods.Device
function M.device(opts)
  local config = configs.read(opts)
  config.handlers = M.check_handlers(config.handlers)
  local device = M.make(config)
  return device
end

--- Set the handler of a method; nil removes it. Each call runs in a task of its own,
-- so it may sleep and invoke. The handler returns the answer, `status, payload`; no
-- value means 200 with an empty body. If it raises an error, the caller gets 500, and
-- the error is logged.
--- ```lua
--- device:method("reboot", function(request)
---   dm.sleep(0.2)
---   return 201, { rebooted = true }
--- end)
--- ```
---@param name string  1 to 100 printable ASCII characters, see docs/device.md
---@param handler directmethods.Handler?
function Device:method(name, handler)
  check_open(self, "device:method")
  local wrong = configs.wrong_method_name(name)
  if wrong then error("device:method: name " .. wrong, 2) end
  check_function(handler, "device:method", "handler")
  self.handlers = with(self.handlers, name, handler)
end

--- Set the handler for methods without one; nil: such calls are answered 501.
--- ```lua
--- device:fallback(function(request) return 404, { unknown = request.method } end)
--- ```
---@param handler directmethods.Handler?
function Device:fallback(handler)
  check_open(self, "device:fallback")
  check_function(handler, "device:fallback", "handler")
  self.fallback_handler = handler
end

--- Wait until the device is online: connected, and its methods subscription
-- acknowledged. Failed attempts are repeated with back-off until the time-out; a hub
-- that refuses the device and a bad certificate end it at once. After an error nothing
-- runs in the background. A device that was online once reconnects without a limit.
-- With the option `persist` only an expired token ends it. Without a time-out it then
-- waits until the device is online; after a time-out the device goes on trying.
-- A signal that would end the program ends the wait of a main program: "Interrupted".
--- ```lua
--- local ok, err = device:connect(10)
--- if not ok then print(err) end
--- ```
---@param timeout number?  seconds; default: open_timeout (30); persist: no limit
---@return directmethods.Device? device
---@return directmethods.Error? err
function Device:connect(timeout)
  check_open(self, "device:connect")
  options.check_timeout(timeout, "device:connect")
  local on_main = not task.current("device:connect")
  local limit = timeout or not self.config.persist and self.config.open_timeout or nil
  local ok, err = waits.connect(self, limit, on_main)
  if not ok then return nil, err end
  return self
end

--- Reconnect now. It skips the wait of the back-off; an online device first answers
-- the calls in progress (at most 5 s). It does nothing while idle or connecting.
--- ```lua
--- device:reconnect()  -- the network is back
--- ```
function Device:reconnect()
  check_open(self, "device:reconnect")
  connection.reconnect(self)
end

--- Run a function as a task when something happens; nil removes it.
-- "state": fn(new, old, why); why is nil when the device came online.
--- ```lua
--- device:on("state", function(new, old, why) print(old, "->", new, why) end)
--- ```
---@param event "state"
---@param fn fun(new: string, old: string, why: string?)?
function Device:on(event, fn)
  check_open(self, "device:on")
  if event ~= "state" then error("device:on: event must be \"state\"", 2) end
  check_function(fn, "device:on", "fn")
  self.listeners = with(self.listeners, event, fn)
end

---@class directmethods.DeviceStats
---@field state string
---@field why string?      why the device is not online, in words; if it is online,
---                        that the given token has expired; else nil
---@field calls integer    calls that arrived
---@field errors integer   how many of them a handler failed
---@field rejected integer answered 429
---@field dropped integer  lost: malformed, too many at once, or queued when the
---                        connection ended
---@field late integer     answers after their connection had ended
---@field reconnects integer  times the device came online again
---@field running integer  handlers that run now
---@field queued integer   calls that wait now
---@field connected_at number?  unix time the device last came online
---@field retry_in number?  seconds until the next attempt; nil unless in backoff

--- Statistics of the device. Works on a closed device, too.
--- ```lua
--- print(device:stats().why)
--- ```
---@return directmethods.DeviceStats
function Device:stats()
  check_self(self, "device:stats")
  local stats = {
    state = self.state,
    running = self.calls.running,
    queued = self.calls.queued,
    connected_at = self.connected_at,
    why = self.why,
  }
  if self.state == "backoff" then
    stats.retry_in = math.max(0, self.retry_at - core.now())
  end
  for name in pairs(COUNTS) do stats[name] = self.counts[name] end
  if self.link then stats.dropped = stats.dropped + self.link.conn:dropped() end
  return stats
end

--- Start to disconnect. Answers that were given are sent (for at most 5 s); answers of
-- handlers that still run are dropped. Returns at once; a second call does nothing.
--- ```lua
--- device:close()
--- assert(device:closed(5))
--- ```
function Device:close()
  check_self(self, "device:close")
  connection.close(self)
end

Device.__close = Device.close

--- Wait until the device is closed and its resources are freed.
---@param timeout number?  seconds; default: none
---@return boolean? closed
---@return directmethods.Error? err
function Device:closed(timeout)
  check_self(self, "device:closed")
  options.check_timeout(timeout, "device:closed")
  task.current("device:closed")
  return waits.gone(self, timeout)
end

return M
