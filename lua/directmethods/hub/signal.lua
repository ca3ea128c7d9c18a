--- A signal: one task waits for it; events, timers and other tasks set it. A signal
-- that is set while nobody waits is seen by the next wait.

local scheduler = require "directmethods.scheduler"
local task = require "directmethods.task"

local M = {}

---@class directmethods.Signal
---@field is_set boolean
---@field id integer? what the task waits for
local Signal = {}
Signal.__index = Signal

---@return directmethods.Signal
function M.new()
  return setmetatable({ is_set = false }, Signal)
end

--- Wake the waiting task, or let its next wait end at once.
function Signal:set()
  self.is_set = true
  if self.id then task.finish(self.id, true) end
end

--- Wait until the signal is set, at most so many seconds (default: no limit).
---@param seconds number?
function Signal:wait(seconds)
  if not self.is_set then
    local name <close> = scheduler.name()
    self.id = name.id
    task.wait(name.id, nil, seconds)
    self.id = nil
  end
  self.is_set = false
end

return M
