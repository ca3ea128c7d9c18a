--- A job that runs: its targets are selected, called as they can be, and swept when
-- its time is over or it is cancelled. What it has done stands in the store; what is
-- kept here can be found out again from there.

local attributes = require "directmethods.hub.attributes"
local definition = require "directmethods.hub.jobs.definition"
local query = require "directmethods.hub.query"
local queues = require "directmethods.hub.jobs.queue"
local selection = require "directmethods.hub.selection"
local sweep = require "directmethods.hub.jobs.sweep"

local M = {}

local PAGE = 16 -- rows that are read at a time: each may hold 128 KB
local TARGETS = 100 -- that are kept at a time

---@class directmethods.Run
---@field job directmethods.Job as it is in the store
---@field call directmethods.JobCall?
---@field update table?
---@field over "expired"|"cancelled"|nil no target is called any more
---@field calling boolean targets are known, and called
---@field queue directmethods.RowQueue
---@field dropped boolean? nobody wants to know of it any more
---@field flying table<string, string> key -> "flying", or "woken": it was seen to be
---  ready in the meantime
local Run = {}
Run.__index = Run

local key = queues.key

---@param jobs directmethods.Jobs
---@param job directmethods.Job
---@return directmethods.Run
function M.new(jobs, job)
  local run = setmetatable({
    jobs = jobs,
    job = job,
    call = job.method and definition.call(job),
    update = job.update and definition.update(job),
    calling = false,
    over = job.status == "cancelled" and "cancelled" or nil,
    flying = {},
  }, Run)
  run.queue = queues.new(run)
  return run
end

--- A copy of a job to be changed and kept.
---@param job directmethods.Job
---@return directmethods.Job
function M.copy(job)
  local copy = {}
  for name, value in pairs(job) do copy[name] = value end
  return copy
end

--- The same of this run's.
---@return directmethods.Job
function Run:draft()
  return M.copy(self.job)
end

--- Nothing is left to be done: the job has ended.
function M.end_if_done(draft, now)
  if draft.selected and draft.pending == 0 and draft.running == 0 then
    if draft.status == "running" then draft.status = "completed" end
    draft.ended = now
  end
end

--- Keep rows and a draft. False: the store has failed, nothing has changed.
---@param rows directmethods.DeviceJob[]
---@param draft directmethods.Job
---@return boolean
function Run:keep(rows, draft)
  M.end_if_done(draft, self.jobs:now())
  local store = self.jobs.store
  local kept = store:batch(function()
    if rows[1] then store:put_device_jobs(rows) end
    store:put_job(draft)
  end)
  if kept then self:kept(draft) end
  return kept or false
end

--- A draft was kept.
---@param draft directmethods.Job
function Run:kept(draft)
  self.job = draft
  if draft.ended then self.jobs:ended(self) end
end

--- Have `fn` called in a second: the store has failed.
---@param fn fun()
function Run:retry(fn)
  self.jobs:later("retry " .. self.job.id, 1, fn)
end

--- Work in background: `step` returns true while there is more; nil: the store has
--- failed, and it is called again later.
---@param step fun(): boolean?
function Run:work(step)
  self.jobs.background:add(function()
    if self.job.ended or self.dropped then return false end
    local more = step()
    if more == nil then self:retry(function() self:work(step) end) end
    return more or false
  end)
end

--- The next rows of this job, and whether there are more behind them.
---@param after { job_id: string, device_id: string, module_id: string? }
---@return directmethods.DeviceJob[]? rows nil: the store has failed
---@return boolean? more
function Run:rows_behind(after)
  local page = self.jobs.store:device_jobs(after, PAGE)
  if not page then return nil end
  local count = #page
  while page[count] and page[count].job_id ~= self.job.id do
    page[count] = nil
    count = count - 1
  end
  return page, count == PAGE
end

--- The place before its first row.
function Run:before_first()
  return { job_id = self.job.id, device_id = "" }
end

-- Targets --------------------------------------------------------------------

