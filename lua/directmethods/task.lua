--- Tasks: coroutines on the event loop. Every user function runs as one.

local core = require "directmethods.core"
local coroutines = require "directmethods.coroutines"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local scheduler = require "directmethods.scheduler"
local run_queue = require "directmethods.run_queue"
local tables = require "directmethods.tables"

local state = core.state

-- Users of tasks need these, too.
local M = {
  objects = scheduler.objects,
  finish = scheduler.finish,
  wait = scheduler.wait,
  name = scheduler.name,
  after = scheduler.after,
  current = scheduler.current,
  report = run_queue.report,
  keep_error = run_queue.keep_error,
}

---@class directmethods.Task
---@field status "ready"|"running"|"waiting"|"done"|"failed"|"cancelled"
local Task = { __name = "directmethods.task" }
Task.__index = Task

function Task:__tostring()
  return ("directmethods.task (%s)"):format(self.status)
end

local function check_self(task, what)
  options.check_self(task, Task, what, 1)
end

local FINAL = { done = true, failed = true, cancelled = true }

local function notify(task)
  local ids = task.awaiting
  task.awaiting = false
  for id in pairs(ids) do
    scheduler.finish(id, true)
  end
end

local function on_wait(task, hook)
  if task.has_waited then return end
  task.has_waited = true
  hook(task.subject)
end

local function end_task(task, status)
  local hooks = task.hooks
  task.status = status
  task.waiter = false
  if hooks.on_end then hooks.on_end(task.subject, status) end
  if hooks.on_wait then on_wait(task, hooks.on_wait) end
  task.subject = nil
  if task.awaiting then
    notify(task)
  elseif status == "failed" then
    table.insert(state.unawaited, task)
  end
end

--- An error as text, even if its __tostring raises.
function M.text_of(err)
  local ok, text = pcall(tostring, err)
  return ok and text or ("a %s whose __tostring fails"):format(type(err))
end

local function fail_task(task, err)
  task.error = err
  task.traceback = debug.traceback(task.co, M.text_of(err))
  coroutine.close(task.co)
  end_task(task, "failed")
end

local function close_task(task)
  if task.co then
    local ok, err = coroutine.close(task.co)
    if not ok then
      run_queue.keep_error("task failed while it was cancelled", M.text_of(err))
    end
  end
  end_task(task, "cancelled")
end

-- An idle coroutine would hold the results of its last task, so a coroutine with
-- results is not used again.
local function keep_results(task, ...)
  if select("#", ...) > 0 then
    task.results = table.pack(...)
  else
    coroutines.give_back(task.co)
  end
end

local function after_resume(task, ok, signal, ...)
  state.current = nil
  if not ok then return fail_task(task, signal) end
  if signal == coroutines.DONE then
    keep_results(task, ...)
    return end_task(task, "done")
  elseif signal ~= scheduler.PARKED then
    return fail_task(task, "coroutine.yield in a task: use the waits of this library")
  end
  task.status = "waiting"
  local hook = task.hooks.on_wait
  if hook then on_wait(task, hook) end
  if task.cancelling and not task.waiter then close_task(task) end
end

--- For the scheduler: run the task until it waits or ends.
function Task:resume()
  local task = self
  if FINAL[task.status] then return end
  if task.cancelling then return close_task(task) end
  task.status = "running"
  state.current = task
  local co = task.co
  if co then return after_resume(task, coroutine.resume(co)) end
  co = coroutines.take()
  task.co = co
  return after_resume(task, coroutine.resume(co, task.fn, task.subject))
end

--- Start a task of the library: it calls fn(subject). Hooks are called with the
-- subject, too: `on_wait` once, when the task first waits or ends; `on_end`, and the
-- task's status, when it ends, even before it ran.
---@param fn function
---@param hooks { on_wait: fun(subject)?, on_end: fun(subject, status: string)? }
---@param subject any
---@return directmethods.Task
function M.start(fn, hooks, subject)
  local task = setmetatable({
    fn = fn,
    subject = subject,
    hooks = hooks,
    status = "ready",
    co = false, -- its coroutine, once it runs
    waiter = false, -- its current wait
    awaiting = false, -- or a set of the ids of waits for its end
    cancelling = false,
  }, Task)
  run_queue.push_ready(task)
  return task
end

local NO_HOOKS = {}

