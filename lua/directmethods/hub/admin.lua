--- The admin listener: what users in other languages do to a hub, as JSON over HTTP
-- (docs/admin.openapi.json). The data plane has checked Host and token. Each request
-- is a task, so it may wait.

local core = require "directmethods.core"
local json = require "directmethods.json"
local metrics = require "directmethods.hub.metrics"
local routes = require "directmethods.hub.routes"
local task = require "directmethods.task"
local time = require "directmethods.time"

local M = {}

local TOKEN_BYTES = 16 -- random bytes of the bearer token
local WAIT = 30 -- default seconds of GET /wait
local WAIT_MAX = 3600
local ADVANCE_MAX = 400 * 86400 -- seconds

local JSON_TYPE = "Content-Type: application/json; charset=utf-8\r\n"
local METRICS_TYPE =
  "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"

-- What a request asked for cannot be: status and why.
local Refusal = { __name = "directmethods.AdminRefusal" }

local function refuse(status, why)
  error(setmetatable({ status = status, why = why }, Refusal), 0)
end

-- Reading --------------------------------------------------------------------

local function body_of(request)
  local value, err = json.decode(request.body)
  if value == nil then refuse(400, tostring(err)) end
  if type(value) ~= "table" then refuse(400, "The body must be a JSON object.") end
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

-- Only what may be asked for; others are a mistake that would select too much.
local function filter_of(request, names)
  local filter = {}
  for name, value in pairs(request.query) do
    if not names[name] then refuse(400, ("unknown parameter %q"):format(name)) end
    filter[name] = value
  end
  filter.since = number_of(request, "since", nil, 1e12)
  return filter
end

-- A function of the hub that raises on wrong arguments: they are the caller's.
local function try(fn, ...)
  local results = table.pack(pcall(fn, ...))
  if not results[1] then
    refuse(400, (tostring(results[2]):gsub("^[^\n]-:%d+: ", "")))
  end
  if results[2] == nil and results[3] then
    refuse(results[3].http_status or 409, tostring(results[3]))
  end
  return table.unpack(results, 2, results.n)
end

-- Calls and messages -----------------------------------------------------------

local CALL_FILTER = { device = true, module = true, method = true, outcome = true,
  since = true }
local MESSAGE_FILTER = { device = true, module = true, since = true }

local function calls(hub, request)
  return json.array(try(hub.calls, hub, filter_of(request, CALL_FILTER)))
end

local function messages(hub, request)
  return json.array(try(hub.messages, hub, filter_of(request, MESSAGE_FILTER)))
end

-- The first call of a method that ends from now on, or after `since`.
local function wait(hub, request)
  local q = request.query
  if not q.call then refuse(400, "call is required: the name of a method.") end
  local timeout = number_of(request, "timeout", WAIT, WAIT_MAX)
  local filter = {
    method = q.call,
    device = q.device,
    module = q.module,
    since = number_of(request, "since", time.time(), 1e12),
  }
  local found = time.wait_until(function() return hub:calls(filter)[1] end, timeout)
  if not found then
    refuse(408, ("no call of that method ended within %g s"):format(timeout))
  end
  return found
end

-- Devices ----------------------------------------------------------------------

local function device_of(hub, id)
  for _, device in ipairs(hub:devices()) do
    if device.device_id == id and not device.module_id then return device end
  end
  refuse(404, "There is no such device.")
end

local function get_device(hub, request)
  return device_of(hub, request.id)
end

-- Close a device that was made here; it is known until nothing of it is left.
local function drop_client(admin, id)
  local client = admin.clients[id]
  if not client then return end
  admin.clients[id] = nil
  client:close()
  admin.leaving[client] = task.spawn(function()
    client:closed()
    admin.leaving[client] = nil
    return true
  end)
end

-- A device with canned answers is a client in the hub's own process.
local function put_device(hub, request)
  local wanted = body_of(request)
  for name in pairs(wanted) do
    if name ~= "methods" then refuse(400, ("unknown member %q"):format(name)) end
  end
  drop_client(hub.state.admin, request.id)
  if not wanted.methods then
    try(hub.add_device, hub, request.id)
    return device_of(hub, request.id)
  end
  local client = try(hub.device, hub, request.id, wanted.methods)
  hub.state.admin.clients[request.id] = client
  try(client.connect, client)
  return device_of(hub, request.id)