local function new_row(self, target)
  local device_id, module_id = attributes.ids(target)
  return {
    job_id = self.job.id,
    device_id = device_id,
    module_id = module_id,
    status = "pending",
    created = self.job.created,
    updated = self.jobs:now(),
  }
end

-- Begin to call, or to end what is left.
local function go_on(self)
  if self.job.ended then return end
  if self.over then return sweep.finish(self) end
  self.calling = true
  self.jobs.pump:wake()
end

-- Rows are kept when there is a page of them. (Who is started again goes on behind the
-- last that was kept.)
local function select_step(self, targets, rows)
  if self.over == "cancelled" then return false end
  if not targets.ended and #rows < TARGETS then
    local found = targets:next()
    if not found then return nil end
    for _, each in ipairs(found) do rows[#rows + 1] = new_row(self, each) end
    if not targets.ended and #rows < TARGETS then return true end
  end
  local draft = self:draft()
  draft.total, draft.pending = draft.total + #rows, draft.pending + #rows
  draft.selected = targets.ended
  if not self:keep(rows, draft) then return nil end
  for i = #rows, 1, -1 do rows[i] = nil end
  if targets.ended then go_on(self) end
  return not targets.ended
end

-- The job as a whole has failed.
local function fail(self, reason)
  local draft = self:draft()
  draft.status, draft.reason, draft.ended = "failed", reason, self.jobs:now()
  if self:keep({}, draft) then return end
  self:retry(function() fail(self, reason) end)
end

-- Select the targets behind the last one that is known.
local function select(self, after)
  local plan, wrong = query.read_condition(self.job.condition)
  if not plan then return fail(self, wrong) end
  local targets = selection.new(self.jobs.hub, plan, after)
  local rows = {}
  self:work(function() return select_step(self, targets, rows) end)
end

-- Life -------------------------------------------------------------------------

--- Start, or go on where a hub before this one has ended.
function Run:start()
  local left = self.job.start + self.job.max_seconds * 1000 - self.jobs:now()
  self.jobs:later("expire " .. self.job.id, math.max(0, left / 1000), function()
    self:end_early("expired")
  end)
  if self.job.total == 0 and not self.job.selected and not self.over then
    return select(self)
  end
  sweep.run(self, function(last)
    if self.job.selected or self.over then return go_on(self) end
    select(self, last.device_id ~= "" and last or nil)
  end)
end

--- No target is called from now on; those under way end by themselves.
---@param why "expired"|"cancelled"
function Run:end_early(why)
  if self.over or self.job.ended then return end
  self.over = why
  local was_calling = self.calling
  self.calling = false
  if was_calling or why == "cancelled" then sweep.finish(self) end
end

-- Calling ------------------------------------------------------------------------

--- Is it called at this moment?
---@param row directmethods.DeviceJob
---@return boolean
function Run:is_flying(row)
  return self.flying[key(row.device_id, row.module_id)] ~= nil
end

--- Is it of use to call it now? A device that is not there, or disabled, fails.
---@param row directmethods.DeviceJob
---@return boolean
function Run:can_be_called(row)
  if self.update or not self.jobs.options.hold then return true end
  local _, subscribed = self.jobs.plane:connected(row.device_id, row.module_id)
  if subscribed then return true end
  local store = self.jobs.store
  local device = store:find(row.device_id)
  local record = row.module_id and device and store:find(row.device_id, row.module_id)
    or not row.module_id and device
  return not record or not device.enabled
end

--- A device has come: call it, if it is one of those that are waited for.
function Run:ready(device_id, module_id)
  local name = key(device_id, module_id)
  if self.flying[name] then
    self.flying[name] = "woken"
  elseif self.calling and not self.queue:has(device_id, module_id) then
    local ids = { job_id = self.job.id, device_id = device_id, module_id = module_id }
    local row, err = self.jobs.store:device_job(ids.job_id, device_id, module_id)
    if err or row and row.status == "pending" then self.queue:put(ids) end
  end
end

return M
