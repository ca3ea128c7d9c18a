--- Locks by name, for tasks that read, decide and write: two tasks that change the same
-- identity run one after the other, in the order in which they came.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

---@class directmethods.Locks
local Locks = {}
Locks.__index = Locks

---@return directmethods.Locks
function M.new()
  return setmetatable({ held = {} }, Locks) -- name -> the waits for it
end

-- Hand a lock to the first task that still waits for it.
local function release(self, name)
  local queue = self.held[name]
  local wait
  repeat
    wait = table.remove(queue, 1)
    if not wait then
      self.held[name] = nil
      return
    end
    wait.granted = task.finish(wait.id, true)
  until wait.granted
end

-- However a wait ends, its id is freed; a lock that was handed to a task which was
-- cancelled before it ran again goes to the next one.
local Wait = {}

function Wait.__close(wait)
  core.free_id(wait.id)
  if wait.granted and not wait.taken then release(wait.locks, wait.name) end
end

local function acquire(self, name)
  local queue = self.held[name]
  if not queue then
    self.held[name] = {}
    return
  end
  local wait <close> = setmetatable(
    { id = core.new_id(), locks = self, name = name, granted = false }, Wait)
  queue[#queue + 1] = wait
  task.wait(wait.id)
  wait.taken = true
end

local Held = {}

function Held.__close(held)
  for _, name in ipairs(held.names) do release(held.locks, name) end
  held.names = {}
end

--- Wait until this task alone has the locks of these names; they are released when the
-- result is closed: `local held <close> = locks:take { "dev1" }`. All are taken in one
-- order, so that tasks with several names in common do not wait for each other for
-- ever.
---@param names string[] none twice; sorted by this function
---@return table held to be closed
function Locks:take(names)
  table.sort(names)
  local held = setmetatable({ locks = self, names = {} }, Held)
  local _ <close> = setmetatable({}, {
    __close = function()
      if not held.whole then Held.__close(held) end
    end,
  })
  for _, name in ipairs(names) do
    acquire(self, name)
    held.names[#held.names + 1] = name
  end
  held.whole = true
  return held
end

return M
