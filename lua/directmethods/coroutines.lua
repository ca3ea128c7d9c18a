--- Coroutines of tasks. A coroutine is used for one task after another.

local M = {}

local IDLE_MAX = 16 -- kept for the next tasks

--- What a coroutine yields, before the results, when a task is done.
M.DONE = {}

local idle = {} -- those that wait for their next task

-- The body of a coroutine: one task after another. It uses tail calls only, so an
-- idle coroutine holds no values of its last task.
local serve

local function rest(...)
  return serve(coroutine.yield(M.DONE, ...))
end

function serve(fn, subject)
  return rest(fn(subject))
end

--- A coroutine to be resumed with a function and its arguments.
---@return thread
function M.take()
  local count = #idle
  local co = idle[count]
  idle[count] = nil
  -- user code that still has the coroutine may have closed it
  if co and coroutine.status(co) == "suspended" then return co end
  return coroutine.create(serve)
end

--- Give back a coroutine whose task has ended without results. (Hooks belong to one
-- task.)
---@param co thread
function M.give_back(co)
  if #idle < IDLE_MAX and not debug.gethook(co) then idle[#idle + 1] = co end
end

return M
