--- Twins: tags and desired properties, which the service sets, and reported
-- properties, which devices set.

local core = require "directmethods.core"
local documents = require "directmethods.hub.twin_document"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local registry = require "directmethods.hub.registry"

local M = {}

local function copy_of(twin)
  local copy = {}
  for name, value in pairs(twin) do copy[name] = value end
  return copy
end

-- Devices ------------------------------------------------------------------

-- The status and body of a twin request that reads.
local function get(hub, request)
  local found, problem = hub.registry:read { request }
  if not found then return problem.http_status, nil, "" end
  if not found:find(request.device_id, request.module_id) then return 404, nil, "" end
  return 200, nil, documents.for_device(
    found:twin(request.device_id, request.module_id))
end

-- The decision to change reported properties: the new twin, or nil and a status.
local function decide_report(changes, request, patch)
  local record = changes:find(request.device_id, request.module_id)
  if not record then return nil, { http_status = 404 } end
  local twin = copy_of(changes:twin(request.device_id, request.module_id))
  local wrong, too_large = documents.change(twin, "reported", patch,
    identity.time_text(core.time()))
  if wrong then return nil, { http_status = too_large and 413 or 400 } end
  twin.version = twin.version + 1
  changes:put_twin(record, twin)
  return twin
end

local function report(hub, request)
  local patch = json.decode(request.payload)
  if not documents.is_object(patch) then return 400, nil, "" end
  local twin, problem = hub.registry:change({ request }, function(changes)
    return decide_report(changes, request, patch)
  end)
  if not twin then return problem.http_status, nil, "" end
  return 204, twin.reported_version, ""
end

--- Answer the twin request of a device. A task of its own runs this.
---@param request { state: directmethods.HubState, connection: integer,
---  device_id: string, module_id: string?, kind: "get"|"reported", rid: string,
---  payload: string }
function M.handle(request)
  local hub = request.state
  local answer = request.kind == "get" and get or report
  local status, version, body = answer(hub, request)
  hub.plane:twin_result(request.connection, status, request.rid, version, body)
end

-- The service --------------------------------------------------------------

--- The document of an identity's twin, and its etag.
---@param hub directmethods.HubState
---@param record directmethods.IdentityRecord
---@param twin directmethods.Twin
---@return string json
---@return string etag
function M.document(hub, record, twin)
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

--- The decision to change tags and desired properties, for Registry:change. The device
--- is told once it is kept.
---@param changes directmethods.Changes
---@param record directmethods.IdentityRecord
---@param sections table what M.read gives
---@param how { whole: boolean?, condition: string? } whole: they are all that is to
---  be left; condition: value of If-Match
---@return directmethods.Twin? twin
---@return directmethods.RegistryProblem? problem
function M.decide_update(changes, record, sections, how)
  local twin = copy_of(changes:twin(record.device_id, record.module_id))
  if how.condition and not registry.matches(how.condition, documents.etag(twin)) then
    return nil, registry.problem("PreconditionFailed")
  end
  local before = twin.desired_version
  local patches = how.whole and replacements(twin, sections) or sections
  local problem = change(twin, patches, identity.time_text(core.time()))
  if problem then return nil, problem end
  twin.changes, twin.version = twin.changes + 1, twin.version + 1
  changes:put_twin(record, twin, twin.desired_version > before
    and documents.notification(patches.desired, twin.desired_version) or nil)
  return twin
end

--- Change tags and desired properties of one identity. Waits.
---@param hub directmethods.HubState
---@param id { device_id: string, module_id: string? }
---@param sections table what M.read gives
---@param how table as of decide_update
---@return { record: directmethods.IdentityRecord, twin: directmethods.Twin }? changed
---@return directmethods.RegistryProblem? problem
function M.update(hub, id, sections, how)
  return hub.registry:change({ id }, function(changes)
    local record, problem = registry.find(changes, id.device_id, id.module_id)
    if not record then return nil, problem end
    local twin
    twin, problem = M.decide_update(changes, record, sections, how)
    return twin and { record = record, twin = twin }, problem
  end)
end

return M
