--- Every numeric code of IoT Hub that a caller of methods, of the registry or of
-- jobs can meet: its name, what it means and what helps. `retriable`: the
-- call did not run, and the same call may succeed later.

---@class directmethods.ErrorCode
---@field code integer        404103
---@field name string         "DeviceNotOnline"
---@field http_status integer the HTTP status it comes with
---@field cause string        what happened, one sentence
---@field remedy string       what to do about it, one sentence
---@field retriable boolean   true: the call did not run, and may succeed later

local ASK_LATER = "Wait, then call again with growing pauses."
local CHECK_ARGUMENTS = "Compare the request with the message; it names the field."
local CHECK_TOKEN = "Check the key, the policy name, the host name and the clock "
  .. "of this machine (a token is good for 5 minutes past its expiry)."

local RETRIABLE = true

-- code, name, cause, remedy, retriable
local LIST = {
  { 400000, "GenericBadRequest", "The hub refused the request without a reason.",
    "Check the request; if it is right, call again later." },
  { 400001, "InvalidProtocolVersion",
    "The api-version is missing or is none that the hub knows.",
    "Give an api_version of the form 2018-06-30." },
  { 400002, "DeviceInvalidResultCount", "A page size is out of its range.",
    "Ask for 1 to 1000 items." },
  { 400004, "ArgumentInvalid", "A value in the request is not allowed.",
    CHECK_ARGUMENTS },
  { 400005, "ArgumentNull", "A value that is required is missing.",
    CHECK_ARGUMENTS },
  { 400006, "IotHubFormatError", "The request's body cannot be parsed.",
    CHECK_ARGUMENTS },
  { 400011, "DeviceDefinedMultipleTimes",
    "A bulk request names the same device twice.",
    "Name each device once." },
  { 400013, "BulkRegistryOperationFailure",
    "Some operations of a bulk request failed.",
    "Read the list of errors in the answer." },
  { 400027, "ConnectionForcefullyClosedOnNewConnection",
    "The device opened a new connection while the call was under way, and its "
    .. "old one was closed.",
    "Look for two programs that use the same device identity; the method may or "
    .. "may not have run." },
  { 401000, "GenericUnauthorized", "The hub did not accept the credentials.",
    CHECK_TOKEN },
  { 401002, "IotHubUnauthorizedAccess",
    "The token is wrong, expired, or made for another hub or policy.",
    CHECK_TOKEN },
  { 401003, "IotHubUnauthorized",
    "The token does not allow this operation.",
    "Use a policy with the permission that is needed: ServiceConnect for methods, "
    .. "RegistryRead or RegistryWrite for the registry." },
  { 403000, "GenericForbidden", "The hub does not allow the operation.",
    "Read the message." },
  { 403002, "IotHubQuotaExceeded",
    "The daily quota of messages of this hub is used up.",
    "Wait for the next day (UTC), or add units to the hub." },
  { 403004, "DeviceMaximumQueueDepthExceeded",
    "The device has as many messages queued as it may.",
    "Let the device take its messages, or purge its queue." },
  { 403010, "OperationNotAllowedInCurrentTier",
    "The tier of this hub does not have the operation.",
    "Direct methods need a standard tier (S1 to S3) or F1." },
  { 403012, "DeviceDisabled", "The device is disabled.",
    "Enable the device in the registry." },
  { 403800, "DeviceMaximumInflightMethodExceeded",
    "Too many calls to this device are under way.",
    "Wait for answers before calling again.", RETRIABLE },
  { 404000, "GenericNotFound", "What was asked for does not exist.",
    "Check the path and the ids." },
  { 404001, "DeviceNotFound",
    "The device is not registered, or it is disabled.",
    "Check the device id, whose case counts, and that the device is enabled." },
  { 404002, "JobNotFound", "There is no job of this id.",
    "Check the job id; finished jobs are kept for 30 days." },
  { 404010, "ModuleNotFound", "The device has no module of this id.",
    "Check the module id, whose case counts." },
  { 404103, "DeviceNotOnline",
    "The device is not connected, or it is connected but has not subscribed to "
    .. "methods.",
    "Start the device, or let the hub wait for it with connect_timeout.",
    RETRIABLE },
  { 404104, "DeviceConnectionClosedRemotely",
    "The device closed its connection while the call was under way.",
    "Find out why the device left; the method may or may not have run." },
  { 405000, "GenericMethodNotAllowed",
    "The path does not take this HTTP method.", "Check the request." },
  { 405102, "OperationNotAllowedInCurrentState",
    "The job is in a state in which it cannot be changed.",
    "Only jobs that are not finished can be cancelled." },
  { 408000, "GenericTimeout", "The hub gave up waiting.", ASK_LATER },
  { 409000, "GenericConflict", "The request conflicts with what is there.",
    "Read the message." },
  { 409001, "DeviceAlreadyExists", "A device of this id exists already.",
    "Use another id, or update the device." },
  { 409103, "DeviceJobAlreadyExists",
    "The device has a job of this kind already.",
    "Wait for that job, or cancel it." },
  { 409104, "JobAlreadyExists", "A job of this id exists already.",
    "Use another job id." },
  { 409301, "ModuleAlreadyExistsOnDevice",
    "The device has a module of this id already.",
    "Use another id, or update the module." },
  { 412000, "GenericPreconditionFailed", "A condition of the request failed.",
    "Read the present state, then try again." },
  { 412001, "PreconditionFailed",
    "The ETag is not that of the present version.",
    "Get the resource again and repeat the change with its new ETag." },
  { 412003, "JobRunPreconditionFailed", "The job could not start to run.",
    "Check the job's query and its method." },
  { 413001, "MessageTooLarge", "The body is larger than the hub takes.",
    "Send less; a payload may have 8 KB before api-version 2019-01-01 and 128 KB "
    .. "from then on." },
  { 413002, "TooManyDevices", "A bulk request names more than 100 devices.",
    "Send at most 100 devices at a time." },
  { 415000, "GenericUnsupportedMediaType",
    "The hub does not take this content type or encoding.",
    "Send application/json without Content-Encoding." },
  { 429000, "GenericTooManyRequests", "Too many requests.", ASK_LATER, RETRIABLE },
  { 429001, "ThrottlingException", "The request was throttled.", ASK_LATER,
    RETRIABLE },
  { 429002, "ThrottleBacklogLimitExceeded",
    "Too many throttled requests are waiting.", ASK_LATER, RETRIABLE },
  { 429003, "ThrottlingBacklogTimeout",
    "The request was throttled and waited too long.", ASK_LATER, RETRIABLE },
  { 429004, "ThrottlingMaxActiveJobCountExceeded",
    "The hub runs as many jobs as its tier allows.",
    "Wait until a job has ended, or cancel one.", RETRIABLE },
  { 429005, "DeviceThrottlingLimitExceeded",
    "This device was called too often.", ASK_LATER, RETRIABLE },
  { 500000, "GenericServerError", "The hub failed.", ASK_LATER },
  { 500001, "ServerError", "The hub failed.", ASK_LATER },
  { 502000, "GenericBadGateway", "What the device answered could not be used.",
    "Look at what the device sends." },
  { 502001, "InvalidResponseWhileProxying",
    "The device's answer is not JSON, or it is larger than the contract allows.",
    "Repair the device's method: its payload must be JSON text or empty." },
  { 503000, "GenericServiceUnavailable", "The hub is not available.", ASK_LATER,
    RETRIABLE },
  { 503001, "ServiceUnavailable", "The hub is not available.", ASK_LATER,
    RETRIABLE },
  { 503102, "DeviceUnavailable", "The device is not available.", ASK_LATER },
  { 504000, "GenericGatewayTimeout", "Somebody behind the hub did not answer.",
    ASK_LATER },
  { 504101, "GatewayTimeout",
    "The device did not answer within the response timeout.",
    "Make the method answer sooner or raise response_timeout; the method may "
    .. "have run." },
}

---@type table<integer, directmethods.ErrorCode>
local codes = {}
for _, row in ipairs(LIST) do
  local code, name, cause, remedy, retriable = table.unpack(row)
  codes[code] = {
    code = code,
    name = name,
    http_status = code // 1000,
    cause = cause,
    remedy = remedy,
    retriable = retriable or false,
  }
end

return codes
