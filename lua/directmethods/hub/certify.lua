--- A new certificate for a hub that is running.

local class = require "directmethods.hub.class"
local configs = require "directmethods.hub.config"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local restore = require "directmethods.hub.restore"
local task = require "directmethods.task"

local Hub, check_open = class.Hub, class.check_open

local WHAT = "hub:use_certificate"
local SPEC = {
  cert = { "string", required = true },
  key = { "string", required = true },
  ca = { "string" },
}

-- The certificate of the hub's own authority, made again if it ends soon. Without a
-- store the authority's key is gone, and nothing can be made.
local function own_certificate(hub)
  local store = hub.state.store
  if not store.path then
    return nil, errors.new {
      name = "SystemError",
      message = WHAT .. ": a hub without a store cannot renew its certificate",
    }
  end
  return restore.certificates(store, configs.certificate_names(hub.config))
end

--- Use another certificate for new connections; those that are open go on with theirs.
-- Without an argument a hub with a store in a file renews its own one, if that ends
-- within 30 days. Waits. After an error the old certificate stays in use.
--- ```lua
--- assert(hub:use_certificate { cert = "hub.pem", key = "hub.key", ca = "ca.pem" })
--- ```
---@param tls { cert: string, key: string, ca: string? }? PEM texts or paths, as in the
---  option `tls`
---@return boolean? done
---@return directmethods.Error? err the certificate cannot be used, or not be made
function Hub:use_certificate(tls)
  check_open(self, WHAT)
  if tls ~= nil then options.check(tls, SPEC, WHAT) end
  if not self.config.tls then
    error(WHAT .. ": the hub has no TLS (its option tls is false)", 2)
  end
  task.current(WHAT)
  local made, err
  if tls then made = configs.read_certificate(tls, 2)
  else made, err = own_certificate(self) end
  if not made then return nil, err end
  local done, name, message =
    self.state.plane:certify(made.cert, made.key, self.config.x509_ca)
  if not done then return nil, errors.new { name = name, message = message } end
  return restore.change_ca(self.state, made.ca)
end

return Hub
