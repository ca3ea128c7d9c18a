--- The options of dm.fleet, and the configurations of its devices: one shared table,
-- and a small one for each device.

local configs = require "directmethods.device.config"
local core = require "directmethods.core"
local credentials = require "directmethods.device.credentials"
local devices = require "directmethods.device"
local enrol = require "directmethods.fleet.enrol"
local errors = require "directmethods.errors"
local options = require "directmethods.options"

local M = {}

---@class directmethods.FleetOptions
---@field hub directmethods.Hub?
-- a local hub of this process: the devices are registered there
---@field count integer?  how many devices; needed with `hub`
---@field id string|fun(i: integer): string
-- with `hub`: the id of device i; a text for string.format; default "dev-%04d"
---@field connection_strings string[]?  or one for each device
---@field handlers table<string, directmethods.Handler>?  of every device
---@field fallback directmethods.Handler?
---@field connect_rate number?
-- devices that start to connect per second; default: no limit. Further options are
-- those of dm.device, without those that identify a device, x509, proxy, transport,
-- engine and persist

local WHAT = "dm.fleet"
local COUNT_MAX = 100000
local RESERVE = 32 -- descriptors left for everything else
local SPREAD = 10 -- renewals are spread over a tenth of a token's life

local OWN = {
  hub = { "table" },
  count = { "integer", min = 1, max = COUNT_MAX },
  id = { "string|function", default = "dev-%04d" },
  connection_strings = { "table" },
  connect_rate = { "number", min = 0.001, max = 1e6 },
}

-- Options of dm.device that a fleet does not take, and why.
local NOT_HERE = {
  connection_string = "use connection_strings, one for each device",
  host_name = "connection_strings contain it",
  device_id = "option 'id' or connection_strings contain it",
  module_id = "connection_strings contain it",
  key = "connection_strings contain it",
  sas = "connection_strings contain it",
  x509 = "devices of a fleet log in with keys or tokens",
  proxy = "devices of a fleet use no proxy",
  transport = "devices of a fleet use MQTT over TCP and TLS",
  engine = "devices of a fleet share the engine uv",
  persist = "fleet:connect tells which devices have failed",
}

-- What differs between the devices.
local IDENTITY = {
  "host_name", "gateway_host_name", "port", "device_id", "module_id", "key",
  "key_name", "sas", "sas_expiry", "resource",
}

-- Errors are raised as one of these; M.read raises the text at the caller of dm.fleet.
local Wrong = {}

local function fail(option, rule)
  error(setmetatable({ ("option '%s' %s"):format(option, rule) }, Wrong), 0)
end

