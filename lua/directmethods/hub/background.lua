--- Long work in short slices, so that the loop is never held: scans of all identities,
-- of all rows of a job. Works take turns.

local task = require "directmethods.task"

local M = {}

local SLICE = 0.005 -- seconds of CPU between two turns of the loop

---@class directmethods.Background
local Background = {}
Background.__index = Background

--- Until when a slice that begins now may go on, by os.clock().
---@return number
function M.deadline()
  return os.clock() + SLICE
end

---@return directmethods.Background
function M.new()
  return setmetatable({ works = {} }, Background)
end

local run

local function run_later(self)
  self.timer = task.after(0, function() run(self) end)
end

-- The timer runs whatever a step does.
function run(self)
  run_later(self)
  local deadline = M.deadline()
  while self.works[1] and os.clock() < deadline do
    local step = table.remove(self.works, 1)
    if step() and not self.closed then table.insert(self.works, step) end
  end
  if self.works[1] or self.closed then return end
  self.timer.cancel()
  self.timer = nil
end

--- Have `step` called from the loop until it returns false. It must be quick, some
-- milliseconds at most, and may not wait.
---@param step fun(): boolean
function Background:add(step)
  if self.closed then return end
  table.insert(self.works, step)
  if not self.timer then run_later(self) end
end

--- How many works there are.
---@return integer
function Background:count()
  return #self.works
end

--- End all; nothing is called any more.
function Background:close()
  self.closed = true
  self.works = {}
  if self.timer then self.timer.cancel() end
  self.timer = nil
end

return M
