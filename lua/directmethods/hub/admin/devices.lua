--- The routes of devices and modules.

local device_list = require "directmethods.hub.device_list"
local identity_name = require "directmethods.identity_name"
local json = require "directmethods.json"
local put_device = require "directmethods.hub.admin.put_device"
local requests = require "directmethods.hub.admin.request"

local refuse, try = requests.refuse, requests.try

local DEVICES_MAX = 1e9

local function devices(hub, request)
  local top = requests.number(request, "top", nil, DEVICES_MAX)
  local list = try(hub.devices, hub, { top = top, after = request.query.after,
    contains = request.query.contains })
  for _, device in ipairs(list) do json.array(device.modules) end
  return json.array(list)
end

local function name_of(request)
  return identity_name(request.id, request.module)
end

-- What devices and modules have in common.
local function shown(hub, request)
  local record, twin = put_device.find(hub, request)
  local name = name_of(request)
  local connected, subscribed = hub.state.plane:connected(request.id, request.module)
  return {
    device_id = record.device_id,
    module_id = record.module_id,
    authentication = record.auth,
    connected = connected,
    subscribed = subscribed,
    connection_string = try(hub.connection_string, hub, name),
    tags = json.raw(twin.tags),
    desired = json.raw(twin.desired),
    reported = json.raw(twin.reported),
    desired_version = twin.desired_version,
    reported_version = twin.reported_version,
    methods = hub.state.admin.clients.answers[name],
  }
end

local function get_device(hub, request)
  local document = shown(hub, request)
  local device = try(device_list.find, hub, request.id)
  if not device then refuse(404, "There is no such device.") end
  document.status = device.status
  document.modules = json.array(device.modules)
  return document
end

local function put(show)
  return function(hub, request)
    put_device.put(hub, request, name_of(request))
    return show(hub, request)
  end
end

local function delete(hub, request)
  put_device.find(hub, request)
  hub.state.admin.clients:drop(name_of(request))
  local _, problem = hub.state.registry:remove(request.id, request.module)
  if problem then refuse(problem.http_status, problem.text) end
end

local function disconnect(hub, request)
  put_device.find(hub, request)
  return { was_connected = hub:disconnect(name_of(request)) }
end

---@type directmethods.AdminRoute[]
return {
  { path = "/devices", GET = { devices, top = true, after = true,
    contains = true } },
  {
    path = "/devices/{id}",
    GET = { get_device },
    PUT = { put(get_device) },
    DELETE = { delete },
  },
  {
    path = "/devices/{id}/modules/{module}",
    GET = { shown },
    PUT = { put(shown) },
    DELETE = { delete },
  },
  { path = "/devices/{id}/disconnect", POST = { disconnect } },
  { path = "/devices/{id}/modules/{module}/disconnect", POST = { disconnect } },
}
