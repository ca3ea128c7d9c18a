--- The calls of a hub as text, for messages of tests.

local identity_name = require "directmethods.identity_name"
local json = require "directmethods.json"

local M = {}

local LINES_MAX = 20 -- calls that are shown, the latest
local PAYLOAD_MAX = 200 -- bytes

-- JSON text, cut between characters.
local function shorten(text)
  if #text <= PAYLOAD_MAX then return text end
  return text:sub(1, utf8.offset(text, 0, PAYLOAD_MAX + 1) - 1) .. "..."
end

--- A payload as JSON text.
---@param value any
---@return string
function M.show(value)
  local ok, text = pcall(json.encode, value)
  return ok and shorten(text) or tostring(value)
end

--- "fan.set_speed", "fan/motor.set_speed"
---@param device_id string
---@param module_id string?
---@param method string
---@return string
function M.name(device_id, module_id, method)
  return ("%s.%s"):format(identity_name(device_id, module_id), method)
end

-- JSON text behind something else; nothing without it.
local function behind(text)
  return text and text ~= "" and " " .. shorten(text) or ""
end

local function outcome_of(call)
  if call.outcome == "Answered" then return call.status .. behind(call.response) end
  local code = call.code ~= 0 and (" (%d)"):format(call.code) or ""
  return call.outcome .. code .. (call.reason and ", " .. call.reason or "")
end

-- "+60.002 s  fan.set_speed {"speed":40} -> 200 {}  [response:delay]"
local function line_of(call, began)
  local faults = call.faults and ("  [%s]"):format(table.concat(call.faults, ", "))
  return ("  +%.3f s  %s%s -> %s%s"):format(call.time - began,
    M.name(call.device_id, call.module_id, call.method), behind(call.payload),
    outcome_of(call), faults or "")
end

--- Calls as lines of text, after a first line.
---@param calls directmethods.HubCall[] those that have ended
---@param under_way integer how many have not
---@param began number as dm.time(): times are shown from here on
---@return string
function M.text(calls, under_way, began)
  local lines = { ("calls that the hub has seen: %d, and %d in progress"):format(
    #calls, under_way) }
  for i = math.max(1, #calls - LINES_MAX + 1), #calls do
    lines[#lines + 1] = line_of(calls[i], began)
  end
  return table.concat(lines, "\n")
end

return M
