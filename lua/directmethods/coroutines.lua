--- Coroutines of tasks: one serves a task after another.

local M = {}

local IDLE_MAX = 16 -- kept for the next tasks

--- What a coroutine yields, before the results, when a task is done.
M.DONE = {}

local idle = {} -- those that wait for their next task

-- The body of a coroutine: one task after another. Tail calls alone, so that one
-- that is idle holds nothing of its last task.
local serve

local function rest(...)
  return serve(coroutine.yield(M.DONE, ...))
end

function serve(fn, subject)
  return rest(fn(subject))
end

--- One to be resumed with a function and what it is called with.
---@return thread
function M.take()
  local count = #idle
  local co = idle[count]
  idle[count] = nil
  -- somebody who still has it may have closed it
  if co and coroutine.status(co) == "suspended" then return co end
  return coroutine.create(serve)
end

--- One whose task is done and has returned nothing. (A hook is for one task.)
---@param co thread
function M.give_back(co)
  if #idle < IDLE_MAX and not debug.gethook(co) then idle[#idle + 1] = co end
end

return M
