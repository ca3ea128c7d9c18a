--- The calls of all running jobs, limited in number and rate. One task, the pump,
-- writes the calls that have ended and those that are about to begin as one list, and
-- then calls. So a device job that is pending in the store was not called.
--
-- The pump knows runs as data: their queues, whether they are over or have ended. It
-- sets their signals, and they add themselves.

local background = require "directmethods.hub.background"
local batches = require "directmethods.hub.jobs.batch"
local queues = require "directmethods.hub.jobs.queue"
local rates = require "directmethods.hub.jobs.rate"
local reach = require "directmethods.hub.jobs.reach"
local signals = require "directmethods.hub.signal"
local task = require "directmethods.task"
local time = require "directmethods.time"
local updates = require "directmethods.hub.jobs.updates"

local M = {}

local BATCH = 128 -- calls that begin, and that end, in one list
local BATCH_BYTES = 1024 * 1024 -- of answers in one list
local UPDATES = 32 -- changes of twins at a time: all may go on in one turn of the loop
local TRIES = 5 -- of a list that is in conflict
local RETRY = 1 -- seconds, when the store has failed
local NOT_ONLINE = 404103

---@class directmethods.Pump
---@field runs directmethods.Run[] whose targets are called
---@field free integer calls that may begin now
---@field flights table<integer, directmethods.Flight> by the ids of their calls
---@field results directmethods.Flight[] that have ended and are not kept yet
---@field batch directmethods.Batch? that is being kept
local Pump = {}
Pump.__index = Pump

---@param jobs directmethods.Jobs
---@return directmethods.Pump
function M.new(jobs)
  return setmetatable({
    jobs = jobs,
    runs = {},
    free = jobs.options.concurrency,
    flights = {},
    results = {},
    updates = {}, -- tasks
    updating = 0, -- how many
    signal = signals.new(),
    next_run = 1,
    rate = rates.new(jobs.options.rate, jobs:now()),
    is_failing = false, -- the store, as a change of a twin has found
  }, Pump)
end

-- Ends -----------------------------------------------------------------------