local function call(packed)
  return packed[1](table.unpack(packed, 2, packed.n))
end

--- Start a function as a task. It runs from the loop's next turn on.
---@param fn function
---@param ... any its arguments
---@return directmethods.Task
function M.spawn(fn, ...)
  if type(fn) ~= "function" then
    error(("dm.spawn: function expected, got %s (dm.spawn(fn, ...) calls fn(...))")
      :format(type(fn)), 2)
  end
  return M.start(call, NO_HOOKS, table.pack(fn, ...))
end

--- Has the task ended: done, failed or cancelled?
---@return boolean
function Task:ended()
  check_self(self, "task:ended")
  return FINAL[self.status] == true
end

local function await(task, id)
  task.awaited = true
  task.awaiting = task.awaiting or {}
  task.awaiting[id] = true
end

local function forget(task, id)
  if task.awaiting then task.awaiting[id] = nil end
end

--- Wait for the end. Returns the results of the function, or raises its error. For a
-- cancelled task, and after the time-out, it returns nil, err.
---@param timeout? number seconds; default: none
---@return any ... what the function returned; or nil, err
function Task:await(timeout)
  check_self(self, "task:await")
  options.check_timeout(timeout, "task:await")
  scheduler.current("task:await")
  if state.current == self then error("task:await: a task cannot await itself", 2) end
  self.awaited = true
  if not self:ended() then
    local name <close> = scheduler.name()
    await(self, name.id)
    local ended, err = scheduler.wait(name.id, nil, timeout)
    forget(self, name.id)
    if not ended then return nil, err end
  end
  if self.status == "failed" then error(self.error, 0) end
  if self.status == "cancelled" then
    return nil, errors.new { name = "Cancelled", message = "the task was cancelled" }
  end
  local results = self.results
  if results then return table.unpack(results, 1, results.n) end
end

--- End the task: a waiting one is closed (its <close> variables run and may not
-- wait), a running one ends at its next wait. False: it has ended already.
---@return boolean
function Task:cancel()
  check_self(self, "task:cancel")
  if self:ended() then return false end
  self.cancelling = true
  local waiter = self.waiter
  if waiter and not waiter.done then
    if waiter.id ~= 0 then
      scheduler.unlink(waiter)
      if waiter.cancel then waiter.cancel() end
    end
    waiter.done = true
    run_queue.push_ready(self)
  end
  return true
end

--- The tasks that have not ended: they run, are ready, or wait.
---@return table<directmethods.Task, true>
function M.all()
  local tasks = scheduler.tasks()
  for task in pairs(tasks) do
    if FINAL[task.status] then tasks[task] = nil end
  end
  return tasks
end

--- The errors that nobody has received since the last call of this function, with
-- their tracebacks: of tasks that nobody awaited, and of handlers, whose callers got
-- 500. They are in the log, too. The latest 100 are kept.
--- ```lua
--- for _, text in ipairs(dm.errors()) do print(text) end
--- ```
---@return string[]
function M.errors()
  return run_queue.take_errors(0)
end

--- The number of tasks that have not ended, for tests.
function M.count()
  return tables.count(M.all())
end

--- Cancel every task and run until all have ended.
function M.cancel_all()
  for task in pairs(M.all()) do
    task:cancel()
  end
  while next(M.all()) and not run_queue.idle() do
    run_queue.run_ready()
  end
end

-- A wait for several tasks. If the wait is cancelled, the tasks are cancelled, too.
local Wait = {}

function Wait.__close(wait)
  for _, task in ipairs(wait.tasks) do
    forget(task, wait.id)
    if not wait.over then task:cancel() end
  end
end

local function are_over(tasks)
  local all = true
  for _, task in ipairs(tasks) do
    if task.status == "failed" then return true end
    all = all and FINAL[task.status]
  end
  return all
end

--- Wait until every task of the list has ended, or one has failed. Cancels all when
-- the waiting task is cancelled.
---@param tasks directmethods.Task[]
function M.wait_for_all(tasks)
  local name <close> = scheduler.name()
  local wait <close> = setmetatable({ id = name.id, tasks = tasks }, Wait)
  for _, task in ipairs(tasks) do
    await(task, name.id)
  end
  while not are_over(tasks) do scheduler.wait(name.id) end
  wait.over = true
end

return M
