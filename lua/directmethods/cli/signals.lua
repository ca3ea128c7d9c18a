--- SIGINT and SIGTERM, as events of the loop instead of the end of the process.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

local listener
local received = {} -- before there was a listener

local function pass_on()
  while listener and received[1] do
    task.spawn(listener, table.remove(received, 1))
  end
end

--- From here on they do not end the process, but wait for M.on or M.wait.
function M.catch()
  task.objects[core.signal_id] = function(_, name)
    received[#received + 1] = name
    pass_on()
  end
  core.signals(true)
end

--- Have fn(name) called, as a task, for each that was caught.
---@param fn fun(name: "SIGINT"|"SIGTERM")
function M.on(fn)
  listener = fn
  pass_on()
end

--- Wait for the first; later ones do nothing.
---@param seconds number? wait no longer than this
---@return "SIGINT"|"SIGTERM"|nil
function M.wait(seconds)
  local id = core.new_id()
  M.on(function(name) task.finish(id, name) end)
  return (task.wait(id, nil, seconds))
end

return M
