--- What a run does when one of its calls or changes of twins has ended: it calls the
-- target again, ends it because the job is over, or ends because it was the last one.

local queues = require "directmethods.hub.jobs.queue"

local M = {}

--- The job of a run has ended.
---@param run directmethods.Run
function M.end_run(run)
  run.ended = true
  run.signal:set()
end

-- The job is over, and one of its targets is pending still.
local function sweep(run)
  run.to_sweep = true
  run.signal:set()
end

--- A call has ended. If the target was given back, it is called when its device
-- connects again, or at once if the device has done so meanwhile.
---@param flight directmethods.Flight
function M.call(flight)
  local run = flight.run
  local flying, name = run.queue.flying, queues.key(flight.target)
  local was_woken = flying[name] == "woken"
  flying[name] = nil
  if not flight.was_returned then return end
  if run.over then
    sweep(run)
  elseif was_woken then
    run.queue:add(flight.target)
  end
end

--- A change of a twin has ended. One that the store has not kept is made again, unless
-- the run is over.
---@param update directmethods.JobUpdate
---@return boolean is_again it will be made again, because the store has failed
function M.update(update)
  local run = update.run
  run.queue.flying[queues.key(update.target)] = nil
  if update.is_last then
    M.end_run(run)
  elseif not update.is_done and run.over then
    sweep(run)
  elseif not update.is_done then
    run.queue:add(update.target)
    return true
  end
  return false
end

return M
