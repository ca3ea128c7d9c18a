--- The routes of calls and messages: what the hub remembers.

local core = require "directmethods.core"
local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"
local reasons = require "directmethods.hub.call_reasons"
local records = require "directmethods.hub.admin.records"
local requests = require "directmethods.hub.admin.request"

local refuse, try = requests.refuse, requests.try

local FILTER = { "device", "module", "method", "outcome" }
local LAST_MAX = 1e9

local function filter_of(request)
  local filter = { since = requests.number(request, "since", nil, requests.TIME_MAX) }
  for _, name in ipairs(FILTER) do filter[name] = request.query[name] end
  return filter
end

local function calls(hub, request)
  local full = requests.flag(request, "payloads", true)
  local show = full and records.call or records.facts
  local last = requests.number(request, "last", LAST_MAX, LAST_MAX)
  local found, list = hub:calls(filter_of(request)), json.array {}
  for i = math.max(1, #found - math.floor(last) + 1), #found do
    list[#list + 1] = show(found[i])
  end
  return list
end

local function call(hub, request)
  local record = records.find(hub, request.id)
  local shown = records.call(record)
  shown.payload_text = shown.payload_text or readable.text(record.payload)
  shown.response_text = shown.response_text or readable.text(record.response)
  local known, history = pcall(hub.device_history, hub, record.device_id)
  shown.reasons = reasons.of(readable.copy(record), known and history or {})
  return shown
end

-- "3,4" as { 3, 4 }
local function ids_of(text)
  local ids = {}
  for word in ((text or "") .. ","):gmatch "([^,]*)," do
    ids[#ids + 1] = word:find "^%d+$" and math.tointeger(tonumber(word))
      or refuse(400, "ids must be ids of calls, separated by commas.")
  end
  return ids
end

local function delete_calls(hub, request)
  return { deleted = try(hub.delete_calls, hub, ids_of(request.query.ids)) }
end

local function delete_call(hub, request)
  local deleted = try(hub.delete_calls, hub, ids_of(request.id))
  if deleted == 0 then records.find(hub, request.id) end
end

-- A body may have any bytes: one that is not UTF-8 is shown in base64.
local function message_of(message)
  local binary = not utf8.len(message.body) and message.body or nil
  if binary then message.body = nil end
  message = readable.copy(message)
  message.body_base64 = binary and core.base64_encode(binary)
  return message
end

local function messages(hub, request)
  local list = hub:messages(filter_of(request))
  for i, message in ipairs(list) do list[i] = message_of(message) end
  return json.array(list)
end

---@type directmethods.AdminRoute[]
return {
  {
    path = "/calls",
    GET = { calls, device = true, module = true, method = true, outcome = true,
      since = true, last = true, payloads = true },
    DELETE = { delete_calls, ids = true },
  },
  { path = "/calls/{id}", GET = { call }, DELETE = { delete_call } },
  { path = "/messages", GET = { messages,
    device = true, module = true, since = true } },
}
