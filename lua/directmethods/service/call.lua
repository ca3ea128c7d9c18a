--- A method call, or a command, as an HTTP request: its arguments checked, its body,
-- its answer.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local json = require "directmethods.json"
local options = require "directmethods.options"
local reply = require "directmethods.service.reply"
local retry = require "directmethods.service.retry"

local M = {}

local MARGIN_S = 10 -- of real time: how much later than the hub this client gives up
local ENVELOPE_MAX = 8 * 1024 -- bytes of an answer around its payload

local NEWEST = core.contract()
while NEWEST.newer do NEWEST = NEWEST.newer end
-- bytes of an answer: the device's api-version decides, which is not known here
local ANSWER_MAX = NEWEST.payload + ENVELOPE_MAX

--- The options that every call has.
---@type table<string, directmethods.OptionSpec>
M.OPTIONS = {
  response_timeout = { "integer" },
  connect_timeout = { "integer" },
  retry = retry.OPTION,
}

-- Checking: `level` is as for options.check, from the function that calls this. ---

--- Check that an argument is a string.
function M.check_text(what, name, value, rule, level)
  if type(value) ~= "string" then
    options.fail(what, name, options.no_text(value), level + 1)
  end
  local wrong = rule(value)
  if wrong then options.fail(what, name, wrong, level + 1) end
end

local function check_seconds(service, what, opts, name, min, max, level)
  local value = opts[name]
  if not value or value >= min and value <= max then return end
  options.fail(what, ("option '%s'"):format(name),
    ("must be from %d to %d s with api-version %s, not %d"):format(
      min, max, service.api_version, value), level + 1)
end

--- Check the times of a call against the service's contract.
function M.check_times(service, what, opts, level)
  local c = service._contract
  check_seconds(service, what, opts, "response_timeout", c.response_min, c.response_max,
    level + 1)
  check_seconds(service, what, opts, "connect_timeout", 0, c.connect_max, level + 1)
end

local function too_large(service, what, size)
  local contract = service._contract
  local newer = contract.newer
  local advice = newer and size <= newer.payload
    and ("; from api-version %s on %d are allowed"):format(newer.since, newer.payload)
    or ""
  return errors.new {
    name = "LimitExceeded",
    message = ("%s: the payload has %d bytes, api-version %s allows %d%s"):format(
      what, size, service.api_version, contract.payload, advice),
  }
end

local function member(name, text)
  return text and (',"' .. name .. '":' .. text) or ""
end

--- The body of a call; nil, err: the payload is too large. Raises if JSON cannot
-- represent it.
---@return string? body
---@return directmethods.Error? err
function M.body(service, what, method, payload, opts, level)
  local head = '{"methodName":"' .. method .. '"'
    .. member("responseTimeoutInSeconds", opts.response_timeout)
    .. member("connectTimeoutInSeconds", opts.connect_timeout)
    .. (payload == nil and "}" or ',"payload":')
  if payload == nil then return head end
  local body, wrong = json.try_encode(payload, "payload", head, "}")
  if not body then error(("%s: %s"):format(what, wrong), level + 3) end
  local size = #body - #head - 1
  if size > service._contract.payload then
    return nil, too_large(service, what, size)
  end
  return body
end

--- The body of a command; nil without err: there is none. Raises as M.body does.
---@return string? body
---@return directmethods.Error? err
function M.command_body(service, what, payload, level)
  if payload == nil then return nil end
  local body, wrong = json.try_encode(payload, "payload")
  if not body then error(("%s: %s"):format(what, wrong), level + 3) end
  if #body > service._commands._contract.payload then
    return nil, too_large(service._commands, what, #body)
  end
  return body
end

-- Sending ------------------------------------------------------------------

--- An id as a segment of a path.
---@param text string
---@return string
function M.escape(text)
  if text:find("^[%w_-]+$") then return text end
  local escaped = text:gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end)
  -- "." and ".." would be resolved as folders
  return escaped:find("^%.+$") and escaped:gsub("%.", "%%2E") or escaped
end

--- The path of an identity below `folder` ("/twins/", "/devices/").
---@param folder string
---@param device_id string
---@param module_id string?
---@param rest string? what follows
---@return string
function M.path(folder, device_id, module_id, rest)
  local module = module_id and "/modules/" .. M.escape(module_id) or ""
  return folder .. M.escape(device_id) .. module .. (rest or "")
end

-- `request`: path, fields, body, read (makes the reply), timeout.
local function attempt(stop, connection, request, started)
  local status, head, answer = connection:send("POST", request.path, request.fields,
    request.body, request.timeout, ANSWER_MAX, stop)
  if not status then return nil, head end
  if status ~= 200 then return nil, errors.from_http(status, head, answer) end
  return request.read(head, answer, core.now() - started)
end

-- Call, repeat if the options say so, and wait for the answer.
local function run(service, contract, request, opts)
  local id = opts.request_id
  request.fields = id and { "x-ms-client-request-id: " .. id }
  request.timeout = (opts.response_timeout or contract.response_default)
    + (opts.connect_timeout or 0) + MARGIN_S * core.speed()
  -- No tail call: this frame holds the service, which its collection would close.
  local answer, err = retry.run(retry.policy(opts.retry, service._retry), attempt,
    service._connection, request, core.now())
  return answer, err
end

--- Call a method, repeat if the options say so, and wait for the answer.
---@param service directmethods.Service
---@param device_id string
---@param module_id string?
---@param body string
---@param opts table checked options
---@return directmethods.Reply? reply
---@return directmethods.Error? err
function M.run(service, device_id, module_id, body, opts)
  return run(service, service._contract, {
    path = M.path("/twins/", device_id, module_id, service._methods),
    body = body,
    read = reply.new,
  }, opts)
end

local function parameter(name, value)
  return value and ("&%s=%d"):format(name, value) or ""
end

--- The same for a command of a digital twin.
---@param service directmethods.Service
---@param device_id string
---@param command string
---@param body string? JSON text
---@param opts table checked options
---@return directmethods.Reply? reply
---@return directmethods.Error? err
function M.run_command(service, device_id, command, body, opts)
  local component = opts.component
    and "/components/" .. M.escape(opts.component) or ""
  return run(service, service._commands._contract, {
    path = ("/digitaltwins/%s%s/commands/%s?api-version=%s%s%s"):format(
      M.escape(device_id), component, M.escape(command), service._commands.api_version,
      parameter("connectTimeoutInSeconds", opts.connect_timeout),
      parameter("responseTimeoutInSeconds", opts.response_timeout)),
    body = body,
    read = reply.of_command,
  }, opts)
end

return M
