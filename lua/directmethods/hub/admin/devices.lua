--- The routes of devices.

local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local registered = require "directmethods.hub.devices"
local requests = require "directmethods.hub.admin.request"

local refuse, try = requests.refuse, requests.try

local DEVICES_MAX = 1e9

-- A device that has no modules has a list of none.
local function shown(device)
  json.array(device.modules)
  return device
end

local function devices(hub, request)
  local top = requests.number(request, "top", nil, DEVICES_MAX)
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
  local handlers = requests.body(request, "methods").methods
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

---@type directmethods.AdminRoute[]
return {
  { path = "/devices", GET = { devices, top = true, after = true } },
  {
    path = "/devices/{id}",
    GET = { get_device },
    PUT = { put_device },
    DELETE = { delete_device },
  },
}
