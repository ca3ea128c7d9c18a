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

-- The calls of all hubs, as text: there may be many.
local function cluster_calls(hub, request, filter)
  request.release()
  filter.payloads = requests.flag(request, "payloads", true)
  local found, texts = try(hub.cluster_calls, hub, filter), {}
  hub.state.background:each(found.calls, function(each, i)
    texts[i] = json.encode(records.call(each))
  end)
  return table.concat { '{"calls":[', table.concat(texts, ","), '],"hubs":',
    json.encode(json.array(found.hubs)), ',"missing":',
    json.encode(json.array(found.missing)), "}" }
end

local function calls(hub, request)
  local filter, hubs = filter_of(request), request.query.hubs
  local last = requests.number(request, "last", nil, LAST_MAX)
  filter.last = last and math.floor(last)
  if hubs == "all" then return cluster_calls(hub, request, filter) end
  if hubs then refuse(400, "hubs must be all.") end
  local full = requests.flag(request, "payloads", true)
  local show, list = full and records.call or records.facts, hub:calls(filter)
  for i, each in ipairs(list) do list[i] = show(each) end
  return json.array(list)
end

-- A call of another hub, which is asked for it.
local function ask_for(hub, request, other)
  request.release()
  local found = try(hub.cluster_calls, hub,
    { hub = other, id = records.id(request.id) })
  if found.missing[1] then refuse(503, "The hub of the call does not reply.") end
  return found.calls[1] or records.refuse()
end

-- The record, and the history of its device.
local function find(hub, request)
  local other, own = request.query.hub, hub.state.cluster
  if other and not (own and other == own.id) then
    return ask_for(hub, request, other), {}
  end
  local record = records.find(hub, request.id)
  local known, history = pcall(hub.device_history, hub, record.device_id)
  return record, known and history or {}
end

local function call(hub, request)
  local record, history = find(hub, request)
  local shown = records.call(record)
  shown.payload_text = shown.payload_text or readable.text(record.payload)
  shown.response_text = shown.response_text or readable.text(record.response)
  shown.reasons = reasons.of(readable.copy(record), history)
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
      since = true, last = true, payloads = true, hubs = true },
    DELETE = { delete_calls, ids = true },
  },
  { path = "/calls/{id}", GET = { call, hub = true }, DELETE = { delete_call } },
  { path = "/messages", GET = { messages,
    device = true, module = true, since = true } },
}
