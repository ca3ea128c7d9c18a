--- The registry: identities that are created, changed and removed. The data plane
-- holds what it needs of each to let devices in; the store holds all of it.

local core = require "directmethods.core"
local identity = require "directmethods.hub.identity"

local M = {}

--- Why the registry refuses; also an HTTP answer.
---@class directmethods.RegistryProblem
---@field http_status integer
---@field code integer
---@field name string
---@field text string

local PROBLEMS = {
  ArgumentInvalid = { 400004, "BadRequest" },
  TooManyDevices = { 413002, "The hub has no room for another identity." },
  DeviceNotFound = { 404001, "NotFound" },
  ModuleNotFound = { 404010, "NotFound" },
  DeviceAlreadyExists = { 409001, "Conflict" },
  ModuleAlreadyExistsOnDevice = { 409301, "Conflict" },
  PreconditionFailed = { 412001, "Precondition failed: the etag is another one." },
  ServerError = { 500001, "InternalServerError" },
}

---@param name string
---@param text string? instead of the usual one
---@return directmethods.RegistryProblem
function M.problem(name, text)
  local code, usual = table.unpack(PROBLEMS[name])
  return { http_status = code // 1000, code = code, name = name, text = text or usual }
end

---@class directmethods.Registry
---@field store directmethods.Store
local Registry = {}
Registry.__index = Registry

--- `plane` is the C hub.
function M.new(store, plane)
  return setmetatable({ store = store, plane = plane }, Registry)
end

local function not_found(self, device_id, module_id)
  local missing = module_id and self.store:find(device_id) and "ModuleNotFound"
    or "DeviceNotFound"
  return nil, M.problem(missing)
end

---@return directmethods.IdentityRecord? record
---@return directmethods.RegistryProblem? problem
function Registry:get(device_id, module_id)
  local record = self.store:find(device_id, module_id)
  if record then return record end
  return not_found(self, device_id, module_id)
end

local function check_ids(device_id, module_id)
  local wrong = identity.wrong_id(device_id)
  if wrong then return M.problem("ArgumentInvalid", "the device id " .. wrong) end
  wrong = module_id and identity.wrong_id(module_id)
  if wrong then return M.problem("ArgumentInvalid", "the module id " .. wrong) end
end

-- A new record of what is asked for and, for the rest, of the old record.
local function merge(device_id, module_id, fields, old)
  local enabled, was = fields.enabled, old.enabled ~= false
  if enabled == nil then enabled = was end
  local since = old.status_time
  if old.etag and enabled ~= was then
    since = os.date("!%Y-%m-%dT%TZ", math.floor(core.time()))
  end
  return {
    device_id = device_id,
    module_id = module_id,
    primary_key = fields.primary_key or old.primary_key or identity.new_key(),
    secondary_key = fields.secondary_key or old.secondary_key or identity.new_key(),
    enabled = enabled,
    status_reason = fields.status_reason,
    status_time = since,
  }
end

local function put(self, record)
  local ok, name = self.plane:put_identity(record.device_id, record.module_id,
    record.primary_key, record.secondary_key, record.enabled)
  if not ok then
    return nil, M.problem(name == "LimitExceeded" and "TooManyDevices" or "ServerError")
  end
  self.store:put(record)
  return record
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
  if module_id and not self.store:find(device_id) then
    return nil, M.problem("DeviceNotFound")
  elseif self.store:find(device_id, module_id) then
    return nil, M.problem(module_id and "ModuleAlreadyExistsOnDevice"
      or "DeviceAlreadyExists")
  end
  return put(self, merge(device_id, module_id, fields, {}))
end

-- '*', 'etag', each also in double quotes and marked as weak
local function matches(condition, etag)
  local wanted = condition:gsub("^W/", ""):gsub('^"(.*)"$', "%1")
  return wanted == "*" or wanted == etag
end

--- Change an identity: keys and status that are not given stay as they are.
---@param condition string value of If-Match
---@return directmethods.IdentityRecord? record
---@return directmethods.RegistryProblem? problem
function Registry:update(device_id, module_id, fields, condition)
  local old, problem = self:get(device_id, module_id)
  if not old then return nil, problem end
  if not matches(condition, old.etag) then
    return nil, M.problem("PreconditionFailed")
  end
  return put(self, merge(device_id, module_id, fields, old))
end

--- Remove an identity; the modules of a device go with it.
---@param condition string? value of If-Match; nil: whatever the etag
---@return boolean? removed
---@return directmethods.RegistryProblem? problem
function Registry:remove(device_id, module_id, condition)
  local old, problem = self:get(device_id, module_id)
  if not old then return nil, problem end
  if condition and not matches(condition, old.etag) then
    return nil, M.problem("PreconditionFailed")
  end
  self.store:remove(device_id, module_id)
  self.plane:remove_identity(device_id, module_id)
  return true
end

--- The JSON document of a record.
---@param record directmethods.IdentityRecord
---@return string
function Registry:document(record)
  return identity.write(record,
    (self.plane:connected(record.device_id, record.module_id)))
end

return M
