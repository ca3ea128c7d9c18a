--- The admission of a new job: its id must be free, the hub must have room for it, and
-- the store must keep it.

local job_store = require "directmethods.hub.jobs.job_store"
local problems = require "directmethods.hub.problems"
local retention = require "directmethods.hub.jobs.retention"

local M = {}

-- The problem of a job that would start at this time and has no room.
local function check_room(jobs, due)
  if jobs.count >= jobs.options.kept then
    return problems.new("ThrottlingMaxActiveJobCountExceeded",
      "The hub has as many jobs as it may keep (jobs.kept).")
  end
  local now, active = jobs:now(), jobs.running + jobs.elsewhere + jobs.admitted
  for _, job in pairs(jobs.waiting) do
    if job.start <= now then active = active + 1 end
  end
  if due > now or active < jobs.options.active then return nil end
  return problems.new("ThrottlingMaxActiveJobCountExceeded")
end

-- Is the id free? That of an old job that only waits to be removed is.
local function check_id(jobs, id)
  local old, err = job_store.find(jobs.db, id)
  if err then return problems.unavailable(err) end
  if not old then return nil end
  if retention.is_kept(jobs, old.ended) then
    return problems.new("JobAlreadyExists")
  end
  local done
  done, err = retention.remove(jobs, id)
  if not done then return problems.unavailable(err) end
end

-- Keep a new job. Its place among those that are counted is taken meanwhile.
local function keep(jobs, job)
  local is_due = job.start <= jobs:now() and 1 or 0
  jobs.count, jobs.admitted = jobs.count + 1, jobs.admitted + is_due
  local done, err
  local _ <close> = setmetatable({}, {
    __close = function()
      jobs.admitted = jobs.admitted - is_due
      if not done then jobs.count = jobs.count - 1 end
    end,
  })
  done, err = jobs.db:write {
    job_store.insert(job), jobs.cluster and job_store.own(job.id, jobs.owner) or nil,
  }
  if done then return nil end
  if err.name == "Conflict" then return problems.new("JobAlreadyExists") end
  return problems.unavailable(err)
end

--- Keep a new job in the store, if its id is free and there is room. Waits.
---@param jobs directmethods.Jobs
---@param job directmethods.Job
---@return directmethods.Problem? problem nil: it is kept
function M.admit(jobs, job)
  return check_id(jobs, job.id) or check_room(jobs, job.start) or keep(jobs, job)
end

return M
