--- service.jobs: call a method of many devices or change their twins, now or later.

local calls = require "directmethods.service.call"
local core = require "directmethods.core"
local date = require "directmethods.date"
local errors = require "directmethods.errors"
local jobs = require "directmethods.service.job"
local options = require "directmethods.options"
local query = require "directmethods.service.query"
local rest = require "directmethods.service.rest"

local M = {}

local CONDITION_MAX = 8192 -- characters

--- Jobs of the hub.
---@class directmethods.JobsClient
local Jobs = { __name = "directmethods.jobs" }
Jobs.__index = Jobs

---@param service directmethods.Service
function M.new(service)
  return setmetatable({ _service = service }, Jobs)
end

local WHAT = "jobs:schedule"

local SCHEDULE = {
  id = { "string", check = options.rules.identity },
  method = { "string", check = options.rules.method_name },
  payload = { "any" },
  response_timeout = calls.OPTIONS.response_timeout,
  connect_timeout = calls.OPTIONS.connect_timeout,
  update = {
    "table",
    fields = {
      tags = { "table" },
      properties = { "table", fields = { desired = { "table" } } },
      etag = { "string", check = options.rules.header_value },
    },
  },
  query = { "string", min = 1, max = CONDITION_MAX },
  devices = { "table" },
  delay = { "number", min = 0, max = 1e9 },
  at = { "number|string" },
  max_execution = { "integer", default = 3600, min = 1, max = 2147483647 },
}

-- Exactly one of two options.
local function check_one_of(opts, first, second)
  if (opts[first] == nil) ~= (opts[second] == nil) then return end
  options.fail(WHAT, ("options '%s' and '%s'"):format(first, second),
    "are alternatives: give exactly one", 1)
end

local function condition_of(opts)
  if opts.query then return opts.query end
  local texts = {}
  for i, id in ipairs(opts.devices) do
    calls.check_text(WHAT, ("devices[%d]"):format(i), id, options.rules.identity, 1)
    texts[i] = "'" .. id:gsub("'", "\\'") .. "'"
  end
  if not texts[1] then options.fail(WHAT, "devices", "must be a list of ids", 1) end
  return ("deviceId IN [%s]"):format(table.concat(texts, ","))
end

-- The time of the start as text. A job that starts now names the real time, rounded
-- down, because that is past for the hub even if this process's clock was moved.
local function start_of(opts)
  if opts.delay and opts.at then
    options.fail(WHAT, "options 'delay' and 'at'", "must not be given together", 1)
  end
  local at = opts.at
  if type(at) == "string" then
    at = date.parse(at)
    if not at then
      options.fail(WHAT, "at", "must be a time like 2026-01-31T12:00:00Z", 1)
    end
  end
  local seconds = at or opts.delay and core.time() + opts.delay or os.time()
  if not (seconds >= 0 and seconds < 253402300800) then
    options.fail(WHAT, "at", "must be a time from 1970 to 9999", 1)
  end
  local ms = math.floor(seconds * 1000 + 0.5)
  return os.date("!%Y-%m-%dT%H:%M:%S", ms // 1000) .. (".%03dZ"):format(ms % 1000)
end

-- The member with the call; nil, err: it is too large.
local function call_of(service, opts)
  -- the api-version of jobs sets the limits, not that of single calls
  local version = service._rest_version
  local judge = { api_version = version, _contract = core.contract(version) }
  calls.check_times(judge, WHAT, opts, 1)
  local body, too_large = calls.body(judge, WHAT, opts.method, opts.payload, opts, 1)
  if not body then return nil, too_large end
  return '"cloudToDeviceMethod":' .. body
end

local function new_id()
  return "job-" .. core.random(8):gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end)
end

local function body_of(opts, parts)
  return ('{"jobId":"%s","type":"%s",%s,"queryCondition":%s,"startTime":"%s",'
    .. '"maxExecutionTimeInSeconds":%d}'):format(parts.id,
    opts.update and "scheduleUpdateTwin" or "scheduleDeviceMethod", parts.work,
    parts.condition, parts.start, opts.max_execution)
end

