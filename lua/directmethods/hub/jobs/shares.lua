--- Which calls and changes of twins begin in a turn of the pump: each run gets its
-- share of what is free.

local batches = require "directmethods.hub.jobs.batch"
local landing = require "directmethods.hub.jobs.landing"
local queues = require "directmethods.hub.jobs.queue"
local reach = require "directmethods.hub.jobs.reach"
local updates = require "directmethods.hub.jobs.updates"

local M = {}

local UPDATES = 32 -- changes of twins at a time: all may go on in one turn of the loop

local function end_update(pump, update)
  pump.free, pump.updating = pump.free + 1, pump.updating - 1
  if landing.update(update) then pump.is_failing = true end
  pump.signal:set()
end

local function begin_update(pump, run, target)
  local running
  pump.free, pump.updating = pump.free - 1, pump.updating + 1
  running = updates.start(run, target, function(update)
    if not pump.updates[running] then return end -- forgotten
    pump.updates[running] = nil
    end_update(pump, update)
  end)
  pump.updates[running] = true
end

-- Begin at most `share` calls of a run; how many.
local function take_from(pump, batch, run, share)
  local count, hold = 0, pump.jobs.options.hold
  while count < share do
    local target = run.queue:take()
    if not target then break end
    if run.update then
      run.queue.flying[queues.key(target)] = "flying"
      begin_update(pump, run, target)
      count = count + 1
    elseif reach.is_to_call(run, target, hold) then
      run.queue.flying[queues.key(target)] = "flying"
      table.insert(batch.started, { run = run, target = target })
      count = count + 1
    end
  end
  return count
end

-- Begin calls of a run; read more targets when all that were read are taken. Returns
-- how many calls began; nil: the store has failed.
local function begin_some(pump, batch, run, share)
  if share > 0 and not run.queue:fill(pump.jobs.db) then return nil end
  if run.over or run.ended or pump.jobs.stopped then return 0 end
  if run.update then share = math.min(share, UPDATES - pump.updating) end
  return take_from(pump, batch, run, share)
end

-- Can more of its calls begin at once?
local function has_more(pump, run)
  if run.over or pump.jobs.stopped then return false end
  return run.queue:has_more() and not (run.update and pump.updating == UPDATES)
end

local function wants_more(pump)
  for _, run in ipairs(pump.runs) do
    if has_more(pump, run) then return true end
  end
  return false
end

--- Begin what may begin: changes of twins at once, calls by the batch. The runs take
--- turns in being first. Waits for the store.
---@param pump directmethods.Pump
---@param batch directmethods.Batch that gets the calls
---@return boolean? more there may be more to begin; nil: the store has failed
function M.take(pump, batch)
  local runs, more, failed = { table.unpack(pump.runs) }, false, false
  if wants_more(pump) then
    pump.rate:ask(pump.jobs:now(), math.min(pump.free, batches.CALLS_MAX))
  end
  local allowed = math.min(pump.free, pump.rate:allowed(pump.jobs:now()),
    batches.CALLS_MAX)
  local share = math.ceil(allowed / math.max(1, #runs))
  pump.next_run = pump.next_run % math.max(1, #runs) + 1
  for i = 1, #runs do
    local run = runs[(pump.next_run + i - 2) % #runs + 1]
    local count = begin_some(pump, batch, run, math.min(share, allowed))
    failed = failed or not count
    allowed = allowed - (count or 0)
    pump.rate:take(count or 0)
    more = more or has_more(pump, run)
  end
  if failed then return nil end
  return more
end

return M
