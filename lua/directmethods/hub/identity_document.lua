--- The JSON document of an identity in the registry: read and checked, and written.

local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local refusal = require "directmethods.hub.refusal"
local twin_document = require "directmethods.hub.twin_document"

local M = {}

local SCOPE_MAX = 512 -- bytes of a device scope
local PARENTS_MAX = 10 -- scopes of parents
local TEXT_MAX = 128 -- characters of statusReason, of managedBy

local refuse = refusal.refuse

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
    refuse("'%s' must be of type %s", name, kind)
  end
  return value
end

-- The member `name`, an object; nil: absent or null.
local function object_member(document, name)
  local value = document[name]
  if value == nil or value == json.null then return nil end
  if not twin_document.is_object(value) then
    refuse("'%s' must be a JSON object", name)
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
    if wrong then refuse("'%s' %s", each, wrong) end
  end
  return values[1], values[2]
end

local AUTHENTICATION = {} -- by their names in lower case
for _, name in ipairs(identity.AUTHENTICATIONS) do
  AUTHENTICATION[name:lower()] = name
end

-- If the type is missing, it follows from the other members. It is read in any case, as
-- .NET reads all values of an enumeration.
local function read_type(authentication, has_keys, has_thumbprints)
  local auth = member(authentication, "type", "string")
    or (has_thumbprints and "selfSigned" or "sas")
  auth = AUTHENTICATION[auth:lower()]
  if not auth then
    refuse("'type' must be one of: %s", table.concat(identity.AUTHENTICATIONS, ", "))
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
    "symmetricKey", "primaryKey", "secondaryKey", identity.wrong_key)
  fields.primary_thumbprint, fields.secondary_thumbprint = read_pair(authentication,
    "x509Thumbprint", "primaryThumbprint", "secondaryThumbprint",
    identity.wrong_thumbprint)
  fields.auth = read_type(authentication, fields.primary_key or fields.secondary_key,
    fields.primary_thumbprint or fields.secondary_thumbprint)
end

local function read_text(document, name)
  local text = member(document, name, "string")
  local length = text and utf8.len(text)
  if length and length > TEXT_MAX then
    refuse("'%s' must not be longer than %d characters", name, TEXT_MAX)
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

-- A member that removes the old value if it is an empty text; null keeps it.
local function read_told(document, name, fits, rule)
  local value = document[name]
  if value == nil or value == json.null then return nil end
  if not fits(value) then refuse("'%s' must be %s", name, rule) end
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
-- when they are absent or null. Nil and the broken rule: it is not one.
---@param document any decoded
---@param device_id string that it must be for
---@param module_id string?
---@return table? fields
---@return string? rule
function M.read(document, device_id, module_id)
  if not twin_document.is_object(document) then
    return nil, "the body must be a JSON object"
  end
  return refusal.try(read_members, document, device_id, module_id)
end

-- Writing ------------------------------------------------------------------

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
---@param facts table<string, any> of identity.facts
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
