--- The registry: identities that are created, changed and removed. The data plane
-- holds what it needs of each to let devices in; the store holds all of it.

local change_sets = require "directmethods.hub.changes"
local core = require "directmethods.core"
local identity = require "directmethods.hub.identity"
local identity_document = require "directmethods.hub.identity_document"
local locks = require "directmethods.hub.locks"
local problems = require "directmethods.hub.problems"
local statements = require "directmethods.hub.identity_statements"

local M = {}

local TICKS_PER_SECOND = 10000000
local TICKS_OF_1970 = 621355968000000000 -- .NET counts from the year 1
local ETAG_START = 100000000

local ROOM = "The hub has no room for another identity."
local MODULES = ("A device must not have more than %d modules."):format(
  statements.MODULES_MAX)
local TRIES = 5 -- of a change that others come before

---@class directmethods.Registry
---@field store directmethods.Store
---@field on_unusable fun()? called when identities were disabled or removed
local Registry = {}
Registry.__index = Registry

--- `plane` is the C hub; dev_keys: an identity without keys gets the published ones.
function M.new(store, plane, dev_keys)
  return setmetatable({
    store = store,
    plane = plane,
    dev_keys = dev_keys,
    locks = locks.new(),
    reserved = 0, -- room of the data plane for identities that are being written
    etags = ETAG_START + string.unpack("I3", core.random(3)),
    generation = 0,
  }, Registry)
end

-- Reading ------------------------------------------------------------------------

--- Identities with their twins, as of one moment. Waits.
---@param ids { device_id: string, module_id: string? }[]
---@return directmethods.Changes? found nothing will be changed by it
---@return directmethods.Problem? problem the store has failed
function Registry:read(ids)
  local found, err = change_sets.read(self.store, ids)
  if not found then return nil, problems.unavailable(err) end
  return found
end

--- One identity. Waits.
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:get(device_id, module_id)
  local record, err = self.store:find(device_id, module_id)
  if record then return record end
  local device
  if not err and module_id then device, err = self.store:find(device_id) end
  if err then return nil, problems.unavailable(err) end
  return nil, problems.new(device and "ModuleNotFound" or "DeviceNotFound")
end

-- Changing -----------------------------------------------------------------------

-- Room in the data plane, until the result is closed; nil: there is not so much.
local function reserve(self, count)
  if self.plane:room() - self.reserved < count then return nil end
  self.reserved = self.reserved + count
  return setmetatable({}, {
    __close = function() self.reserved = self.reserved - count end,
  })
end

-- Keep what was decided, then tell the data plane; nil, err.
local function write(self, changes)
  local results, err = self.store:write(changes.list)
  if not results then return nil, err end
  changes:tell(self.plane, results)
  if changes.has_unusable and self.on_unusable then self.on_unusable() end
  return true
end

