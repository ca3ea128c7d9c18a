--- The HTTP routes of twins. Answers: status, header lines, body; or nil and a
-- problem.

local body = require "directmethods.hub.body"
local errors = require "directmethods.errors"
local problems = require "directmethods.hub.problems"
local registry = require "directmethods.hub.registry"
local twins = require "directmethods.hub.twins"

local function shown(hub, record, twin)
  local document, etag = twins.document(hub, record, twin)
  return 200, ('ETag: "%s"\r\n'):format(etag), document
end

local function get_twin(hub, request)
  local changes, problem = hub.registry:read { request }
  if not changes then return nil, problem end
  local record
  record, problem = registry.find(changes, request.device_id, request.module_id)
  if not record then return nil, problem end
  return shown(hub, record, changes:twin(request.device_id, request.module_id))
end

local function update(hub, request, whole)
  local document, problem = body.read(request.body, twins.SHAPE)
  if problem then return nil, problem end
  local sections, rule = twins.read(document)
  if not sections then return nil, problems.invalid(rule) end
  local changed
  changed, problem = twins.update(hub, request, sections, {
    whole = whole, condition = errors.field(request.fields, "if-match"),
  })
  if not changed then return nil, problem end
  return shown(hub, changed.record, changed.twin)
end

local function patch_twin(hub, request)
  return update(hub, request, false)
end

local function put_twin(hub, request)
  return update(hub, request, true)
end

local RIGHT = "ServiceConnect"

local function twin_route(path)
  return {
    path = path,
    GET = { RIGHT, get_twin, meter = "twin_reads" },
    PATCH = { RIGHT, patch_twin, meter = "twin_updates" },
    PUT = { RIGHT, put_twin, meter = "twin_updates" },
  }
end

---@type directmethods.HubRoute[]
return {
  twin_route "/twins/{device_id}",
  twin_route "/twins/{device_id}/modules/{module_id}",
}
