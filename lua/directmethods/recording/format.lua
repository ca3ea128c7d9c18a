--- The format of recordings: lines of JSON (docs/record.md). The first line tells the
-- version; each further line is a call, or tells that calls were lost.

local json = require "directmethods.json"

local M = {}

M.NAME = "directmethods-recording"
M.VERSION = 1

--- Bytes of a line at most. Two payloads of the largest contract have room in it.
M.LINE_MAX = 512 * 1024

local PAYLOADS_MAX = M.LINE_MAX - 16 * 1024 -- of both payloads; names have the rest

--- The first line.
---@param time number unix seconds
---@return string
function M.header(time)
  return ('{"format":"%s","version":%d,"time":%.3f}\n'):format(M.NAME, M.VERSION, time)
end

--- A line in the place of so many calls.
---@param count integer
---@return string
function M.lost(count)
  return ('{"lost":%d}\n'):format(count)
end

-- A line feed in a JSON text is only between its tokens.
local function one_line(text)
  return text:find("[\r\n]") and text:gsub("[\r\n]", " ") or text
end

local quoted = json.encode

local function member(name, text)
  return text and (',"%s":%s'):format(name, text) or ""
end

-- The member of a payload; `size` bytes of it there were.
local function payload_of(text, size, has_room)
  if text and text ~= "" and has_room and utf8.len(text) then
    return member("payload", one_line(text))
  end
  return (size or text and #text or 0) > 0 and ',"payload_missing":true' or ""
end

local function answer_of(call, has_room)
  if call.outcome and call.outcome ~= "Answered" then
    local code = call.code
    return ('{"error":%s%s}'):format(quoted(call.outcome),
      code and code ~= 0 and (',"code":%d'):format(code) or "")
  end
  return ('{"status":%d%s}'):format(call.status,
    payload_of(call.response, call.response_size, has_room))
end

--- The line of a call, a record as of hub:calls, whose names are UTF-8. Only these
-- members of it are read: time, elapsed, device_id, module_id, method, payload,
-- request_size, response_timeout, connect_timeout, api_version, outcome, code, status,
-- response, response_size.
---@param call directmethods.HubCall
---@return string
function M.line(call)
  local has_room = #(call.payload or "") + #(call.response or "") <= PAYLOADS_MAX
  return table.concat {
    ('{"time":%.3f,"elapsed":%.6f,"device":'):format(call.time, call.elapsed),
    quoted(call.device_id),
    member("module", call.module_id and quoted(call.module_id)),
    member("method", quoted(call.method)),
    payload_of(call.payload, call.request_size, has_room),
    member("response_timeout", call.response_timeout),
    member("connect_timeout", call.connect_timeout),
    member("api_version", call.api_version and quoted(call.api_version)),
    member("answer", answer_of(call, has_room)),
    "}\n",
  }
end

return M
