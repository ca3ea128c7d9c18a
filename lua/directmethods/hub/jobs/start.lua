--- The starts of jobs: each when it is due, as far as there is room.

local runs = require "directmethods.hub.jobs.run"

local M = {}

--- Events of devices that come are for jobs that run.
---@param jobs directmethods.Jobs
function M.watch(jobs)
  jobs.plane:watch_ready(#jobs.runs > 0)
end

--- Begin a job, or go on with it.
---@param jobs directmethods.Jobs
---@param job directmethods.Job
function M.begin(jobs, job)
  jobs.waiting[job.id] = nil
  local run = runs.new(jobs, job)
  table.insert(jobs.runs, run)
  jobs.by_id[job.id] = run
  M.watch(jobs)
  run:start()
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

local start_due

--- Start the next when it is due and there is room.
---@param jobs directmethods.Jobs
function M.next(jobs)
  local first = first_waiting(jobs)
  if not first or jobs.stopped or #jobs.runs >= jobs.options.active then
    return jobs:forget_timer("start")
  end
  jobs:later("start", math.max(0, first.start - jobs:now()) / 1000, function()
    start_due(jobs)
  end)
end

-- Start the first of those that are due, as far as there is room; the next turn has
-- the next.
function start_due(jobs)
  local first = first_waiting(jobs)
  if not first or first.start > jobs:now() or jobs.stopped then
    return M.next(jobs)
  end
  local job = runs.copy(first)
  job.status = "running"
  if not jobs.store:put_job(job) then
    return jobs:later("start", 1, function() start_due(jobs) end)
  end
  M.begin(jobs, job)
  M.next(jobs)
end

return M
