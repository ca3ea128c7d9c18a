--- The error object that functions return behind nil, and how it is made from
-- an answer of the hub.

local codes = require "directmethods.error_codes"

local M = {}

--- What went wrong. `tostring(err)` is one sentence, so `assert(f())` reads well.
---@class directmethods.Error
---@field name string          IoT Hub's ("DeviceNotOnline") or ours ("Timeout")
---@field message string       what was tried and why it failed; never a key or token
---@field code integer?        IoT Hub's numeric code (404103)
---@field http_status integer? status of the HTTP answer
---@field tracking_id string?  to give to the hub's support
---@field info table?          IoT Hub's details, like { timeout = "00:00:30" }; of a
---                           device that was refused, { connack = 5 }
---@field retry_after number?  seconds the hub asks to wait
---@field retriable boolean    true: the call did not run, and may succeed later
local Error = { __name = "directmethods.Error" }
Error.__index = Error

function Error:__tostring()
  local number = self.code or self.http_status and "HTTP " .. self.http_status
  local name = number and ("%s (%s)"):format(self.name, number) or self.name
  return name .. ": " .. self.message
end

--- Each code that the hub may answer, with cause and remedy: `errors.codes[404103]`.
---@type table<integer, directmethods.ErrorCode>
M.codes = codes

--- Our own names, which have no code: `errors.names.Timeout`.
---@type table<string, { cause: string, remedy: string }>
M.names = require "directmethods.error_names"

local by_name = {}
for _, entry in pairs(codes) do by_name[entry.name] = entry end

-- Our names of errors after which nothing was sent.
local OURS_RETRIABLE = { NameNotResolved = true, ConnectFailed = true }

local FIELDS = {
  name = "string",
  message = "string",
  code = "number",
  http_status = "number",
  tracking_id = "string",
  info = "table",
  retry_after = "number",
  retriable = "boolean",
}

local function is_retriable(fields)
  local entry = codes[fields.code] or by_name[fields.name]
  if entry then return entry.retriable end
  return OURS_RETRIABLE[fields.name] or false
end

--- Make an error object; `retriable` follows from code and name when not given.
---@param fields table name, message and the other fields of directmethods.Error
---@return directmethods.Error
function M.new(fields)
  local err = {}
  for key, value in pairs(fields) do
    if type(value) ~= FIELDS[key] then
      error(("errors.new: field '%s' is not known or of the wrong type"):format(
        tostring(key)), 2)
    end
    err[key] = value
  end
  if not err.name or not err.message then
    error("errors.new: name and message are required", 2)
  end
  if err.retriable == nil then err.retriable = is_retriable(err) end
  return setmetatable(err, Error)
end

---@param value any
---@return boolean
function M.is_error(value)
  return getmetatable(value) == Error
end

local MESSAGE_MAX = 1000 -- bytes of a foreign message

-- Text from outside, as one line.
local function one_line(text)
  text = text:gsub("%c+", " "):gsub("^ +", ""):gsub(" +$", "")
  if #text <= MESSAGE_MAX then return text end
  return text:sub(1, utf8.offset(text, 0, MESSAGE_MAX + 1) - 1) .. "..."
end

local function decode_table(text)
  if type(text) ~= "string" or not text:find("^%s*{") then return nil end
  local value = require("directmethods.json").decode(text)
  return type(value) == "table" and value or nil
end

local function string_of(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- Format M: a JSON document about a failed method.
local function read_document(document, found)
  local code = math.tointeger(document.errorCode)
  found.code = found.code or code
  found.tracking_id = string_of(document.trackingId) or found.tracking_id
  found.message = string_of(document.message) or found.message
  if type(document.info) == "table" then found.info = document.info end
end

local NESTING_MAX = 4 -- an error may quote the body of another one

-- The body of an answer: {"Message":..., "ExceptionMessage":...}, where Message
-- is a document as text (Format M), "ErrorCode:<Name>;<text>" (Format E), whose
-- text may quote another such body, or a plain text.
local function read_body(body, found, nesting)
  if body.errorCode ~= nil then return read_document(body, found) end
  local exception = string_of(body.ExceptionMessage)
  found.tracking_id = found.tracking_id
    or exception and exception:match("[Tt]racking ID:%s*(.+)")
  local message = string_of(body.Message) or string_of(body.message)
  if not message then return end
  local document = decode_table(message)
  if document then return read_document(document, found) end
  local name, text = message:match("^ErrorCode:([%w_]+);?(.*)$")
  found.name = found.name or name
  text = text or message
  local inner = nesting < NESTING_MAX and decode_table(text:match("{.*}"))
  if inner then return read_body(inner, found, nesting + 1) end
  found.message = text
end

-- "BadRequest" and "429" say no more than the name does.
local function says_nothing(message)
  return not message or message:find("^[%w_]*$") ~= nil
end

local function field(fields_text, name)
  for line in (fields_text or ""):gmatch("[^\r\n]+") do
    local key, value = line:match("^([^:%s]+):%s*(.-)%s*$")
    if key and key:lower() == name then return value end
  end
  return nil
end

--- The value of a field in a header block; the first, should there be several.
---@param fields_text string? header lines
---@param name string
---@return string?
function M.field(fields_text, name)
  return field(fields_text, name:lower())
end

-- What the body and the header of an answer contain.
local function read_answer(fields_text, body)
  local found = {}
  local document = decode_table(body)
  if document then read_body(document, found, 1) end
  local header = field(fields_text, "iothub-errorcode")
  found.name = found.name or header and header:match("^[%w_]+$")
  found.message = found.message and one_line(found.message)
  found.tracking_id = found.tracking_id and one_line(found.tracking_id)
  return found
end

local function message_of(found, known, status)
  if not says_nothing(found.message) then return found.message end
  return known.cause or ("the hub answered HTTP status %d"):format(status)
end

--- The error that an HTTP answer other than 200 means. Reads Format M and Format
-- E (with what they nest) and falls back to the status.
---@param status integer
---@param fields_text string? header block of the answer
---@param body string?
---@return directmethods.Error
function M.from_http(status, fields_text, body)
  local found = read_answer(fields_text, body)
  local entry = codes[found.code] or by_name[found.name]
  if entry then found.code = found.code or entry.code end
  local known = entry or not found.name and codes[status * 1000] or {}
  found.message = message_of(found, known, status)
  found.name = known.name or found.name or "ProtocolError"
  found.http_status = status
  local seconds = field(fields_text, "retry-after") or ""
  found.retry_after = tonumber(seconds:match("^%d+%.?%d*$"))
  found.retriable = known.retriable or false
  return M.new(found)
end

return M
