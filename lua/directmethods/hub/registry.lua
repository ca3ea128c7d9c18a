--- The registry: identities that are created, changed and removed. The data plane
-- holds what it needs of each to let devices in; the store holds all of it.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local identity = require "directmethods.hub.identity"

local M = {}

local TICKS_PER_SECOND = 10000000
local TICKS_OF_1970 = 621355968000000000 -- .NET counts from the year 1
local ETAG_START = 100000000

--- Why the registry refuses; also an HTTP answer.
---@class directmethods.RegistryProblem
---@field http_status integer
---@field code integer
---@field name string
---@field text string

local CODES = {}
for code, entry in pairs(errors.codes) do CODES[entry.name] = code end

-- What the service says; else "BadRequest" and the like of the status.
local TEXTS = {
  PreconditionFailed = "Precondition failed: the etag is another one.",
  ServerError = "InternalServerError",
}
local STATUS_TEXTS = {
  [400] = "BadRequest", [404] = "NotFound", [409] = "Conflict",
  [503] = "ServiceUnavailable",
}

---@param name string of errors.codes
---@param text string? instead of the usual one
---@return directmethods.RegistryProblem
function M.problem(name, text)
  local code = CODES[name]
  local status = code // 1000
  return {
    http_status = status,
    code = code,
    name = name,
    text = text or TEXTS[name] or STATUS_TEXTS[status] or errors.codes[code].cause,
  }
end

--- The store has failed.
---@param err directmethods.Error
---@return directmethods.RegistryProblem
function M.unavailable(err)
  return M.problem("ServiceUnavailable", err.message)
end

local ROOM = "The hub has no room for another identity."

---@class directmethods.Registry
---@field store directmethods.Store
local Registry = {}
Registry.__index = Registry

--- `plane` is the C hub; dev_keys: who is given no keys gets the published ones.
function M.new(store, plane, dev_keys)
  return setmetatable({
    store = store,
    plane = plane,
    dev_keys = dev_keys,
    changes = ETAG_START + string.unpack("I3", core.random(3)),
    generation = 0,
  }, Registry)
end

local function not_found(self, device_id, module_id)
  local missing = module_id and self.store:find(device_id) and "ModuleNotFound"
    or "DeviceNotFound"
  return nil, M.problem(missing)
end

---@return directmethods.IdentityRecord? record
---@return directmethods.RegistryProblem? problem
function Registry:get(device_id, module_id)
  local record, err = self.store:find(device_id, module_id)
  if record then return record end
  if err then return nil, M.unavailable(err) end
  return not_found(self, device_id, module_id)
end

local function check_ids(device_id, module_id)
  local wrong = identity.wrong_id(device_id)
  if wrong then return M.problem("ArgumentInvalid", "the device id " .. wrong) end
  wrong = module_id and identity.wrong_id(module_id)
  if wrong then return M.problem("ArgumentInvalid", "the module id " .. wrong) end
end

-- Ticks as the service uses them, each a new one.
local function next_generation(self)
  local ticks = TICKS_OF_1970 + math.floor(core.time() * TICKS_PER_SECOND)
  self.generation = math.max(self.generation + 1, ticks)
  return tostring(self.generation)
end

local function next_etag(self)
  self.changes = self.changes + 1
  return core.base64_encode(tostring(self.changes))
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

-- A new record of what is asked for and, for the rest, of the old record.
local function merge(self, device_id, module_id, fields, old)
  local enabled, was = fields.enabled, old.enabled ~= false
  if enabled == nil then enabled = was end
  local since = old.status_time
  if old.etag and enabled ~= was then since = identity.time_text(core.time()) end
  return merge_authentication(self, {
    device_id = device_id,
    module_id = module_id,
    enabled = enabled,
    status_reason = fields.status_reason,
    status_time = since,
    managed_by = fields.managed_by,
    etag = next_etag(self),
    generation_id = old.generation_id or next_generation(self),
  }, fields, old)
end

local function tell_plane(self, record)
  return self.plane:put_identity(record.device_id, record.module_id, record.auth,
    record.primary_key or record.primary_thumbprint,
    record.secondary_key or record.secondary_thumbprint, record.enabled)
