--- What PUT /jobs/v2/{id} asks for: its body checked.

local body = require "directmethods.hub.body"
local core = require "directmethods.core"
local date = require "directmethods.date"
local documents = require "directmethods.hub.twin_document"
local json = require "directmethods.json"
local options = require "directmethods.options"
local refusal = require "directmethods.hub.refusal"
local twins = require "directmethods.hub.twins"

local M = {}

local INVALID = "ArgumentInvalid"

local EXECUTION_SECONDS = 3600 -- without maxExecutionTimeInSeconds
local EXECUTION_SECONDS_MAX = 2147483647
local CONDITION_MAX = 8192 -- characters
local UPDATE_MAX = 65536 -- bytes of a change of twins

local refuse = refusal.refuse

-- The texts of an object's members, by name.
local function members_of(text, shape, place)
  local texts, rule = body.members(text, shape, place)
  if not texts then refuse("%s", rule) end
  return texts
end

local function is_null(text)
  return text == nil or text == "null"
end

-- A member that is a string.
local function string_of(text, name)
  local value = text and json.decode(text)
  if type(value) ~= "string" then refuse("'%s' must be a string", name) end
  return value
end

-- Seconds within bounds, as a number or as a text of one.
local function within(text, name, least, greatest)
  local value = core.json_integer(text)
  if value and value >= least and value <= greatest then return value end
  local is_text = not value and text:find('^"')
  refuse("%s must be within [%d; %d].%s", name, least, greatest,
    is_text and " Its text is no whole number." or "")
end

-- Calls ----------------------------------------------------------------------

local function seconds_of(text, name, least, greatest, absent)
  if is_null(text) then return absent end
  return within(text, name, least, greatest)
end

local function name_of(text)
  local name = is_null(text) and "" or string_of(text, "methodName")
  local wrong = core.wrong_method_name(name)
  if wrong then refuse("%s", wrong) end
  return name
end

-- What was checked by its request's contract is not judged again.
local STORED = {
  payload = math.huge, response_min = 0, response_max = math.huge,
  connect_max = math.huge,
}

---@class directmethods.JobCall
---@field name string
---@field payload string? JSON text
---@field response_seconds integer
---@field connect_seconds integer

local CALL = {
  any_case = true,
  members = {
    methodName = true, payload = true, responseTimeoutInSeconds = true,
    connectTimeoutInSeconds = true,
  },
}

local function read_call(text, contract)
  local member = members_of(text, CALL, "cloudToDeviceMethod")
  local payload = member.payload
  local call = {
    name = name_of(member.methodName),
    payload = payload,
    response_seconds = seconds_of(member.responseTimeoutInSeconds,
      "responseTimeoutInSeconds", contract.response_min, contract.response_max,
      contract.response_default),
    connect_seconds = seconds_of(member.connectTimeoutInSeconds,
      "connectTimeoutInSeconds", 0, contract.connect_max, 0),
  }
  if payload and #payload > contract.payload then
    refuse("'payload' size must not exceed %d bytes.", contract.payload)
  end
  return call
end

local function call_text(call)
  return ('{"methodName":"%s"%s,"responseTimeoutInSeconds":%d,'
    .. '"connectTimeoutInSeconds":%d}'):format(call.name,
    call.payload and ',"payload":' .. call.payload or "",
    call.response_seconds, call.connect_seconds)
end

--- The call of a job.
---@param job directmethods.Job
---@return directmethods.JobCall
function M.call(job)
  return read_call(job.method, STORED)
end

-- Changes of twins -------------------------------------------------------------

local function check_section(section, name)
  local wrong = section and documents.wrong(name, section)
  if wrong then refuse("%s", wrong) end
end

local UPDATE = { members = twins.members() }
UPDATE.members.etag = true

