--- The jobs that a store keeps: found, listed, removed when their time is over.

local document = require "directmethods.hub.jobs.document"

local M = {}

local KEPT_MS = 30 * 86400 * 1000 -- how long a job is kept after its end
local PURGE = 86400 -- seconds between two looks for jobs that are not kept any more
local PAGE = 16 -- jobs, or rows that are removed, at a time: each may hold 128 KB

--- Is it still to be shown?
---@param jobs directmethods.Jobs
---@param job directmethods.Job
---@return boolean
function M.is_kept(jobs, job)
  return not job.ended or jobs:now() - job.ended < KEPT_MS
end

--- Remove a part of a job; true: something of it is left.
---@param jobs directmethods.Jobs
---@param id string
---@return boolean?
---@return directmethods.Error? err the store has failed
function M.remove(jobs, id)
  local done, left = jobs.store:remove_job(id, PAGE)
  if not done then return nil, left end
  if not left then jobs.count = jobs.count - 1 end
  return left
end

local purge

--- Look for jobs that are not kept any more, now and then; unless that is done.
---@param jobs directmethods.Jobs
---@param seconds number? until the first time
function M.purge_later(jobs, seconds)
  if jobs.timers.purge then return end
  jobs:later("purge", seconds or PURGE, function() purge(jobs) end)
end

-- Remove the jobs that are not kept any more.
function purge(jobs)
  local after, page = nil, {}
  jobs.background:add(function()
    local job = table.remove(page, 1)
    if job then
      local left = not M.is_kept(jobs, job) and M.remove(jobs, job.id)
      if left then table.insert(page, 1, job) end
      return true
    end
    page = jobs.store:jobs(after, PAGE) or {}
    after = page[#page] and page[#page].id
    return after ~= nil
  end)
  if jobs.count > 0 then M.purge_later(jobs) end
end

--- Call fn with each job in the store. `pause` is called between pages.
---@param jobs directmethods.Jobs
---@param fn fun(job: directmethods.Job)
---@param pause fun()
---@return boolean? done
---@return directmethods.Error? err the store has failed
function M.each(jobs, fn, pause)
  local page, err
  repeat
    page, err = jobs.store:jobs(page and page[#page].id, PAGE)
    if not page then return nil, err end
    for _, job in ipairs(page) do fn(job) end
    if #page == PAGE then pause() end
  until #page < PAGE
  return true
end

--- Remove all jobs.
---@param jobs directmethods.Jobs
---@param pause fun()? called between parts
---@return boolean? done
---@return directmethods.Error? err the store has failed
function M.clear(jobs, pause)
  while true do
    local page, err = jobs.store:jobs(nil, 1)
    if not page then return nil, err end
    if not page[1] then return true end
    local left
    repeat
      left, err = M.remove(jobs, page[1].id)
      if err then return nil, err end
      if pause then pause() end
    until not left
  end
end

--- The jobs of some type and status.
---@param jobs directmethods.Jobs
---@param kind string? "scheduleDeviceMethod"
---@param status string? in the wire's words
---@param after string? id
---@return directmethods.PageSource
function M.source(jobs, kind, status, after)
  local source = { item_type = "JobResponse", ended = false }
  local function fits(job)
    return M.is_kept(jobs, job) and (not kind or job.type == kind)
      and (not status or document.status(job, jobs:now()) == status)
  end
  function source.next()
    local page, err = jobs.store:jobs(after, PAGE)
    if not page then return nil, err end
    local found = {}
    for _, job in ipairs(page) do
      if fits(job) then found[#found + 1] = job end
    end
    after = page[#page] and page[#page].id
    source.ended = #page < PAGE
    return found
  end
  function source.text(_, job) return document.job(job, jobs:now()) end
  function source.position(_, job) return { job.id } end
  return source
end

return M
