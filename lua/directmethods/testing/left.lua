--- What a test leaves behind: tasks that have not ended, handles of the loop, errors
-- that nobody has awaited.

local core = require "directmethods.core"
local dm = require "directmethods.api"
local requests = require "directmethods.device.request"
local run_queue = require "directmethods.run_queue"
local task = require "directmethods.task"

local M = {}

local PATIENCE = 5 -- seconds of real time for what is on its way out
local OURS = debug.getinfo(1, "S").source:match("^(.*)testing") -- the library's folder

---@class directmethods.testing.Before
---@field tasks table<directmethods.Task, true>
---@field handles integer
---@field errors integer

--- The tasks, handles and errors that exist before a test.
---@return directmethods.testing.Before
function M.before()
  return {
    tasks = task.all(),
    handles = core.handles(),
    errors = core.state.error_count,
  }
end

-- The user's line at which a task waits.
local function place_of(co)
  local level = 0
  local info = co and debug.getinfo(co, level, "Sl")
  while info do
    if info.currentline > 0 and info.source:find(OURS, 1, true) ~= 1 then
      return (" at %s:%d"):format(info.short_src, info.currentline)
    end
    level = level + 1
    info = debug.getinfo(co, level, "Sl")
  end
  return ""
end

-- Cancel the tasks that are left, and tell of them. The handler of a device that was
-- closed has no caller any more, so it is no leak.
local function cancel_tasks(before, problems)
  for left in pairs(task.all()) do
    if not before.tasks[left] and left.status ~= "running" then
      if not requests.is_request(left.subject) then
        problems[#problems + 1] = ("a task is left (%s)%s"):format(left.status,
          place_of(left.co))
      end
      left:cancel()
    end
  end
  dm.advance(0)
end

local function look_at_handles(before, problems)
  local function gone() return core.handles() <= before.handles end
  if gone() then return end
  collectgarbage() -- what nobody holds is closed by it
  if dm.wait_until(gone, PATIENCE) then return end
  problems[#problems + 1] = ("%d handles are left, of a device, service, fleet or hub "
    .. "that was not closed"):format(core.handles() - before.handles)
end

--- Cancel the tasks that a test has left, and tell what else is there. What was there
-- before is not the test's.
---@param before directmethods.testing.Before
---@param problems string[] to add to
function M.look(before, problems)
  cancel_tasks(before, problems)
  look_at_handles(before, problems)
  for _, text in ipairs(run_queue.take_errors(before.errors)) do
    problems[#problems + 1] = "an error that nobody has awaited: " .. text
  end
end

return M
