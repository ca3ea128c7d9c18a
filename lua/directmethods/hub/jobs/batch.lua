--- What the pump keeps in one go: calls that have ended and calls that are about to
-- begin, of several runs.

local counts = require "directmethods.hub.jobs.counts"
local reach = require "directmethods.hub.jobs.reach"
local job_store = require "directmethods.hub.jobs.job_store"
local row_store = require "directmethods.hub.jobs.row_store"

local M = {}

--- How many calls may begin, and how many may end, in one batch.
M.CALLS_MAX = 128

--- A call of a job.
---@class directmethods.Flight
---@field run directmethods.Run
---@field target directmethods.FoundTarget
---@field was_returned boolean? it was not called, and its device job is pending again
---@field undelivered boolean? it was not called, or its call has provably not reached
---  the device: it may be called again
---@field status integer? what the device has answered
---@field payload string?
---@field code integer? else the error
---@field name string?
---@field text string?

---@class directmethods.Batch
---@field started directmethods.Flight[] calls that are about to begin
---@field ended directmethods.Flight[] calls that have ended
---@field is_queued boolean? the store has its list
---@field launched integer how many of `started` were called since
local Batch = {}
Batch.__index = Batch

---@return directmethods.Batch
function M.new()
  return setmetatable({ started = {}, ended = {}, launched = 0 }, Batch)
end

---@return boolean
function Batch:is_empty()
  return not self.started[1] and not self.ended[1]
end

-- How the device job of a flight ends; nil: it becomes pending again.
local function end_of(flight)
  if flight.status then
    return {
      status = "completed", answer_status = flight.status, answer = flight.payload,
    }
  elseif not flight.undelivered then
    return { status = "failed", code = flight.name, text = flight.text }
  elseif flight.run.over then
    return reach.end_uncalled(flight.run, flight.code ~= nil)
  end
end

local function end_statement(flight, jobs, now)
  local run, target = flight.run, flight.target
  local how = end_of(flight)
  flight.was_returned = not how
  if how then
    return how.status, row_store.finish(run.job.id, target, "running", how, now)
  end
  return "pending", row_store.give_back(run.job.id, target, jobs.owner, now)
end

-- The changes of a run's counts.
local function changes_of(self, run)
  local changes = self.changes[run]
  if not changes then
    changes = counts.new()
    self.changes[run] = changes
    self.runs[#self.runs + 1] = run
  end
  return changes
end

--- The list that keeps it. Each run's job ends with it when nothing is left to be done.
---@param jobs directmethods.Jobs
---@return directmethods.SqlStatement[]
function Batch:statements(jobs)
  local list, now = {}, jobs:now()
  self.changes, self.runs = {}, {}
  for _, flight in ipairs(self.ended) do
    local state, statement = end_statement(flight, jobs, now)
    list[#list + 1] = statement
    changes_of(self, flight.run):move("running", state)
  end
  for _, flight in ipairs(self.started) do
    list[#list + 1] = row_store.claim(flight.run.job.id, flight.target, jobs.owner, now)
    changes_of(self, flight.run):move("pending", "running")
  end
  for _, run in ipairs(self.runs) do
    list[#list + 1] = job_store.add_counts(run.job.id, self.changes[run])
    list[#list + 1] = job_store.finish(run.job.id, now)
  end
  return list
end

--- It was kept: which runs have ended with it.
---@param results directmethods.SqlResult[]
---@return directmethods.Run[]
function Batch:ended_runs(results)
  local ended = {}
  for i, run in ipairs(self.runs) do
    local finish = results[#results - 2 * (#self.runs - i)]
    if finish.changes == 1 then ended[#ended + 1] = run end
  end
  return ended
end

-- Remove those from a list whose device jobs have left this state.
local function keep_in_state(list, states, first, state)
  local dropped, kept = {}, 0
  for i = 1, #list do
    local flight = list[i]
    list[i] = nil
    if states[first + i] == state then
      kept = kept + 1
      list[kept] = flight
    else
      dropped[#dropped + 1] = flight
    end
  end
  return dropped
end

--- Something is not as it was thought to be: read the device jobs again, and drop the
--- flights that are outdated. Waits for the store.
---@param db directmethods.Sql
---@return directmethods.Flight[]? dropped
---@return directmethods.Error? err
function Batch:check(db)
  local list = {}
  for _, flights in ipairs { self.ended, self.started } do
    for _, flight in ipairs(flights) do
      list[#list + 1] = { job_id = flight.run.job.id, target = flight.target }
    end
  end
  local states, err = row_store.states(db, list)
  if not states then return nil, err end
  local count = #self.ended
  local dropped = keep_in_state(self.ended, states, 0, "running")
  local unclaimed = keep_in_state(self.started, states, count, "pending")
  table.move(unclaimed, 1, #unclaimed, #dropped + 1, dropped)
  return dropped
end

return M