-- Call a function of dm.device that checks options; its error becomes one of dm.fleet.
local function checked(fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then return result end
  local text = type(result) == "string" and result:match("dm%.%a+: (.*)$")
  if not text then error(result, 0) end
  error(setmetatable({
    (text:gsub("^option 'connection_string'", "option 'connection_strings[1]'")),
  }, Wrong), 0)
end

-- Separate the fleet's options from those of its devices.
local function split(opts)
  local own, device = {}, {}
  for name, value in pairs(opts) do
    if NOT_HERE[name] then
      fail(name, "must not be given: " .. NOT_HERE[name])
    elseif OWN[name] then
      own[name] = value
    else
      device[name] = value
    end
  end
  return own, device
end

local function check_strings(own)
  local list = own.connection_strings
  if own.hub then fail("hub", "must not be given together with connection_strings") end
  if own.count then
    fail("count", "must not be given together with connection_strings")
  end
  if #list < 1 or #list > COUNT_MAX then
    fail("connection_strings", ("must be 1 to %d texts"):format(COUNT_MAX))
  end
  for i, text in ipairs(list) do
    if type(text) ~= "string" then
      fail(("connection_strings[%d]"):format(i), "must be a text")
    end
  end
end

-- Configurations ---------------------------------------------------------------

-- The configuration of one device: the fields that are not in `shared`.
local function vary(shared, text, i)
  local opts = {
    connection_string = text,
    port = shared.port,
    gateway_host_name = shared.gateway_host_name,
  }
  local ok, message = pcall(credentials.read, opts)
  if not ok then
    fail(("connection_strings[%d]"):format(i), "is wrong: "
      .. message:gsub("^.-dm%.device: ", ""):gsub("^option '.-' is wrong: ", ""))
  end
  local config = {}
  for _, name in ipairs(IDENTITY) do
    if opts[name] ~= shared[name] then config[name] = opts[name] end
  end
  local latest = shared.token_ttl - shared.token_renew
  config.token_renew = shared.token_renew
    + math.random() * math.min(latest, shared.token_ttl / SPREAD)
  return config
end

local function read_shared(device, first)
  device.connection_string = first
  local shared = checked(configs.read, device)
  shared.handlers = checked(devices.check_handlers, shared.handlers)
  for _, name in ipairs(IDENTITY) do
    local common = name == "host_name" or name == "gateway_host_name" or name == "port"
    if not common then shared[name] = nil end
  end
  return shared
end

local function vary_all(shared, strings)
  local mt = { __index = shared }
  local list = {}
  for i, text in ipairs(strings) do
    list[i] = setmetatable(vary(shared, text, i), mt)
  end
  return list
end

-- A device needs one descriptor, and the hub another one if it is in this process.
local function check_descriptors(count, hub)
  local soft, hard, open = core.descriptors()
  local needed = open + RESERVE + (hub and 2 or 1) * count
  if needed <= soft then return true end
  return nil, errors.new {
    name = "LimitExceeded",
    message = ("dm.fleet: %d devices need %d file descriptors%s, and this process may"
      .. " have %d: raise the limit first with 'ulimit -n %d'%s"):format(count, needed,
      hub and " (two each, as the hub is in this process)" or "", soft, needed,
      needed > hard and (", the system's maximum is %d"):format(hard) or ""),
  }
end

-- The ids of devices that have to be registered; nil: there are connection strings.
local function read_own(own)
  if own.connection_strings then
    check_strings(own)
    return nil
  elseif not enrol.is_hub(own.hub) then
    fail("hub", "must be a local hub (dm.hub), unless connection_strings are given")
  elseif not own.count then
    fail("count", "is required")
  end
  local ids, wrong = enrol.ids(own.count, own.id)
  if wrong then fail("id", wrong) end
  return ids
end

---@class directmethods.FleetConfig
---@field shared table        configuration that all devices have in common
---@field devices table[]     of each device
---@field connect_rate number?

-- Everything is checked before anything is registered.
local function read(opts)
  local own, device = split(opts)
  own = checked(options.check, own, OWN, WHAT)
  local strings, hub = own.connection_strings, own.hub
  local ids = read_own(own)
  local good, err = check_descriptors(strings and #strings or own.count, hub)
  if good and ids then good, err = enrol.reach(hub, device) end
  if not good then return nil, err end
  local shared = read_shared(device, strings and strings[1] or enrol.sample(hub, ids))
  if ids then strings, err = enrol.register(hub, ids) end
  if not strings then return nil, err end
  return {
    shared = shared,
    devices = vary_all(shared, strings),
    connect_rate = own.connect_rate,
  }
end

--- Read the options. Raises at the caller of dm.fleet.
---@return directmethods.FleetConfig?
---@return directmethods.Error? err too few descriptors; the hub's registry is full
function M.read(opts)
  if type(opts) ~= "table" then
    error(("dm.fleet: options must be a table, not a %s"):format(type(opts)), 3)
  end
  local ok, config, err = pcall(read, opts)
  if ok then return config, err end
  if getmetatable(config) ~= Wrong then error(config, 0) end
  error(WHAT .. ": " .. config[1], 3)
end

return M
