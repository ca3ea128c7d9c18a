--- Requests of registry, twins, jobs and queries: a JSON document is sent, and a JSON
-- document is returned.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local json = require "directmethods.json"
local options = require "directmethods.options"
local retry = require "directmethods.service.retry"
local task = require "directmethods.task"

local M = {}

local TIMEOUT_S = 60 -- of real time, unless the clock is moved
local ANSWER_MAX = 64 * 1024 * 1024 -- bytes of an answer: 1,000 twins

--- Raises at the caller of the method that calls this.
function M.check(object, class, what)
  options.check_self(object, class, what, 1)
  if not object._service._connection.client then
    error(what .. ": attempt to use a closed service", 3)
  end
  task.current(what, 1)
end

--- An etag in the form of If-Match; nil without one.
---@param etag string? with or without quotes
---@return string?
function M.quoted(etag)
  return etag and (etag:find('"', 1, true) and etag or ('"%s"'):format(etag))
end

--- A document's JSON text. Raises at the caller of the method that calls this.
---@param what string the method
---@param name string of the value
---@param value any
---@return string
function M.encode(what, name, value)
  local text, wrong = json.try_encode(value, name)
  if not text then error(("%s: %s"):format(what, wrong), 3) end
  return text
end

local function target_of(service, request)
  local query = request.query and "&" .. request.query or ""
  return ("%s?api-version=%s%s"):format(request.path, service._rest_version, query)
end

-- The document and the header block of an answer.
local function read(answer)
  if answer.status == 204 then return { document = true, fields = answer.fields } end
  local document, err = json.decode(answer.body)
  if type(document) == "table" then
    return { document = document, fields = answer.fields }
  end
  return nil, errors.new {
    name = "ProtocolError",
    http_status = answer.status,
    message = "the hub's answer is not a JSON document: "
      .. (err and err.message or "it is a single value"),
  }
end

---@class directmethods.RestRequest
---@field method string
---@field path string
---@field query string?
---@field body string?     JSON text
---@field if_match string?
---@field fields string[]? more header lines
---@field timeout number?   seconds; default 60
---@field takes fun(answer: table): boolean? true: this answer is a document although
---  its status is an error

local function is_taken(request, answer)
  return answer.status >= 200 and answer.status < 300
    or request.takes and request.takes(answer)
end

local function exchange(service, request)
  local fields = request.fields or {}
  if request.if_match then fields[#fields + 1] = "If-Match: " .. request.if_match end
  return retry.run(service._retry, function(stop)
    local timeout = request.timeout or TIMEOUT_S * core.speed()
    local status, head, body = service._connection:send(request.method,
      target_of(service, request), fields, request.body, timeout, ANSWER_MAX, stop)
    if not status then return nil, head end
    local answer = { status = status, fields = head, body = body }
    if is_taken(request, answer) then return read(answer) end
    return nil, errors.from_http(answer.status, answer.fields, answer.body)
  end)
end

--- Send a request to the hub.
---@param service directmethods.Service
---@param request directmethods.RestRequest
---@return any document true: the answer has none
---@return directmethods.Error? err
function M.ask(service, request)
  local found, err = exchange(service, request)
  if not found then return nil, err end
  return found.document
end

--- Request a page from the hub.
---@param service directmethods.Service
---@param request directmethods.RestRequest
---@return table? page
---@return string|directmethods.Error|nil continuation nil: it is the last page
function M.page(service, request)
  local found, err = exchange(service, request)
  if not found then return nil, err end
  return found.document, errors.field(found.fields, "x-ms-continuation")
end

return M
