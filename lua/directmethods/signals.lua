--- The signals of the process: SIGINT, SIGTERM and SIGHUP. They come as events as long
-- as somebody wants them; then they do not end the process by themselves.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

local NAMES = { SIGINT = true, SIGTERM = true, SIGHUP = true }

local handlers = {} -- by the name of the signal
local stoppers = {} -- functions that are told of signals without a handler
local users = 0 -- handlers and stoppers

local function count(by)
  users = users + by
  core.signals(users > 0)
end

-- A SIGHUP that does not mean that the terminal has gone comes as "reload".
task.objects[core.signal_id] = function(_, event)
  local name = event == "reload" and "SIGHUP" or event
  local handler = handlers[event] or handlers[name]
  if handler then
    task.spawn(handler, name)
  elseif event ~= "reload" then
    for stop in pairs(stoppers) do stop(name) end
  end
end

--- Call stop(name) inside the loop for each signal that ends a program and has no
-- handler, until the function that is returned is called.
---@param stop fun(name: string)
---@return fun() release
function M.stop_with(stop)
  stoppers[stop] = true
  count(1)
  return function()
    stoppers[stop] = nil
    count(-1)
  end
end

--- Does somebody stop the program in good order already?
---@return boolean
function M.is_handled()
  return next(stoppers) ~= nil
end

--- Call fn(), as a task, at each SIGHUP that does not mean that the terminal has gone.
---@param fn fun()
function M.reload_with(fn)
  handlers.reload = fn
end

--- Run fn(name) as a task whenever the signal comes, in place of what it does by
-- itself: SIGINT and SIGTERM end dm.run and a `device:connect` of the main program;
-- SIGHUP does the same if the program had a terminal, and nothing otherwise. nil: as
-- before.
--- ```lua
--- dm.on_signal("SIGHUP", function() device:reconnect() end)
--- ```
---@param name "SIGINT"|"SIGTERM"|"SIGHUP"
---@param fn fun(name: string)?
function M.on(name, fn)
  if not NAMES[name] then
    error('dm.on_signal: signal must be "SIGINT", "SIGTERM" or "SIGHUP"', 2)
  elseif fn ~= nil and type(fn) ~= "function" then
    error(("dm.on_signal: function or nil expected, got %s"):format(type(fn)), 2)
  end
  local before = handlers[name]
  handlers[name] = fn
  count((fn and 1 or 0) - (before and 1 or 0))
end

return M
