--- Twins: tags and desired properties, which the service sets, and reported
-- properties, which devices set.

local core = require "directmethods.core"
local documents = require "directmethods.hub.twin_document"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local registry = require "directmethods.hub.registry"

local M = {}

-- A twin to be changed and put, or nil and a problem.
local function twin_of(hub, record)
  local twin, err = hub.store:twin(record.device_id, record.module_id)
  if err then return nil, registry.unavailable(err) end
  local copy = {}
  for name, value in pairs(twin or documents.BLANK) do copy[name] = value end
  return copy
end

local function keep(hub, record, twin)
  twin.version = twin.version + 1
  local kept, err = hub.store:put_twin(record.device_id, record.module_id, twin)
  if not kept then return registry.unavailable(err) end
end

-- Devices ------------------------------------------------------------------

local function get(hub, record)
  local twin, problem = twin_of(hub, record)
  if not twin then return problem.http_status, nil, "" end
  return 200, nil, documents.for_device(twin)
end

local function report(hub, record, payload)
  local patch = json.decode(payload)
  if not documents.is_object(patch) then return 400, nil, "" end
  local twin, problem = twin_of(hub, record)
  if not twin then return problem.http_status, nil, "" end
  local wrong, too_large = documents.change(twin, "reported", patch,
    identity.time_text(core.time()))
  if wrong then return too_large and 413 or 400, nil, "" end
  problem = keep(hub, record, twin)
  if problem then return problem.http_status, nil, "" end
  return 204, twin.reported_version, ""
end

--- Answer the twin request of a device. A task of its own runs this.
---@param request { state: directmethods.HubState, connection: integer,
---  device_id: string, module_id: string?, kind: "get"|"reported", rid: string,
---  payload: string }
function M.handle(request)
  local hub = request.state
  local record, err = hub.store:find(request.device_id, request.module_id)
  local status, version, body = err and 503 or 404, nil, ""
  if record and request.kind == "get" then
    status, version, body = get(hub, record)
  elseif record then
    status, version, body = report(hub, record, request.payload)
  end
  hub.plane:twin_result(request.connection, status, request.rid, version, body)
end

-- The service --------------------------------------------------------------

--- The document of an identity's twin, and its etag.
---@param hub directmethods.HubState
---@param record directmethods.IdentityRecord
---@return string? json
---@return string|directmethods.RegistryProblem etag
function M.document(hub, record)
  local twin, problem = twin_of(hub, record)
  if not twin then return nil, problem end
  return documents.for_service(twin, hub.registry:facts(record)), documents.etag(twin)
end

-- A member that is an object, or nil; raises the rule that it breaks.
local function object_member(document, name)
  local value = document[name]
  if value == nil or value == json.null then return nil end
  if not documents.is_object(value) then
    error({ rule = ("'%s' must be a JSON object"):format(name) }, 0)
  end
  return value
end

local function read_members(document)
  local desired = object_member(object_member(document, "properties") or {}, "desired")
  if desired then
    -- who sends back what he got sends these too; they are the hub's own
    desired["$version"], desired["$metadata"] = nil, nil
  end
  return { tags = object_member(document, "tags"), desired = desired }
end

--- The sections that a document has: `tags` and `desired`, each nil when it is
-- absent; nil and the rule that it breaks.
---@param document any decoded
---@return { tags: table?, desired: table? }? sections
---@return string? rule
function M.read(document)
  if not documents.is_object(document) then
    return nil, "the body must be a JSON object"
  end
  local ok, result = pcall(read_members, document)
  if ok then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.rule
end

-- What the sections of a whole twin change.
local function replacements(twin, sections)
  local patches = {}
  for _, name in ipairs { "tags", "desired" } do
    patches[name] = documents.replacement(json.decode(twin[name]), sections[name] or {})
  end
  return patches
end

local function change(twin, patches, now)
  for _, name in ipairs { "tags", "desired" } do
    if patches[name] and next(patches[name]) then
      local wrong, too_large = documents.change(twin, name, patches[name], now)
      if wrong then
        return registry.problem(too_large and "MessageTooLarge" or "ArgumentInvalid",
          wrong)
      end
    end
  end
end

--- Change tags and desired properties, and tell the device.
---@param hub directmethods.HubState
---@param record directmethods.IdentityRecord
---@param sections table what M.read gives
---@param how { whole: boolean?, condition: string? } whole: they are all that is to
---  be left; condition: value of If-Match
---@return boolean? changed
---@return directmethods.RegistryProblem? problem
function M.update(hub, record, sections, how)
  local twin, problem = twin_of(hub, record)
  if not twin then return nil, problem end
  if how.condition and not registry.matches(how.condition, documents.etag(twin)) then
    return nil, registry.problem("PreconditionFailed")
  end
  local before = twin.desired_version
  local patches = how.whole and replacements(twin, sections) or sections
  problem = change(twin, patches, identity.time_text(core.time()))
  if problem then return nil, problem end
  twin.changes = twin.changes + 1
  problem = keep(hub, record, twin)
  if problem then return nil, problem end
  if twin.desired_version > before then
    hub.plane:twin_desired(record.device_id, record.module_id, twin.desired_version,
      documents.notification(patches.desired, twin.desired_version))
  end
  return true
end

return M
