--- The trace of a hub as a file: a line of JSON for each call, without payloads.

local json = require "directmethods.json"

local M = {}

local PAYLOADS = { payload = true, response = true }

-- What a caller names may be no text: such bytes are escaped.
local function text(value)
  if type(value) ~= "string" or utf8.len(value) then return value end
  return (value:gsub("[\x80-\xFF]", function(c)
    return ("\\x%02x"):format(c:byte())
  end))
end

local function line_of(call)
  local record = {}
  for name, value in pairs(call) do
    if not PAYLOADS[name] then record[name] = text(value) end
  end
  return json.encode(record) .. "\n"
end

---@class directmethods.TraceFile
local Trace = {}
Trace.__index = Trace

--- Open a file to be added to.
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

--- Add a call; a file that cannot be written is told of, and closed.
---@param call directmethods.HubCall
function Trace:add(call)
  if not self.file then return end
  local ok, why = self.file:write(line_of(call))
  if ok then return end
  self.complain("--trace: " .. why)
  self:close()
end

function Trace:close()
  if self.file then self.file:close() end
  self.file = nil
end

return M
