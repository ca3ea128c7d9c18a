--- Tasks: coroutines on the event loop. Every user function runs as one.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local scheduler = require "directmethods.scheduler"

local state = core.state
state.alive = state.alive or {} -- task -> true, until it ends

-- Who needs tasks needs these too.
local M = {
  objects = scheduler.objects,
  finish = scheduler.finish,
  wait = scheduler.wait,
  after = scheduler.after,
  current = scheduler.current,
  report = scheduler.report,
}

---@class directmethods.Task
---@field status "ready"|"running"|"waiting"|"done"|"failed"|"cancelled"
local Task = { __name = "directmethods.task" }
Task.__index = Task

function Task:__tostring()
  return ("directmethods.task (%s)"):format(self.status)
end

local function check_self(task, what)
  if getmetatable(task) ~= Task then
    error(("%s: called on a %s (is it task:name(...) with a colon?)"):format(
      what, type(task)), 3)
  end
end

local FINAL = { done = true, failed = true, cancelled = true }

local function notify(task)
  local ids = task.awaiting
  if next(ids) == nil then return false end
  task.awaiting = {}
  for id in pairs(ids) do
    scheduler.finish(id, true)
  end
  return true
end

local function on_wait(task)
  local hook = task.on_wait
  if hook then
    task.on_wait = nil
    hook()
  end
end

local function end_task(task, status)
  task.status = status
  task.waiter = nil
  state.alive[task] = nil
  if task.on_end then task.on_end() end
  on_wait(task)
  if not notify(task) and status == "failed" then
    table.insert(state.unawaited, task)
  end
end

--- An error as text, also one that fails when it is asked for its own.
function M.text_of(err)
  local ok, text = pcall(tostring, err)
  return ok and text or ("a %s that cannot be told as text"):format(type(err))
end

local function fail_task(task, err)
  task.error = err
  task.traceback = debug.traceback(task.co, M.text_of(err))
  coroutine.close(task.co)
  end_task(task, "failed")
end

local function close_task(task)
  local ok, err = coroutine.close(task.co)
  if not ok then
    scheduler.report("error", "task failed while it was cancelled: "
      .. M.text_of(err))
  end
  end_task(task, "cancelled")
end

local function after_resume(task, ok, ...)
  state.current = nil
  if coroutine.status(task.co) ~= "suspended" then
    if not ok then return fail_task(task, (...)) end
    task.results = table.pack(...)
    return end_task(task, "done")
  end
  if ... ~= scheduler.PARKED then
    return fail_task(task, "coroutine.yield in a task: use the waits of this library")
  end
  task.status = "waiting"
  on_wait(task)
  if task.cancelling and not task.waiter then close_task(task) end
end

--- For the scheduler: run it until it waits or ends.
function Task:resume()
  local task = self
  if FINAL[task.status] then return end
  if task.cancelling then return close_task(task) end
  task.status = "running"
  state.current = task
  local args = task.args
  task.args = nil
  if args then
    return after_resume(task, coroutine.resume(task.co, table.unpack(args, 1, args.n)))
  end
  return after_resume(task, coroutine.resume(task.co))
end

--- Start a task of the library: `on_wait` is called once, when it first waits
-- or ends; `on_end` when it ends, even before it ran; `awaited`: somebody will
-- await it, its error needs no log.
---@param fn function
---@param options { on_wait?: fun(), on_end?: fun(), awaited?: boolean }
---@return directmethods.Task
function M.start(fn, options, ...)
  local task = setmetatable({
    co = coroutine.create(fn),
    args = table.pack(...),
    status = "ready",
    awaiting = {},
    on_wait = options.on_wait,
    on_end = options.on_end,
    awaited = options.awaited,
  }, Task)
  state.alive[task] = true
  scheduler.push_ready(task)
  return task
end

--- Start a function as a task. It runs from the loop's next turn on.
---@param fn function
---@param ... any its arguments
---@return directmethods.Task
function M.spawn(fn, ...)
  if type(fn) ~= "function" then
    error(("dm.spawn: function expected, got %s"):format(type(fn)), 2)
  end
  return M.start(fn, {}, ...)
end

--- Has it ended, in whatever way?
---@return boolean
function Task:ended()
  check_self(self, "task:ended")
  return FINAL[self.status] == true
end

--- Wait for the end. Returns what the function returned, or raises its error.
-- A task that was cancelled, and a time-out, give nil, err.
---@param timeout? number seconds; default: none
---@return any ... what the function returned; or nil, err
function Task:await(timeout)
  check_self(self, "task:await")
  if state.current == self then error("task:await: a task cannot await itself", 2) end
  self.awaited = true
  if not self:ended() then
    local name <close> = scheduler.name()
    self.awaiting[name.id] = true
    local ended, err = scheduler.wait(name.id, nil, timeout)
    self.awaiting[name.id] = nil
    if not ended then return nil, err end
  end
  if self.status == "failed" then error(self.error, 0) end
  if self.status == "cancelled" then
    return nil, errors.new { name = "Cancelled", message = "the task was cancelled" }
  end
  return table.unpack(self.results, 1, self.results.n)
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
    scheduler.push_ready(self)
  end
  return true
end

--- Tasks that have not ended: what a test looks at.
function M.count()
  local n = 0
  for _ in pairs(state.alive) do
    n = n + 1
  end
  return n
end

--- Cancel every task and run until all have ended.
function M.cancel_all()
  for task in pairs(state.alive) do
    task:cancel()
  end
  while next(state.alive) and not scheduler.idle() do
    scheduler.run_ready()
  end
end

-- A wait for several: when it does not come to its end, theirs comes.
local Wait = {}

function Wait.__close(wait)
  for _, task in ipairs(wait.tasks) do
    task.awaiting[wait.id] = nil
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
    task.awaited = true
    task.awaiting[name.id] = true
  end
  while not are_over(tasks) do scheduler.wait(name.id) end
  wait.over = true
end

return M
