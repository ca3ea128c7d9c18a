--- Turns of the loop: resume the tasks that are ready, run the main thread's jobs, then
-- run the loop.

local core = require "directmethods.core"

local M = {}

-- What is resumed between two turns of the loop
local READY_PER_TURN = 256 -- tasks
local READY_SECONDS = 0.002 -- then no further one
M.CONDITION_POLL = 0.05 -- seconds between two looks at a condition

-- One set of tables for a Lua state, however often this file is loaded.
local state = core.state
state.ready = state.ready or { first = 1, last = 0 }
state.conditions = state.conditions or {} -- tasks inside wait_until
state.jobs = state.jobs or {} -- functions for the driver, on the main thread
state.unawaited = state.unawaited or {} -- tasks that failed in this turn
state.errors = state.errors or {} -- those that nobody has awaited, for dm.errors
state.error_count = state.error_count or 0 -- of all that were ever kept

local ready = state.ready

--- Resume a task (call its method resume) in one of the next turns.
function M.push_ready(task)
  local last = ready.last + 1
  ready[last] = task -- this may fail for lack of memory, and then nothing has changed
  ready.last = last
end

local function pop_ready()
  local first = ready.first
  local task = ready[first]
  ready[first] = nil
  if first < ready.last then
    ready.first = first + 1
  else
    ready.first, ready.last = 1, 0
  end
  return task
end

local function ready_count()
  return ready.last - ready.first + 1
end

local REPORT_LINES = 40 -- of one text; debug.traceback gives 24 at most

--- Log a text of several lines as one event: lines after the first are marked, so
-- that a text from outside with line breaks in it cannot pass for another event.
function M.report(level, text)
  local count = 0
  for line in tostring(text):gmatch("[^\n]+") do
    count = count + 1
    if count > REPORT_LINES then return core.log(level, "  | ...") end
    core.log(level, (count > 1 and "  | " or "") .. line:gsub("\t", "  "))
  end
end

local ERRORS_MAX = 100 -- that are kept; the oldest make room

--- An error that reached nobody: log it, and keep it for dm.errors.
---@param what string where it was raised
---@param text string the error with its traceback
---@param task table? who awaits this task later has the error
function M.keep_error(what, text, task)
  M.report("error", ("%s: %s"):format(what, text))
  state.error_count = state.error_count + 1
  table.insert(state.errors, {
    number = state.error_count, what = what, text = text, task = task,
  })
  if #state.errors > ERRORS_MAX then table.remove(state.errors, 1) end
end

--- Take what keep_error has kept, after the first `count` errors.
---@param count integer
---@return string[]
function M.take_errors(count)
  local kept, texts = state.errors, {}
  state.errors = {}
  for _, each in ipairs(kept) do
    if each.number <= count then
      table.insert(state.errors, each)
    elseif not (each.task and each.task.awaited) then
      table.insert(texts, ("%s: %s"):format(each.what, each.text))
    end
  end
  return texts
end

local function report_unawaited()
  local failed = state.unawaited
  state.unawaited = {}
  for _, task in ipairs(failed) do
    if not task.awaited then M.keep_error("task failed", task.traceback, task) end
  end
end

--- Resume tasks that are ready now, a bounded number of them for a bounded time.
function M.run_ready()
  local began = core.real() -- it costs less than os.clock
  for _ = 1, math.min(ready_count(), READY_PER_TURN) do
    pop_ready():resume()
    if core.real() - began >= READY_SECONDS then break end
  end
  if state.unawaited[1] then report_unawaited() end
end

local function run_jobs()
  while state.jobs[1] do
    table.remove(state.jobs, 1)()
  end
end

local function wake_conditions()
  local tasks = state.conditions
  if not tasks[1] then return end
  state.conditions = {}
  for _, task in ipairs(tasks) do
    M.push_ready(task)
  end
end

local function longest_wait(limit)
  if ready_count() > 0 then return 0 end
  if not state.conditions[1] then return limit end
  return math.min(limit or M.CONDITION_POLL, M.CONDITION_POLL)
end

--- One turn: resume ready tasks, then run the loop for at most `limit` seconds.
function M.turn(limit)
  M.run_ready()
  run_jobs()
  core.step(longest_wait(limit))
  wake_conditions()
end

--- Drive the loop on the main thread until `done()`.
function M.drive(done)
  while not done() do
    M.run_ready()
    run_jobs()
    if done() then return end
    core.step(longest_wait())
    wake_conditions()
  end
end

--- Is no task ready?
function M.idle()
  return ready_count() == 0
end

--- Run until nothing of this process is outstanding in real I/O and no task is
-- ready, or `cap` seconds of real time have passed. Main thread only.
---@return boolean settled
function M.settle(cap)
  local stop = core.real() + cap
  repeat
    M.run_ready()
    run_jobs()
    local settled = M.idle() and core.settle(math.max(0, stop - core.real()))
    if not settled and not M.idle() then core.step(0) end
    wake_conditions()
    M.run_ready()
    if settled and M.idle() and core.outstanding() == 0 then return true end
  until core.real() >= stop
  return false
end

return M
