--- The request that a handler gets: one call of a method.

local errors = require "directmethods.errors"
local json = require "directmethods.json"
local options = require "directmethods.options"

local M = {}

local STATUS_MIN, STATUS_MAX = -2147483648, 2147483647 -- int32 on the wire

--- The argument of a handler. The handler returns the answer (status, payload), or
-- calls `request:defer()` and later `request:reply`.
---@class directmethods.Request
---@field method string      name of the method
---@field payload any        decoded when first read; nil: the call had none. Raises
---                          when the text cannot be decoded (the caller gets 500)
---@field body string        the payload's raw JSON text; "": the call had none
---@field rid string         the hub's name for the call on this connection
---@field device_id string
---@field module_id string?
---@field received number    when it arrived, in seconds of dm.now()
---@field deadline number?   when `handler_timeout` ends it, in seconds of dm.now()
---@field cancelled boolean  the connection ended before the call was answered
---@field deferred boolean   `request:defer()` was called
---@field answered boolean   an answer was sent
local Request = { __name = "directmethods.Request" }
local METHODS = { deferred = false }

local function decode(request)
  if request.body == "" then return nil end
  local value, err = json.decode(request.body)
  if value == nil then
    error("request.payload cannot be decoded: " .. tostring(err), 3)
  end
  rawset(request, "payload", value)
  return value
end

-- Fields that few handlers read are computed when they are read.
local FIELDS = {
  payload = decode,
  device_id = function(request) return request._link.device.device_id end,
  module_id = function(request) return request._link.device.module_id end,
  answered = function(request)
    local deferred = request._link.deferred
    return not (request._open or deferred and deferred[request])
  end,
  cancelled = function(request)
    return not request._link.live and not request.answered
  end,
}

function Request.__index(request, key)
  local field = FIELDS[key]
  if field then return field(request) end
  return METHODS[key]
end

function Request:__tostring()
  return ("request '%s' (%s)"):format(self.method, self.rid)
end

--- `value` as the status of an answer, an integer of 32 bits, or nil.
---@return integer?
function M.status_of(value)
  local status = type(value) == "number" and math.tointeger(value)
  if status and status >= STATUS_MIN and status <= STATUS_MAX then return status end
end

--- Is it what a handler gets?
---@param value any
---@return boolean
function M.is_request(value)
  return getmetatable(value) == Request
end

local function check_self(request, what)
  options.check_self(request, Request, what, 1)
end

local function too_large(config, size)
  local newer = config.contract.newer
  return errors.new {
    name = "LimitExceeded",
    message = ("the answer's payload has %d bytes; api_version %s allows %d%s"):format(
      size, config.api_version, config.contract.payload,
      newer and (", %s and later %d"):format(newer.since, newer.payload) or ""),
  }
end

--- The bytes of an answer's payload. nil, err: JSON cannot represent it
-- ("InvalidJson"), or it is too large for the api-version ("LimitExceeded").
---@return string? body
---@return directmethods.Error? err
function M.encode(config, payload)
  if payload == nil then return "" end
  local body, wrong = json.try_encode(payload, "payload")
  if not body then
    return nil, errors.new { name = "InvalidJson", message = wrong }
  end
  if #body > config.contract.payload then return nil, too_large(config, #body) end
  return body
end

local function late(request)
  local counts = request._link.device.counts
  if not request._late then counts.late = counts.late + 1 end
  request._late = true
  return nil, errors.new {
    name = "Closed",
    message = ("method '%s': the answer is too late: the connection of the call"
      .. " has ended"):format(request.method),
  }
end

--- Send an answer that was checked and encoded before.
---@return boolean? sent
---@return directmethods.Error? err
function M.send(request, status, body)
  local link = request._link
  if not link.live then return late(request) end
  local sent, err = link:reply(request.rid, status, body)
  if not sent then return nil, err end
  link:close_request(request)
  return true
end

--- Answer later: the results of the handler are ignored, and `request:reply` may be
-- called from anywhere. A deferred call does not count for `max_concurrent`.
--- ```lua
--- device:method("measure", function(request)
---   request:defer()
---   table.insert(pending, request)   -- later: pending[1]:reply(200, result)
--- end)
--- ```
---@return directmethods.Request self
function METHODS:defer()
  check_self(self, "request:defer")
  if self._open then self._link:defer_request(self) end
  self.deferred = true
  return self
end

--- Answer the call; only the first answer is sent. Raises when `status` is not an
-- integer of 32 bits or JSON cannot represent `payload`. nil, err: answered before or
-- the connection of the call has ended ("Closed"); the payload is too large, or too
-- many answers wait to be sent ("LimitExceeded"; try again).
---@param status integer
---@param payload any  nil: an empty body; dm.null: JSON null
---@return boolean? sent
---@return directmethods.Error? err
function METHODS:reply(status, payload)
  check_self(self, "request:reply")
  local code = M.status_of(status)
  if not code then
    error(("request:reply: status must be an integer of 32 bits, not a %s"):format(
      type(status)), 2)
  end
  if self.answered then
    return nil, errors.new {
      name = "Closed",
      message = ("method '%s': this call was answered before"):format(self.method),
    }
  end
  local body, err = M.encode(self._link.device.config, payload)
  if not body then
    if err.name == "InvalidJson" then error("request:reply: " .. err.message, 2) end
    return nil, err
  end
  return M.send(self, code, body)
end

--- A request that has just arrived. Its table has room for these fields and the
-- payload, which is enough for nearly every call.
---@return directmethods.Request
function M.new(link, handler, method, rid, body, now)
  link.open = link.open + 1
  return setmetatable({
    method = method,
    rid = rid,
    body = body,
    received = now,
    _handler = handler,
    _link = link,
    _open = true, -- not answered and not deferred
  }, Request)
end

return M
