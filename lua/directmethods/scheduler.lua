--- The scheduler: which task waits for which operation. (run_queue.lua has the tasks
-- that are ready.)
--
-- C starts operations and reports "operation id finished with values". This file turns
-- the values into the results of the function that waits. Its rules:
--  * only the main thread resumes tasks, and only those of the ready queue;
--  * a function that waits yields in a task, runs the loop on the main thread, and
--    raises an error anywhere else;
--  * an event only marks its task ready.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local run_queue = require "directmethods.run_queue"

local M = {}

-- One set of tables for a Lua state, however often this file is loaded.
local state = core.state
state.waiting = state.waiting or {} -- id -> waiter
state.objects = state.objects or {} -- id -> function(event, ...)

local waiting, objects, ready = state.waiting, state.objects, state.ready

--- Event functions of objects (devices, clients, hubs) by their id. They run
-- inside the loop: they must be quick, may not wait and call no user code.
M.objects = objects

--- The value that a task yields to the scheduler. Any other value is a user's yield.
M.PARKED = {}

--- All tasks that have not ended: the running one, those that are ready, and those
-- that wait.
---@return table<table, true>
function M.tasks()
  local tasks = {}
  if state.current then tasks[state.current] = true end
  for i = ready.first, ready.last do tasks[ready[i]] = true end
  for _, waiter in pairs(waiting) do
    if waiter.task then tasks[waiter.task] = true end
  end
  for _, task in ipairs(state.conditions) do tasks[task] = true end
  return tasks
end

-- Waiting ------------------------------------------------------------------

--- Forget who waits; the operation itself goes on.
function M.unlink(waiter)
  waiter.done = true
  waiting[waiter.id] = nil
  if waiter.timer then
    waiting[waiter.timer] = nil
    core.cancel_timer(waiter.timer)
  end
end

-- As long as it fails for lack of memory, the waiter still waits.
local function try_resolve(waiter, ...)
  waiter.results = table.pack(...)
  if waiter.task then run_queue.push_ready(waiter.task) end
  M.unlink(waiter)
end

-- What waits must not wait without end because memory was short once.
local function resolve(waiter, ...)
  if pcall(try_resolve, waiter, ...) then return end
  collectgarbage()
  try_resolve(waiter, ...)
end

local function expire(waiter)
  if waiter.cancel then waiter.cancel() end
  resolve(waiter, nil, errors.new { name = "Timeout", message = "timed out" })
end

--- Finish the wait for an id. Without such a wait, the event is dropped.
---@return boolean somebody waited
function M.finish(id, ...)
  local waiter = waiting[id]
  if not waiter then return false end
  resolve(waiter, ...)
  return true
end

--- C calls this for each event, and nothing else.
local function dispatch(id, event, ...)
  local waiter = waiting[id]
  if waiter then
    if id == waiter.timer then
      expire(waiter)
    else
      resolve(waiter, event, ...)
    end
    return
  end
  local object = objects[id]
  if object then object(event, ...) end
end

--- The running task, or nil on the main thread. Where waiting is not allowed it
--- raises an error at the caller of the function that calls this.
---@param what string    the function's name
---@param level integer? frames to add when a helper stands between
function M.current(what, level)
  local running, on_main = coroutine.running()
  local task = state.current
  if task and task.co == running then return task end
  if not on_main then
    error(what .. ": cannot wait in a coroutine that is not a running task",
      3 + (level or 0))
  elseif core.running() then
    error(what .. ": cannot wait inside an event of the loop", 3 + (level or 0))
  end
  return nil
end

-- A timer for a wait. If there is no memory for it, the operation is cancelled.
local function limit_timer(seconds, cancel)
  local ok, timer = pcall(core.timer, seconds)
  if ok then return timer end
  if cancel then cancel() end
  error(timer, 0)
end

--- Wait until the operation `id` finishes. Returns its event's name and values.
-- After `timeout` seconds, `cancel` is called and nil, err returned. When the
-- task is cancelled, `cancel` is called and the wait does not return.
---@param id integer
---@param cancel? fun() ends the operation; no event may follow
---@param timeout? number seconds
function M.wait(id, cancel, timeout)
  local task = M.current("wait")
  local waiter = {
    id = id, task = task, cancel = cancel, done = false, results = false,
  }
  if timeout then
    waiter.timer = limit_timer(timeout, cancel)
    waiting[waiter.timer] = waiter
  end
  waiting[id] = waiter
  if not task then
    run_queue.drive(function() return waiter.done end)
  elseif task.cancelling then
    M.unlink(waiter)
    if cancel then cancel() end
    coroutine.yield(M.PARKED)
  else
    task.waiter = waiter
    coroutine.yield(M.PARKED)
    task.waiter = nil
  end
  return table.unpack(waiter.results, 1, waiter.results.n)
end

--- Call `fn` from the loop in so many seconds: for the library's own timers. It
-- must be quick and may not wait.
---@return { cancel: fun() }
function M.after(seconds, fn)
  local id = core.timer(seconds)
  objects[id] = function()
    objects[id] = nil
    fn()
  end
  return {
    cancel = function()
      objects[id] = nil
      core.cancel_timer(id)
    end,
  }
end

local Name = {}

function Name.__close(name)
  core.free_id(name.id)
end

--- An id for an operation that Lua finishes: `local name <close> = scheduler.name()`.
-- The id is freed however the wait ends. If a task is cancelled after its wait has
-- ended and before it runs again, `cancel` is not called and the wait does not return.
---@return { id: integer }
function M.name()
  return setmetatable({ id = core.new_id() }, Name)
end

local function withdraw(job)
  for i, other in ipairs(state.jobs) do
    if other == job then return table.remove(state.jobs, i) end
  end
end

--- Call `fn` on the main thread and wait for it. If the task is cancelled before, `fn`
-- is not called. `what`: the name of the function that waits.
function M.on_main(what, fn)
  if not M.current(what, 1) then return fn() end
  local name <close> = M.name()
  local ok, err
  local function job()
    ok, err = pcall(fn)
    M.finish(name.id, true)
  end
  table.insert(state.jobs, job)
  M.wait(name.id, function() withdraw(job) end)
  if not ok then error(err, 0) end
  return err
end

--- Park the running task until the loop has had another turn.
function M.wait_turn(task)
  table.insert(state.conditions, task)
  local waiter = { id = 0, task = task }
  task.waiter = waiter
  coroutine.yield(M.PARKED)
  task.waiter = nil
end

core.set_dispatcher(dispatch)

return M
