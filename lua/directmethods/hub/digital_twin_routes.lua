--- The HTTP routes of digital twins. (Their commands are method calls: the data plane
-- has them.) Answers: status, header lines, body; or nil and a problem.

local body = require "directmethods.hub.body"
local digital_twin = require "directmethods.hub.digital_twin"
local documents = require "directmethods.hub.twin_document"
local errors = require "directmethods.errors"
local problems = require "directmethods.hub.problems"
local registry = require "directmethods.hub.registry"
local twins = require "directmethods.hub.twins"

local function etag_line(twin)
  return ('ETag: "%s"\r\n'):format(documents.etag(twin))
end

local function get(hub, request)
  local found, problem = hub.registry:read { request }
  if not found then return nil, problem end
  local record
  record, problem = registry.find(found, request.device_id)
  if not record then return nil, problem end
  local twin = found:twin(request.device_id)
  return 200, etag_line(twin), digital_twin.document(request.device_id, twin)
end

local function decide(changes, request, operations)
  local record, problem = registry.find(changes, request.device_id)
  if not record then return nil, problem end
  local patch, rule = digital_twin.patch(operations, changes:twin(request.device_id))
  if not patch then return nil, problems.invalid(rule) end
  return twins.decide_update(changes, record, { desired = patch },
    { condition = errors.field(request.fields, "if-match") })
end

local function patch(hub, request)
  local operations, problem = body.read(request.body, digital_twin.SHAPE)
  if problem then return nil, problem end
  local twin
  twin, problem = hub.registry:change({ request }, function(changes)
    return decide(changes, request, operations)
  end)
  if not twin then return nil, problem end
  return 202, etag_line(twin), ""
end

local RIGHT = "ServiceConnect"

---@type directmethods.HubRoute[]
return {
  {
    path = "/digitaltwins/{device_id}",
    GET = { RIGHT, get, meter = "twin_reads" },
    PATCH = { RIGHT, patch, meter = "twin_updates" },
  },
}
