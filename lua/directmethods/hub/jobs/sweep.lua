--- Ends targets of a run: those that will not be called, and those that an earlier hub
-- has called without seeing their end. Runs in the run's task.

local counts = require "directmethods.hub.jobs.counts"
local persist = require "directmethods.hub.jobs.persist"
local queues = require "directmethods.hub.jobs.queue"
local reach = require "directmethods.hub.jobs.reach"
local job_store = require "directmethods.hub.jobs.job_store"
local row_store = require "directmethods.hub.jobs.row_store"

local M = {}

local PAGE = 256 -- targets that are read, and ended, at a time
local TRIES = 20 -- of a page: its targets change only as calls under way end

local DAMAGED = "a target cannot be ended: the store is damaged"

-- End the targets of a page, and the job if nothing of it is left. False: one of the
-- targets is in another state by now. Raises for a damaged one.
local function end_page(run, state, page, how_of)
  local jobs, id = run.jobs, run.job.id
  local list, changes, now = {}, counts.new(), jobs:now()
  for _, target in ipairs(page) do
    if target.is_damaged then error(DAMAGED) end
    local how = how_of(target)
    if how then
      list[#list + 1] = row_store.finish(id, target, state, how, now)
      changes:move(state, how.status)
    end
  end
  if not list[1] then return true end
  list[#list + 1] = job_store.add_counts(id, changes)
  list[#list + 1] = job_store.finish(id, now)
  local results = persist.write(jobs.db, list)
  if results and results[#results].changes == 1 then run.ended = true end
  return results ~= nil
end

-- A page was in conflict, and is read again; unless the job is gone.
local function is_gone(run)
  local status = persist.read(job_store.status, run.jobs.db, run.job.id)
  if not status then run.ended = true end
  return not status
end

-- End all targets whose state `how_of` ends. Raises if the store is damaged: a target
-- can be read but not be ended.
local function each_page(run, state, how_of)
  local after, tries = nil, 0
  repeat
    local page = persist.read(row_store.in_state, run.jobs.db, run.job.id, state, after,
      PAGE)
    local done = end_page(run, state, page, how_of)
    tries = done and 0 or tries + 1
    if tries == TRIES then error(DAMAGED) end
    if done then after = page[#page] end
  until done and #page < PAGE or not done and is_gone(run)
end

--- End what stands in the store as called and is not under way: a hub that has ended
--- has called it, and whether the device has run it is not known.
---@param run directmethods.Run
function M.recover(run)
  local jobs = run.jobs
  local living = jobs.cluster and persist.read(jobs.cluster.living, jobs.db) or {}
  each_page(run, "running", function(target)
    local is_elsewhere = target.owner ~= jobs.owner and living[target.owner]
    if is_elsewhere or run.queue.flying[queues.key(target)] then return nil end
    return row_store.UNKNOWN
  end)
end

--- End the targets that were not called, because the run is over. Calls under way stay.
---@param run directmethods.Run
function M.finish(run)
  each_page(run, "pending", function(target)
    local is_away = not run.update and not reach.can_be_called(run.jobs, target)
    return reach.end_uncalled(run, is_away)
  end)
end

return M
