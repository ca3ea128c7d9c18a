--- Jobs: one method, or one change of twins, for many identities, now or later. They
-- outlive the hub when its store does: what runs is found in the store and goes on.
--
-- create, cancel, find, load and reset wait for the store; the events of the data plane
-- only put ids into queues.

local admission = require "directmethods.hub.jobs.admission"
local clock_set = require "directmethods.clock_set"
local core = require "directmethods.core"
local definition = require "directmethods.hub.jobs.definition"
local owners = require "directmethods.hub.jobs.owners"
local problems = require "directmethods.hub.problems"
local pumps = require "directmethods.hub.jobs.pump"
local readable = require "directmethods.hub.readable"
local retention = require "directmethods.hub.jobs.retention"
local start = require "directmethods.hub.jobs.start"
local job_store = require "directmethods.hub.jobs.job_store"
local task = require "directmethods.task"

local M = {}

local PAGE = 16 -- jobs that are loaded at a time: each may hold 128 KB
local TRIES = 5 -- of a decision that was outdated when it was to be kept
local OWNER_BYTES = 12
local DAMAGED = "The record of the job in the store is damaged."

---@class directmethods.Jobs
---@field db directmethods.Sql
---@field owner string what this hub is called in the rows that it has claimed
---@field cluster directmethods.Cluster? other hubs share the store, and the jobs
---@field runs table<string, directmethods.Run> what runs, by the ids of the jobs
---@field running integer how many jobs of this hub
---@field waiting table<string, directmethods.Job> what has not started
---@field count integer jobs that are kept
local Jobs = {}
Jobs.__index = Jobs

--- The jobs of a hub that has `store`, `plane` and `registry`.
---@param hub directmethods.HubState
---@param config table of hub/config.lua
---@return directmethods.Jobs
function M.new(hub, config)
  local opts = config.jobs
  local jobs = setmetatable({
    hub = hub,
    db = hub.store.db,
    plane = hub.plane,
    cluster = hub.cluster,
    owner = hub.cluster and hub.cluster.id
      or core.base64_encode(core.random(OWNER_BYTES)),
    contract = config.contract,
    options = {
      hold = opts.offline == "hold",
      concurrency = opts.concurrency,
      rate = opts.rate,
      active = opts.active,
      kept = opts.kept,
    },
    runs = {},
    running = 0,
    elsewhere = 0, -- jobs that other hubs run
    turns = 0, -- how often a run has begun or ended, or a job was created
    waiting = {},
    admitted = 0, -- jobs that are being kept and will be due
    count = 0,
    timers = {},
  }, Jobs)
  jobs.pump = pumps.new(jobs)
  return jobs
end

--- Unix milliseconds.
---@return integer
function Jobs:now()
  return math.floor(core.time() * 1000 + 0.5)
end

--- A job has another status now: for streams of events.
---@param job directmethods.Job
---@param status string
---@param has_ended boolean
function Jobs:tell(job, status, has_ended)
  self.hub.streams.happenings:add("jobs", {
    event = status, job = readable.text(job.id), ended = has_ended,
  })
end

--- Have `fn` called in so many seconds, in the place of what has this name.
---@param name string
---@param seconds number
---@param fn fun()
function Jobs:later(name, seconds, fn)
  if self.timers[name] then self.timers[name].cancel() end
  if self.closed then return end
  self.timers[name] = task.after(seconds, function()
    self.timers[name] = nil
    fn()
  end)
end

--- Have nothing called by this name.
---@param name string
function Jobs:forget_timer(name)
  if self.timers[name] then self.timers[name].cancel() end
  self.timers[name] = nil
end

--- A job.
---@param id string
---@return directmethods.Job?
---@return directmethods.Error? err
function Jobs:find(id)
  local job, err = job_store.find(self.db, id)
  if not job or not retention.is_kept(self, job.ended) then return nil, err end
  return job
end

-- For callers --------------------------------------------------------------------

--- Schedule a job.
---@param id string
---@param body string JSON text
---@param version string? the request's api-version
---@return directmethods.Job? job
---@return directmethods.Problem? problem
function Jobs:create(id, body, version)
  local now = self:now()
  local job, rule, name = definition.read(body, id,
    { contract = self.contract, version = version, now = now })
  if not job then return nil, problems.new(name, rule) end
  job.id, job.status, job.created, job.selected = id, "queued", now, false
  job.total, job.pending, job.running, job.succeeded, job.failed = 0, 0, 0, 0, 0
  local problem = admission.admit(self, job)
  if problem then return nil, problem end
  self.turns = self.turns + 1
  if not self.runs[id] then self.waiting[id] = job end
  self:tell(job, "queued", false)
  start.next(self)
  retention.purge_later(self)
  return job
