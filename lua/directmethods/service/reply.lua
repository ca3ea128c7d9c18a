--- The answer of a device to a call.

local errors = require "directmethods.errors"
local http = require "directmethods.http_core"
local json = require "directmethods.json"

local M = {}

--- The answer of a device.
---@class directmethods.Reply
---@field status integer      the status that the method returned
---@field ok boolean          status < 400
---@field payload any         decoded when it is first read; dm.null for JSON null
---@field decode_error directmethods.Error? why payload is nil although there is a body
---@field body string         the payload as JSON text, as the device sent it
---@field request_id string?  the hub's x-ms-request-id
---@field elapsed number      seconds from the call to the answer
local Reply = { __name = "directmethods.Reply" }

local function reply_text(reply)
  return ("directmethods.Reply (status %d, %d bytes)"):format(reply.status, #reply.body)
end

local Decoded = { __name = Reply.__name, __tostring = reply_text }
Reply.__tostring = reply_text

function Reply.__index(reply, key)
  if key ~= "payload" and key ~= "decode_error" then return nil end
  setmetatable(reply, Decoded)
  reply.payload, reply.decode_error = json.decode(reply.body)
  return reply[key]
end

-- A hub may pass on a payload that is not JSON (docs/protocol.md 3.8).
local function split(body)
  local status, payload = body:match('^%s*{%s*"status"%s*:%s*(%-?%d+)%s*,'
    .. '%s*"payload"%s*:%s*(.-)%s*}%s*$')
  return math.tointeger(tonumber(status)), payload
end

local function make(status, body, request_id, elapsed)
  return setmetatable({
    status = status,
    ok = status < 400,
    body = body,
    request_id = request_id,
    elapsed = elapsed,
  }, Reply)
end

local function not_of_form(form)
  return errors.new {
    name = "ProtocolError",
    http_status = 200,
    message = "the hub's answer " .. form,
  }
end

--- The reply to a command: the status is in a header line, the body is the payload.
---@param fields string header block
---@param body string
---@param elapsed number seconds
---@return directmethods.Reply? reply
---@return directmethods.Error? err
function M.of_command(fields, body, elapsed)
  local text = http.field(fields, "x-ms-command-statuscode")
  local status = text and math.tointeger(tonumber(text))
  if not status then return nil, not_of_form "has no x-ms-command-statuscode" end
  return make(status, body ~= "" and body or "null",
    http.field(fields, "x-ms-request-id"), elapsed)
end

--- The reply in an HTTP answer with status 200.
---@param fields string header block
---@param body string
---@param elapsed number seconds
---@return directmethods.Reply? reply
---@return directmethods.Error? err
function M.new(fields, body, elapsed)
  local status, payload, request_id = http.reply(fields, body)
  if not status then
    status, payload = split(body)
    request_id = http.field(fields, "x-ms-request-id")
  end
  if not status then
    return nil, not_of_form "is not of the form {\"status\":...,\"payload\":...}"
  end
  return make(status, payload or "null", request_id, elapsed)
end

return M
