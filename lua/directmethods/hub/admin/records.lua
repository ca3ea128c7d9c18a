--- Records of the hub as the admin listener shows them.

local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"

local M = {}

-- A payload as the JSON that it is; else, as in an answer that was refused because it
-- is none, as text in another member.
local function show_payload(call, name)
  local text = call[name]
  local is_json, value = pcall(json.raw, text)
  call[name] = is_json and value or nil
  if text and not is_json then call[name .. "_text"] = readable.text(text) end
end

--- A call.
---@param record directmethods.HubCall
---@return table
function M.call(record)
  local call = readable.copy(record)
  call.payload, call.response = record.payload, record.response
  show_payload(call, "payload")
  show_payload(call, "response")
  return call
end

return M
