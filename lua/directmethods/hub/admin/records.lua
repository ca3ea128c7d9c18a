--- Records of the hub as the admin listener shows them.

local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"
local requests = require "directmethods.hub.admin.request"

local M = {}

-- A payload as JSON; if it is not JSON, as an answer that was refused for that, or is
-- too long, as text in another member.
local function show_payload(call, name, most)
  local text = call[name]
  call[name] = nil
  if not text then return end
  if call[name .. "_cut"] then
    call[name .. "_text"] = text
    return
  elseif most and #text > most then
    call[name .. "_text"] = readable.cut(readable.text(text), most)
    call[name .. "_cut"] = true
    return
  end
  local is_json, value = pcall(json.raw, text)
  call[name] = is_json and value or nil
  if not is_json then call[name .. "_text"] = readable.text(text) end
end

--- Refuse a request for a call that is not there.
function M.refuse()
  requests.refuse(404,
    "There is no such call: it was deleted, or made room for later ones.")
end

--- The id of a call as it stands in the path, or a refusal.
---@param text string
---@return integer
function M.id(text)
  return math.tointeger(tonumber(text)) or M.refuse()
end

--- A recorded call, or a refusal.
---@param hub directmethods.Hub
---@param id string as it stands in the path
---@return directmethods.HubCall
function M.find(hub, id)
  return hub:calls({ id = M.id(id) })[1] or M.refuse()
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
