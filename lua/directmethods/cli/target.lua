--- Finds the hub of a command, in this order: --connection-string, --ready-file,
-- DIRECTMETHODS_READY_FILE, IOTHUB_CONNECTION_STRING.
--
-- A ready file contains ports and CA. For --connection-string they are options, for
-- IOTHUB_CONNECTION_STRING the variables that `directmethods hub --env` prints.

local command = require "directmethods.cli.command"
local identity_name = require "directmethods.identity_name"
local written = require "directmethods.connection_string"
local core = require "directmethods.core"
local json = require "directmethods.json"
local speeds = require "directmethods.cli.speed"

local M = {}

local POLICY = "iothubowner" -- of a ready file
local API_VERSION = "2021-04-12"
local OPEN_TIMEOUT = 30 -- seconds that a device has to connect
local LONG = 365 * 86400 -- seconds that tokens for a local hub are good for
local ANY = { ["0.0.0.0"] = "127.0.0.1", ["::"] = "::1" }

local NO_HUB = "which hub? Give --connection-string or --ready-file, or set "
  .. "IOTHUB_CONNECTION_STRING or DIRECTMETHODS_READY_FILE "
  .. "(`directmethods hub -- COMMAND` sets both)"

local NO_READY_FILE = " (does the hub run? It removes its ready file when it ends)"

---@class directmethods.CliTarget
---@field connection_string string of the service
---@field host string?     to connect to, when it is not the HostName
---@field ports { mqtt: integer?, https: integer?, admin: integer? }
---@field tls false|{ ca: string? }
---@field policies table<string, string> connection strings by name
---@field devices table<string, string>  likewise
---@field admin_url string?   of the admin listener
---@field admin_token string?
---@field environment table<string, string>? by which a program has the hub's time
---@field ready_file string? the file that told all this
local Target = {}
Target.__index = Target

--- Add the options by which a command finds its hub.
function M.options(parser)
  parser:option("--connection-string", "Connection string of the hub, or @FILE "
    .. "with it; default: IOTHUB_CONNECTION_STRING."):argname("STRING")
  parser:option("--ready-file", "File that `directmethods hub --ready-file` wrote; "
    .. "default: DIRECTMETHODS_READY_FILE."):argname("FILE")
  parser:option("--ca", "CA to trust with --connection-string, PEM; default: the "
    .. "system's."):argname("FILE")
  parser:option("--https-port", "HTTPS port to use with --connection-string; "
    .. "default: 443.")
    :argname("PORT"):convert(command.whole("--https-port", 1, 65535))
  parser:option("--mqtt-port", "MQTT port to use with --connection-string; "
    .. "default: 8883.")
    :argname("PORT"):convert(command.whole("--mqtt-port", 1, 65535))
  parser:flag("--plain", "Use plain TCP with --connection-string instead of TLS.")
end

