--- Identities as JSON documents of the registry, and the rules for their parts.

local core = require "directmethods.core"
local documents = require "directmethods.hub.twin_document"
local json = require "directmethods.json"
local options = require "directmethods.options"

local M = {}

local KEY_BYTES = 32 -- of a key made here
-- The published keys of hubs with dev_keys.
local DEV_PRIMARY = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBmaXJzdCE="
local DEV_SECONDARY = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBzZWNvbmQ="
local KEY_MIN, KEY_MAX = 16, 64 -- bytes of a key that is given
local SCOPE_MAX = 512 -- bytes of a device scope
local PARENTS_MAX = 10 -- scopes of parents
local TEXT_MAX = 128 -- characters of statusReason, of managedBy
local NEVER = "0001-01-01T00:00:00"

--- The rule that a device or module id breaks, or nil.
---@param id any
---@return string?
function M.wrong_id(id)
  if type(id) ~= "string" then return options.no_text(id) end
  return options.rules.identity(id)
end

--- The rule that a given key breaks, or nil.
---@param key any
---@return string?
function M.wrong_key(key)
  local bytes = type(key) == "string" and core.base64_decode(key)
  if bytes and #bytes >= KEY_MIN and #bytes <= KEY_MAX then return nil end
  return ("must be base64 of %d to %d bytes"):format(KEY_MIN, KEY_MAX)
end

local SHA1_DIGITS, SHA256_DIGITS = 40, 64

