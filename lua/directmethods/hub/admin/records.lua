--- Records of the hub as the admin listener shows them.

local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"
local requests = require "directmethods.hub.admin.request"

local M = {}

-- As much of a text as `most` bytes hold, in whole characters.
local function cut(text, most)
  return text:sub(1, utf8.offset(text, 0, most + 1) - 1)
end

-- A payload as JSON; if it is not JSON, as an answer that was refused for that, or is
-- too long, as text in another member.
local function show_payload(call, name, most)
  local text = call[name]
  call[name] = nil
  if not text then return end
  if most and #text > most then
    call[name .. "_text"], call[name .. "_cut"] = cut(readable.text(text), most), true
    return
  end
  local is_json, value = pcall(json.raw, text)
  call[name] = is_json and value or nil
  if not is_json then call[name .. "_text"] = readable.text(text) end
end

--- A recorded call, or a refusal.
---@param hub directmethods.Hub
---@param id string as it stands in the path
---@return directmethods.HubCall
function M.find(hub, id)
  local number = math.tointeger(tonumber(id))
  local call = number and hub:calls({ id = number })[1]
  if call then return call end
  requests.refuse(404,
    "There is no such call: it was deleted, or made room for later ones.")
end

--- A call as JSON can hold it, with its payloads.
---@param record directmethods.HubCall
---@param most integer? bytes of a payload that are shown; default: all
---@return table
function M.call(record, most)
  local call = readable.copy(record)
  call.payload, call.response = record.payload, record.response
  show_payload(call, "payload", most)
  show_payload(call, "response", most)
  return call
end

--- A call without its payloads.
---@param record directmethods.HubCall
---@return table
function M.facts(record)
  local call = readable.copy(record)
  call.payload, call.response = nil, nil
  return call
end

return M
