--- Converts identities between the registry's JSON and Lua.

local core = require "directmethods.core"
local errors = require "directmethods.errors"

local M = {}

local KEY_MIN, KEY_MAX = 16, 64 -- bytes

local function wrong_key(value)
  local bytes = core.base64_decode(value)
  if bytes and #bytes >= KEY_MIN and #bytes <= KEY_MAX then return nil end
  return ("must be base64 of %d to %d bytes"):format(KEY_MIN, KEY_MAX)
end

local SHA1_DIGITS, SHA256_DIGITS = 40, 64

local function wrong_thumbprint(value)
  local digits = value:find("^%x+$") and #value
  if digits == SHA1_DIGITS or digits == SHA256_DIGITS then return nil end
  return "must be 40 (SHA-1) or 64 (SHA-256) hexadecimal digits"
end

--- The options that make or change an identity.
---@type table<string, directmethods.OptionSpec>
M.FIELDS = {
  authentication = {
    "string", choices = { "sas", "selfSigned", "certificateAuthority", "none" },
  },
  primary_thumbprint = { "string", check = wrong_thumbprint },
  secondary_thumbprint = { "string", check = wrong_thumbprint },
  primary_key = { "string", check = wrong_key },
  secondary_key = { "string", check = wrong_key },
  status = { "string", choices = { "enabled", "disabled" } },
  status_reason = { "string", max = 512 },
}

--- An identity of the hub's registry.
---@class directmethods.RemoteIdentity
---@field device_id string
---@field module_id string?
---@field authentication string "sas", "selfSigned", "certificateAuthority" or "none"
---@field primary_key string?   base64; nil: it does not log in with a key
---@field secondary_key string?
---@field primary_thumbprint string? of its certificate, hexadecimal
---@field secondary_thumbprint string?
---@field status string?        "enabled" or "disabled"; nil: a module
---@field status_reason string?
---@field connected boolean
---@field etag string
---@field generation_id string
---@field document table        the hub's whole answer, with its own names

local function text_of(value)
  if type(value) == "string" and value ~= "" then return value end
end

local function table_of(value)
  return type(value) == "table" and value or {}
end

---@param document table
---@return directmethods.RemoteIdentity
function M.new(document)
  local authentication = table_of(document.authentication)
  local keys = table_of(authentication.symmetricKey)
  local thumbprints = table_of(authentication.x509Thumbprint)
  return {
    device_id = document.deviceId,
    module_id = text_of(document.moduleId),
    authentication = authentication.type,
    primary_key = text_of(keys.primaryKey),
    secondary_key = text_of(keys.secondaryKey),
    primary_thumbprint = text_of(thumbprints.primaryThumbprint),
    secondary_thumbprint = text_of(thumbprints.secondaryThumbprint),
    status = text_of(document.status),
    status_reason = text_of(document.statusReason),
    connected = document.connectionState == "Connected",
    etag = document.etag,
    generation_id = document.generationId,
    document = document,
  }
end

local X509 = { primary = "primary_thumbprint", secondary = "secondary_thumbprint" }
local KEYS = { primary = "primary_key", secondary = "secondary_key" }

-- The requested type of authentication; nil: unchanged.
local function type_of(fields)
  if fields.authentication then return fields.authentication end
  if fields[X509.primary] or fields[X509.secondary] then return "selfSigned" end
  if fields[KEYS.primary] or fields[KEYS.secondary] then return "sas" end
end

-- The given values, else those of `old`; nil: none.
local function pair_of(fields, names, old, primary, secondary)
  local pair = {
    [primary] = fields[names.primary] or old[primary],
    [secondary] = fields[names.secondary] or old[secondary],
  }
  return next(pair) and pair or nil
end

local function set_authentication(document, fields)
  local kind = type_of(fields)
  if not kind then return end
  local old = table_of(document.authentication)
  document.authentication = {
    type = kind,
    symmetricKey = pair_of(fields, KEYS,
      kind == "sas" and table_of(old.symmetricKey) or {},
      "primaryKey", "secondaryKey"),
    x509Thumbprint = pair_of(fields, X509,
      kind == "selfSigned" and table_of(old.x509Thumbprint) or {},
      "primaryThumbprint", "secondaryThumbprint"),
  }
end

--- Set the given options in a document.
---@param document table
---@param fields table of M.FIELDS, checked
---@return table document
function M.change(document, fields)
  document.status = fields.status or document.status
  document.statusReason = fields.status_reason or document.statusReason
  set_authentication(document, fields)
  return document
end

--- Ask the hub to make the keys that a new identity lacks, if it logs in with keys.
function M.ask_for_keys(document)
  local authentication = document.authentication or { type = "sas" }
  if authentication.type ~= "sas" then return end
  local keys = authentication.symmetricKey or {}
  keys.primaryKey, keys.secondaryKey = keys.primaryKey or "", keys.secondaryKey or ""
  authentication.symmetricKey = keys
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
  local text = text_of(document.errorStatus) or known.cause
    or "the hub gives no reason"
  return {
    device_id = text_of(document.deviceId),
    module_id = text_of(document.moduleId),
    code = code,
    name = known.name or "ProtocolError",
    message = text,
  }
end

--- Add the answer of a bulk request to a result.
---@param result directmethods.BulkResult
---@param document table
function M.add_errors(result, document)
  result.ok = result.ok and document.isSuccessful == true
  for _, each in ipairs(table_of(document.errors)) do
    result.errors[#result.errors + 1] = bulk_error(table_of(each))
  end
end

return M
