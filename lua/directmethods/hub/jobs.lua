--- Jobs: one method, or one change of twins, for many identities, now or later. They
-- outlive the hub when its store does: what runs is found in the store and goes on.

local clock_set = require "directmethods.clock_set"
local core = require "directmethods.core"
local definition = require "directmethods.hub.jobs.definition"
local retention = require "directmethods.hub.jobs.retention"
local pumps = require "directmethods.hub.jobs.pump"
local registry = require "directmethods.hub.registry"
local runs = require "directmethods.hub.jobs.run"
local start = require "directmethods.hub.jobs.start"
local task = require "directmethods.task"

local M = {}

---@class directmethods.Jobs
---@field runs directmethods.Run[] what runs
local Jobs = {}
Jobs.__index = Jobs

--- The jobs of a hub that has `store`, `plane`, `registry` and `background`.
---@param hub directmethods.HubState
---@param config table of hub/config.lua
---@return directmethods.Jobs
function M.new(hub, config)
  local opts = config.jobs
  local jobs = setmetatable({
    hub = hub,
    store = hub.store,
    plane = hub.plane,
    background = hub.background,
    contract = config.contract,
    options = {
      hold = opts.offline == "hold",
      concurrency = opts.concurrency,
      rate = opts.rate,
      active = opts.active,
      kept = opts.kept,
    },
    runs = {},
    by_id = {},
    waiting = {}, -- id -> job that has not started
    count = 0, -- of all that are kept
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
  local job, err = self.store:job(id)
  if not job or not retention.is_kept(self, job) then return nil, err end
  return job
end

--- A run has ended: there is room for the next.
---@param run directmethods.Run
function Jobs:ended(run)
  self:forget_timer("expire " .. run.job.id)
  self:forget_timer("retry " .. run.job.id)
  self.by_id[run.job.id] = nil
  for i, each in ipairs(self.runs) do
    if each == run then
      table.remove(self.runs, i)
      break
    end
  end
  if self.closed then return end
  start.watch(self)
  start.next(self)
end

-- For callers --------------------------------------------------------------------

local function room_for(self, due)
  if self.count >= self.options.kept then
    return registry.problem("ThrottlingMaxActiveJobCountExceeded",
      "The hub keeps as many jobs as it may.")
  end
  local now, active = self:now(), #self.runs
  for _, job in pairs(self.waiting) do
    if job.start <= now then active = active + 1 end
  end
  if due > now or active < self.options.active then return nil end
  return registry.problem("ThrottlingMaxActiveJobCountExceeded")
end

-- Is the id free? One that is only not yet removed is.
local function check_id(self, id)
  local old, err = self.store:job(id)
  if err then return registry.unavailable(err) end
  if not old then return nil end
  if retention.is_kept(self, old) then return registry.problem("JobAlreadyExists") end
  repeat
    local left
    left, err = retention.remove(self, id)
    if err then return registry.unavailable(err) end
  until not left
end

--- Schedule a job.
---@param id string
---@param body string JSON text
---@param version string? the request's api-version
---@return directmethods.Job? job
---@return directmethods.RegistryProblem? problem
function Jobs:create(id, body, version)
  local now = self:now()
  local job, rule = definition.read(body, id,
    { contract = self.contract, version = version, now = now })
  if not job then return nil, registry.problem("ArgumentInvalid", rule) end
  local problem = check_id(self, id) or room_for(self, job.start)
  if problem then return nil, problem end
  job.id, job.status, job.created, job.selected = id, "queued", now, false
  job.total, job.pending, job.running, job.succeeded, job.failed = 0, 0, 0, 0, 0
  local done, err = self.store:put_job(job)
  if not done then return nil, registry.unavailable(err) end
  self.count = self.count + 1
  self.waiting[id] = job
  start.next(self)
  retention.purge_later(self)
  return job
end

--- Cancel a job: what was not called is not called any more.
---@param id string
---@return directmethods.Job? job as it is now
---@return directmethods.RegistryProblem? problem
function Jobs:cancel(id)
  local job, err = self:find(id)
  if err then return nil, registry.unavailable(err) end
  if not job then return nil, registry.problem("JobNotFound") end
  if job.ended or job.status == "cancelled" then
    return nil, registry.problem("JobRunPreconditionFailed",
      "The job has ended: it cannot be cancelled.")
  end
  local run = self.by_id[id]
  local draft = run and run:draft() or runs.copy(job)
  draft.status = "cancelled"
  if not run then draft.ended = self:now() end
  local done
  done, err = self.store:put_job(draft)
  if not done then return nil, registry.unavailable(err) end
  if run then
    run.job = draft
    run:end_early("cancelled")
  else
    self.waiting[id] = nil
    start.next(self)
  end
  return self.store:job(id)
end

-- The hub's ---------------------------------------------------------------------

--- Go on with what the store holds. `pause` is called between pages.
---@param pause fun()
---@return boolean? loaded
---@return directmethods.Error? err
function Jobs:load(pause)
  local done, err = retention.each(self, function(job)
    self.count = self.count + 1
    if job.status == "queued" then
      self.waiting[job.id] = job
    elseif not job.ended then
      start.begin(self, job)
    end
  end, pause)
  if not done then return nil, err end
  clock_set.watch(self, start.next)
  start.next(self)
  if self.count > 0 then retention.purge_later(self, 0) end
  return true
end

--- The data plane's events.
function Jobs:invoked(...)
  self.pump:invoked(...)
end

function Jobs:ready(device_id, module_id)
  for _, run in ipairs(self.runs) do run:ready(device_id, module_id) end
end

--- Call nothing any more.
function Jobs:stop()
  self.stopped = true
end

-- Nothing runs, nothing waits.
local function drop(self)
  for name in pairs(self.timers) do self:forget_timer(name) end
  for _, run in ipairs(self.runs) do run.dropped = true end
  self.runs, self.by_id, self.waiting = {}, {}, {}
end

--- Forget all jobs, from the store too. What is called is called.
---@param pause fun()? called between parts
---@return boolean? done
---@return directmethods.Error? err the store does not let go
function Jobs:reset(pause)
  drop(self)
  self.pump:forget()
  start.watch(self)
  return retention.clear(self, pause)
end

--- End; what was called is kept. Harmless the second time.
function Jobs:close()
  if self.closed then return end
  self.pump:close()
  self.closed = true
  drop(self)
end

return M
