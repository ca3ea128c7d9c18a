--- The records of identities: how the new record of one is made of what is asked for
-- and of the record that it replaces. Makes keys, etags and generation ids; reads and
-- writes no store.

local core = require "directmethods.core"
local identity = require "directmethods.hub.identity"
local problems = require "directmethods.hub.problems"

local M = {}

local TICKS_PER_SECOND = 10000000
local TICKS_OF_1970 = 621355968000000000 -- .NET counts from the year 1
local ETAG_START = 100000000
local SCOPE = "ms-azure-iot-edge://%s-%s" -- of an edge device: id and generation

---@class directmethods.IdentityRecords
---@field dev_keys boolean an identity without keys gets the published ones
---@field etags integer the latest etag, as a number
---@field generation integer the latest generation id, as a number
local Records = {}
Records.__index = Records

---@param dev_keys boolean an identity without keys gets the published ones
---@param shared boolean other hubs make records of the same identities: etags begin
---  anywhere in 48 bits, so that two hubs do not make the same one
---@return directmethods.IdentityRecords
function M.new(dev_keys, shared)
  local bytes = shared and 6 or 3
  return setmetatable({
    dev_keys = dev_keys,
    etags = ETAG_START + string.unpack("I" .. bytes, core.random(bytes)),
    generation = 0,
  }, Records)
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

-- The credentials of a new record: keys or thumbprints.
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
end

-- The value, unless it is empty or missing: then nil.
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

-- The scope of a device and its parents, as edge devices have them.
local function merge_scopes(record, fields, old)
  record.iot_edge = old.iot_edge or false
  if fields.iot_edge ~= nil then record.iot_edge = fields.iot_edge end
  if record.iot_edge ~= (old.iot_edge or false) then old = {} end
  if not record.iot_edge then return merge_leaf(record, fields, old) end
  record.device_scope = old.device_scope
    or SCOPE:format(record.device_id, record.generation_id)
  record.parent_scopes = present(fields.parent_scopes or old.parent_scopes)
end

local function check_thumbprints(record)
  if record.auth == "selfSigned" and not record.primary_thumbprint
    and not record.secondary_thumbprint then
    return problems.invalid("'x509Thumbprint' holds no thumbprint")
  end
end

--- The new record of an identity: what is asked for, and for the rest the old record.
---@param device_id string
---@param module_id string?
---@param fields table what identity_document.read gives
---@param old directmethods.IdentityRecord|{} {}: there is none yet
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Records:make(device_id, module_id, fields, old)
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
  merge_authentication(self, record, fields, old)
  local problem = check_thumbprints(record)
  if problem then return nil, problem end
  return record
end

return M
