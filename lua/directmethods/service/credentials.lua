--- The host of a service and its tokens.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local options = require "directmethods.options"

local M = {}

local RENEW_MAX_S = 300 -- a token is renewed at most this long before its expiry
local SKEW_S = 300 -- the hub accepts a token this long after its expiry
-- (docs/protocol.md 4.5)

-- A function that returns the token to send. Only this function holds the key.
local function signer(credentials, host, ttl)
  local token, signed, renew
  return function()
    local now = core.time()
    if token and now >= signed and now < renew then return token end
    local expiry = math.ceil(now + ttl)
    local text, name, message = core.sas_sign(
      host, credentials.key, expiry, credentials.key_name)
    if not text then return nil, errors.new { name = name, message = message } end
    token, signed, renew = text, now, expiry - math.min(ttl * 0.2, RENEW_MAX_S)
    return token
  end
end

local function given_token(token, expiry)
  return function()
    if core.time() <= expiry + SKEW_S then return token end
    return nil, errors.new {
      name = "Unauthorized",
      message = "the SAS token that was given expired at "
        .. os.date("!%Y-%m-%dT%H:%M:%SZ", expiry),
    }
  end
end

local function read_connection_string(text, level)
  local function fail(rule)
    options.fail("dm.service", "option 'connection_string'", rule, level + 1)
  end
  local fields, _, message = core.connstr(text)
  if not fields then fail("is wrong: " .. message:gsub("^connection string: ", "")) end
  if fields.device_id then
    fail("is a device's (it has a DeviceId); a service's has SharedAccessKeyName")
  elseif fields.gateway_host_name then
    fail("has a GatewayHostName, which services do not use")
  elseif fields.key and not fields.key_name then
    fail("has no SharedAccessKeyName")
  elseif not fields.key and not fields.signature then
    fail("needs SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature")
  end
  return fields.host_name, fields
end

--- The host, and the function that returns the token to send (or nil, err). Raises if
--- an option is wrong, `level` frames above the caller's caller.
---@param opts table checked options of dm.service
---@param level integer
---@return string host
---@return fun():string?, directmethods.Error?
function M.read(opts, level)
  local host, token, name = opts.host, opts.sas, "option 'sas'"
  if opts.connection_string then
    if host or token then
      options.fail("dm.service", "option 'connection_string'",
        "must not be given together with 'host' or 'sas'", level)
    end
    local fields
    host, fields = read_connection_string(opts.connection_string, level + 1)
    if fields.key then return host, signer(fields, host, opts.token_ttl) end
    token, name = fields.signature, "option 'connection_string'"
  elseif not host or not token then
    options.fail("dm.service", "option 'connection_string'",
      "is required (or 'host' and 'sas')", level)
  elseif not host:find("^[%w%-._]+$") then
    options.fail("dm.service", "option 'host'",
      "must be a host name without a port", level)
  end
  local expiry = core.sas_expiry(token)
  if not expiry then
    options.fail("dm.service", name,
      "must be a token: SharedAccessSignature sr=...&sig=...&se=...", level)
  end
  return host, given_token(token, expiry)
end

return M
