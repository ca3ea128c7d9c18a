--- What `require "directmethods"` returns.
--
--     local dm = require "directmethods"
--
-- A device answers methods, a service calls them, a hub brings them together:
-- dm.device, dm.service, dm.hub. All of it runs on one event loop in this
-- process; functions that wait look as if they block.

local core = require "directmethods.core"
local task = require "directmethods.task"
local time = require "directmethods.time"
local log = require "directmethods.log"
local json = require "directmethods.json"
local signals = require "directmethods.signals"
local options = require "directmethods.options"
local run_queue = require "directmethods.run_queue"

---@class directmethods
local dm = {
  _VERSION = core.version,
  null = json.null,
  json = json,
  now = time.now,
  time = time.time,
  sleep = time.sleep,
  wait_until = time.wait_until,
  advance = time.advance,
  advance_until = time.advance_until,
  speed = time.speed,
  spawn = task.spawn,
  errors = task.errors,
  log = log.set,
  exec = require "directmethods.exec",
  on_signal = signals.on,
}

-- Loaded when first used, so that a router needs no libcurl for its device, and a
-- service no hub.
local ROLES = {
  device = "directmethods.device",
  reject = "directmethods.device",
  service = "directmethods.service",
  hub = "directmethods.hub",
  fleet = "directmethods.fleet",
  histogram = "directmethods.histogram",
  record = "directmethods.recording",
}

-- Modules that are in another package than `directmethods`: module -> its package.
local PACKAGES = { ["directmethods.hub"] = "directmethods-hub" }

-- Raise an error: this part is not installed. It names the rock and Debian package.
local function check_installed(name, module)
  if package.loaded[module] or package.preload[module]
    or package.searchpath(module, package.path) then
    return
  end
  local owner = PACKAGES[module] or "directmethods"
  error(("dm.%s is not installed: it comes with the rock or Debian package %s "
    .. "(luarocks --lua-version 5.4 install %s)"):format(name, owner, owner), 3)
end

setmetatable(dm, {
  __index = function(_, name)
    local module = ROLES[name]
    if not module then return nil end
    check_installed(name, module)
    local value = require(module)[name]
    rawset(dm, name, value)
    return value
  end,
})

-- Running ------------------------------------------------------------------

local state = core.state

local function stop_run(why)
  state.stopped = why
end


local function begin_run()
  if task.current("dm.run", 1) or state.in_run then
    error("dm.run: is running already", 3)
  end
  state.in_run = true
  state.stopped = nil
  local release = signals.stop_with(stop_run)
  return setmetatable({}, { __close = function()
    state.in_run = false
    release()
  end })
end

--- Run the loop. With a function: run it as a task until it ends, cancel the tasks
-- that are left, and return its results or raise its error; SIGINT, SIGTERM and SIGHUP
-- cancel it. Without a function: run until dm.stop(), SIGINT, SIGTERM or SIGHUP.
--
--     dm.run(function()
--       local device <close> = dm.device { ... }
--       assert(device:connect())
--       dm.sleep(60)
--     end)
--
---@param fn? function
---@param ... any its arguments
---@return any ... what fn returned; without fn: "stop", "SIGINT", "SIGTERM" or "SIGHUP"
function dm.run(fn, ...)
  if fn ~= nil and type(fn) ~= "function" then
    error(("dm.run: function expected, got %s"):format(type(fn)), 2)
  end
  local _ <close> = begin_run()
  local main = fn and task.spawn(fn, ...)
  if main then main.awaited = true end
  run_queue.drive(function()
    return state.stopped or main and main:ended()
  end)
  task.cancel_all()
  if main then return main:await() end
  return state.stopped
end

--- End dm.run(). Its tasks are cancelled.
function dm.stop()
  stop_run("stop")
end

--- Run a function as a task for at most `seconds`, then cancel it.
---@param seconds number
---@param fn function
---@param ... any its arguments
---@return any ... what fn returned, or nil, err (err.name "Timeout")
function dm.timeout(seconds, fn, ...)
  options.check_seconds(seconds, "dm.timeout", "seconds")
  if type(fn) ~= "function" then
    error(("dm.timeout: function expected, got %s"):format(type(fn)), 2)
  end
  task.current("dm.timeout")
  local child = task.spawn(fn, ...)
  local _ <close> = setmetatable({}, { __close = function() child:cancel() end })
  return child:await(seconds)
end

local function started(entry, place)
  if type(entry) == "function" then return task.spawn(entry) end
  if type(entry) == "table" and type(entry.await) == "function" then return entry end
  error(("dm.all: entry %d must be a function or a task, not a %s"):format(place,
    type(entry)), 3)
end

--- Wait for all functions, which are started as tasks, and tasks. If one raises an
-- error, the others are cancelled and the error is raised.
--
--     local replies, errs = dm.all { invoke_a, invoke_b }
--
---@param list (function|directmethods.Task)[]
---@return table values the first result of each, at its position
---@return table errs the second result of each (the err of nil, err)
function dm.all(list)
  if type(list) ~= "table" then
    error(("dm.all: table expected, got %s"):format(type(list)), 2)
  end
  task.current("dm.all")
  local tasks, values, errs = {}, {}, {}
  for i = 1, #list do
    tasks[i] = started(list[i], i)
  end
  task.wait_for_all(tasks)
  for _, entry in ipairs(tasks) do
    if entry.status == "failed" then
      for _, other in ipairs(tasks) do other:cancel() end
      error(entry.error, 0)
    end
  end
  for i, entry in ipairs(tasks) do
    values[i], errs[i] = entry:await()
  end
  return values, errs
end

-- Host loops ---------------------------------------------------------------

--- For a program with its own event loop: poll fd() for reading, for at most
-- timeout() seconds, then call step(0).
dm.loop = {}

--- One turn: runs what is ready and waits for the next event at most `timeout`
-- seconds.
---@param timeout? number seconds; default: until an event comes
function dm.loop.step(timeout)
  options.check_timeout(timeout, "dm.loop.step")
  if state.current then error("dm.loop.step: cannot be called by a task", 2) end
  run_queue.turn(timeout)
  run_queue.run_ready()
  core.step(0) -- fd() must know what the tasks have begun to wait for
end

--- A descriptor that is readable when the loop has something to do.
---@return integer
function dm.loop.fd()
  return core.fd()
end

--- Seconds until the next timer is due; nil: there is none.
---@return number|nil
function dm.loop.timeout()
  if not run_queue.idle() then return 0 end
  return core.timeout()
end


return dm
