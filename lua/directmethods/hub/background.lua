--- Long work in short slices, so that the loop is never held: scans of all identities,
-- of all rows of a job. Works take turns.

local task = require "directmethods.task"

local M = {}

local SLICE = 0.0025 -- seconds of CPU; the loop looks at timers twice a turn: 5 ms

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
  return setmetatable({ pauses = {} }, Background)
end

-- Let the first task that pauses go on; another one may in the next turn of the loop.
local function resume_next(self)
  self.resume_timer = nil
  local id
  repeat -- until there is one that was not cancelled meanwhile
    id = table.remove(self.pauses, 1)
    if not id then return end
  until task.finish(id)
  self.resume_timer = task.after(0, function() resume_next(self) end)
end

--- In a task: let the loop and other tasks go on. In each turn of the loop one of the
-- tasks that pause goes on, so that together they hold the loop for one slice a turn.
--- ```lua
--- local deadline = background.deadline()
--- for _, each in ipairs(list) do
---   look_at(each)
---   if os.clock() > deadline then deadline = hub.background:pause() end
--- end
--- ```
---@return number deadline of the next slice
function Background:pause()
  local name <close> = task.name()
  table.insert(self.pauses, name.id)
  if not self.resume_timer and not self.closed then
    self.resume_timer = task.after(0, function() resume_next(self) end)
  end
  task.wait(name.id)
  return M.deadline()
end

--- In a task: call `fn` for each entry of a list, and pause between slices.
---@param list table
---@param fn fun(entry: any, place: integer)
function Background:each(list, fn)
  local deadline = M.deadline()
  for place, entry in ipairs(list) do
    fn(entry, place)
    if os.clock() > deadline then deadline = self:pause() end
  end
end

--- End all of it; from now on no function is called.
function Background:close()
  self.closed = true
  if self.resume_timer then self.resume_timer.cancel() end
  self.resume_timer = nil
end

return M
