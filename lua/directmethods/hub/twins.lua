--- Twins: tags and desired properties, which the service sets, and reported
-- properties, which devices set.

local core = require "directmethods.core"
local documents = require "directmethods.hub.twin_document"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local problems = require "directmethods.hub.problems"
local registry = require "directmethods.hub.registry"
local tables = require "directmethods.tables"

local M = {}

local function problem_of(wrong, too_large)
  return problems.new(too_large and "MessageTooLarge" or "ArgumentInvalid", wrong)
end

-- Devices ------------------------------------------------------------------

local function twin_of(found, request)
  local device_id, module_id = request.device_id, request.module_id
  local record, problem = registry.find(found, device_id, module_id)
  if not record then return nil, problem end
  return found:twin(device_id, module_id)
end

-- What a twin request that reads is answered with; nil and a problem. While the store
-- was read, the device may have been told of a later change: then it is read again, so
-- that no answer is older than a notice that came before it.
local function get(hub, request)
  local twin
  local found, problem = hub.registry:read { request }
  if found then twin, problem = twin_of(found, request) end
  local told = hub.plane:twin_told(request.device_id, request.module_id)
  if twin and twin.desired_version < told then
    found, problem = hub.registry:read_settled { request }
    twin = nil
    if found then twin, problem = twin_of(found, request) end
  end
  if not twin then return nil, problem end
  return { status = 200, body = documents.for_device(twin) }
end

-- Is the condition of a report ($version) of this twin?
local function check_reported_version(text, twin)
  if not text then return nil end
  if not text:find("^%d+$") then
    return problems.invalid("'$version' must be a whole number")
  elseif math.tointeger(tonumber(text)) ~= twin.reported_version then
    return problems.new("PreconditionFailed",
      ("'$version' is not the version of the reported properties, which is %d"):format(
        twin.reported_version))
  end
end

-- The decision to change reported properties: the new twin.
local function decide_report(changes, request, patch)
  local record, problem = registry.find(changes, request.device_id, request.module_id)
  if not record then return nil, problem end
  local twin = tables.copy(changes:twin(request.device_id, request.module_id))
  problem = check_reported_version(request.version, twin)
  if problem then return nil, problem end
  local wrong, too_large = documents.change(twin, "reported", patch,
    identity.time_text(core.time()))
  if wrong then return nil, problem_of(wrong, too_large) end
  twin.version = twin.version + 1
  changes:put_twin(record, twin)
  return twin
end

local function report(hub, request)
  local patch, err = json.decode(request.payload)
  if not documents.is_object(patch) then
    return nil, problems.invalid(
      err and err.message or "'properties.reported' must be a JSON object")
  end
  local twin, problem = hub.registry:change({ request }, function(changes)
    return decide_report(changes, request, patch)
  end)
  if not twin then return nil, problem end
  return { status = 204, version = twin.reported_version, body = "" }
end

local function refuse(request, problem)
  request.state.plane:twin_refuse(request.connection, request.rid, problem.code,
    problem.text)
end

--- Answer the twin request of a device. A task of its own runs this.
---@param request { state: directmethods.HubState, connection: integer,
---  device_id: string, module_id: string?, kind: "get"|"reported", rid: string,
---  payload: string, version: string? }
function M.handle(request)
  local hub, reads = request.state, request.kind == "get"
  if not hub.plane:allows(reads and "twin_reads" or "twin_updates") then
    return refuse(request, problems.new("ThrottlingException"))
  end
  local answer, problem = (reads and get or report)(hub, request)
  if not answer then return refuse(request, problem) end
  hub.plane:twin_result(request.connection, answer.status, request.rid, answer.version,
    answer.body)
end

--- Answer a twin request that raised.
function M.fail(request)
  refuse(request, problems.new "ServerError")
end

-- The service --------------------------------------------------------------

--- The members that the service may set, as of hub/body.lua. Their names are read as
-- they are.
---@return table<string, true|directmethods.BodyShape>
function M.members()
  return { tags = true, properties = { members = { desired = true } } }
end

---@type directmethods.BodyShape
M.SHAPE = { members = M.members() }

--- The document of an identity's twin, and its etag.
---@param hub directmethods.HubState
---@param record directmethods.IdentityRecord
---@param twin directmethods.Twin
---@return string json
---@return string etag
function M.document(hub, record, twin)
  return documents.for_service(twin, hub.registry:facts(record)), documents.etag(twin)
end

-- A member that is an object, null or absent; raises the rule that it breaks.
local function object_member(document, name, place)
  local value = document[name]
  if value == nil or value == json.null or documents.is_object(value) then
    return value
  end
  error({ rule = ("'%s' must be a JSON object"):format(place or name) }, 0)
end

local function present(value)
  if value ~= json.null then return value end
end

local function read_members(document)
  local properties = present(object_member(document, "properties")) or {}
  local desired = object_member(properties, "desired", "properties.desired")
  if documents.is_object(desired) then
    -- a caller that sends a whole twin back sends these too; they are the hub's own
    desired["$version"], desired["$metadata"] = nil, nil
  end
  return { tags = present(object_member(document, "tags")), desired = desired }
end

--- The sections that a document has: `tags` and `desired`, each nil when it is absent;
-- `desired` is json.null where it is to be removed. Nil and the rule that it breaks.
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

-- The patches that make the sections of a twin what they are to be.
local function patches_of(twin, sections, whole)
  local patches = {}
  for _, name in ipairs { "tags", "desired" } do
    local section = sections[name]
    if whole or section == json.null then
      patches[name] = documents.replacement(json.decode(twin[name]),
        present(section) or {})
    else
      patches[name] = section
    end
  end
  return patches
end

-- What replaces a whole twin has no null.
local function check_whole(sections)
  for _, name in ipairs { "tags", "desired" } do
    local wrong = documents.wrong(name, present(sections[name]) or {}, true)
    if wrong then return problem_of(wrong) end
  end
end

local function change(twin, patches, now)
  for _, name in ipairs { "tags", "desired" } do
    if patches[name] and next(patches[name]) then
      local wrong, too_large = documents.change(twin, name, patches[name], now)
      if wrong then return problem_of(wrong, too_large) end
    end
  end
end

--- Does a twin fit a condition?
---@param changes directmethods.Changes
---@param record directmethods.IdentityRecord
---@param condition string? value of If-Match; nil: whatever the etag
---@return directmethods.Problem?
function M.check_if_match(changes, record, condition)
  local twin = changes:twin(record.device_id, record.module_id)
  if condition and not registry.matches(condition, documents.etag(twin)) then
    return problems.new("PreconditionFailed")
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
---@return directmethods.Problem? problem
function M.decide_update(changes, record, sections, how)
  local problem = M.check_if_match(changes, record, how.condition)
  if problem then return nil, problem end
  local twin = tables.copy(changes:twin(record.device_id, record.module_id))
  local before = twin.desired_version
  problem = how.whole and check_whole(sections)
  if problem then return nil, problem end
  local patches = patches_of(twin, sections, how.whole)
  problem = change(twin, patches, identity.time_text(core.time()))
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
---@return directmethods.Problem? problem
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
