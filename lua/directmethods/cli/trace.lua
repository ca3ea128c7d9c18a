--- `--trace FILE`: appends a line of JSON for each call, without payloads.

local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"

local M = {}

local PAYLOADS = { payload = true, response = true }

--- The record of a call for JSON: without payloads, and with valid UTF-8.
---@param call directmethods.HubCall
---@return table
function M.record(call)
  local record = readable.copy(call)
  for name in pairs(PAYLOADS) do record[name] = nil end
  return record
end

---@class directmethods.TraceFile
local Trace = {}
Trace.__index = Trace

--- Open the file for appending.
---@param path string
---@param complain fun(message: string)
---@return directmethods.TraceFile? trace
---@return string? why
function M.open(path, complain)
  local file, why = io.open(path, "a")
  if not file then return nil, why end
  file:setvbuf("line")
  return setmetatable({ file = file, complain = complain }, Trace)
end

--- Append a call. If that fails, complain once and close the file.
---@param call directmethods.HubCall
function Trace:add(call)
  if not self.file then return end
  local ok, why = self.file:write(json.encode(M.record(call)) .. "\n")
  if ok then return end
  self.complain("--trace: " .. why)
  self:close()
end

function Trace:close()
  if self.file then self.file:close() end
  self.file = nil
end

return M