local function too_long(condition)
  return errors.new {
    name = "LimitExceeded",
    message = ("%s: the ids of devices have %d characters, %d are allowed; use a "
      .. "query"):format(WHAT, #condition, CONDITION_MAX),
  }
end

---@class directmethods.JobOptions
---@field id string?      default: a random one
---@field method string?  call this method (or give update)
---@field payload any     as for service:invoke
---@field response_timeout integer?
---@field connect_timeout integer?
---@field update { tags: table?, properties: { desired: table? }?, etag: string? }?
-- change the twins
---@field query string?     the condition that selects the devices when the job starts:
-- "*", "tags.site = 'north'", "FROM devices.modules WHERE moduleId = 'm'"; or devices
---@field devices string[]? the devices, by their ids
---@field delay number?     seconds until the start; default: now
---@field at number|string? the start: a unix time, or "2026-01-31T12:00:00Z"
---@field max_execution integer?
-- seconds from the start: devices that were not called by then fail; default 3600

--- Schedule a job. Devices that are offline are called when they connect. Raises on
--- wrong arguments.
--- ```lua
--- local job = assert(service.jobs:schedule {
---   method = "reboot", query = "tags.site = 'north'", delay = 60, max_execution = 600,
--- })
--- ```
---@param opts directmethods.JobOptions
---@return directmethods.ServiceJob? job
---@return directmethods.Error? err JobAlreadyExists,
---  ThrottlingMaxActiveJobCountExceeded; LimitExceeded: payload or condition too large
function Jobs:schedule(opts)
  rest.check(self, Jobs, WHAT)
  if type(opts) ~= "table" then
    options.fail(WHAT, "options", "must be a table, not a " .. type(opts), 0)
  end
  opts = options.check(opts, SCHEDULE, WHAT)
  check_one_of(opts, "method", "update")
  check_one_of(opts, "query", "devices")
  local condition = condition_of(opts)
  if #condition > CONDITION_MAX then return nil, too_long(condition) end
  local parts = {
    id = opts.id or new_id(),
    condition = rest.encode(WHAT, "query", condition),
    start = start_of(opts),
    work = opts.update and '"updateTwin":' .. rest.encode(WHAT, "update", opts.update),
  }
  local err
  if not parts.work then parts.work, err = call_of(self._service, opts) end
  if not parts.work then return nil, err end
  local document
  document, err = rest.ask(self._service, {
    method = "PUT", path = jobs.path(parts.id), body = body_of(opts, parts),
  })
  if not document then return nil, err end
  return jobs.new(self._service, parts.id)
end

--- A job of the hub.
---@param id string
---@return directmethods.ServiceJob? job
---@return directmethods.Error? err JobNotFound
function Jobs:get(id)
  local what = "jobs:get"
  rest.check(self, Jobs, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  local job = jobs.new(self._service, id)
  local status, err = job:status()
  if not status then return nil, err end
  return job
end

--- Stop a job: devices that were not called yet are not called.
---@param id string
---@return directmethods.JobStatus? status as it is now
---@return directmethods.Error? err JobNotFound; JobRunPreconditionFailed: it has ended
function Jobs:cancel(id)
  local what = "jobs:cancel"
  rest.check(self, Jobs, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  return jobs.new(self._service, id):cancel()
end

local LIST = {
  type = { "string", choices = { "scheduleDeviceMethod", "scheduleUpdateTwin" } },
  status = {
    "string",
    choices = { "queued", "scheduled", "running", "completed", "failed", "cancelled" },
  },
  page_size = query.OPTION,
}

local function parameters_of(opts)
  local texts = {}
  if opts.type then texts[1] = "jobType=" .. opts.type end
  if opts.status then texts[#texts + 1] = "jobStatus=" .. opts.status end
  return texts[1] and table.concat(texts, "&")
end

--- The hub's jobs of the last 30 days and those to come.
--- ```lua
--- for status in service.jobs:list { status = "running" } do print(status.id) end
--- ```
---@param opts { type: string?, status: string?, page_size: integer? }?
---@return directmethods.Query jobs of directmethods.JobStatus
function Jobs:list(opts)
  rest.check(self, Jobs, "jobs:list")
  opts = options.check(opts, LIST, "jobs:list")
  return query.new(self._service, {
    method = "GET", path = "/jobs/v2/query", query = parameters_of(opts),
  }, opts.page_size, jobs.status)
end

return M
