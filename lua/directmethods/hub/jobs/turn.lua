--- What a turn of the pump changes: rows, and drafts of their jobs by their runs.

local background = require "directmethods.hub.background"
local sweep = require "directmethods.hub.jobs.sweep"

local M = {}

local UPDATES_MAX = 4 -- changes of twins, unless its slice of time is over before
local NOT_ONLINE = 404103

---@class directmethods.PumpTurn
---@field rows directmethods.DeviceJob[] changed
---@field drafts table<directmethods.Run, directmethods.Job>
---@field started table[] flights that begin
---@field ended table[] flights that have ended
---@field updates integer changes of twins
---@field now integer unix ms
local Turn = {}
Turn.__index = Turn

---@param now integer unix ms
---@return directmethods.PumpTurn
function M.new(now)
  return setmetatable({
    rows = {}, drafts = {}, started = {}, ended = {},
    updates = 0, now = now, stop = background.deadline(),
  }, Turn)
end

--- What it has looked at is enough. (Each turn looks at something.)
---@return boolean
function Turn:is_over()
  return self.updates >= UPDATES_MAX or os.clock() > self.stop
end

--- The draft of a run's job.
function Turn:draft(run)
  local draft = self.drafts[run]
  if not draft then
    draft = run:draft()
    self.drafts[run] = draft
  end
  return draft
end

--- A copy of a row, to be changed and kept.
function Turn:row(row)
  local copy = {}
  for name, value in pairs(row) do copy[name] = value end
  copy.updated = self.now
  self.rows[#self.rows + 1] = copy
  return copy
end

--- A row has ended so.
function Turn:end_row(row, status, code, text)
  row.status, row.error_code, row.error_text = status, code, text
  row.ended = self.now
end

function Turn:fail_row(draft, row, code, text)
  self:end_row(row, "failed", code, text)
  draft.failed = draft.failed + 1
end

-- The device was not there: nothing has reached it.
local function return_row(turn, draft, row, run)
  row.started = nil
  if run.over == "cancelled" then
    turn:end_row(row, "canceled")
  elseif run.over then
    turn:fail_row(draft, row, "DeviceNotOnline", sweep.TOO_LATE)
  else
    row.status = "pending"
    draft.pending = draft.pending + 1
  end
end

--- A call has ended; with `hold` a device that was not there is waited for.
---@param flight table { run, row }, and status, payload or code, name, text
---@param hold boolean
function Turn:end_flight(flight, hold)
  local run = flight.run
  local draft, row = self:draft(run), self:row(flight.row)
  draft.running = draft.running - 1
  if flight.status then
    self:end_row(row, "completed")
    row.answer_status, row.answer = flight.status, flight.payload
    draft.succeeded = draft.succeeded + 1
  elseif flight.code == NOT_ONLINE and hold then
    return_row(self, draft, row, run)
  else
    self:fail_row(draft, row, flight.name, flight.text)
  end
end

return M
