--- Catches SIGINT, SIGTERM and SIGHUP, so that a command can end in good order. SIGHUP
-- ends a command that had a controlling terminal when it began; otherwise it makes the
-- command read its files again, if it has any.

local core = require "directmethods.core"
local signals = require "directmethods.signals"
local task = require "directmethods.task"

local M = {}

local listener
local caught = false
local received = {} -- before there was a listener

local function pass_on()
  while listener and received[1] do
    task.spawn(listener, table.remove(received, 1))
  end
end

--- Call this at the start of the program: SIGINT then ends it at once, as it ends other
-- programs. The interpreter's own handler would raise an error in whatever code runs,
-- and a wait would go on. The event loop restores this default when it no longer
-- catches a signal.
function M.by_default()
  core.signals(true)
  core.signals(false)
end

--- From now on these signals do not end the process; M.on or M.wait receives them.
function M.catch()
  if caught then return end
  caught = true
  signals.stop_with(function(name)
    received[#received + 1] = name
    pass_on()
  end)
end

--- Call fn(name), as a task, for each signal that was caught.
---@param fn fun(name: "SIGINT"|"SIGTERM"|"SIGHUP")
function M.on(fn)
  listener = fn
  pass_on()
end

--- Call fn(), as a task, for each SIGHUP that means to reload.
M.on_reload = signals.reload_with

--- Exit statuses of programs that a signal has ended.
---@type table<string, integer>
M.STATUS = { SIGHUP = 129, SIGINT = 130, SIGTERM = 143 }

--- Let a command stop at its next chance: the result returns the exit status once a
-- signal has come, nil before. A second signal ends the process at once.
---@return fun(): integer?
function M.stopper()
  local status
  M.catch()
  M.on(function(name)
    if status then os.exit(status) end
    status = M.STATUS[name]
  end)
  return function() return status end
end

--- Run fn, which may wait, and end it early at the first signal. Raises what fn raises.
---@param fn fun()
---@return "SIGINT"|"SIGTERM"|"SIGHUP"|nil signal that has come; nil: fn has ended
function M.unless_stopped(fn)
  local received_name
  local work = task.spawn(fn)
  M.catch()
  M.on(function(name)
    received_name = name
    work:cancel()
  end)
  work:await()
  return received_name
end

--- Wait for the first signal. Later ones are ignored.
---@param seconds number? wait no longer than this
---@return "SIGINT"|"SIGTERM"|"SIGHUP"|nil
function M.wait(seconds)
  local id = core.new_id()
  M.on(function(name) task.finish(id, name) end)
  return (task.wait(id, nil, seconds))
end

return M
