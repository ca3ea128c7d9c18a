--- The HTTP routes of the registry. Answers: status, header lines, body; or nil and
-- a problem.

local body = require "directmethods.hub.body"
local bulk = require "directmethods.hub.bulk"
local errors = require "directmethods.errors"
local identity_document = require "directmethods.hub.identity_document"
local pages = require "directmethods.hub.pages"
local problems = require "directmethods.hub.problems"

local LIST_MAX = 1000
local PAGE = 100 -- records that are read at a time

local function shown(hub, record)
  return 200, ('ETag: "%s"\r\n'):format(record.etag), hub.registry:document(record)
end

local function get_identity(hub, request)
  local record, problem = hub.registry:get(request.device_id, request.module_id)
  if not record then return nil, problem end
  return shown(hub, record)
end

local function put_identity(hub, request)
  local device_id, module_id = request.device_id, request.module_id
  local document, wrong = body.read(request.body, identity_document.SHAPE)
  if wrong then return nil, wrong end
  local fields, rule = identity_document.read(document, device_id, module_id)
  if not fields then return nil, problems.invalid(rule) end
  local condition = errors.field(request.fields, "if-match")
  local record, problem
  if condition then
    record, problem = hub.registry:update(device_id, module_id, fields, condition)
  else
    record, problem = hub.registry:create(device_id, module_id, fields)
  end
  if not record then return nil, problem end
  return shown(hub, record)
end

local function delete_identity(hub, request)
  local removed, problem = hub.registry:remove(request.device_id, request.module_id,
    errors.field(request.fields, "if-match"))
  if not removed then return nil, problem end
  return 204, nil, ""
end

-- Add the documents of records to a list, in slices.
local function add_documents(hub, list, records)
  hub.background:each(records, function(record)
    list[#list + 1] = hub.registry:document(record)
  end)
end

local function shown_list(list)
  return 200, nil, pages.array(list)
end

local function list_modules(hub, request)
  local device, problem = hub.registry:get(request.device_id)
  if not device then return nil, problem end
  local modules, err = hub.store:modules(request.device_id)
  if not modules then return nil, problems.unavailable(err) end
  local list = {}
  add_documents(hub, list, modules)
  return shown_list(list)
end

local function list_devices(hub, request)
  local top = request.query.top or tostring(LIST_MAX)
  local count = top:find("^%d+$") and math.tointeger(tonumber(top))
  if not count or count < 1 or count > LIST_MAX then
    return nil, problems.new("DeviceInvalidResultCount",
      ("top must be within [1; %d]."):format(LIST_MAX))
  end
  local only = { edge = (request.query.edge or ""):lower() == "true" }
  local list, last = {}, nil
  repeat
    local page, err = hub.store:devices(last, math.min(PAGE, count - #list), only)
    if not page then return nil, problems.unavailable(err) end
    add_documents(hub, list, page)
    last = page[#page] and page[#page].device_id
  until #page < PAGE or #list == count
  return shown_list(list)
end

local function change_devices(hub, request)
  return bulk.run(hub, request.body)
end

local function statistics(hub)
  local total, enabled = hub.store:count()
  if not total then return nil, problems.unavailable(enabled) end
  return 200, nil, ('{"totalDeviceCount":%d,"enabledDeviceCount":%d,'
    .. '"disabledDeviceCount":%d}'):format(total, enabled, total - enabled)
end

local function service_statistics(hub)
  return 200, nil, ('{"connectedDeviceCount":%d}'):format(hub.plane:connected_devices())
end

local READ, WRITE = "RegistryRead", "RegistryWrite"
local METER = "registry"

local function identity_route(path)
  return {
    path = path,
    meter = METER,
    GET = { READ, get_identity },
    PUT = { WRITE, put_identity },
    DELETE = { WRITE, delete_identity },
  }
end

---@type directmethods.HubRoute[]
return {
  {
    path = "/devices",
    meter = METER,
    GET = { READ, list_devices },
    POST = { WRITE, change_devices },
  },
  identity_route "/devices/{device_id}",
  {
    path = "/devices/{device_id}/modules",
    meter = METER,
    GET = { READ, list_modules },
  },
  identity_route "/devices/{device_id}/modules/{module_id}",
  { path = "/statistics/devices", meter = METER, GET = { READ, statistics } },
  { path = "/statistics/service", meter = METER, GET = { READ, service_statistics } },
}
