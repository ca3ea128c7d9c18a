--- The routes of calls and messages: what the hub remembers, and waiting for a call.

local core = require "directmethods.core"
local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"
local requests = require "directmethods.hub.admin.request"

local refuse = requests.refuse

local WAIT = 30 -- default seconds of GET /wait
local WAIT_MAX = 3600
local TIME_MAX = 1e12 -- unix seconds

local function filter_of(request)
  local filter = {}
  for name, value in pairs(request.query) do filter[name] = value end
  filter.since = requests.number(request, "since", nil, TIME_MAX)
  return filter
end

-- A payload as the JSON that it is; else, as in an answer that was refused because it
-- is none, as text in another member.
local function show_payload(call, name)
  local text = call[name]
  local is_json, value = pcall(json.raw, text)
  call[name] = is_json and value or nil
  if text and not is_json then call[name .. "_text"] = readable.text(text) end
end

local function call_of(record)
  local call = readable.copy(record)
  call.payload, call.response = record.payload, record.response
  show_payload(call, "payload")
  show_payload(call, "response")
  return call
end

local function calls(hub, request)
  local list = hub:calls(filter_of(request))
  for i, record in ipairs(list) do list[i] = call_of(record) end
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

-- What the filter of GET /wait says, as a function of a call.
local function fits(filter)
  return function(call)
    return call.method == filter.method
      and (not filter.device or call.device_id == filter.device)
      and (not filter.module or call.module_id == filter.module)
      and (not filter.since or call.time >= filter.since)
  end
end

local function wait(hub, request)
  local q = request.query
  if not q.call then refuse(400, "call is required: the name of a method.") end
  local timeout = requests.number(request, "timeout", WAIT, WAIT_MAX)
  local filter = {
    method = q.call,
    device = q.device,
    module = q.module,
    since = requests.number(request, "since", nil, TIME_MAX),
  }
  local watchers = hub.state.watchers
  if not watchers:has_room() then refuse(503, "Too many wait already.") end
  request.release()
  local found = filter.since and hub:calls(filter)[1]
    or watchers:wait(fits(filter), timeout)
  if found then return call_of(found) end
  if not hub.state.open then refuse(503, "The hub is closing.") end
  refuse(408, ("no call of that method ended within %g s"):format(timeout))
end

---@type directmethods.AdminRoute[]
return {
  { path = "/calls", GET = { calls,
    device = true, module = true, method = true, outcome = true, since = true } },
  { path = "/messages", GET = { messages,
    device = true, module = true, since = true } },
  { path = "/wait", GET = { wait,
    call = true, device = true, module = true, timeout = true, since = true } },
}
