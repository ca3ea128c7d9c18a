--- The token of a device, and whether the machine's clock is right.

local core = require "directmethods.core"
local errors = require "directmethods.errors"

local M = {}

-- The date of this release; build-aux/release.sh sets it. If the machine's clock is
-- before it, nobody has set the clock, as on a router without a battery after a start.
M.BUILT = 1704067200

M.EXPIRED = "the given SAS token has expired: a new one is needed"

--- A time for people; default: what this machine's clock shows.
---@param time number?
---@return string
function M.show_time(time)
  local seconds = math.floor(time or core.time())
  return os.date("!%Y-%m-%d %H:%M UTC", seconds) --[[@as string]]
end

--- Is the server's certificate not valid yet? Most likely this machine's clock is
-- behind, and will be set. csrc/net/tls.c words it.
---@param err directmethods.Error
---@return boolean
function M.is_early(err)
  return err.name == "TlsFailed"
    and err.message:find("and this machine's clock shows", 1, true) ~= nil
end

--- An error that says why the clock is wrong, or nil.
---@return directmethods.Error?
function M.clock_error()
  local now = core.time()
  if now >= M.BUILT then return nil end
  return errors.new {
    name = "SystemError",
    message = ("the clock of this machine is not set: it shows %s; the device waits"
      .. " until it is"):format(M.show_time(now)),
  }
end

--- Wall time minus monotonic time. It changes when somebody sets the clock, and when
-- the machine was suspended.
---@return number seconds
function M.clock_offset()
  return core.time() - core.now()
end

--- Has the token of the option `sas` expired?
---@return directmethods.Error?
function M.expired(config)
  if not config.sas or config.sas_expiry > core.time() then return nil end
  return errors.new {
    name = "Unauthorized",
    message = M.EXPIRED,
  }
end

---@class directmethods.Credentials
---@field password string?  nil: the device logs in with a certificate
---@field expiry integer?   unix time; nil: there is no token to renew

--- Credentials for a new connection.
---@return directmethods.Credentials?
---@return directmethods.Error? err
function M.sign(config)
  if config.x509 then return {} end
  if config.sas then
    local expired = M.expired(config)
    if expired then return nil, expired end
    return { password = config.sas }
  end
  local expiry = math.floor(core.time() + config.token_ttl)
  local token, name, message = core.sas_sign(
    config.resource, config.key, expiry, config.key_name)
  if not token then return nil, errors.new { name = name, message = message } end
  return { password = token, expiry = expiry }
end

return M
