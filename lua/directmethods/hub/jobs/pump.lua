--- The calls of all running jobs, limited in number and rate. One task, the pump,
-- writes the calls that have ended and those that are about to begin as one list, and
-- then calls. So a device job that is pending in the store was not called.
--
-- The pump knows runs as data: their queues, whether they are over or have ended. It
-- sets their signals, and they add themselves. `shares` takes the targets whose calls
-- begin, `landing` gives runs what has ended.

local background = require "directmethods.hub.background"
local batches = require "directmethods.hub.jobs.batch"
local landing = require "directmethods.hub.jobs.landing"
local rates = require "directmethods.hub.jobs.rate"
local reach = require "directmethods.hub.jobs.reach"
local shares = require "directmethods.hub.jobs.shares"
local signals = require "directmethods.hub.signal"
local task = require "directmethods.task"
local time = require "directmethods.time"

local M = {}

local BATCH_BYTES = 1024 * 1024 -- of answers in one list
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
    rate = rates.new(jobs.options.rate, jobs:now(), jobs.cluster and jobs.db),
    is_failing = false, -- the store, as a change of a twin has found
  }, Pump)
end

-- A part of the results, in their order.
local function take_ended(pump, batch)
  local results, bytes, count = pump.results, 0, 0
  while results[count + 1] and count < batches.CALLS_MAX and bytes < BATCH_BYTES do
    count = count + 1
    bytes = bytes + #(results[count].payload or "")
  end
  table.move(results, 1, count, 1, batch.ended)
  pump.results = table.move(results, count + 1, #results, 1, {})
end

-- Calls -----------------------------------------------------------------------

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
    hold and reach.was_held(jobs, target, run.job.start), run.job.id)
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
    landing.call(flight)
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
  for _, flight in ipairs(batch.ended) do landing.call(flight) end
  for _, run in ipairs(batch:ended_runs(results)) do landing.end_run(run) end
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
  local more, results = shares.take(pump, batch), false
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
    local absent
    flight.code, flight.name, flight.text, absent = ...
    -- other hubs were asked for the device
    flight.undelivered = absent and self.jobs.options.hold or nil
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
