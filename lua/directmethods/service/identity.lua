--- Identities as the hub's registry writes them, and as Lua has them.

local core = require "directmethods.core"
local errors = require "directmethods.errors"

local M = {}

local KEY_MIN, KEY_MAX = 16, 64 -- bytes

local function wrong_key(value)
  local bytes = core.base64_decode(value)
  if bytes and #bytes >= KEY_MIN and #bytes <= KEY_MAX then return nil end
  return ("must be base64 of %d to %d bytes"):format(KEY_MIN, KEY_MAX)
end

--- The options that make or change an identity.
---@type table<string, directmethods.OptionSpec>
M.FIELDS = {
  primary_key = { "string", check = wrong_key },
  secondary_key = { "string", check = wrong_key },
  status = { "string", choices = { "enabled", "disabled" } },
  status_reason = { "string", max = 512 },
}

--- An identity of the hub's registry.
---@class directmethods.RemoteIdentity
---@field device_id string
---@field module_id string?
---@field primary_key string?   base64; nil: it does not log in by key
---@field secondary_key string?
---@field status string?        "enabled" or "disabled"; nil: a module
---@field status_reason string?
---@field connected boolean
---@field etag string
---@field generation_id string
---@field document table        all that the hub said, by its own names

local function text_of(value)
  if type(value) == "string" and value ~= "" then return value end
end

local function table_of(value)
  return type(value) == "table" and value or {}
end

---@param document table
---@return directmethods.RemoteIdentity
function M.new(document)
  local keys = table_of(table_of(document.authentication).symmetricKey)
  return {
    device_id = document.deviceId,
    module_id = text_of(document.moduleId),
    primary_key = text_of(keys.primaryKey),
    secondary_key = text_of(keys.secondaryKey),
    status = text_of(document.status),
    status_reason = text_of(document.statusReason),
    connected = document.connectionState == "Connected",
    etag = document.etag,
    generation_id = document.generationId,
    document = document,
  }
end

local function set_keys(document, fields)
  if not fields.primary_key and not fields.secondary_key then return end
  local authentication = table_of(document.authentication)
  local keys = table_of(authentication.symmetricKey)
  keys.primaryKey = fields.primary_key or keys.primaryKey
  keys.secondaryKey = fields.secondary_key or keys.secondaryKey
  authentication.type, authentication.symmetricKey = "sas", keys
  document.authentication = authentication
end

--- Set what is given in a document.
---@param document table
---@param fields table of M.FIELDS, checked
---@return table document
function M.change(document, fields)
  document.status = fields.status or document.status
  document.statusReason = fields.status_reason or document.statusReason
  set_keys(document, fields)
  return document
end

--- Have the hub make the keys that a new identity lacks.
function M.ask_for_keys(document)
  local authentication = table_of(document.authentication)
  local keys = table_of(authentication.symmetricKey)
  keys.primaryKey, keys.secondaryKey = keys.primaryKey or "", keys.secondaryKey or ""
  authentication.type, authentication.symmetricKey = "sas", keys
  document.authentication = authentication
end

-- Bulk requests --------------------------------------------------------------

local MODES = {
  create = "create",
  update = "update",
  create_or_update = "createOrUpdate",
  delete = "delete",
  update_twin = "updateTwin",
}

--- An entry of a bulk request.
---@param fields table checked
---@return table
function M.entry(fields)
  local mode = MODES[fields.mode]
  if fields.etag and mode ~= "create" then mode = mode .. "IfMatchETag" end
  local entry = {
    id = fields.id,
    moduleId = fields.module_id,
    importMode = mode,
    tags = fields.tags,
    properties = fields.desired and { desired = fields.desired },
  }
  entry[fields.mode == "update_twin" and "twinETag" or "eTag"] = fields.etag
  M.change(entry, fields)
  if mode == "create" then M.ask_for_keys(entry) end
  return entry
end

local function bulk_error(document)
  local code = math.tointeger(document.errorCode)
  local known = errors.codes[code] or {}
  local text = text_of(document.errorStatus) or known.cause or "it was not done"
  return {
    device_id = text_of(document.deviceId),
    module_id = text_of(document.moduleId),
    code = code,
    name = known.name or "ProtocolError",
    message = text,
  }
end

--- Add what a bulk request's answer says to a result.
---@param result directmethods.BulkResult
---@param document table
function M.add_errors(result, document)
  result.ok = result.ok and document.isSuccessful == true
  for _, each in ipairs(table_of(document.errors)) do
    result.errors[#result.errors + 1] = bulk_error(table_of(each))
  end
end

return M
