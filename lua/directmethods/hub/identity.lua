--- The parts of an identity: the rules for ids, keys and thumbprints, and what
-- documents tell of it. Its JSON document is in hub/identity_document.lua.

local core = require "directmethods.core"
local options = require "directmethods.options"

local M = {}

local KEY_BYTES = 32 -- of a key made here
-- The published keys of hubs with dev_keys.
local DEV_PRIMARY = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBmaXJzdCE="
local DEV_SECONDARY = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBzZWNvbmQ="
local KEY_MIN, KEY_MAX = 16, 64 -- bytes of a key that is given
local NEVER = "0001-01-01T00:00:00"
local TICK = 1e7 -- of the fraction of a second in a time

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

--- The values of authentication.type.
---@type string[]
M.AUTHENTICATIONS = { "sas", "selfSigned", "certificateAuthority", "none" }

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

return M