--- The rule that a thumbprint breaks, or nil.
---@param thumbprint any
---@return string?
function M.wrong_thumbprint(thumbprint)
  if type(thumbprint) == "string" and thumbprint:find("^%x+$")
    and (#thumbprint == SHA1_DIGITS or #thumbprint == SHA256_DIGITS) then
    return nil
  end
  return "must be 40 (SHA-1) or 64 (SHA-256) hexadecimal digits"
end

--- Two keys, base64: random, or the published ones.
---@param dev boolean
---@return string primary
---@return string secondary
function M.new_keys(dev)
  if dev then return DEV_PRIMARY, DEV_SECONDARY end
  return core.base64_encode(core.random(KEY_BYTES)),
    core.base64_encode(core.random(KEY_BYTES))
end

-- Reading ------------------------------------------------------------------

local function any_case(members)
  return { any_case = true, members = members }
end

--- The members of a registry document, as of hub/body.lua. POST /devices has more.
---@return table<string, true|directmethods.BodyShape>
function M.members()
  return {
    deviceId = true,
    moduleId = true,
    status = true,
    statusReason = true,
    managedBy = true,
    capabilities = any_case { iotEdge = true },
    deviceScope = true,
    parentScopes = true,
    authentication = any_case {
      type = true,
      symmetricKey = any_case { primaryKey = true, secondaryKey = true },
      x509Thumbprint = any_case {
        primaryThumbprint = true, secondaryThumbprint = true,
      },
    },
  }
end

---@type directmethods.BodyShape
M.SHAPE = any_case(M.members())

-- The member `name`, checked to be of a type; nil: absent, null or an empty text.
local function member(document, name, kind)
  local value = document[name]
  if value == nil or value == json.null or value == "" then return nil end
  if type(value) ~= kind then
    error({ rule = ("'%s' must be of type %s"):format(name, kind) }, 0)
  end
  return value
end

local function refuse(rule)
  error({ rule = rule }, 0)
end

-- The member `name`, an object; nil: absent or null.
local function object_member(document, name)
  local value = document[name]
  if value == nil or value == json.null then return nil end
  if not documents.is_object(value) then
    refuse(("'%s' must be a JSON object"):format(name))
  end
  return value
end

-- Two members of one: nil where absent, null or "".
local function read_pair(authentication, name, primary, secondary, rule)
  local pair = object_member(authentication, name) or {}
  local values = {}
  for i, each in ipairs { primary, secondary } do
    values[i] = member(pair, each, "string")
    local wrong = values[i] and rule(values[i])
    if wrong then refuse(("'%s' %s"):format(each, wrong)) end
  end
  return values[1], values[2]
end

--- The values of authentication.type.
---@type string[]
M.AUTHENTICATIONS = { "sas", "selfSigned", "certificateAuthority", "none" }

local AUTHENTICATION = {} -- by their names in lower case
for _, name in ipairs(M.AUTHENTICATIONS) do AUTHENTICATION[name:lower()] = name end

-- A type that is not told follows from what is there. Its case does not count, as for
-- all values that .NET reads as one of several.
local function read_type(authentication, has_keys, has_thumbprints)
  local auth = member(authentication, "type", "string")
    or (has_thumbprints and "selfSigned" or "sas")
  auth = AUTHENTICATION[auth:lower()]
  if not auth then
    refuse("'type' must be one of: " .. table.concat(M.AUTHENTICATIONS, ", "))
  elseif auth ~= "selfSigned" and has_thumbprints then
    refuse("'x509Thumbprint' is for the authentication type selfSigned")
  elseif auth ~= "sas" and has_keys then
    refuse("'symmetricKey' is for the authentication type sas")
  end
  return auth
end

local function read_authentication(document, fields)
  local authentication = object_member(document, "authentication")
  if not authentication then return end
  fields.primary_key, fields.secondary_key = read_pair(authentication,
    "symmetricKey", "primaryKey", "secondaryKey", M.wrong_key)
  fields.primary_thumbprint, fields.secondary_thumbprint = read_pair(authentication,
    "x509Thumbprint", "primaryThumbprint", "secondaryThumbprint", M.wrong_thumbprint)
  fields.auth = read_type(authentication, fields.primary_key or fields.secondary_key,
    fields.primary_thumbprint or fields.secondary_thumbprint)
end

local function read_text(document, name)
  local text = member(document, name, "string")
  local length = text and utf8.len(text)
  if length and length > TEXT_MAX then
    refuse(("'%s' must not be longer than %d characters"):format(name, TEXT_MAX))
  end
  return text
end

local function read_status(document, fields)
  local status = member(document, "status", "string")
  if status then
    status = status:lower()
    if status ~= "enabled" and status ~= "disabled" then
      refuse("'status' must be enabled or disabled")
    end
    fields.enabled = status == "enabled"
  end
  fields.status_reason = read_text(document, "statusReason")
end

local function is_scope(value)
  return type(value) == "string" and #value <= SCOPE_MAX
end

local function are_parents(value)
  if type(value) ~= "table" or #value > PARENTS_MAX then return false end
  for key, each in pairs(value) do
    if math.type(key) ~= "integer" or not is_scope(each) or each == "" then
      return false
    end
  end
  return true
end

-- A member that takes away what is there when it is empty, and not when it is null.
local function read_told(document, name, fits, rule)
  local value = document[name]
  if value == nil or value == json.null then return nil end
  if not fits(value) then refuse(("'%s' must be %s"):format(name, rule)) end
  return value
end

local function read_scopes(document, fields)
  local capabilities = object_member(document, "capabilities") or {}
  fields.iot_edge = member(capabilities, "iotEdge", "boolean")
  fields.device_scope = read_told(document, "deviceScope", is_scope,
    ("a string of at most %d bytes"):format(SCOPE_MAX))
  fields.parent_scopes = read_told(document, "parentScopes", are_parents,
    ("an array of at most %d scopes"):format(PARENTS_MAX))
end

local function read_members(document, device_id, module_id)
  if member(document, "deviceId", "string") ~= device_id then
    refuse("'deviceId' must be the one in the path")
  elseif member(document, "moduleId", "string") ~= module_id then
    refuse("'moduleId' must be the one in the path")
  end
  local fields = {}
  read_authentication(document, fields)
  if module_id then
    fields.managed_by = read_text(document, "managedBy")
  else
    read_status(document, fields)
    read_scopes(document, fields)
  end
  return fields
end

--- What a registry document asks for: auth, primary_key, secondary_key,
-- primary_thumbprint, secondary_thumbprint, enabled, status_reason, managed_by,
-- iot_edge, each nil when it is absent, null or ""; device_scope and parent_scopes, nil
-- when they are absent or null. Nil and the broken rule: it is none.
---@param document any decoded
---@param device_id string that it must be for
---@param module_id string?
---@return table? fields
---@return string? rule
function M.read(document, device_id, module_id)
  if not documents.is_object(document) then
    return nil, "the body must be a JSON object"
  end
  local ok, result = pcall(read_members, document, device_id, module_id)
  if ok then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.rule
end

-- Writing ------------------------------------------------------------------

local TICK = 1e7 -- of the fraction of a second in a time

--- A time as the registry writes it; nil: never.
---@param seconds number? unix time
---@return string
function M.time_text(seconds)
  if not seconds then return NEVER end
  local ticks = math.floor(seconds * TICK)
  return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(ticks // TICK))
    .. (".%07dZ"):format(math.floor(ticks % TICK))
end

--- What documents tell of an identity, as texts, `edge` as a boolean, `parents` as a
-- list; `reason`, `manager`, `module`, `scope`, `parents`, keys and thumbprints may be
-- nil.
---@param record directmethods.IdentityRecord
---@param connection { connected: boolean, changed: number?, active: number? } with
---  the unix times of the last connect or disconnect, and of the last message
---@return table<string, any>
function M.facts(record, connection)
  return {
    device = record.device_id,
    module = record.module_id,
    generation = record.generation_id,
    etag = record.etag,
    connection = connection.connected and "Connected" or "Disconnected",
    connection_time = M.time_text(connection.changed),
    active_time = M.time_text(connection.active),
    status = record.enabled and "enabled" or "disabled",
    reason = record.status_reason,
    manager = record.managed_by,
    status_time = record.status_time or NEVER,
    auth = record.auth,
    primary = record.primary_key,
    secondary = record.secondary_key,
    thumbprint = record.primary_thumbprint,
    second_thumbprint = record.secondary_thumbprint,
    edge = record.iot_edge,
    scope = record.device_scope,
    parents = record.parent_scopes,
  }
end

local COMMON_HEAD = [["generationId":$generation,"etag":$etag,]]
  .. [["connectionState":$connection,]]
local COMMON_TAIL = [["lastActivityTime":$active_time,"cloudToDeviceMessageCount":0,]]
  .. [["authentication":{"symmetricKey":{"primaryKey":$primary,]]
  .. [["secondaryKey":$secondary},"x509Thumbprint":{"primaryThumbprint":$thumbprint,]]
  .. [["secondaryThumbprint":$second_thumbprint},"type":$auth}]]

local DEVICE = [[{"deviceId":$device,]] .. COMMON_HEAD
  .. [["status":$status,"statusReason":$reason,]]
  .. [["connectionStateUpdatedTime":$connection_time,]]
  .. [["statusUpdatedTime":$status_time,]] .. COMMON_TAIL
  .. [[,"capabilities":{"iotEdge":$edge},"deviceScope":$scope$parents}]]
local MODULE = [[{"moduleId":$module,"managedBy":$manager,"deviceId":$device,]]
  .. COMMON_HEAD .. [["connectionStateUpdatedTime":$connection_time,]]
  .. COMMON_TAIL .. "}"

--- An identity as the registry shows it.
---@param facts table<string, any> of M.facts
---@return string json
function M.write(facts)
  local values = {
    reason = "null", manager = "null", primary = "null", secondary = "null",
    thumbprint = "null", second_thumbprint = "null", scope = "null", parents = "",
  }
  for name, value in pairs(facts) do values[name] = json.encode(value) end
  if facts.parents then values.parents = ',"parentScopes":' .. values.parents end
  return ((facts.module and MODULE or DEVICE):gsub("%$([%a_]+)", values))
end

return M