local function variable(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local function port_variable(name)
  local text = variable(name)
  if not text then return nil end
  local port, wrong = command.whole(name, 1, 65535)(text)
  if not port then command.fail(command.USAGE, wrong) end
  return port
end

local function parse(text, what)
  local fields, _, why = core.connstr(text)
  if fields then return fields end
  command.fail(command.USAGE, ("%s: %s"):format(what, why))
end

local function from_string(args, text, what, defaults)
  text = command.read_argument(text)
  local fields = parse(text, what)
  local tls = not args.plain and { ca = args.ca or defaults.ca }
  return setmetatable({
    connection_string = text,
    hostname = fields.host_name,
    ports = {
      https = args.https_port or defaults.https,
      mqtt = args.mqtt_port or defaults.mqtt,
      admin = defaults.admin,
    },
    tls = tls,
    policies = { [fields.key_name or ""] = not fields.device_id and text or nil },
    devices = {},
    admin_url = defaults.admin_url,
    admin_token = defaults.admin_token,
  }, Target)
end

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- Where the CA of a ready file is. A hub in a container writes a path of the container;
-- on this machine the file is beside the ready file, on the same volume.
local function ca_of(facts, path)
  local ca = facts.ca_file
  if not ca or exists(ca) then return ca end
  local beside = (path:match("^.*/") or "") .. ca:match("[^/]*$")
  return exists(beside) and beside or ca
end

local function from_ready_file(path)
  local facts = json.decode(command.read_file(path, NO_READY_FILE))
  if type(facts) ~= "table" or type(facts.connection_strings) ~= "table"
    or type(facts.ports) ~= "table" then
    command.fail(command.LOCAL, path .. ": is no ready file of a hub")
  end
  speeds.follow(facts.clock)
  return setmetatable({
    connection_string = facts.connection_strings[POLICY],
    hostname = facts.hostname,
    host = ANY[facts.host] or facts.host,
    ports = facts.ports,
    tls = facts.tls and { ca = ca_of(facts, path) } or false,
    policies = facts.connection_strings,
    devices = facts.devices or {},
    admin_url = facts.admin_url,
    admin_token = facts.admin_token,
    environment = facts.environment,
    ready_file = path,
  }, Target)
end

-- The variables that belong to a connection string in the environment.
local function from_variables()
  return {
    ca = variable "IOTHUB_CA_FILE",
    https = port_variable "HUB_HTTPS_PORT",
    mqtt = port_variable "HUB_MQTT_PORT",
    admin = port_variable "HUB_ADMIN_PORT",
    admin_url = variable "HUB_ADMIN_URL",
    admin_token = variable "HUB_ADMIN_TOKEN",
  }
end

-- The hub of the variables that `directmethods hub --env` prints.
local function from_environment(args)
  local text = variable "IOTHUB_CONNECTION_STRING"
  if not text then command.fail(command.USAGE, NO_HUB) end
  return from_string(args, text, "IOTHUB_CONNECTION_STRING", from_variables())
end

--- Find the hub of a command. If none is named, the command ends.
---@param args table
---@return directmethods.CliTarget
function M.find(args)
  speeds.follow(nil)
  if args.connection_string then
    return from_string(args, args.connection_string, "--connection-string", {})
  end
  local path = args.ready_file or variable "DIRECTMETHODS_READY_FILE"
  if path then return from_ready_file(path) end
  return from_environment(args)
end

-- A connection string that may be a device's, and its hub; nil: none was given.
local function given_string(args)
  local text = args.connection_string
  if text then return text, from_string(args, text, "--connection-string", {}) end
  text = variable "IOTHUB_DEVICE_CONNECTION_STRING"
  if not text or args.ready_file then return nil end
  local path = variable "DIRECTMETHODS_READY_FILE"
  if path then return text, from_ready_file(path) end
  return text, from_string(args, text, "IOTHUB_DEVICE_CONNECTION_STRING",
    from_variables())
end

-- The options and name of that device; nil: it is not a device, or not this one.
local function given_device(args, name)
  local text, target = given_string(args)
  if not text then return nil end
  text = command.read_argument(text)
  local fields = core.connstr(text)
  if not fields or not fields.device_id then return nil end
  local id = identity_name(fields.device_id, fields.module_id)
  if name and id ~= name then return nil end
  return target:device_options(text), id
end

--- The options of dm.device for the device that a command runs.
---@param args table
---@param name string? nil: the one device that is named at all
---@return table options
---@return string name
function M.device(args, name)
  speeds.follow(nil)
  local options, id = given_device(args, name)
  if options then return options, id end
  local target = M.find(args)
  if not name then
    name = next(target.devices)
    if not name or next(target.devices, name) then
      command.fail(command.USAGE, "which device? Give --id")
    end
  end
  return target:device_options(target:device_string(name)), name
end

-- `directmethods advance` moves the clock of a local hub, but not ours. Tokens for an
-- hour would look expired there, so tokens for local hubs last a year.
function Target:token_ttl()
  return (self.ready_file or self.admin_token) and LONG or nil
end

--- A service client of the hub.
---@param opts table? more options of dm.service
---@return directmethods.Service
function Target:service(opts)
  local all = {
    connection_string = self.connection_string,
    port = self.ports.https,
    connect_host = self.host,
    tls = self.tls,
    api_version = API_VERSION,
    token_ttl = self:token_ttl(),
  }
  for name, value in pairs(opts or {}) do all[name] = value end
  return command.try(require "directmethods.service".service, all)
end

--- The options of dm.device to connect to this hub.
---@param connection_string string the device's
---@return table
function Target:device_options(connection_string)
  local elsewhere = self.host and self.hostname ~= "localhost"
  return {
    connection_string = connection_string,
    port = self.ports.mqtt,
    tls = self.tls,
    api_version = API_VERSION,
    token_ttl = self:token_ttl(),
    gateway_host_name = elsewhere and self.host or nil,
    open_timeout = speeds.timeout(OPEN_TIMEOUT),
  }
end

--- The response time-out of a call: the one given, else the hub's default. While time
-- runs fast, the default would end before a device can answer: then it is 5 s of real
-- time, but at most the longest time-out that is allowed.
---@param given integer? seconds
---@return integer? seconds nil: the default
function M.response_timeout(given)
  if given or core.speed() == 1 then return given end
  local contract = core.contract(API_VERSION)
  return math.min(contract.response_max,
    math.ceil(speeds.timeout(contract.response_default)))
end

--- The ids in "device" or "device/module".
---@param name string
---@return string device_id
---@return string? module_id
function M.split(name)
  local device, module = name:match("^([^/]+)/([^/]+)$")
  return device or name, module
end

--- The connection string of a device or module: from the ready file, or else with the
-- key in the hub's registry.
---@param name string
---@return string
function Target:device_string(name)
  if self.devices[name] then return self.devices[name] end
  local service <close> = self:service()
  local device_id, module_id = M.split(name)
  local identity = command.try(service.registry.get, service.registry, device_id,
    { module_id = module_id })
  return self:string_of(identity)
end

--- The connection string of an identity of the registry.
---@param identity directmethods.RemoteIdentity
---@return string
function Target:string_of(identity)
  if not identity.primary_key then
    command.fail(command.LOCAL, ("'%s' does not log in by a key"):format(
      identity.device_id))
  end
  return written.of_identity("HostName=" .. self.hostname, identity,
    "SharedAccessKey=" .. identity.primary_key)
end

return M