end

local function try_to_cancel(self, id)
  local job, err = self:find(id)
  if not job then return nil, err end
  if job.ended or job.status ~= "queued" and job.status ~= "running" then
    return job, problems.new("JobRunPreconditionFailed",
      "The job has ended: it cannot be cancelled.")
  end
  local done
  done, err = self.db:write { job_store.cancel(id, job.status, self:now()) }
  return done and job, err
end

-- What waits is forgotten, what runs is told.
local function end_early(self, id)
  if self.waiting[id] then self:tell(self.waiting[id], "cancelled", true) end
  self.waiting[id] = nil
  if self.runs[id] then self.runs[id]:end_early("cancelled") end
  start.next(self)
end

--- Cancel a job: targets that were not called yet will not be called.
---@param id string
---@return directmethods.Job? job as it is now
---@return directmethods.Problem? problem
function Jobs:cancel(id)
  local job, err
  for _ = 1, TRIES do
    job, err = try_to_cancel(self, id)
    if not err or err.name ~= "Conflict" then break end
  end
  if job and err then return nil, err end
  if err then return nil, problems.unavailable(err) end
  if not job then return nil, problems.new("JobNotFound") end
  end_early(self, id)
  job, err = job_store.find(self.db, id)
  if err then return nil, problems.unavailable(err) end
  return job, not job and problems.new("JobNotFound") or nil
end

-- The hub's ---------------------------------------------------------------------

-- A job that cannot be read fails alone.
local function bury(self, id)
  local name = type(id) == "table" and id.blob or id
  core.log("error", ("job %s: its record in the store is damaged"):format(
    readable.text(name)))
  return self.db:write { job_store.bury(id, DAMAGED, self:now()) }
end

local function load_job(self, id, job)
  if not job then return bury(self, id) end
  if job.status == "queued" then
    self.waiting[id] = job
  else
    start.begin(self, job)
  end
  return true
end

-- Go on with the jobs that have not ended.
local function load_unfinished(self)
  local page, err
  repeat
    page, err = job_store.unfinished(self.db, page and page[#page].id, PAGE)
    if not page then return nil, err end
    for _, each in ipairs(page) do
      local done
      done, err = load_job(self, each.id, each.job)
      if not done then return nil, err end
    end
  until #page < PAGE
  return true
end

--- Go on with what the store holds. Of jobs in a database that hubs share, this hub
--- takes those that no hub has.
---@return boolean? loaded
---@return directmethods.Error? err
function Jobs:load()
  local done, err
  self.count, err = job_store.count(self.db)
  if not self.count then return nil, err end
  if self.cluster then
    owners.follow(self)
  else
    done, err = load_unfinished(self)
    if not done then return nil, err end
  end
  clock_set.watch(self, start.next)
  start.next(self)
  if self.count > 0 then retention.purge_later(self, 0) end
  return true
end

--- The data plane's events.
function Jobs:invoked(...)
  self.pump:invoked(...)
end

-- Call fn(queue) for each run that may wait for devices.
local function each_queue(self, fn)
  for _, run in pairs(self.runs) do
    if run.call and run.calling and not run.over then fn(run.queue) end
  end
  self.pump:wake()
end

function Jobs:ready(device_id, module_id)
  each_queue(self, function(queue)
    queue:add { device_id = device_id, module_id = module_id }
  end)
end

--- Identities were disabled or removed: jobs wait for them no longer.
function Jobs:look_again()
  each_queue(self, function(queue) queue:read_again() end)
end

--- Call nothing from now on.
function Jobs:stop()
  self.stopped = true
end

-- Nothing runs, nothing waits.
local function drop(self)
  for name in pairs(self.timers) do self:forget_timer(name) end
  if self.purging then self.purging:cancel() end
  self.purging, self.waiting = nil, {}
  start.forget(self)
  self.pump:forget()
end

--- Forget all jobs, from the store too. What is called is called. Waits.
---@return boolean? done
---@return directmethods.Error? err the store does not let go
function Jobs:reset()
  drop(self)
  self.plane:watch_ready(false)
  return retention.remove_all(self)
end

--- End; what was called is kept. Waits for nothing. Harmless the second time.
function Jobs:close()
  if self.closed then return end
  for _, list in ipairs(self.pump:last_lists()) do self.db:queue(list) end
  self.closed = true
  drop(self)
end

return M