local function names_of(ids)
  local names, seen = {}, {}
  for _, id in ipairs(ids) do
    local name = change_sets.key(id.device_id, id.module_id)
    if not seen[name] then names[#names + 1] = name end
    seen[name] = true
  end
  return names
end

--- Change identities and twins. `decide(changes)` looks at them and makes changes;
-- they are kept all or none. It may pause but not read the store, and is called again
-- when somebody else was faster. Changes of the same identity run one after the other.
---@param ids { device_id: string, module_id: string? }[] all that `decide` looks at
---@param decide fun(changes): any, directmethods.Problem? of Changes
---@return any result of `decide`; nil: it made no changes
---@return directmethods.Problem? problem its own, or the store's
function Registry:change(ids, decide)
  local _ <close> = self.locks:take(names_of(ids))
  local err
  for _ = 1, TRIES do
    local changes, problem = self:read(ids)
    if not changes then return nil, problem end
    local result
    result, problem = decide(changes)
    if not changes.list[1] then return result, problem end
    local room <close> = reserve(self, changes.added)
    if not room then return nil, problems.new("TooManyDevices", ROOM) end
    local done
    done, err = write(self, changes)
    if done then return result, problem end
    if err.name ~= "Conflict" then break end
  end
  return nil, problems.unavailable(err)
end

local function check_ids(device_id, module_id)
  local wrong = identity.wrong_id(device_id)
  if wrong then return problems.new("ArgumentInvalid", "the device id " .. wrong) end
  wrong = module_id and identity.wrong_id(module_id)
  if wrong then return problems.new("ArgumentInvalid", "the module id " .. wrong) end
end

-- Ticks as the service uses them, each a new one.
local function next_generation(self)
  local ticks = TICKS_OF_1970 + math.floor(core.time() * TICKS_PER_SECOND)
  self.generation = math.max(self.generation + 1, ticks)
  return tostring(self.generation)
end

local function next_etag(self)
  self.etags = self.etags + 1
  return core.base64_encode(tostring(self.etags))
end

-- How the identity of a new record shows who it is.
local function merge_authentication(self, record, fields, old)
  record.auth = fields.auth or old.auth or "sas"
  if record.auth == "sas" then
    local primary, secondary = identity.new_keys(self.dev_keys)
    record.primary_key = fields.primary_key or old.primary_key or primary
    record.secondary_key = fields.secondary_key or old.secondary_key or secondary
  elseif record.auth == "selfSigned" then
    -- both are replaced: a certificate must be able to lose its right
    local told = fields.primary_thumbprint or fields.secondary_thumbprint
    local from = told and fields or old
    record.primary_thumbprint = from.primary_thumbprint
    record.secondary_thumbprint = from.secondary_thumbprint
  end
  return record
end

local SCOPE = "ms-azure-iot-edge://%s-%s" -- of an edge device: id and generation

-- What is told, unless it is empty; nil where nothing is.
local function present(value)
  if value and #value > 0 then return value end
end

-- The scopes of a device that is no edge device: its scope is that of its parent.
local function merge_leaf(record, fields, old)
  local scope, parents = fields.device_scope, fields.parent_scopes
  if not scope and not parents then
    record.device_scope, record.parent_scopes = old.device_scope, old.parent_scopes
    return
  end
  record.device_scope = present(scope) or present(parents) and parents[1]
  record.parent_scopes = present(parents) or present(scope) and { scope }
end

-- Where a device stands among edge devices.
local function merge_scopes(record, fields, old)
  record.iot_edge = old.iot_edge or false
  if fields.iot_edge ~= nil then record.iot_edge = fields.iot_edge end
  if record.iot_edge ~= (old.iot_edge or false) then old = {} end
  if not record.iot_edge then return merge_leaf(record, fields, old) end
  record.device_scope = old.device_scope
    or SCOPE:format(record.device_id, record.generation_id)
  record.parent_scopes = present(fields.parent_scopes or old.parent_scopes)
end

-- A new record of what is asked for and, for the rest, of the old record.
local function merge(self, device_id, module_id, fields, old)
  local enabled, was = fields.enabled, old.enabled ~= false
  if enabled == nil then enabled = was end
  local since = old.status_time
  if old.etag and enabled ~= was then since = identity.time_text(core.time()) end
  local record = {
    device_id = device_id,
    module_id = module_id,
    enabled = enabled,
    status_reason = fields.status_reason,
    status_time = since,
    managed_by = fields.managed_by,
    etag = next_etag(self),
    generation_id = old.generation_id or next_generation(self),
  }
  merge_scopes(record, fields, old)
  return merge_authentication(self, record, fields, old)
end

--- Tell the data plane of the identities that are in the store.
---@param records directmethods.IdentityRecord[] a device before its modules
---@return boolean? adopted
---@return string? name "LimitExceeded": there is no room
---@return string? message
function Registry:adopt(records)
  for _, record in ipairs(records) do
    local ok, name, message = change_sets.adopt(self.plane, record)
    if not ok then return nil, name, message end
  end
  return true
end

-- Decisions ----------------------------------------------------------------------

local function check_thumbprints(record)
  if record.auth == "selfSigned" and not record.primary_thumbprint
    and not record.secondary_thumbprint then
    return problems.new("ArgumentInvalid", "'x509Thumbprint' holds no thumbprint")
  end
end

--- Does a value of If-Match ('*' or an etag, either also in double quotes, marked
-- as weak or not) fit an etag?
---@param condition string
---@param etag string
---@return boolean
function M.matches(condition, etag)
  local wanted = condition:gsub("^W/", ""):gsub('^"(.*)"$', "%1")
  return wanted == "*" or wanted == etag
end

--- The present record of an identity, for decisions.
---@param changes directmethods.Changes
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function M.find(changes, device_id, module_id)
  local record = changes:find(device_id, module_id)
  if record then return record end
  local device = module_id and changes:find(device_id)
  return nil, problems.new(device and "ModuleNotFound" or "DeviceNotFound")
end

-- The same, if the condition holds.
local function find_if(changes, device_id, module_id, condition)
  local old, problem = M.find(changes, device_id, module_id)
  if old and condition and not M.matches(condition, old.etag) then
    return nil, problems.new("PreconditionFailed")
  end
  return old, problem
end

--- The decision to create an identity, for Registry:change; keys that are not given
--- are made.
---@param changes directmethods.Changes
---@param device_id string
---@param module_id string? of a device that is there
---@param fields table what identity_document.read gives
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:decide_create(changes, device_id, module_id, fields)
  local wrong = check_ids(device_id, module_id)
  if wrong then return nil, wrong end
  if changes:find(device_id, module_id) then
    return nil, problems.new(module_id and "ModuleAlreadyExistsOnDevice"
      or "DeviceAlreadyExists")
  elseif module_id and not changes:find(device_id) then
    return nil, problems.new("DeviceNotFound")
  elseif module_id and not changes:has_room(device_id) then
    return nil, problems.new("TooManyModulesOnDevice", MODULES)
  end
  local record = merge(self, device_id, module_id, fields, {})
  wrong = check_thumbprints(record)
  if wrong then return nil, wrong end
  changes:insert(record)
  return record
end

--- The decision to change one: keys and status that are not given stay as they are.
---@param condition string? value of If-Match; nil: whatever the etag
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:decide_update(changes, device_id, module_id, fields, condition)
  local old, problem = find_if(changes, device_id, module_id, condition)
  if not old then return nil, problem end
  local record = merge(self, device_id, module_id, fields, old)
  problem = check_thumbprints(record)
  if problem then return nil, problem end
  changes:update(record)
  return record
end

--- The decision to remove one; the modules of a device go with it.
---@param condition string? value of If-Match; nil: whatever the etag
---@return boolean? removed
---@return directmethods.Problem? problem
function Registry:decide_remove(changes, device_id, module_id, condition)
  local old, problem = find_if(changes, device_id, module_id, condition)
  if not old then return nil, problem end
  changes:remove(old)
  return true
end

-- A decision about one identity, carried out.
local function change_one(self, decide, device_id, module_id, ...)
  local more = table.pack(...)
  return self:change({ { device_id = device_id, module_id = module_id } },
    function(changes)
      return decide(self, changes, device_id, module_id,
        table.unpack(more, 1, more.n))
    end)
end

--- Create an identity: see decide_create. Waits, as the next two.
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:create(device_id, module_id, fields)
  return change_one(self, self.decide_create, device_id, module_id, fields)
end

---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:update(device_id, module_id, fields, condition)
  return change_one(self, self.decide_update, device_id, module_id, fields, condition)
end

---@return boolean? removed
---@return directmethods.Problem? problem
function Registry:remove(device_id, module_id, condition)
  return change_one(self, self.decide_remove, device_id, module_id, condition)
end

-- Documents ----------------------------------------------------------------------

--- What documents tell of an identity.
---@param record directmethods.IdentityRecord
---@return table<string, any>
function Registry:facts(record)
  local connected, _, changed, active = self.plane:connected(
    record.device_id, record.module_id)
  return identity.facts(record, {
    connected = connected, changed = changed, active = active,
  })
end

--- The JSON document of a record.
---@param record directmethods.IdentityRecord
---@return string
function Registry:document(record)
  return identity_document.write(self:facts(record))
end

return M
