--- The routes of calls and messages: what the hub remembers.

local core = require "directmethods.core"
local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"
local records = require "directmethods.hub.admin.records"
local requests = require "directmethods.hub.admin.request"

local function filter_of(request)
  local filter = {}
  for name, value in pairs(request.query) do filter[name] = value end
  filter.since = requests.number(request, "since", nil, requests.TIME_MAX)
  return filter
end

local function calls(hub, request)
  local list = hub:calls(filter_of(request))
  for i, record in ipairs(list) do list[i] = records.call(record) end
  return json.array(list)
end

-- A body may be anything: what is no text is told in base64.
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
  { path = "/calls", GET = { calls,
    device = true, module = true, method = true, outcome = true, since = true } },
  { path = "/messages", GET = { messages,
    device = true, module = true, since = true } },
}
