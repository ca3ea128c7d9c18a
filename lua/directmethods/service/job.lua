--- A job of the hub: its status, and the result of each device.

local calls = require "directmethods.service.call"
local core = require "directmethods.core"
local date = require "directmethods.date"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local query = require "directmethods.service.query"
local rest = require "directmethods.service.rest"
local time = require "directmethods.time"

local M = {}

local PAUSE_MIN, PAUSE_MAX, PAUSE_FACTOR = 0.05, 3, 1.6 -- s between two requests

--- A job of a hub.
---@class directmethods.ServiceJob
---@field id string
local Job = { __name = "directmethods.job" }
Job.__index = Job

---@param service directmethods.Service
---@param id string
---@return directmethods.ServiceJob
function M.new(service, id)
  return setmetatable({ id = id, _service = service }, Job)
end

function Job:__tostring()
  return ("directmethods.job (%s)"):format(self.id)
end

--- The path of a job.
---@param id string
---@return string
function M.path(id)
  return "/jobs/v2/" .. calls.escape(id)
end

-- Status -----------------------------------------------------------------------

---@class directmethods.JobStatus
---@field id string
---@field type "scheduleDeviceMethod"|"scheduleUpdateTwin"
---@field status string "queued", "scheduled", "running", "completed", "failed" or
---  "cancelled"
---@field over boolean true: the status is one of the last three
---@field query string       the condition that selects its devices
---@field start number?      unix time
---@field created number?
---@field ended number?      unix time; nil: it has not ended
---@field max_execution integer? seconds
---@field total integer      devices; known when it has started
---@field succeeded integer  devices that answered, whatever their status
---@field failed integer
---@field running integer
---@field pending integer    devices that are still to be called
---@field reason string?     why the whole job has failed
---@field document table     as the hub sent it

local OVER = { completed = true, failed = true, cancelled = true, canceled = true }

local function time_of(text)
  return type(text) == "string" and date.parse(text) or nil
end

local function text_of(value)
  return type(value) == "string" and value or nil
end

--- The status in a document of the hub.
---@param document table
---@return directmethods.JobStatus
function M.status(document)
  local counts = document.deviceJobStatistics
  if type(counts) ~= "table" then counts = {} end
  local over = OVER[document.status] or false
  return {
    id = document.jobId,
    type = document.type,
    status = document.status,
    over = over,
    query = text_of(document.queryCondition),
    start = time_of(document.startTime),
    created = time_of(document.createdTime),
    ended = over and time_of(document.endTime) or nil,
    max_execution = math.tointeger(document.maxExecutionTimeInSeconds),
    total = counts.deviceCount or 0,
    succeeded = counts.succeededCount or 0,
    failed = counts.failedCount or 0,
    running = counts.runningCount or 0,
    pending = counts.pendingCount or 0,
    reason = text_of(document.failureReason) or text_of(document.statusMessage),
    document = document,
  }
end

--- Send a request that is answered with a status.
function M.ask(service, request)
  local document, err = rest.ask(service, request)
  if not document then return nil, err end
  return M.status(document)
end

--- The status of the job.
---@return directmethods.JobStatus? status
---@return directmethods.Error? err JobNotFound
function Job:status()
  rest.check(self, Job, "job:status")
  return M.ask(self._service, { method = "GET", path = M.path(self.id) })
end

--- Stop the job: devices that were not called yet are not called.
---@return directmethods.JobStatus? status as it is now
---@return directmethods.Error? err JobRunPreconditionFailed: it has ended
function Job:cancel()
  rest.check(self, Job, "job:cancel")
  return M.ask(self._service, { method = "POST", path = M.path(self.id) .. "/cancel" })
end

-- Waiting ----------------------------------------------------------------------

local function check_await(timeout, progress)
  options.check_timeout(timeout, "job:await", 1)
  if progress ~= nil and type(progress) ~= "function" then
    error(("job:await: progress must be a function, not a %s"):format(
      type(progress)), 3)
  end
end

local function tell(progress, status, last)
  if not progress then return end
  if last and last.succeeded == status.succeeded and last.failed == status.failed
    and last.total == status.total then
    return
  end
  progress(status.succeeded + status.failed, status.failed, status.total)
end

--- Wait until the job has ended.
--- ```lua
--- local status = assert(job:await(60, function(done, failed, total)
---   print(done, "of", total)
--- end))
--- print(status.status, status.succeeded, status.failed)
--- ```
---@param timeout number? seconds; default: none
---@param progress fun(done: integer, failed: integer, total: integer)?
-- called when these numbers have changed; if it raises an error, the waiting ends
---@return directmethods.JobStatus? status
---@return directmethods.Error? err Timeout; or the hub could not be asked
function Job:await(timeout, progress)
  rest.check(self, Job, "job:await")
  check_await(timeout, progress)
  local stop = core.now() + (timeout or math.huge)
  local pause, last = PAUSE_MIN, nil
  while true do
    local left = stop - core.now()
    local status, err = M.ask(self._service, {
      method = "GET", path = M.path(self.id),
      timeout = timeout and math.max(left, PAUSE_MIN),
    })
    if not status then return nil, err end
    tell(progress, status, last)
    if status.over then return status end
    left, last = stop - core.now(), status
    if left <= 0 then
      return nil, errors.new {
        name = "Timeout",
        message = ("job %s is %s after %g s"):format(self.id, status.status, timeout),
      }
    end
    time.sleep(math.min(pause, left))
    pause = math.min(PAUSE_MAX, pause * PAUSE_FACTOR)
  end
end

-- Results ----------------------------------------------------------------------

---@class directmethods.JobResult
---@field device_id string
---@field module_id string?
---@field status string "pending", "scheduled", "running", "completed", "failed" or
---  "canceled"
---@field reply { status: integer, ok: boolean, payload: any }? the device's answer
---@field err directmethods.Error? why it failed
---@field started number? unix time
---@field ended number?
---@field document table as the hub sent it

local CODES = {}
for code, entry in pairs(errors.codes) do CODES[entry.name] = code end

local function reply_of(row)
  local outcome = row.outcome
  local response = type(outcome) == "table" and outcome.deviceMethodResponse
  if type(response) ~= "table" then return nil end
  local status = math.tointeger(response.status)
  return {
    status = status,
    ok = status ~= nil and status < 400,
    payload = response.payload,
  }
end

local function error_of(row)
  if type(row.error) ~= "table" then return nil end
  local name = text_of(row.error.code) or "ProtocolError"
  return errors.new {
    name = name,
    code = CODES[name],
    message = text_of(row.error.description) or "the hub gives no reason",
  }
end

local function result_of(row)
  return {
    device_id = row.deviceId,
    module_id = text_of(row.moduleId),
    status = row.status,
    reply = reply_of(row),
    err = error_of(row),
    started = time_of(row.startTimeUtc),
    ended = time_of(row.endTimeUtc),
    document = row,
  }
end

--- The result of each device, as far as it is known.
--- ```lua
--- for result in job:results() do
---   print(result.device_id, result.reply and result.reply.status or result.err)
--- end
--- ```
---@param opts { page_size: integer? }? default 100
---@return directmethods.Query results of directmethods.JobResult
function Job:results(opts)
  rest.check(self, Job, "job:results")
  local text = ("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '%s'"):format(
    self.id:gsub("'", "\\'"))
  local results = query.run(self._service, "job:results", text, opts, result_of)
  return results
end

return M
