--- A job that runs. A task of its own takes it from its start to its end: it selects
-- the targets, has the pump call them, and ends those that are left when the time of
-- the job is over or when it is cancelled. The pump writes what becomes of the targets,
-- this task the rest. All of it is in the store, so that another hub can go on.

local attributes = require "directmethods.hub.attributes"
local core = require "directmethods.core"
local definition = require "directmethods.hub.jobs.definition"
local persist = require "directmethods.hub.jobs.persist"
local query = require "directmethods.hub.query"
local queues = require "directmethods.hub.jobs.queue"
local selection = require "directmethods.hub.selection"
local signals = require "directmethods.hub.signal"
local job_store = require "directmethods.hub.jobs.job_store"
local row_store = require "directmethods.hub.jobs.row_store"
local sweep = require "directmethods.hub.jobs.sweep"
local task = require "directmethods.task"
local time = require "directmethods.time"

local M = {}

local TARGETS = 100 -- that are kept at a time
local RETRY = 1 -- seconds, when the store has failed
local UNREADABLE = "The devices could not be read: %s."
local BROKEN = "The hub failed to run the job; its log says why."

---@class directmethods.Run
---@field jobs directmethods.Jobs
---@field job directmethods.Job as it was when the run began
---@field call directmethods.JobCall?
---@field update table?
---@field queue directmethods.TargetQueue
---@field is_owner boolean this hub selects the targets and ends the job; false: another
---  hub, which shares the store, does
---@field calling boolean its targets are known, and called
---@field over "expired"|"cancelled"|"failed"|nil from now on no target is called
---@field to_sweep boolean and those that are left are to be ended
---@field ended boolean nothing is left to be done
---@field signal directmethods.Signal for its task: one of these has changed
local Run = {}
Run.__index = Run

--- No target is called from now on; calls under way end by themselves.
---@param why "expired"|"cancelled"|"failed"
function Run:end_early(why)
  if self.over or self.ended then return end
  self.over = why
  self.to_sweep = true
  self.signal:set()
end

--- Targets are left that will not be called.
function Run:sweep()
  self.to_sweep = true
  self.signal:set()
end

--- The job has ended, or is gone.
function Run:leave()
  self.ended = true
  self.signal:set()
end

--- Until the time of the job is over.
---@return number seconds
function Run:seconds_left()
  return self.deadline - core.now()
end

local function expire(run)
  if run:seconds_left() <= 0 then run:end_early "expired" end
end

-- A list was in conflict: the job was cancelled, it is gone, or another hub has it.
local function look_again(run)
  if run.jobs.cluster then run.jobs.cluster:look_at_jobs() end
  local status = persist.read(job_store.status, run.jobs.db, run.job.id)
  if status == "cancelled" then
    run:end_early "cancelled"
  elseif status ~= "running" then
    run.ended = true
  end
end

local function write(run, list)
  local results = persist.write(run.jobs.db, list)
  if not results then look_again(run) end
  return results
end

-- The job as a whole has failed.
local function fail(run, reason)
  if write(run, { job_store.fail(run.job.id, reason) }) then run:end_early "failed" end
end

-- Selecting ------------------------------------------------------------------

-- Targets cannot be read: the job fails when its time is over, too.
local function wait_for_targets(run, err)
  if run:seconds_left() <= 0 then fail(run, UNREADABLE:format(err.message)) end
  time.sleep(RETRY)
end

