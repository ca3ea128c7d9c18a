--- The calls of all running jobs: so many at a time, so many a second. Each turn of
-- the loop keeps what has ended and what is about to begin in one go, and calls
-- then: of what the store says "pending", the call was not made.

local queues = require "directmethods.hub.jobs.queue"
local run_module = require "directmethods.hub.jobs.run"
local task = require "directmethods.task"
local turns = require "directmethods.hub.jobs.turn"
local twins = require "directmethods.hub.twins"

local M = {}

-- Of a turn, unless its slice of time is over before.
local TURN_MAX = 128 -- rows that begin, and that end
local TURN_BYTES = 1024 * 1024 -- of answers that are kept
local RETRY = 1 -- seconds, when the store has failed

---@class directmethods.Pump
local Pump = {}
Pump.__index = Pump

---@param jobs directmethods.Jobs
---@return directmethods.Pump
function M.new(jobs)
  return setmetatable({
    jobs = jobs,
    free = jobs.options.concurrency,
    flights = {}, -- id of an invocation -> { run, row }
    results = {}, -- flights that have ended
    next_run = 1,
    tokens = 0,
    filled = jobs:now(),
  }, Pump)
end

--- Have a turn soon, or after so many seconds.
---@param seconds number?
function Pump:wake(seconds)
  if self.timer and (self.soon or seconds) or self.jobs.closed then return end
  if self.timer then self.timer.cancel() end
  self.soon = not seconds
  self.timer = task.after(seconds or 0, function()
    self.timer = nil
    self:turn()
  end)
end

-- Ends -------------------------------------------------------------------------