end

--- Have the data plane let in who is in the store already.
---@param records directmethods.IdentityRecord[] a device before its modules
---@return boolean? adopted
---@return string? name "LimitExceeded": there is no room
---@return string? message
function Registry:adopt(records)
  for _, record in ipairs(records) do
    local ok, name, message = tell_plane(self, record)
    if not ok then return nil, name, message end
  end
  return true
end

-- Into the store first: what cannot be kept lets nobody in.
local function put(self, record, old)
  if record.auth == "selfSigned" and not record.primary_thumbprint
    and not record.secondary_thumbprint then
    return nil, M.problem("ArgumentInvalid", "'x509Thumbprint' holds no thumbprint")
  end
  local kept, err = self.store:put(record)
  if not kept then return nil, M.unavailable(err) end
  local ok, name = tell_plane(self, record)
  if ok then return record end
  if old then
    self.store:put(old)
  else
    self.store:remove(record.device_id, record.module_id)
  end
  if name ~= "LimitExceeded" then return nil, M.problem("ServerError") end
  return nil, M.problem("TooManyDevices", ROOM)
end

--- Create an identity; keys that are not given are made.
---@param device_id string
---@param module_id string? of a device that is there
---@param fields table what identity.read gives
---@return directmethods.IdentityRecord? record
---@return directmethods.RegistryProblem? problem
function Registry:create(device_id, module_id, fields)
  local wrong = check_ids(device_id, module_id)
  if wrong then return nil, wrong end
  local found, problem = self:get(device_id, module_id)
  if found then
    return nil, M.problem(module_id and "ModuleAlreadyExistsOnDevice"
      or "DeviceAlreadyExists")
  elseif problem.name ~= (module_id and "ModuleNotFound" or "DeviceNotFound") then
    return nil, problem
  end
  return put(self, merge(self, device_id, module_id, fields, {}))
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

-- The present record, if the condition holds.
local function get_if(self, device_id, module_id, condition)
  local old, problem = self:get(device_id, module_id)
  if old and condition and not M.matches(condition, old.etag) then
    return nil, M.problem("PreconditionFailed")
  end
  return old, problem
end

--- Change an identity: keys and status that are not given stay as they are.
---@param condition string? value of If-Match; nil: whatever the etag
---@return directmethods.IdentityRecord? record
---@return directmethods.RegistryProblem? problem
function Registry:update(device_id, module_id, fields, condition)
  local old, problem = get_if(self, device_id, module_id, condition)
  if not old then return nil, problem end
  return put(self, merge(self, device_id, module_id, fields, old), old)
end

--- Remove an identity; the modules of a device go with it.
---@param condition string? value of If-Match; nil: whatever the etag
---@return boolean? removed
---@return directmethods.RegistryProblem? problem
function Registry:remove(device_id, module_id, condition)
  local old, problem = get_if(self, device_id, module_id, condition)
  if not old then return nil, problem end
  local kept, err = self.store:remove(device_id, module_id)
  if not kept then return nil, M.unavailable(err) end
  self.plane:remove_identity(device_id, module_id)
  return true
end

-- Have the data plane know of an identity what the store knows.
local function restore(self, device_id, module_id)
  local record = self.store:find(device_id, module_id)
  if record then
    tell_plane(self, record)
  else
    self.plane:remove_identity(device_id, module_id)
  end
end

--- Call a function that changes many identities; what it changed is kept all or
-- none.
---@param ids { device_id: string, module_id: string? }[] what it may change
---@param fn fun()
---@return boolean? kept
---@return directmethods.RegistryProblem? problem
function Registry:batch(ids, fn)
  local kept, err = self.store:batch(fn)
  if kept then return true end
  for _, each in ipairs(ids) do restore(self, each.device_id, each.module_id) end
  return nil, M.unavailable(err)
end

--- What documents tell of an identity.
---@param record directmethods.IdentityRecord
---@return table<string, string>
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
  return identity.write(self:facts(record))
end

return M
