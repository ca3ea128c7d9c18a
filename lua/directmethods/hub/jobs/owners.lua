--- Jobs of hubs that share a database. One hub has each job: it selects its targets,
-- changes twins, and ends it. Each hub calls the targets that are connected to it. The
-- jobs of a hub that has ended are taken by another one.

local job_store = require "directmethods.hub.jobs.job_store"
local start = require "directmethods.hub.jobs.start"

local M = {}

local TAKEN = 16 -- jobs that a hub takes at a time
local READS = 5 -- of the list of jobs, while runs begin or end here

-- Jobs that no hub has. Hubs that look at the same time do not wait for each other.
local TAKE = "UPDATE jobs SET owner = ? WHERE id IN (SELECT id FROM jobs "
  .. "WHERE owner = '' AND ended IS NULL ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED)"
-- xmin: another one after each change of the row
local LIST = "SELECT id, owner, type, status, selected, pending, running, xmin::text "
  .. "FROM jobs WHERE ended IS NULL ORDER BY id"
local COUNT = "SELECT count(*) FROM jobs"

-- The jobs that have not ended, read while no run began or ended here.
local function read(jobs)
  for _ = 1, READS do
    local before = jobs.turns
    local results = jobs.db:read { { LIST }, { COUNT } }
    if not results then return nil end
    if jobs.turns == before then
      jobs.count = results[2][1][1]
      local list = {}
      for i, row in ipairs(results[1]) do
        list[i] = {
          id = row[1], is_mine = row[2] == jobs.owner, type = row[3], status = row[4],
          selected = row[5] == 1, pending = row[6], running = row[7], version = row[8],
        }
      end
      return list
    end
  end
  jobs.cluster:look_at_jobs()
end

local OVER = { cancelled = "cancelled", failed = "failed" }

-- A run of this hub goes on as the store says. Returns the list that ends the job, if
-- this hub has the job and no target is left.
local function go_on(jobs, run, each)
  if each.is_mine ~= run.is_owner then start.set_owner(run, each.is_mine) end
  if OVER[each.status] then run:end_early(OVER[each.status]) end
  if run.calling then run.queue:follow(each.version) end
  if not each.is_mine then return end
  if run.over and each.pending > 0 then run:sweep() end
  -- a device that was connected to another hub is left to that one until it has gone
  if not jobs.options.hold then run.queue:read_again() end
  if each.selected and each.pending == 0 and each.running == 0 then
    return { job_store.finish(each.id, jobs:now()) }
  end
end

-- May this hub call targets of another's job?
local function can_help(each)
  return each.type == "scheduleDeviceMethod" and each.selected
    and each.status == "running"
end

local function begin(jobs, each)
  local job = job_store.find(jobs.db, each.id)
  if not job or job.ended or jobs.runs[each.id] or jobs.waiting[each.id] then return end
  if not each.is_mine then return start.help(jobs, job) end
  if job.status == "queued" then
    jobs.waiting[each.id] = job
  else
    start.begin(jobs, job)
  end
end

local function forget_others(jobs, list)
  local known = {}
  for _, each in ipairs(list) do known[each.id] = each end
  for id, run in pairs(jobs.runs) do
    if not known[id] then run:leave() end
  end
  for id in pairs(jobs.waiting) do
    if not (known[id] and known[id].is_mine) then jobs.waiting[id] = nil end
  end
end

--- Do what the store says: take jobs that no hub has, begin, help, and end. Waits.
---@param jobs directmethods.Jobs
function M.follow(jobs)
  if jobs.stopped or jobs.closed then return end
  jobs.db:write { { TAKE, { jobs.owner, TAKEN } } }
  local list = read(jobs)
  if not list then return end
  forget_others(jobs, list)
  jobs.elsewhere = 0
  for _, each in ipairs(list) do
    local run = jobs.runs[each.id]
    if not each.is_mine and each.status == "running" then
      jobs.elsewhere = jobs.elsewhere + 1
    end
    if run then
      local statements = go_on(jobs, run, each)
      if statements then jobs.db:write(statements) end
    elseif each.is_mine or can_help(each) then
      begin(jobs, each)
    end
  end
  jobs.pump:wake()
  start.next(jobs)
end

return M
