--- What changes of a hub that is running: its certificate, and some of its options.

local class = require "directmethods.hub.class"
local configs = require "directmethods.hub.config"
local option_rules = require "directmethods.hub.option_rules"
local options = require "directmethods.options"
local policies = require "directmethods.hub.policies"
local renewal = require "directmethods.hub.renewal"
local task = require "directmethods.task"

local Hub, check_open = class.Hub, class.check_open

-- Certificates -----------------------------------------------------------------

local USE_CERTIFICATE = "hub:use_certificate"
local CERTIFICATE = {
  cert = { "string", required = true },
  key = { "string", required = true },
  ca = { "string" },
}

--- Use another certificate for new connections; those that are open go on with theirs.
-- Without an argument the hub renews its own one, if that ends within 30 days, as it
-- does by itself. Waits. After an error the old certificate stays in use.
--- ```lua
--- assert(hub:use_certificate { cert = "hub.pem", key = "hub.key", ca = "ca.pem" })
--- ```
---@param tls { cert: string, key: string, ca: string? }? PEM texts or paths, as in the
---  option `tls`
---@return boolean? done
---@return directmethods.Error? err the certificate cannot be used, or not be made
function Hub:use_certificate(tls)
  check_open(self, USE_CERTIFICATE)
  if tls ~= nil then options.check(tls, CERTIFICATE, USE_CERTIFICATE) end
  if not self.config.tls then
    error(USE_CERTIFICATE .. ": the hub has no TLS (its option tls is false)", 2)
  end
  task.current(USE_CERTIFICATE)
  local made, err
  if tls then made = configs.read_certificate(tls, 2)
  else made, err = renewal.own(self.state, self.config) end
  if not made then return nil, err end
  if tls then renewal.stop(self.state)
  else renewal.start(self.state, self.config, made) end
  return renewal.use(self.state, made, self.config.x509_ca)
end

-- Options ------------------------------------------------------------------------

local function change_admin_token(hub, token)
  if not hub.state.admin then
    error("hub:change: option 'admin_token' needs admin_port", 3)
  end
  hub.state.admin.token = token
  hub.state.plane:admin_token(token)
end

--- Change options while the hub runs: `policies` (their keys), `admin_token`,
-- `retry_after`, `failed_logins`, and of `limits` body_bytes, calls_per_device,
-- filters, filter_size, packet_filters and waiting_bytes. Options that are not given
-- stay. When the key of a connection's token is gone, the connection is closed. In a
-- cluster it waits, and the policies' keys change for all hubs.
--- ```lua
--- assert(hub:change { limits = { calls_per_device = 10 } })
--- ```
---@param opts table options of dm.hub; one that cannot change raises an error
---@return boolean? done
---@return directmethods.Error? err out of memory, or the store has failed
function Hub:change(opts)
  check_open(self, "hub:change")
  opts = option_rules.read_changes(opts)
  if opts.admin_token then change_admin_token(self, opts.admin_token) end
  local config = self.config
  if opts.retry_after ~= nil then config.retry_after = opts.retry_after end
  config.failed_logins = opts.failed_logins or config.failed_logins
  for name, value in pairs(opts.limits) do config.limits[name] = value end
  self.state.plane:change(config)
  return policies.change(self.state, config, opts.policies)
end

return Hub
