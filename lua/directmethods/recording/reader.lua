--- Reads recordings (docs/record.md). Each line is checked, and a wrong one is named by
-- its number.

local core = require "directmethods.core"
local format = require "directmethods.recording.format"
local json = require "directmethods.json"
local options = require "directmethods.options"

local M = {}

local CALLS_MAX = 1000000
local BYTES_MAX = 1 << 30 -- of a file
local BLOCK = 64 * 1024 -- bytes that are read at a time

--- What was answered, or the error.
---@class directmethods.RecordedAnswer
---@field status integer? the device's; nil: there is an error
---@field payload string? JSON text; nil: none
---@field payload_missing boolean?
---@field error string? the error's name, or "CallerGone"
---@field code integer? the error's

---@class directmethods.RecordedCall
---@field line integer its number in the file
---@field time number
---@field elapsed number
---@field device string
---@field module string?
---@field method string
---@field payload string? JSON text; nil: none
---@field payload_missing boolean?
---@field response_timeout integer?
---@field connect_timeout integer?
---@field api_version string?
---@field answer directmethods.RecordedAnswer

---@class directmethods.Recording
---@field calls directmethods.RecordedCall[] in the order in which they were made
---@field lost integer calls that are not in the file
---@field cut boolean the last line was not complete, and is not in `calls`

-- Checking ---------------------------------------------------------------------

-- Members of a line, and their types; "!" is required.
local CALL = {
  "time number!", "elapsed number!", "device string!", "module string",
  "method string!", "response_timeout integer", "connect_timeout integer",
  "api_version string", "answer table!", "payload_missing boolean",
}
local ANSWER = {
  "status integer", "error string", "code integer", "payload_missing boolean",
}
local KINDS = { table = "an object", integer = "an integer" }

local function kind_of(value)
  return math.type(value) == "integer" and "integer" or type(value)
end

-- What is wrong with the members of an object; nil: nothing.
local function wrong_members(value, spec, place)
  for _, rule in ipairs(spec) do
    local name, kind, required = rule:match("^(%S+) (%a+)(!?)$")
    local found = value[name]
    if found == nil then
      if required ~= "" then return ("%s'%s' is missing"):format(place, name) end
    elseif kind_of(found) ~= kind and type(found) ~= kind then
      return ("%s'%s' must be %s"):format(place, name, KINDS[kind] or "a " .. kind)
    end
  end
end

local function wrong_call(value)
  local wrong = wrong_members(value, CALL, "member ")
    or wrong_members(value.answer, ANSWER, "member 'answer': ")
  if wrong then return wrong end
  local answer, rules = value.answer, options.rules
  if (answer.status == nil) == (answer.error == nil) then
    return "member 'answer' must have either 'status' or 'error'"
  end
  local function check(name, rule)
    local broken = value[name] and rule(value[name])
    return broken and ("member '%s' %s"):format(name, broken)
  end
  return check("device", rules.identity) or check("module", rules.identity)
    or check("method", rules.method_name) or check("api_version", rules.api_version)
end

-- Reading ----------------------------------------------------------------------

-- Keep the payloads as they stand; what is wrong with the line.
local function set_payloads(value, text)
  local ok, payload, answer_text = core.json_members(text, "payload", "answer")
  if not ok then return answer_text end
  local answer_ok, answered, message = core.json_members(answer_text, "payload")
  if not answer_ok then return message end
  value.payload, value.answer.payload = payload, answered
end

local NO_RECORDING = "is no recording (the first line must be "
  .. ('{"format":"%s","version":%d,...})'):format(format.NAME, format.VERSION)

-- What is wrong with a first line; nil: nothing.
local function wrong_header(value)
  if value.format ~= format.NAME or math.type(value.version) ~= "integer" then
    return NO_RECORDING
  elseif value.version > format.VERSION then
    return ("is a recording of version %d; this program knows %d, so a newer one "
      .. "must read it"):format(value.version, format.VERSION)
  end
end

-- Take a line into the recording; what is wrong with it.
local function take(recording, text, number)
  local value, err = json.decode(text)
  if err then return number == 1 and NO_RECORDING or err.message end
  if type(value) ~= "table" then return "must be a JSON object" end
  if number == 1 or value.format ~= nil then return wrong_header(value) end
  if value.lost ~= nil then
    if math.type(value.lost) ~= "integer" then return "'lost' must be an integer" end
    recording.lost = recording.lost + value.lost
    return nil
  end
  local wrong = wrong_call(value) or set_payloads(value, text)
  if wrong then return wrong end
  if #recording.calls >= CALLS_MAX then
    return ("a recording may have %d calls"):format(CALLS_MAX)
  end
  value.line = number
  recording.calls[#recording.calls + 1] = value
end

-- A killed recorder leaves a line without its end.
local function take_rest(recording, text, number)
  if text == "" then return nil end
  if not json.decode(text) and number > 1 then
    recording.cut = true
    return nil
  end
  return take(recording, text, number)
end

-- Take all lines of a file; what is wrong, and the number of the line.
local function take_all(file, recording)
  local rest, number, bytes = "", 0, 0
  for block in file:lines(BLOCK) do
    rest, bytes = rest .. block, bytes + #block
    if bytes > BYTES_MAX then return "the file is too long", number end
    local from, feed = 1, rest:find("\n", 1, true)
    while feed do
      number = number + 1
      local wrong = take(recording, rest:sub(from, feed - 1), number)
      if wrong then return wrong, number end
      from = feed + 1
      feed = rest:find("\n", from, true)
    end
    rest = rest:sub(from)
    if #rest > format.LINE_MAX then return "the line is too long", number + 1 end
  end
  local wrong = take_rest(recording, rest, number + 1)
  if not wrong and number == 0 and rest == "" then wrong = NO_RECORDING end
  return wrong, number + 1
end

-- Lines stand in the order in which calls ended.
local function sort(calls)
  table.sort(calls, function(a, b)
    if a.time ~= b.time then return a.time < b.time end
    return a.line < b.line
  end)
end

--- Read a file.
---@param path string
---@return directmethods.Recording? recording
---@return string? message with the path and the number of the wrong line
function M.read(path)
  local file <close>, why = io.open(path, "rb")
  if not file then return nil, why end
  local recording = { calls = {}, lost = 0, cut = false }
  local ok, wrong, number = pcall(take_all, file, recording)
  if not ok then return nil, ("%s: cannot be read"):format(path) end
  if wrong then return nil, ("%s:%d: %s"):format(path, number, wrong) end
  sort(recording.calls)
  return recording
end

return M
