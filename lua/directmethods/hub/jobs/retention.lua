--- The jobs that a store keeps: listed, and removed when their time is over.

local document = require "directmethods.hub.jobs.document"
local job_store = require "directmethods.hub.jobs.job_store"
local task = require "directmethods.task"

local M = {}

local KEPT_MS = 30 * 86400 * 1000 -- how long a job is kept after its end
local PURGE = 86400 -- seconds between two searches for jobs that are too old
local PAGE = 16 -- jobs that are read at a time: each may hold 128 KB
local REMOVED = 256 -- device jobs that are removed at a time

--- Is a job still to be shown that ended then (nil: it has not)?
---@param jobs directmethods.Jobs
---@param ended integer? unix ms
---@return boolean
function M.is_kept(jobs, ended)
  return not ended or jobs:now() - ended < KEPT_MS
end

--- Remove a job, in parts.
---@param jobs directmethods.Jobs
---@param id string
---@return boolean? done
---@return directmethods.Error? err the store has failed
function M.remove(jobs, id)
  repeat
    local results, err = jobs.db:write { job_store.remove(id, REMOVED) }
    if not results then return nil, err end
    if results[2].changes == 1 then jobs.count = jobs.count - 1 end
  until results[1].changes < REMOVED
  return true
end

-- Remove the jobs that ended before a time (nil: all jobs).
local function remove_all(jobs, time)
  repeat
    local ids, err = job_store.removable(jobs.db, time, PAGE)
    if not ids then return nil, err end
    for _, id in ipairs(ids) do
      local done
      done, err = M.remove(jobs, id)
      if not done then return nil, err end
    end
  until #ids < PAGE
  return true
end

-- Remove the jobs that are too old. If the store fails, the next search removes them.
local function purge(jobs)
  remove_all(jobs, jobs:now() - KEPT_MS)
  jobs.purging = nil
  if jobs.count > 0 then M.purge_later(jobs) end
end

--- Remove jobs that are too old, once after `seconds` and then daily. A second call
-- while this goes on does nothing.
---@param jobs directmethods.Jobs
---@param seconds number? until the first time
function M.purge_later(jobs, seconds)
  if jobs.timers.purge or jobs.purging then return end
  jobs:later("purge", seconds or PURGE, function()
    jobs.purging = task.start(purge, {}, jobs)
  end)
end

--- Remove all jobs.
---@param jobs directmethods.Jobs
---@return boolean? done
---@return directmethods.Error? err the store has failed
function M.remove_all(jobs)
  return remove_all(jobs)
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
    return M.is_kept(jobs, job.ended) and (not kind or job.type == kind)
      and (not status or document.status(job, jobs:now()) == status)
  end
  function source.next()
    local page, err = job_store.page(jobs.db, after, PAGE)
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
