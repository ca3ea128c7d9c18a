--- What the admin listener does, path by path (docs/admin.openapi.json). Each function
-- of hub and request is a task of its own, so it may wait. It gives what is answered
-- as JSON with 200, or nil for 204; or raises a refusal.

local core = require "directmethods.core"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local metrics = require "directmethods.hub.metrics"
local readable = require "directmethods.hub.readable"
local registered = require "directmethods.hub.devices"
local time = require "directmethods.time"

local M = {}

local WAIT = 30 -- default seconds of GET /wait
local WAIT_MAX = 3600
local ADVANCE_MAX = 400 * 86400 -- seconds
local TIME_MAX = 1e12 -- unix seconds
local DEVICES_MAX = 1e9

local METRICS_TYPE =
  "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"

--- What a request asked for cannot be: status and why.
M.Refusal = { __name = "directmethods.AdminRefusal" }

--- Raise a refusal.
---@param status integer
---@param why string
function M.refuse(status, why)
  error(setmetatable({ status = status, why = why }, M.Refusal), 0)
end

local refuse = M.refuse

-- Reading --------------------------------------------------------------------

-- The body, an object with no members but these.
local function body_of(request, ...)
  local value, err = json.decode(request.body)
  if value == nil then refuse(400, tostring(err)) end
  if type(value) ~= "table" or value[1] ~= nil then
    refuse(400, "The body must be a JSON object.")
  end
  local known, seen = {}, {}
  for _, name in ipairs { ... } do known[name] = true end
  local _, names = core.json_parts(request.body)
  for _, name in ipairs(names or {}) do
    if next(known) and not known[name] then
      refuse(400, ("unknown member %q"):format(readable.text(name)))
    elseif seen[name] then
      refuse(400, ("member %q stands twice"):format(readable.text(name)))
    end
    seen[name] = true
  end
  return value
end

local function number_of(request, name, default, max)
  local text = request.query[name]
  if not text then return default end
  local value = tonumber(text)
  if not value or value ~= value or value < 0 or value > max then
    refuse(400, ("%s must be a number from 0 to %g."):format(name, max))
  end
  return value
end

local function filter_of(request)
  local filter = {}
  for name, value in pairs(request.query) do filter[name] = value end
  filter.since = number_of(request, "since", nil, TIME_MAX)
  return filter
end

