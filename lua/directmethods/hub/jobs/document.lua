--- Jobs and device jobs as JSON documents. Pure.

local json = require "directmethods.json"

local M = {}

local NEVER_ENDS = "9999-12-31T23:59:59.9999999Z" -- of a job that has not ended

-- Unix milliseconds as text.
local function time_text(ms)
  return os.date("!%Y-%m-%dT%H:%M:%S", ms // 1000) .. (".%03d0000Z"):format(ms % 1000)
end

--- What the wire calls the state of a job.
---@param job directmethods.Job
---@param now integer unix ms
---@return string
function M.status(job, now)
  if job.status == "queued" and job.start > now then return "scheduled" end
  return job.status
end

-- A list of names and JSON texts as an object; a name without a text is left out.
local function object(members)
  local parts = {}
  for i = 1, members.n, 2 do
    local name, text = members[i], members[i + 1]
    if text then parts[#parts + 1] = ('"%s":%s'):format(name, text) end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function text(value)
  return value and json.encode(value)
end

local function statistics(job)
  return ('{"deviceCount":%d,"failedCount":%d,"succeededCount":%d,'
    .. '"runningCount":%d,"pendingCount":%d}'):format(job.total, job.failed,
    job.succeeded, job.running, job.pending)
end

--- What PUT answers: a new job says no more.
---@param job directmethods.Job
---@return string json
function M.created(job)
  return ('{"jobId":%s,"type":"%s","status":"queued"}'):format(text(job.id), job.type)
end

---@param job directmethods.Job
---@param now integer unix ms
---@return string json
function M.job(job, now)
  return object(table.pack(
    "jobId", text(job.id),
    "queryCondition", text(job.condition),
    "createdTime", text(time_text(job.created)),
    "startTime", text(time_text(job.start)),
    "endTime", text(job.ended and time_text(job.ended) or NEVER_ENDS),
    "maxExecutionTimeInSeconds", tostring(job.max_seconds),
    "type", text(job.type),
    "cloudToDeviceMethod", job.method,
    "updateTwin", job.update,
    "status", text(M.status(job, now)),
    "failureReason", text(job.reason),
    "statusMessage", text(job.reason),
    "deviceJobStatistics", statistics(job)))
end

local function outcome(row)
  if row.status ~= "completed" then return nil end
  if not row.answer_status then return '{"deviceMethodResponse":null}' end
  return ('{"deviceMethodResponse":{"payload":%s,"status":%d}}'):format(
    row.answer, row.answer_status)
end

local function error_object(row)
  if not row.error_code then return nil end
  return object { n = 4, "code", text(row.error_code),
    "description", text(row.error_text) }
end

---@param row directmethods.DeviceJob
---@return string json
function M.device_job(row)
  return object(table.pack(
    "deviceId", text(row.device_id),
    "moduleId", text(row.module_id),
    "jobId", text(row.job_id),
    "jobType", text(row.job_type),
    "status", text(row.status),
    "startTimeUtc", text(row.started and time_text(row.started)),
    "endTimeUtc", text(row.ended and time_text(row.ended)),
    "createdDateTimeUtc", text(time_text(row.created)),
    "lastUpdatedDateTimeUtc", text(time_text(row.updated)),
    "outcome", outcome(row),
    "error", error_object(row)))
end

local ANSWER = {} -- the key of a text in a Response, which no query can name

-- What a device has answered, decoded when it is looked at; a payload that cannot be
-- decoded (a number of 20 digits) is undefined.
local Response = {}

function Response.__index(response, name)
  if name ~= "payload" then return nil end
  local value = json.decode(rawget(response, ANSWER))
  return value
end

local function outcome_values(row)
  if row.status ~= "completed" then return nil end
  if not row.answer_status then return { deviceMethodResponse = json.null } end
  local response = { [ANSWER] = row.answer, status = row.answer_status }
  return { deviceMethodResponse = setmetatable(response, Response) }
end

--- A device job as predicates see it.
---@param row directmethods.DeviceJob
---@return table
function M.values(row)
  return {
    deviceId = row.device_id,
    moduleId = row.module_id,
    jobId = row.job_id,
    jobType = row.job_type,
    status = row.status,
    startTimeUtc = row.started and time_text(row.started),
    endTimeUtc = row.ended and time_text(row.ended),
    createdDateTimeUtc = time_text(row.created),
    lastUpdatedDateTimeUtc = time_text(row.updated),
    outcome = outcome_values(row),
    error = row.error_code and { code = row.error_code, description = row.error_text },
  }
end

return M
