--- The configuration of a hub: the options of dm.hub, checked together, with what
-- follows from them. The rule of each single option is in hub/option_rules.lua.

local cluster_options = require "directmethods.hub.cluster_options"
local options = require "directmethods.options"
local rules = require "directmethods.hub.option_rules"
local sql = require "directmethods.hub.sql"

local M = {}

local WHAT = "dm.hub"
local FAILED_LOGINS = 20 -- of an address within a minute, beyond loopback
local LEVEL = 3 -- from read_tls up to the caller of dm.hub

local function fail(option, rule, level)
  options.fail(WHAT, ("option '%s'"):format(option), rule, level or LEVEL)
end

local function is_loopback(host)
  return host == "localhost" or host == "::1"
    or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

-- What should be a path may be a key by mistake: it is not repeated.
local function read_pem(value, option, level)
  if not value or value:find("-----BEGIN", 1, true) then return value end
  local file, why = io.open(value, "rb")
  if not file then
    fail(option, "cannot be read: " .. why:sub(#value + 3), level + 1)
  end
  local text = file:read("a")
  file:close()
  if not text or not text:find("-----BEGIN", 1, true) then
    fail(option, "must be PEM text or the path of a PEM file", level + 1)
  end
  return text
end

--- Read a certificate. Raises `level` frames above.
---@param tls { cert: string, key: string, ca: string? } PEM texts or paths
---@param level integer
---@return { cert: string, key: string, ca: string? } texts
function M.read_certificate(tls, level)
  return {
    cert = read_pem(tls.cert, "tls.cert", level),
    key = read_pem(tls.key, "tls.key", level),
    ca = read_pem(tls.ca, "tls.ca", level),
  }
end

local function read_tls(config)
  local tls = config.tls
  if type(tls) == "table" then
    config.tls = M.read_certificate(tls, LEVEL + 1)
  elseif not tls and not config.insecure and not is_loopback(config.host) then
    fail("host", "must be a loopback address when tls is false, or else set "
      .. "insecure = true: tokens and payloads would cross the network in the clear")
  end
end

local function read_admin(config)
  for _, name in ipairs { "admin_token", "admin_host", "admin_tls" } do
    if config[name] and not config.admin_port then fail(name, "needs admin_port") end
  end
  if config.admin_tls and not config.tls then
    fail("admin_tls", "must not be set when tls is false: the hub has no certificate")
  end
  config.admin_host = config.admin_host or "127.0.0.1"
  if is_loopback(config.admin_host) then return end
  if not config.admin_tls then
    fail("admin_host", "must be a loopback address, or else set admin_tls = true: the "
      .. "token would cross the network in the clear")
  elseif not config.admin_token then
    fail("admin_host", "must be a loopback address, or else give admin_token")
  end
end

local function read_x509_ca(config)
  if config.x509_ca and not config.tls then
    fail("x509_ca", "needs tls: devices send certificates over TLS only")
  end
  config.x509_ca = read_pem(config.x509_ca, "x509_ca", LEVEL)
end

local function read_tier(config)
  if config.units and not config.tier then fail("units", "needs a tier") end
  config.units = config.units or 1
  if config.tier == "F1" and config.units > 1 then
    fail("units", "must be 1 for the tier F1")
  end
end

-- By tier: jobs that run at a time, devices in a second for so many units.
local ACTIVE = { F1 = 1, S1 = 1, S2 = 5, S3 = 10 }
local RATE = {
  F1 = function() return 10 end,
  S1 = function() return 10 end,
  S2 = function(units) return math.max(10, units) end,
  S3 = function(units) return 50 * units end,
}

local function read_jobs(config)
  local jobs, tier = config.jobs, config.tier
  jobs.active = jobs.active or ACTIVE[tier or "S3"]
  jobs.rate = jobs.rate or tier and RATE[tier](config.units)
end

local function read_cluster(config)
  if not config.cluster then return end
  if not sql.is_url(config.store) then
    fail("store", "must be a URL postgres://... when cluster is set: hubs of one name "
      .. "share a PostgreSQL database")
  end
  local member, rule = cluster_options.wrong(config.cluster, is_loopback)
  if member then fail("cluster." .. member, rule) end
end

local function unique(names)
  local list, seen = {}, {}
  for _, name in ipairs(names) do
    local lower = name:lower()
    if not seen[lower] then
      seen[lower] = true
      list[#list + 1] = name
    end
  end
  return list
end

-- All names of the hub.
local function names_of(config)
  local names = { config.hostname }
  for _, name in ipairs { "device_hostname", "service_hostname" } do
    names[#names + 1] = config[name]
  end
  return table.move(config.aliases, 1, #config.aliases, #names + 1, names)
end

--- The configuration of a hub. Raises at the caller of dm.hub.
---@param opts table? the options
---@return table config with `hostnames`, all names that clients may call it by
function M.read(opts)
  local config = options.check(opts, rules.SPEC, WHAT, 1)
  if config.dev_keys and not is_loopback(config.host) then
    fail("dev_keys", "must not be set when host is not a loopback address: everybody "
      .. "knows these keys", LEVEL - 1)
  end
  read_tls(config)
  read_admin(config)
  read_x509_ca(config)
  read_tier(config)
  read_jobs(config)
  read_cluster(config)
  if not config.failed_logins then
    config.failed_logins = is_loopback(config.host) and 0 or FAILED_LOGINS
  end
  config.lasting_tokens = not config.tokens
  config.hostnames = unique(names_of(config))
  return config
end

local ANY = { ["0.0.0.0"] = "127.0.0.1", ["::"] = "::1" }

--- Where clients in this process connect to.
function M.reach(config)
  return ANY[config.host] or config.host
end

--- The address of the admin listener's URL, for clients on this machine.
function M.reach_admin(config)
  return ANY[config.admin_host] or config.admin_host
end

--- The names that the hub's own certificate is for.
function M.certificate_names(config)
  local names = names_of(config)
  local own = { "localhost", "127.0.0.1", "::1", M.reach(config) }
  own[#own + 1] = config.admin_host and M.reach_admin(config)
  return table.move(own, 1, #own, #names + 1, names)
end

return M