end

local function delete_device(hub, request)
  device_of(hub, request.id)
  drop_client(hub.state.admin, request.id)
  local _, problem = hub.state.registry:remove(request.id)
  if problem then refuse(problem.http_status or 409, problem.text) end
  return nil
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
    table.insert(list, { id = id, hits = fault.hits })
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
  local seconds = body_of(request).seconds
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= ADVANCE_MAX) then
    refuse(400, ("seconds must be a number from 0 to %d."):format(ADVANCE_MAX))
  end
  time.advance(seconds)
  return { time = time.time() }
end

local function reset(hub)
  M.close(hub.state.admin)
  hub.state.admin.faults = {}
  try(hub.reset, hub)
end

local function healthz()
  return { status = "ok" }
end

local function show_metrics(hub)
  return metrics.text(hub:metrics()), METRICS_TYPE
end

local DEVICE = {
  path = "/devices/{id}",
  GET = get_device,
  PUT = put_device,
  DELETE = delete_device,
}

--- The routes, for whoever holds the description against them.
M.ROUTES = {
  { path = "/healthz", GET = healthz },
  { path = "/metrics", GET = show_metrics },
  { path = "/calls", GET = calls },
  { path = "/messages", GET = messages },
  { path = "/wait", GET = wait },
  { path = "/devices", GET = function(hub) return json.array(hub:devices()) end },
  DEVICE,
  { path = "/faults", GET = get_faults, POST = post_fault, DELETE = delete_faults },
  { path = "/faults/{id}", DELETE = delete_fault },
  { path = "/clock/advance", POST = advance },
  { path = "/reset", POST = reset },
}

local ROUTES = routes.compile(M.ROUTES)

-- Answering ----------------------------------------------------------------------

local function answer(state, id, status, value, fields)
  if not state.open then return end
  local body = type(value) == "string" and value or value and json.encode(value) or ""
  state.plane:answer(id, value and status or 204, fields or JSON_TYPE, body)
end

local function answer_wrong(state, id, status, why)
  answer(state, id, status, { Message = why })
end

local function run(hub, ask, handler, request)
  request.body, request.query = ask.body, routes.read_query(ask.query)
  local ok, value, fields = xpcall(handler, function(err)
    if getmetatable(err) == Refusal then return err end
    task.report("error", debug.traceback("admin: " .. tostring(err), 2))
    return setmetatable({ status = 500, why = "The request failed." }, Refusal)
  end, hub, request)
  if ok then return answer(hub.state, ask.id, 200, value, fields) end
  answer_wrong(hub.state, ask.id, value.status, value.why)
end

--- Answer a request of the admin listener.
---@param state directmethods.HubState
---@param ask directmethods.HubAsk
function M.handle(state, ask)
  local hub = state.hub[1]
  if not hub then return answer_wrong(state, ask.id, 503, "The hub is closing.") end
  local verbs, request = routes.find(ROUTES, ask.path)
  if not verbs then
    return answer_wrong(hub.state, ask.id, 404, "No route has the path.")
  end
  local handler = ask.method:find("^%u+$") and verbs[ask.method]
  if not handler then
    return answer_wrong(hub.state, ask.id, 405,
      ("The path does not support http method '%s'."):format(ask.method))
  end
  task.spawn(run, hub, ask, handler, request)
end

---@class directmethods.HubAdmin
---@field token string  what callers must show
---@field clients table<string, directmethods.Device> devices with canned answers
---@field leaving table<directmethods.Device, directmethods.Task> those on their way out
---@field faults table<integer, directmethods.Fault> rules made here
---@field last_fault integer

--- What a hub keeps for its admin listener.
---@return directmethods.HubAdmin
function M.new()
  local token = core.random(TOKEN_BYTES):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  return { token = token, clients = {}, leaving = {}, faults = {}, last_fault = 0 }
end

--- End the devices that were made here.
function M.close(admin)
  for id in pairs(admin.clients) do
    drop_client(admin, id)
  end
end

--- Wait until nothing is left of them.
---@param timeout number? seconds
function M.wait_closed(admin, timeout)
  local _, ending = next(admin.leaving)
  while ending do
    local closed, err = ending:await(timeout)
    if not closed then return nil, err end
    _, ending = next(admin.leaving)
  end
  return true
end

return M
