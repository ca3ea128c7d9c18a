--- Work of a hub that follows what other hubs do: one task at a time. When it is woken
-- while it works, it works once more.

local task = require "directmethods.task"

local M = {}

---@class directmethods.Follower
local Follower = {}
Follower.__index = Follower

--- `work` may wait for the store. If the store fails, `work` returns and tries again
--- when the follower is woken again.
---@param work fun()
---@return directmethods.Follower
function M.new(work)
  return setmetatable({ work = work }, Follower)
end

local HOOKS = {}

function HOOKS.on_end(follower)
  follower.task = nil
  if follower.again and not follower.closed then follower:wake() end
end

local function run(follower)
  follower.again = false
  follower.work()
end

--- Something has changed.
function Follower:wake()
  if self.closed then return end
  self.again = true
  if not self.task then self.task = task.start(run, HOOKS, self) end
end

--- End. Harmless the second time.
function Follower:close()
  self.closed = true
  if self.task then self.task:cancel() end
end

return M