-- Call a function of the public face. Wrong arguments, whose errors begin with the
-- function's name, are the caller's; another error is a defect and raised again.
local function try(fn, ...)
  local results = table.pack(xpcall(fn, function(err)
    local rule = tostring(err):gsub("^[^\n]-:%d+: ", "")
    if rule:find("^%a+[:.][%w_]+: ") then return { rule = rule } end
    return debug.traceback(tostring(err), 2)
  end, ...))
  if not results[1] then
    local raised = results[2]
    if type(raised) ~= "table" then error(raised, 0) end
    refuse(400, raised.rule)
  end
  if results[2] == nil and results[3] then
    local code = results[3].code
    refuse(code and code // 1000 or 409, tostring(results[3]))
  end
  return table.unpack(results, 2, results.n)
end

-- Calls and messages -----------------------------------------------------------

local function calls(hub, request)
  return json.array(readable.copy(hub:calls(filter_of(request))))
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
  local timeout = number_of(request, "timeout", WAIT, WAIT_MAX)
  local filter = {
    method = q.call,
    device = q.device,
    module = q.module,
    since = number_of(request, "since", nil, TIME_MAX),
  }
  local watchers = hub.state.watchers
  if not watchers:has_room() then refuse(503, "Too many wait already.") end
  request.release()
  local found = filter.since and hub:calls(filter)[1]
    or watchers:wait(fits(filter), timeout)
  if found then return readable.copy(found) end
  refuse(408, ("no call of that method ended within %g s"):format(timeout))
end

local function differences(hub, request)
  local text = request.query.in_effect
  if text and text ~= "true" and text ~= "false" then
    refuse(400, "in_effect must be true or false.")
  end
  return json.array(hub:differences { in_effect = text == "true" })
end

-- Devices ----------------------------------------------------------------------

-- A device that has no modules has a list of none.
local function shown(device)
  json.array(device.modules)
  return device
end

local function devices(hub, request)
  local top = number_of(request, "top", nil, DEVICES_MAX)
  local list = try(hub.devices, hub, { top = top, after = request.query.after })
  for _, device in ipairs(list) do shown(device) end
  return json.array(list)
end

local function get_device(hub, request)
  local device = try(registered.find, hub, request.id)
  if not device then refuse(404, "There is no such device.") end
  return shown(device)
end

local function put_device(hub, request)
  local wrong = identity.wrong_id(request.id)
  if wrong then refuse(400, "the device id " .. wrong) end
  local handlers = body_of(request, "methods").methods
  if handlers == nil then
    try(hub.add_device, hub, request.id)
    return get_device(hub, request)
  end
  local client = try(hub.device, hub, request.id, handlers)
  hub.state.admin.clients:put(request.id, client)
  request.release()
  try(client.connect, client)
  return get_device(hub, request)
end

local function delete_device(hub, request)
  get_device(hub, request)
  hub.state.admin.clients:drop(request.id)
  local _, problem = hub.state.registry:remove(request.id)
  if problem then refuse(problem.http_status, problem.text) end
end

-- Faults, clock, reset -----------------------------------------------------------

local function post_fault(hub, request)
  local fault = try(hub.fault, hub, body_of(request))
  local admin = hub.state.admin
  admin.last_fault = admin.last_fault + 1
  admin.faults[admin.last_fault] = fault
  return { id = admin.last_fault, hits = 0 }
end

local function get_faults(hub)
  local list = json.array {}
  for id, fault in pairs(hub.state.admin.faults) do
    -- from Lua all rules may have been ended
    if hub.state.faults[fault] then list[#list + 1] = { id = id, hits = fault.hits } end
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

local function delete_faults(hub)
  hub:clear_faults()
  hub.state.admin.faults = {}
end

local function delete_fault(hub, request)
  local id = math.tointeger(tonumber(request.id))
  local fault = hub.state.admin.faults[id]
  if not fault then refuse(404, "There is no such rule.") end
  fault:remove()
  hub.state.admin.faults[id] = nil
end

local function advance(_, request)
  local seconds = body_of(request, "seconds").seconds
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= ADVANCE_MAX) then
    refuse(400, ("seconds must be a number from 0 to %d."):format(ADVANCE_MAX))
  end
  request.release()
  time.advance(seconds)
  return { time = time.time() }
end

local function reset(hub)
  hub.state.admin.clients:close()
  hub.state.admin.faults = {}
  try(hub.reset, hub)
end

local function healthz()
  return { status = "ok" }
end

local function show_metrics(hub)
  return metrics.text(hub:metrics()), METRICS_TYPE
end

--- A path; what each verb does, and which parameters its query may have: another one
-- is a mistake, which would select too much.
---@class directmethods.AdminRoute
---@field path string
---@field [string] { [1]: function, [string]: true }

---@type directmethods.AdminRoute[]
M.ROUTES = {
  { path = "/healthz", GET = { healthz } },
  { path = "/metrics", GET = { show_metrics } },
  { path = "/calls", GET = { calls,
    device = true, module = true, method = true, outcome = true, since = true } },
  { path = "/messages", GET = { messages,
    device = true, module = true, since = true } },
  { path = "/wait", GET = { wait,
    call = true, device = true, module = true, timeout = true, since = true } },
  { path = "/differences", GET = { differences, in_effect = true } },
  { path = "/devices", GET = { devices, top = true, after = true } },
  {
    path = "/devices/{id}",
    GET = { get_device },
    PUT = { put_device },
    DELETE = { delete_device },
  },
  {
    path = "/faults",
    GET = { get_faults },
    POST = { post_fault },
    DELETE = { delete_faults },
  },
  { path = "/faults/{id}", DELETE = { delete_fault } },
  { path = "/clock/advance", POST = { advance } },
  { path = "/reset", POST = { reset } },
}

return M
