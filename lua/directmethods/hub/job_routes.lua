--- The HTTP routes of jobs. Answers: status, header lines, body; or nil and a problem.

local document = require "directmethods.hub.jobs.document"
local problems = require "directmethods.hub.problems"
local retention = require "directmethods.hub.jobs.retention"
local pages = require "directmethods.hub.pages"

local function shown(hub, job)
  return 200, nil, document.job(job, hub.jobs:now())
end

local function put_job(hub, request)
  local job, problem = hub.jobs:create(request.job_id, request.body,
    request.query["api-version"])
  if not job then return nil, problem end
  return 200, nil, document.created(job)
end

local function get_job(hub, request)
  local job, err = hub.jobs:find(request.job_id)
  if job then return shown(hub, job) end
  return nil, err and problems.unavailable(err) or problems.new("JobNotFound")
end

local function cancel_job(hub, request)
  local job, problem = hub.jobs:cancel(request.job_id)
  if not job then return nil, problem end
  return shown(hub, job)
end

local function by_lower_case(...)
  local names = {}
  for _, name in ipairs { ... } do names[name:lower()] = name end
  return names
end

-- The values that IoT Hub knows; this hub has jobs with only a few of them.
local TYPES = by_lower_case("scheduleDeviceMethod", "scheduleUpdateTwin", "unknown",
  "export", "exportDevices", "import", "importDevices", "backup", "restoreFromBackup",
  "failoverDataCopy", "readDeviceProperties", "writeDeviceProperties",
  "updateDeviceConfiguration", "rebootDevice", "factoryResetDevice", "firmwareUpdate")
local STATES = by_lower_case("queued", "scheduled", "running", "completed", "failed",
  "cancelled", "enqueued", "unknown")

-- What is asked for, which .NET sends in a case of its own; nil: all, or a problem.
local function asked(request, parameter, names)
  local value = request.query[parameter]
  if not value or value == "" then return nil end
  local name = names[value:lower()]
  if name then return name end
  return nil, problems.invalid(("'%s' is not known"):format(parameter))
end

local function list_jobs(hub, request)
  local size, position = pages.read(request)
  if not size then return nil, position end
  local kind, of_type = asked(request, "jobType", TYPES)
  local state, of_state = asked(request, "jobStatus", STATES)
  if of_type or of_state then return nil, of_type or of_state end
  local source = retention.source(hub.jobs, kind, state, position and position[1])
  return pages.answer(hub, source, size)
end

local RIGHT, METER = "ServiceConnect", "jobs"

---@type directmethods.HubRoute[]
return {
  { path = "/jobs/v2/query", meter = METER, GET = { RIGHT, list_jobs } },
  {
    path = "/jobs/v2/{job_id}",
    meter = METER,
    GET = { RIGHT, get_job },
    PUT = { RIGHT, put_job },
  },
  {
    path = "/jobs/v2/{job_id}/cancel",
    meter = METER,
    POST = { RIGHT, cancel_job },
  },
}