-- The next targets, as many as are kept at a time; fewer: these were the last, or the
-- run is over.
local function next_targets(run, targets)
  local list = {}
  while #list < TARGETS and not targets.ended and not run.over do
    local found, err = targets:next()
    for _, row in ipairs(found or {}) do
      local device_id, module_id = attributes.ids(row)
      list[#list + 1] = { device_id = device_id, module_id = module_id }
    end
    if err then wait_for_targets(run, err) end
    run.jobs.hub.background:pause()
  end
  return list
end

local function keep_targets(run, list, is_last)
  local id, now = run.job.id, run.jobs:now()
  local jobs = run.jobs
  local statements = { jobs.cluster and job_store.is_owner(id, jobs.owner) or nil }
  for _, target in ipairs(list) do
    statements[#statements + 1] = row_store.insert(id, target, now)
  end
  statements[#statements + 1] = job_store.add_targets(id, #list, is_last)
  statements[#statements + 1] = job_store.finish(id, now)
  local results = write(run, statements)
  if results and results[#results].changes == 1 then run.ended = true end
  if not results and not run.over and not run.ended and not run.jobs.cluster then
    error("a target was there before it was selected", 0)
  end
  return results ~= nil
end

-- Select the targets, behind the last one that is known.
local function select_targets(run)
  local plan, wrong = query.read_condition(run.job.condition)
  if not plan then return fail(run, wrong) end
  local after = persist.read(row_store.last, run.jobs.db, run.job.id)
  local targets = selection.new(run.jobs.hub, plan, after)
  local kept = true
  repeat
    local list = next_targets(run, targets)
    if not run.over then kept = keep_targets(run, list, targets.ended) end
  until targets.ended or run.ended or run.over or not kept
  if not kept and not run.over then run.left = true end
end

-- Ending ---------------------------------------------------------------------

local function end_job(run, first)
  local id = run.job.id
  local results = persist.write(run.jobs.db, { first, job_store.finish(id,
    run.jobs:now()) })
  if not results or results[2].changes == 1 then run.ended = true end
end

-- End the targets that will not be called, and the job when no call is under way. If
-- its counts disagree, the store was damaged.
local function finish(run)
  run.to_sweep = false
  sweep.finish(run)
  if not run.ended then end_job(run, job_store.selected(run.job.id)) end
  if run.ended or next(run.queue.flying) then return end
  sweep.recover(run)
  if run.jobs.cluster then return end -- calls of other hubs may be under way
  if not run.ended then end_job(run, job_store.recount(run.job.id)) end
end

-- The whole life ----------------------------------------------------------------

-- False: it was cancelled before it began.
local function begin(run)
  local job = run.job
  if job.status == "queued" then
    local began = write(run, { job_store.start(job.id) }) ~= nil
    if began then run.jobs:tell(job, "running", false) end
    return began
  end
  sweep.recover(run)
  return true
end

-- What its owner does before targets are called. False: the run ends.
local function prepare(run)
  if not begin(run) then return false end
  if not run.job.selected and not run.over then select_targets(run) end
  return not run.left
end

local function live(run)
  local job = run.job
  run.call = job.method and definition.call(job)
  run.update = job.update and definition.update(job)
  if run.is_owner and not prepare(run) then return end
  run.calling = true
  run.jobs.pump:add(run)
  while not run.ended do
    if not run.over then expire(run) end
    if run.to_sweep and run.is_owner then
      finish(run)
    else
      run.signal:wait(not run.over and run:seconds_left() or nil)
    end
  end
end

-- If a job cannot be run, only this job fails.
local function work(run)
  local ok, trace = xpcall(live, debug.traceback, run)
  if ok then return end
  task.report("error", ("job %s cannot be run: %s"):format(run.job.id, trace))
  fail(run, BROKEN)
  while not run.ended do
    finish(run)
    if not run.ended then run.signal:wait() end
  end
end

local HOOKS = {}

function HOOKS.on_end(run)
  run.on_end(run)
end

--- Start a job that is due, or go on with one that an earlier hub has started. `on_end`
--- is called when the run has ended.
---@param jobs directmethods.Jobs
---@param job directmethods.Job
---@param is_owner boolean the job is this hub's
---@param on_end fun(run: directmethods.Run)
---@return directmethods.Run
function M.start(jobs, job, is_owner, on_end)
  local was_over = job.status ~= "queued" and job.status ~= "running" and job.status
  local run = setmetatable({
    jobs = jobs,
    job = job,
    is_owner = is_owner,
    queue = queues.new(job.id),
    calling = false,
    over = was_over or nil,
    to_sweep = was_over ~= false,
    ended = false,
    deadline = core.now() + job.max_seconds + (job.start - jobs:now()) / 1000,
    signal = signals.new(),
    on_end = on_end,
  }, Run)
  run.task = task.start(work, HOOKS, run)
  return run
end

return M