-- A part of the results, in their order.
local function take_ended(pump, batch)
  local results, bytes, count = pump.results, 0, 0
  while results[count + 1] and count < BATCH and bytes < BATCH_BYTES do
    count = count + 1
    bytes = bytes + #(results[count].payload or "")
  end
  table.move(results, 1, count, 1, batch.ended)
  pump.results = table.move(results, count + 1, #results, 1, {})
end

-- A flight is over. A target that was given back is called when it comes again, or has
-- come meanwhile.
local function land(flight)
  local run = flight.run
  local flying, name = run.queue.flying, queues.key(flight.target)
  local was_woken = flying[name] == "woken"
  flying[name] = nil
  if not flight.was_returned then return end
  if run.over then
    run.to_sweep = true
    run.signal:set()
  elseif was_woken then
    run.queue:add(flight.target)
  end
end

local function end_run(run)
  run.ended = true
  run.signal:set()
end

-- Beginnings -----------------------------------------------------------------

-- A change of a twin has ended. One that the store has not kept is made again, unless
-- the run is over.
local function end_update(pump, update)
  local run = update.run
  pump.free, pump.updating = pump.free + 1, pump.updating - 1
  run.queue.flying[queues.key(update.target)] = nil
  if update.is_last then
    end_run(run)
  elseif not update.is_done and run.over then
    run.to_sweep = true
    run.signal:set()
  elseif not update.is_done then
    run.queue:add(update.target)
    pump.is_failing = true
  end
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
    elseif not hold or reach.can_be_called(pump.jobs, target) then
      run.queue.flying[queues.key(target)] = "flying"
      table.insert(batch.started, { run = run, target = target })
      count = count + 1
    end
  end
  return count
end

-- Begin calls of a run, having read more targets when all that were read are taken. How
-- many; nil: the store has failed.
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

-- Each run gets its share of what is free. The runs take turns in being first. True:
-- there may be more to begin; nil: the store has failed.
local function take_begun(pump, batch)
  local runs, more, failed = { table.unpack(pump.runs) }, false, false
  local allowed = math.min(pump.free, pump.rate:allowed(pump.jobs:now()), BATCH)
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

-- A call was not made: its target may be called again.
local function return_flight(pump, flight)
  flight.undelivered = true
  table.insert(pump.results, flight)
end

local function launch(pump, flight)
  local run, target, jobs = flight.run, flight.target, pump.jobs
  if run.over or jobs.stopped then return return_flight(pump, flight) end
  local call, hold = run.call, jobs.options.hold
  local id, code, name, text = jobs.plane:invoke(target.device_id, target.module_id,
    call.name, call.payload, call.response_seconds, hold and 0 or call.connect_seconds,
    hold and reach.was_held(jobs, target, run.job.start))
  if id then
    pump.free = pump.free - 1
    pump.flights[id] = flight
    return
  end
  flight.code, flight.name, flight.text = code, name, text
  if hold and code == NOT_ONLINE then return return_flight(pump, flight) end
  table.insert(pump.results, flight)
end

-- Turns ----------------------------------------------------------------------

-- Drop what is outdated in a batch. False: the store has failed.
local function drop_outdated(pump, batch)
  local dropped = batch:check(pump.jobs.db)
  for _, flight in ipairs(dropped or {}) do
    flight.was_returned = false
    land(flight)
  end
  return dropped ~= nil
end

-- Keep a batch. The results of the store; false: all of it was outdated; nil: the store
-- has failed.
local function keep(pump, batch)
  for _ = 1, TRIES do
    local statements = batch:statements(pump.jobs)
    batch.is_queued = true
    local results, err = pump.jobs.db:write(statements)
    if results then return results end
    batch.is_queued = false
    if err.name ~= "Conflict" or not drop_outdated(pump, batch) then return nil end
    if batch:is_empty() then return false end
  end
end

-- As if the batch had not been taken.
local function undo(pump, batch)
  table.move(pump.results, 1, #pump.results, #batch.ended + 1, batch.ended)
  pump.results = batch.ended
  for _, flight in ipairs(batch.started) do flight.run.queue:put_back(flight.target) end
end

local function finish_batch(pump, batch, results)
  for _, flight in ipairs(batch.ended) do land(flight) end
  for _, run in ipairs(batch:ended_runs(results)) do end_run(run) end
  local deadline = background.deadline()
  for i, flight in ipairs(batch.started) do
    batch.launched = i
    launch(pump, flight)
    if os.clock() > deadline then
      deadline = pump.jobs.hub.background:pause()
    end
  end
end

-- Keep what has ended, begin what may begin. True: there may be more to begin; nil: the
-- store has failed.
local function turn(pump)
  local batch = batches.new()
  pump.batch = batch
  take_ended(pump, batch)
  local more, results = take_begun(pump, batch), false
  if not batch:is_empty() then results = keep(pump, batch) end
  if results then finish_batch(pump, batch, results) end
  if results == nil then undo(pump, batch) end
  pump.batch = nil
  if results == nil or pump.is_failing then return nil end
  return more
end

-- Wait until there is something to do.
local function pause(pump, more)
  if more == nil then
    pump.is_failing = false
    time.sleep(RETRY)
  elseif pump.results[1] then
    return
  elseif not more or pump.free == 0 then
    pump.signal:wait()
  elseif pump.rate:wait() > 0 then
    pump.signal:wait(pump.rate:wait())
  end
end

local function work(pump)
  while pump.runs[1] do pause(pump, turn(pump)) end
  pump.task = nil
end

--- Call the targets of a run, as they can be called.
---@param run directmethods.Run
function Pump:add(run)
  table.insert(self.runs, run)
  self.signal:set()
  if not self.task then self.task = task.start(work, {}, self) end
end

--- Remove a run that has ended: none of its targets is called from now on.
---@param run directmethods.Run
function Pump:remove(run)
  for i, each in ipairs(self.runs) do
    if each == run then
      table.remove(self.runs, i)
      break
    end
  end
  self.signal:set()
end

--- Something has changed that the pump may wait for.
function Pump:wake()
  self.signal:set()
end

--- An event of the data plane: a call has ended.
---@param id integer
---@param status integer? the device's
function Pump:invoked(id, status, ...)
  local flight = self.flights[id]
  if not flight then return end
  self.flights[id] = nil
  self.free = self.free + 1
  if status then
    flight.status, flight.payload = status, ...
  else
    flight.code, flight.name, flight.text = ...
  end
  table.insert(self.results, flight)
  self.signal:set()
end

--- Forget all runs and what is under way.
function Pump:forget()
  if self.task then self.task:cancel() end
  for running in pairs(self.updates) do running:cancel() end
  self.task, self.batch, self.runs, self.updates = nil, nil, {}, {}
  self.flights, self.results = {}, {}
  self.free, self.updating = self.jobs.options.concurrency, 0
  self.signal = signals.new()
end

--- The lists that keep the calls which have ended and are not kept yet, for a hub that
--- is closed.
---@return directmethods.SqlStatement[][]
function Pump:last_lists()
  local batch, lists = self.batch, {}
  local function add(last) lists[#lists + 1] = last:statements(self.jobs) end
  if batch and not batch.is_queued then undo(self, batch) end
  while self.results[1] do
    local last = batches.new()
    take_ended(self, last)
    add(last)
  end
  if batch and batch.is_queued and batch.started[batch.launched + 1] then
    local uncalled = batches.new()
    table.move(batch.started, batch.launched + 1, #batch.started, 1, uncalled.ended)
    for _, flight in ipairs(uncalled.ended) do flight.undelivered = true end
    add(uncalled)
  end
  return lists
end

return M
