--- The options of dm.device: what they may be, and the configuration they make.

local core = require "directmethods.core"
local options = require "directmethods.options"

local M = {}

---@class directmethods.DeviceOptions
---@field connection_string string?
-- "HostName=h;DeviceId=d;SharedAccessKey=k"; ModuleId, GatewayHostName and
-- SharedAccessSignature are understood
---@field host_name string?          or its fields one by one
---@field gateway_host_name string?  where to connect, when it is not host_name
---@field device_id string?
---@field module_id string?
---@field key string?                base64
---@field sas string?                a token instead of a key; it is not renewed
---@field handlers table<string, directmethods.Handler>?
---@field fallback directmethods.Handler?  takes every method without a handler
---@field port integer?              default 8883; 1883 when tls = false
---@field api_version string?
-- default "2018-06-30": answers up to 8192 bytes; from "2019-01-01" on 131072
---@field tls boolean|{ca: string?, verify: boolean?}?
-- default true; ca: PEM text or path (default: the system's); verify: check the
-- certificate and its name (default true); false: no TLS
---@field keepalive integer?         seconds, 1 to 1177; default 240
---@field clean_session boolean?     default false: the hub keeps the subscription
---@field token_ttl number?          seconds a token is good for; default 3600
---@field token_renew number?
-- seconds before its end that a token is renewed; default: a fifth of token_ttl, at
-- most 300
---@field reconnect {min: number?, max: number?, jitter: number?}?
-- seconds before a new attempt: min (default 1), twice as long after each failure, at
-- most max (default 60), less a random part of it, up to jitter (default 0.5)
---@field open_timeout number?
-- seconds; bounds each attempt, and connect() unless it is told otherwise; default 30
---@field max_concurrent integer?    handlers that run at a time; default 128
---@field max_queue integer?         calls that wait for one; default 1024; more: 429
---@field handler_timeout number?
-- seconds; then the handler's task is cancelled and 504 answered; default: none

local WHAT = "dm.device"
local SECONDS_MAX = 31536000 -- of any duration: a year
local RENEW_MOST = 300 -- seconds before expiry a token is renewed by default
local RENEW_PART = 5 -- or this part of its life, when that is less

-- The contract of an api-version: bytes of an answer's payload, inclusive.
local ANSWER_MAX_2017 = 8192
local ANSWER_MAX_2019 = 131072
local CONTRACT_2019 = "2019-01-01"

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
  handlers = { "table", default = {} },
  fallback = { "function" },
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

local function fail(option, rule, level)
  options.fail(WHAT, ("option '%s'"):format(option), rule, level or LEVEL)
end

local FROM_STRING = {
  "host_name", "gateway_host_name", "device_id", "module_id", "key",
}

-- Replace the connection string by the fields it holds.
local function read_connection_string(opts)
  if not opts.connection_string then return end
  local found, _, message = core.connstr(opts.connection_string)
  if not found then
    fail("connection_string",
      "is wrong: " .. message:gsub("^connection string: ", ""))
  end
  if found.x509 then fail("connection_string", "must not ask for X.509") end
  found.key_name, opts.key_name = nil, found.key_name
  found.sas, found.signature = found.signature, nil
  for _, field in ipairs(FROM_STRING) do
    if opts[field] and found[field] then
      fail(field, "must not be given beside the same in connection_string")
    end
    opts[field] = opts[field] or found[field]
  end
  if found.sas and opts.sas then
    fail("sas", "must not be given beside the same in connection_string")
  end
  opts.sas = opts.sas or found.sas
  opts.connection_string = nil
end

local function check_identity(opts, field)
  local id = opts[field]
  if id and (#id > 128 or not id:find("^[%w%-.+%%_#*?!(),=@$':;]+$")) then
    fail(field, "must be 1 to 128 letters, digits and "
      .. "- . + % _ # * ? ! ( ) , = @ $ ' : ;")
  end
end

local function check_host(opts, field)
  local host = opts[field]
  if host and (#host > 253 or not host:find("^[%w%-_.]+$")) then
    fail(field, "must be a host name without a port")
  end
end

local function require_field(opts, field)
  if not opts[field] then
    fail(field, "is required (or as a field of connection_string)")
  end
end

local function resource_of(opts)
  local resource = opts.host_name .. "/devices/" .. opts.device_id
  if not opts.module_id then return resource end
  return resource .. "/modules/" .. opts.module_id
end

local function check_credentials(opts)
  if opts.key and opts.sas then fail("sas", "must not be given beside a key") end
  if not opts.key and not opts.sas then
    fail("key", "or 'sas' is required (or as a field of connection_string)")
  end
  if opts.sas then
    opts.sas_expiry = core.sas_expiry(opts.sas)
    if not opts.sas_expiry then fail("sas", "must be a SharedAccessSignature") end
  elseif not core.sas_sign(opts.resource, opts.key, 0, opts.key_name) then
    fail("key", "must be base64")
  end
end

local function check_renewal(opts)
  opts.token_renew = opts.token_renew
    or math.min(RENEW_MOST, opts.token_ttl / RENEW_PART)
  if opts.token_renew >= opts.token_ttl then
    fail("token_renew", "must be less than token_ttl")
  end
  if opts.reconnect.min > opts.reconnect.max then
    fail("reconnect.min", "must not be more than reconnect.max")
  end
end

local function read_ca(ca)
  if ca:find("-----BEGIN", 1, true) then return ca end
  local file, why = io.open(ca, "rb")
  if not file then fail("tls.ca", "cannot be read: " .. why, LEVEL + 1) end
  local text = file:read("a")
  file:close()
  if not text or not text:find("-----BEGIN CERTIFICATE-----", 1, true) then
    fail("tls.ca", "must be a certificate in PEM, or the path of one", LEVEL + 1)
  end
  return text
end

local function read_tls(opts)
  if opts.tls == true then opts.tls = { verify = true } end
  if opts.tls and opts.tls.ca then opts.tls.ca = read_ca(opts.tls.ca) end
  opts.port = opts.port or (opts.tls and 8883 or 1883)
end

--- The configuration of a device. Raises at the caller of dm.device.
---@param opts table the options
---@return table
function M.read(opts)
  local config = options.check(opts, SPEC, WHAT, 1)
  read_connection_string(config)
  require_field(config, "host_name")
  require_field(config, "device_id")
  check_host(config, "host_name")
  check_host(config, "gateway_host_name")
  check_identity(config, "device_id")
  check_identity(config, "module_id")
  config.resource = resource_of(config)
  check_credentials(config)
  check_renewal(config)
  read_tls(config)
  config.answer_max = config.api_version < CONTRACT_2019 and ANSWER_MAX_2017
    or ANSWER_MAX_2019
  return config
end

--- The rule that a method name breaks, or nil.
---@param name any
---@return string?
function M.wrong_method_name(name)
  if type(name) ~= "string" then return "must be a string, not a " .. type(name) end
  if #name < 1 or #name > 100 then return "must be 1 to 100 characters long" end
  if not name:find("^[!-~]+$") or name:find('[$()<>@,;:\\"/%[%]?={}#+%%]') then
    return 'must be printable ASCII without $ ( ) < > @ , ; : \\ " / [ ] ? = { } # + %'
      .. " and space"
  end
end

return M