local function take_ended(pump, turn)
  local bytes = 0
  while pump.results[1] do
    local flight = table.remove(pump.results, 1)
    bytes = bytes + #(flight.payload or "")
    turn.ended[#turn.ended + 1] = flight
    turn:end_flight(flight, pump.jobs.options.hold)
    if #turn.ended == TURN_MAX or bytes >= TURN_BYTES or turn:is_over() then return end
  end
end

-- Beginnings -------------------------------------------------------------------

-- How many may begin by the rate; the clock fills what turns take.
local function allowance(pump)
  local rate = pump.jobs.options.rate
  if not rate then return math.huge end
  local now = pump.jobs:now()
  pump.tokens = math.min(math.max(1, rate),
    pump.tokens + (now - pump.filled) / 1000 * rate)
  pump.filled = now
  return math.floor(pump.tokens)
end

local function begin(turn, run, row)
  local draft, copy = turn:draft(run), turn:row(row)
  copy.status, copy.started = "running", turn.now
  draft.pending, draft.running = draft.pending - 1, draft.running + 1
  run.flying[queues.key(row.device_id, row.module_id)] = "flying"
  turn.started[#turn.started + 1] = { run = run, row = copy }
  if run.update then turn.updates = turn.updates + 1 end
end

-- Begin at most `share` calls of a run; true: there may be more to begin.
local function take_from(turn, run, share)
  while share > 0 do
    local row = run.queue:next()
    if not row then return false end
    local name = queues.key(row.device_id, row.module_id)
    if row.status == "pending" and not run.flying[name] and run:can_be_called(row) then
      begin(turn, run, row)
      share = share - 1
    end
    if turn:is_over() then return true end
  end
  return true
end

-- Each job gets its share of what is free; who is first changes.
local function take_begun(pump, turn)
  local runs, more = pump.jobs.runs, false
  local allowed = math.min(pump.free, allowance(pump), TURN_MAX)
  local share = #runs > 0 and math.ceil(allowed / #runs) or 0
  pump.next_run = pump.next_run % math.max(1, #runs) + 1
  for i = 1, #runs do
    local run = runs[(pump.next_run + i - 2) % #runs + 1]
    local before = #turn.started
    if run.calling and not pump.jobs.stopped then
      more = take_from(turn, run, math.min(share, allowed)) or more
    end
    allowed = allowed - (#turn.started - before)
  end
  if pump.jobs.options.rate then pump.tokens = pump.tokens - #turn.started end
  return more
end

-- Turns ------------------------------------------------------------------------

local function run_update(pump, turn, flight)
  local run, row = flight.run, flight.row
  local draft = turn:draft(run)
  local hub = pump.jobs.hub
  local record, problem = hub.registry:get(row.device_id, row.module_id)
  local done
  if record then
    done, problem = twins.update(hub, record, run.update,
      { condition = run.update.condition })
  end
  draft.running = draft.running - 1
  if done then
    turn:end_row(row, "completed")
    draft.succeeded = draft.succeeded + 1
  else
    turn:fail_row(draft, row, problem.name, problem.text)
  end
end

-- All or nothing; changes of twins with it.
local function keep(pump, turn)
  local store = pump.jobs.store
  return store:batch(function()
    for _, flight in ipairs(turn.started) do
      if flight.run.update then run_update(pump, turn, flight) end
    end
    for _, draft in pairs(turn.drafts) do run_module.end_if_done(draft, turn.now) end
    store:put_device_jobs(turn.rows)
    for _, draft in pairs(turn.drafts) do store:put_job(draft) end
  end)
end

local function key_of(flight)
  return queues.key(flight.row.device_id, flight.row.module_id)
end

local function stop_timer(pump)
  if pump.timer then pump.timer.cancel() end
  pump.timer = nil
end

-- As if the turn had not been; the next one comes later.
local function undo(pump, turn)
  table.move(pump.results, 1, #pump.results, #turn.ended + 1, turn.ended)
  pump.results = turn.ended
  for _, flight in ipairs(turn.started) do
    flight.run.flying[key_of(flight)] = nil
    flight.run.queue:put(flight.row)
  end
  stop_timer(pump)
  pump:wake(RETRY)
end

-- Who was given back, and has come in the meantime, is looked at again.
local function land(flight)
  local run, name = flight.run, key_of(flight)
  local woken = run.flying[name] == "woken"
  run.flying[name] = nil
  if woken then run:ready(flight.row.device_id, flight.row.module_id) end
end

local function launch(pump, flight)
  local run, row = flight.run, flight.row
  if run.update then return land(flight) end
  local call, hold = run.call, pump.jobs.options.hold
  local id, code, name, text = pump.jobs.plane:invoke(row.device_id, row.module_id,
    call.name, call.payload, call.response_seconds, hold and 0 or call.connect_seconds)
  if id then
    pump.free = pump.free - 1
    pump.flights[id] = flight
    return
  end
  flight.code, flight.name, flight.text = code, name, text
  table.insert(pump.results, flight)
end

--- Keep what has ended, begin what may begin.
function Pump:turn()
  local turn = turns.new(self.jobs:now())
  take_ended(self, turn)
  local more = take_begun(self, turn)
  if turn.rows[1] then
    if not keep(self, turn) then return undo(self, turn) end
    for run, draft in pairs(turn.drafts) do run:kept(draft) end
    for _, flight in ipairs(turn.ended) do land(flight) end
    for _, flight in ipairs(turn.started) do launch(self, flight) end
  end
  if self.results[1] then return self:wake() end
  if more and self.free > 0 then
    local rate = self.jobs.options.rate
    return self:wake(rate and self.tokens < 1 and (1 - self.tokens) / rate or nil)
  end
end

--- A call has ended.
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
  self:wake()
end

--- Forget what is under way: nobody wants to know its end.
function Pump:forget()
  stop_timer(self)
  self.flights, self.results = {}, {}
  self.free = self.jobs.options.concurrency
end

--- Keep what has ended, and begin nothing any more.
function Pump:close()
  stop_timer(self)
  local turn
  repeat
    turn = turns.new(self.jobs:now())
    take_ended(self, turn)
  until not turn.rows[1] or not keep(self, turn)
end

return M
