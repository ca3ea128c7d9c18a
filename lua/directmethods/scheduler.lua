--- The scheduler: what waits, what is ready, and the turns of the loop.
--
-- C knows "start operation, id" and "operation id finished with values". This
-- file turns the one into the other's return values. Its rules:
--  * tasks are resumed from the ready queue alone, by the main thread;
--  * what waits yields in a task and drives the loop on the main thread;
--    anywhere else it raises;
--  * an event only marks its task ready.

local core = require "directmethods.core"
local errors = require "directmethods.errors"

local M = {}

local READY_PER_TURN = 256 -- tasks resumed between two turns of the loop
M.CONDITION_POLL = 0.05 -- seconds between two looks at a condition

-- One set of tables for a Lua state, however often this file is loaded.
local state = core.state
state.waiting = state.waiting or {} -- id -> waiter
state.objects = state.objects or {} -- id -> function(event, ...)
state.ready = state.ready or { first = 1, last = 0 }
state.conditions = state.conditions or {} -- tasks inside wait_until
state.jobs = state.jobs or {} -- functions for the driver, on the main thread
state.unawaited = state.unawaited or {} -- tasks that failed in this turn

local waiting, objects, ready = state.waiting, state.objects, state.ready

--- Event functions of objects (devices, clients, hubs) by their id. They run
-- inside the loop: they must be quick, may not wait and call no user code.
M.objects = objects

--- What a task yields to the scheduler, so that other yields are told apart.
M.PARKED = {}

--- Have a task resumed (its method resume called) in one of the next turns.
function M.push_ready(task)
  local last = ready.last + 1
  ready.last = last
  ready[last] = task
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

--- Every task that somebody has: the running one, those that are ready, those that
-- wait.
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

--- Nobody waits any more; the operation itself goes on.
function M.unlink(waiter)
  waiter.done = true
  waiting[waiter.id] = nil
  if waiter.timer then
    waiting[waiter.timer] = nil
    core.cancel_timer(waiter.timer)
  end
end

local function resolve(waiter, ...)
  M.unlink(waiter)
  waiter.results = table.pack(...)
  if waiter.task then M.push_ready(waiter.task) end
end

local function expire(waiter)
  if waiter.cancel then waiter.cancel() end
  resolve(waiter, nil, errors.new { name = "Timeout", message = "timed out" })
end

--- Finish what waits for an id; a late one is dropped.
---@return boolean somebody waited
function M.finish(id, ...)
  local waiter = waiting[id]
  if not waiter then return false end
  resolve(waiter, ...)
  return true
end

--- The one entry from C.
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

--- The running task, or nil on the main thread; raises where nothing may wait, at the
--- caller of the function that calls this.
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

-- A timer for a wait; without memory for it there is no wait, and no operation.
local function limit_timer(seconds, cancel)
  local ok, timer = pcall(core.timer, seconds)
  if ok then return timer end
  if cancel then cancel() end
  error(timer, 0)
end

--- Wait until the operation `id` finishes; its event's name and values.
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
    M.drive(function() return waiter.done end)
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

-- Turns --------------------------------------------------------------------

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

local function report_unawaited()
  local failed = state.unawaited
  state.unawaited = {}
  for _, task in ipairs(failed) do
    if not task.awaited then M.report("error", "task failed: " .. task.traceback) end
  end
end

--- Resume the tasks that are ready now, a bounded number of them.
function M.run_ready()
  for _ = 1, math.min(ready_count(), READY_PER_TURN) do
    pop_ready():resume()
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

--- One turn: what is ready, then the loop, for at most `limit` seconds.
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

--- Nothing is left to do for the tasks.
function M.idle()
  return ready_count() == 0
end

--- Run until nothing of this process is outstanding in real I/O and no task is
-- ready, or `cap` seconds of real time have passed. Main thread only.
---@return boolean settled
function M.settle(cap)
  local stop = core.now() + cap
  repeat
    M.run_ready()
    run_jobs()
    local settled = M.idle() and core.settle(math.max(0, stop - core.now()))
    if not settled and not M.idle() then core.step(0) end
    wake_conditions()
    M.run_ready()
    if settled and M.idle() and core.outstanding() == 0 then return true end
  until core.now() >= stop
  return false
end

local Name = {}

function Name.__close(name)
  core.free_id(name.id)
end

--- A name for a wait of Lua's own: `local name <close> = scheduler.name()`. Its id
-- is freed however the wait ends; a task that is cancelled once its wait is over,
-- but before it runs again, sees neither `cancel` nor the end.
---@return { id: integer }
function M.name()
  return setmetatable({ id = core.new_id() }, Name)
end

local function withdraw(job)
  for i, other in ipairs(state.jobs) do
    if other == job then return table.remove(state.jobs, i) end
  end
end

--- Have the driver call `fn` on the main thread and wait for it. A task that is
-- cancelled before has it not called. `what`: the function that waits for this.
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
