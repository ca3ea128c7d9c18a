--- The options of dm.device, their rules, and the configuration made of them.

local core = require "directmethods.core"
local credentials = require "directmethods.device.credentials"
local options = require "directmethods.options"

local M = {}

---@class directmethods.DeviceOptions
---@field connection_string string?
-- "HostName=h;DeviceId=d;SharedAccessKey=k"; also with ModuleId, GatewayHostName and
-- SharedAccessSignature
---@field host_name string?          instead of a connection string: its fields
---@field gateway_host_name string?
-- the host to connect to, if it is not host_name: "host" or "host:port"
---@field device_id string?
---@field module_id string?
---@field key string?                base64
---@field sas string?                a token instead of a key; it is not renewed
---@field x509 {cert: string, key: string?, password: string?}?
-- a certificate instead of a key; PEM texts or paths; cert may contain the chain, and
-- the key if key is not given; password: of an encrypted key
---@field handlers table<string, directmethods.Handler>?
---@field fallback directmethods.Handler?  handles every method without a handler
---@field transport "mqtt"|"websocket"?  default "mqtt"; see docs/device.md
---@field engine "paho"|"uv"?
-- the MQTT client: paho.mqtt.c, on its own threads, or "uv", on the loop, which costs
-- less for a call; default "paho", or "uv" in a build without paho
---@field proxy string?
-- an HTTP proxy that allows CONNECT: "http://user:password@host:port"
---@field port integer?
-- default 8883, websocket 443; with tls = false 1883, websocket 80
---@field api_version string?
-- default "2018-06-30": answers up to 8192 bytes; from "2019-01-01" on 131072
---@field tls boolean|{ca: string?, verify: boolean?}?
-- default true; ca: PEM text or path (default: the system's); verify: check the
-- certificate and its name (default true); false: no TLS
---@field keepalive integer?         seconds, 1 to 1177; default 240
---@field clean_session boolean?     default false: the hub keeps the subscription
---@field persist boolean?
-- connecting goes on for ever, whatever fails (default false); an own token that has
-- expired is the one exception
---@field probe number?
-- seconds, 10 to 86400: how often an online device repeats its subscription; it
-- reconnects if the hub does not acknowledge it; default: never
---@field token_ttl number?          seconds a token is valid; default 3600
---@field token_renew number?
-- how many seconds before its expiry a token is renewed; default: a fifth of
-- token_ttl, at most 300
---@field reconnect {min: number?, max: number?, jitter: number?}?
-- seconds before a new attempt: min (default 1), doubled after each failure up to max
-- (default 60); chance shortens each by up to jitter (default 0.5) of it
---@field open_timeout number?
-- seconds; upper bound of each attempt, and of connect() without a time-out; default 30
---@field max_concurrent integer?    handlers that run at a time; default 128
---@field max_queue integer?         calls that wait for one; default 1024; more: 429
---@field handler_timeout number?
-- seconds; a handler that runs longer is cancelled and answered 504; default: none

local WHAT = "dm.device"
local SECONDS_MAX = 31536000 -- a year: the longest duration
local RENEW_MOST = 300 -- default: seconds before its expiry a token is renewed,
local RENEW_PART = 5 -- or a fifth of its life, if that is less

-- The first engine is the default.
local ENGINES = core.paho and { "paho", "uv" } or { "uv" }

local PORTS = {
  mqtt = { tls = 8883, plain = 1883 },
  websocket = { tls = 443, plain = 80 },
}

local function seconds(default, min)
  return { "number", default = default, min = min or 0.001, max = SECONDS_MAX }
end

local SPEC = {
  connection_string = { "string" },
  host_name = { "string" },
  gateway_host_name = { "string" },
  device_id = { "string" },
  module_id = { "string" },
  key = { "string" },
  sas = { "string" },
  x509 = {
    "table",
    fields = {
      cert = { "string", required = true },
      key = { "string" },
      password = { "string", min = 1 },
    },
  },
  handlers = { "table", default = {} },
  fallback = { "function" },
  transport = { "string", default = "mqtt", choices = { "mqtt", "websocket" } },
  engine = { "string", default = ENGINES[1], choices = ENGINES },
  proxy = { "string" },
  port = { "integer", min = 1, max = 65535 },
  api_version = {
    "string",
    default = "2018-06-30",
    check = function(value)
      if value:find("^%d%d%d%d%-%d%d%-%d%d$") then return nil end
      if value:find("^%d%d%d%d%-%d%d%-%d%d%-preview$") then return nil end
      return "must be a date like 2018-06-30"
    end,
  },
  tls = {
    "table|boolean",
    default = true,
    fields = { ca = { "string" }, verify = { "boolean", default = true } },
  },
  keepalive = { "integer", default = 240, min = 1, max = 1177 },
  clean_session = { "boolean", default = false },
  persist = { "boolean", default = false },
  probe = { "number", min = 10, max = 86400 },
  token_ttl = seconds(3600, 1),
  token_renew = seconds(),
  reconnect = {
    "table",
    default = {},
    fields = {
      min = seconds(1),
      max = seconds(60),
      jitter = { "number", default = 0.5, min = 0, max = 1 },
    },
  },
  open_timeout = seconds(30),
  max_concurrent = { "integer", default = 128, min = 1, max = 100000 },
  max_queue = { "integer", default = 1024, min = 0, max = 100000 },
  handler_timeout = seconds(),
}

local LEVEL = 3 -- from the helpers of M.read up to the caller of dm.device

local function fail(option, rule)
  options.fail(WHAT, ("option '%s'"):format(option), rule, LEVEL)
end

local function check_times(opts)
  opts.token_renew = opts.token_renew
    or math.min(RENEW_MOST, opts.token_ttl / RENEW_PART)
  if opts.token_renew >= opts.token_ttl then
    fail("token_renew", "must be less than token_ttl")
  end
  if opts.reconnect.min > opts.reconnect.max then
    fail("reconnect.min", "must not be more than reconnect.max")
  end
end

local function check_proxy(opts)
  local proxy = opts.proxy
  if not proxy then return end
  local port = proxy:match("^http://[%w%-_.]+:(%d+)/?$")
    or proxy:match("^http://[!-?A-~]+@[%w%-_.]+:(%d+)/?$")
  if not port or tonumber(port) < 1 or tonumber(port) > 65535 then
    fail("proxy", "must be of the form http://host:port or "
      .. "http://user:password@host:port, special characters as %XX")
  end
end

local function set_port(opts)
  local by_transport = PORTS[opts.transport]
  opts.port = opts.port or (opts.tls and by_transport.tls or by_transport.plain)
end

--- The configuration of a device. Raises at the caller of dm.device.
---@param opts table the options
---@return table
function M.read(opts)
  local config = options.check(opts, SPEC, WHAT, 1)
  credentials.read(config)
  check_times(config)
  check_proxy(config)
  if config.tls == true then config.tls = { verify = true } end
  set_port(config)
  config.contract = core.contract(config.api_version)
  return config
end

--- The rule that a method name breaks, or nil.
---@param name any
---@return string?
function M.wrong_method_name(name)
  if type(name) ~= "string" then return "must be a string, not a " .. type(name) end
  return options.rules.method_name(name)
end

return M
