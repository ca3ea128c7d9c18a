--- The starts of jobs: each when it is due, as far as there is room.

local runs = require "directmethods.hub.jobs.run"

local M = {}

-- Events of devices that come are for jobs that run.
local function watch(jobs)
  jobs.plane:watch_ready(next(jobs.runs) ~= nil)
end

-- The status of a job by the end of its run. A job that took too long is "completed".
local FINAL = { failed = "failed", cancelled = "cancelled" }

-- A run has ended: there is room for the next.
local function on_end(run)
  local jobs = run.jobs
  if jobs.runs[run.job.id] ~= run then return end -- forgotten
  jobs.runs[run.job.id] = nil
  jobs.turns = jobs.turns + 1
  if run.is_owner then jobs.running = jobs.running - 1 end
  jobs.pump:remove(run)
  if run.ended then jobs:tell(run.job, FINAL[run.over] or "completed", true) end
  watch(jobs)
  M.next(jobs)
end

--- Begin a job, or go on with it.
---@param jobs directmethods.Jobs
---@param job directmethods.Job
function M.begin(jobs, job)
  jobs.waiting[job.id] = nil
  jobs.running, jobs.turns = jobs.running + 1, jobs.turns + 1
  jobs.runs[job.id] = runs.start(jobs, job, true, on_end)
  watch(jobs)
end

--- Call those targets of another hub's job that are connected to this hub.
---@param jobs directmethods.Jobs
---@param job directmethods.Job whose targets are known
function M.help(jobs, job)
  jobs.turns = jobs.turns + 1
  jobs.runs[job.id] = runs.start(jobs, job, false, on_end)
  watch(jobs)
end

--- The job of a run is this hub's from now on, or another hub's.
---@param run directmethods.Run
---@param is_owner boolean
function M.set_owner(run, is_owner)
  run.jobs.running = run.jobs.running + (is_owner and 1 or -1)
  run.is_owner = is_owner
  run.queue:read_again()
  run.signal:set()
end

-- The job that is to start next.
local function first_waiting(jobs)
  local first
  for _, job in pairs(jobs.waiting) do
    if not first or job.start < first.start
      or job.start == first.start and job.id < first.id then
      first = job
    end
  end
  return first
end

--- Start those that are due, as far as there is room, and the next when it is due.
---@param jobs directmethods.Jobs
function M.next(jobs)
  if jobs.closed then return end
  local first = first_waiting(jobs)
  while first and first.start <= jobs:now() and jobs.running < jobs.options.active
    and not jobs.stopped do
    M.begin(jobs, first)
    first = first_waiting(jobs)
  end
  if not first or jobs.stopped or jobs.running >= jobs.options.active then
    return jobs:forget_timer("start")
  end
  jobs:later("start", (first.start - jobs:now()) / 1000, function() M.next(jobs) end)
end

--- Forget all runs; what they have called is called.
---@param jobs directmethods.Jobs
function M.forget(jobs)
  for _, run in pairs(jobs.runs) do run.task:cancel() end
  jobs.runs, jobs.running, jobs.turns = {}, 0, jobs.turns + 1
end

return M