local function read_update(text)
  if #text > UPDATE_MAX then
    refuse("'updateTwin' must not exceed %d bytes.", UPDATE_MAX)
  end
  local document, problem = body.read(text, UPDATE)
  if problem then refuse("'updateTwin': %s", problem.text) end
  local sections, rule = twins.read(document)
  if not sections then refuse("'updateTwin': %s", rule) end
  if not sections.tags and not sections.desired then
    refuse("'updateTwin' must have tags or desired properties")
  end
  check_section(sections.tags, "tags")
  check_section(sections.desired, "desired")
  local etag = document.etag
  if type(etag) == "string" and etag ~= "*" then sections.condition = etag end
  return sections
end

--- The change that a job makes: `tags`, `desired`, `condition` (an etag), each or nil.
---@param job directmethods.Job
---@return { tags: table?, desired: table?, condition: string? }
function M.update(job)
  return read_update(job.update)
end

-- Jobs -------------------------------------------------------------------------

local TYPES = {} -- by their names in lower case
for _, name in ipairs { "scheduleDeviceMethod", "scheduleUpdateTwin" } do
  TYPES[name:lower()] = name
end

local function type_of(text)
  local kind = TYPES[string_of(text, "type"):lower()]
  if kind then return kind end
  error({
    rule = "'type' must be scheduleDeviceMethod or scheduleUpdateTwin",
    name = "GenericBadRequest",
  }, 0)
end

local function condition_of(text)
  local condition = string_of(text, "queryCondition")
  if #condition > CONDITION_MAX then
    refuse("'queryCondition' must not be longer than %d characters.", CONDITION_MAX)
  end
  return condition
end

-- Unix milliseconds; null is refused, as the service does.
local function start_of(text, now)
  if not text then return now end
  local seconds = date.parse(string_of(text, "startTime"))
  if not seconds then refuse("'startTime' must be a time of ISO 8601") end
  return math.max(now, math.floor(seconds * 1000 + 0.5))
end

local function execution_of(text)
  if not text then return EXECUTION_SECONDS end
  return within(text, "maxExecutionTimeInSeconds", 1, EXECUTION_SECONDS_MAX)
end

local JOB = {
  any_case = true,
  members = {
    jobId = true, type = true, cloudToDeviceMethod = true, updateTwin = true,
    queryCondition = true, startTime = true, maxExecutionTimeInSeconds = true,
  },
}

local function read(text, id, contract, now)
  local member = members_of(text, JOB)
  if member.jobId and string_of(member.jobId, "jobId") ~= id then
    refuse("'jobId' must be the one in the path")
  end
  local fields = {
    type = type_of(member.type),
    condition = condition_of(member.queryCondition),
    start = start_of(member.startTime, now),
    max_seconds = execution_of(member.maxExecutionTimeInSeconds),
  }
  if fields.type == "scheduleDeviceMethod" then
    local method = member.cloudToDeviceMethod
    if is_null(method) then refuse("'cloudToDeviceMethod' is required") end
    fields.method = call_text(read_call(method, contract))
  else
    local update = member.updateTwin
    if is_null(update) then refuse("'updateTwin' is required") end
    read_update(update)
    fields.update = update
  end
  return fields
end

--- What a body asks for: type, condition, start, max_seconds, and method or update;
-- nil, the rule that it breaks, and the name of the error.
---@param text string
---@param id string in the path
---@param how { contract: string?, version: string?, now: integer } the hub's contract
---  for all, the request's api-version, unix ms
---@return table? fields of directmethods.Job
---@return string? rule
---@return string? name "ArgumentInvalid" or "GenericBadRequest"
function M.read(text, id, how)
  local wrong = options.rules.identity(id)
  if wrong then return nil, "the job id " .. wrong, INVALID end
  if id == "query" then return nil, "the job id must not be 'query'", INVALID end
  local fields, rule, name = refusal.try(read, text, id,
    core.contract(how.version, how.contract), how.now)
  return fields, rule, rule and (name or INVALID)
end

return M
