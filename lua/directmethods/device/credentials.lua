--- The identity and credentials of a device: connection string, key, token or
-- certificate, and the CA that it trusts. All are checked when the device is made.

local core = require "directmethods.core"
local options = require "directmethods.options"

local M = {}

local WHAT = "dm.device"
local LEVEL = 4 -- from the helpers of M.read up to the caller of dm.device

local function fail(option, rule, level)
  options.fail(WHAT, ("option '%s'"):format(option), rule, level or LEVEL)
end

-- Connection string -----------------------------------------------------------

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
  if found.x509 and not opts.x509 then
    fail("x509", "is required: connection_string has x509=true")
  end
  found.key_name, opts.key_name = nil, found.key_name
  found.sas, found.signature = found.signature, nil
  for _, field in ipairs(FROM_STRING) do
    if opts[field] and found[field] then
      fail(field, "must not be given together with the same field of connection_string")
    end
    opts[field] = opts[field] or found[field]
  end
  if found.sas and opts.sas then
    fail("sas", "must not be given together with the same field of connection_string")
  end
  opts.sas = opts.sas or found.sas
  opts.connection_string = nil
end

-- Ids and hosts ---------------------------------------------------------------

local function require_field(opts, field)
  if not opts[field] then
    fail(field, "is required (or as a field of connection_string)")
  end
end

local function check_identity(opts, field)
  local id = opts[field]
  if id and (#id > 128 or not id:find("^[%w%-.+%%_#*?!(),=@$':;]+$")) then
    fail(field, "must be 1 to 128 letters, digits and "
      .. "- . + % _ # * ? ! ( ) , = @ $ ' : ;")
  end
end

local function is_host(text)
  return #text <= 253 and text:find("^[%w%-_.]+$") ~= nil
end

local function check_host(opts)
  if not is_host(opts.host_name) then
    fail("host_name", "must be a host name without a port")
  end
end

-- A gateway may listen on another port than a hub: "host:port".
local function check_gateway(opts)
  local gateway = opts.gateway_host_name
  if not gateway then return end
  local host, digits = gateway:match("^([^:]+):(%d+)$")
  local port = math.tointeger(tonumber(digits))
  if host and (port < 1 or port > 65535) or not is_host(host or gateway) then
    fail("gateway_host_name", "must be a host name, maybe with a port")
  elseif port and opts.port and port ~= opts.port then
    fail("port", "must not be given together with the port in gateway_host_name")
  end
  opts.gateway_host_name, opts.port = host or gateway, opts.port or port
end

local function resource_of(opts)
  local resource = opts.host_name .. "/devices/" .. opts.device_id
  if not opts.module_id then return resource end
  return resource .. "/modules/" .. opts.module_id
end

-- Key, token, certificate -----------------------------------------------------

local function check_one(opts)
  local given
  for _, field in ipairs { "key", "sas", "x509" } do
    if opts[field] and given then
      fail(field, given == "key" and "must not be given together with a key"
        or "must not be given together with " .. given)
    end
    if opts[field] then given = field end
  end
  if not given then
    fail("key", "or 'sas' or 'x509' is required (or as a field of connection_string)")
  end
end

local function check_secret(opts)
  if opts.sas then
    opts.sas_expiry = core.sas_expiry(opts.sas)
    if not opts.sas_expiry then fail("sas", "must be a SharedAccessSignature") end
  elseif opts.key and not core.sas_sign(opts.resource, opts.key, 0, opts.key_name) then
    fail("key", "must be base64")
  end
end

-- PEM text, or a path. A user may pass a key by mistake, so errors do not repeat it.
local function read_pem(value, option)
  if value:find("-----BEGIN ", 1, true) then return value end
  local file, why = io.open(value, "rb")
  if not file then
    fail(option, "cannot be read: " .. why:sub(#value + 3), LEVEL + 1)
  end
  local text, err = file:read("a")
  file:close()
  if not text then fail(option, "cannot be read: " .. err, LEVEL + 1) end
  return text
end

-- Messages of C begin with the name of the field.
local RULES = {
  ["ca holds no"] = "must be a certificate in PEM, or the path of one",
  ["cert holds no"] = "must be a certificate in PEM, or the path of one",
  ["key holds no"] = "must be a private key in PEM, or the path of one",
}

local function check_pem(prefix, ...)
  local good, _, message = core.tls_check(...)
  if good then return end
  local field, rule = message:match("^(%a+) (.*)$")
  fail(prefix .. field, RULES[message:match("^%a+ %a+ %a+")] or rule, LEVEL + 1)
end

local function read_x509(opts)
  local x509 = opts.x509
  if not x509 then return end
  x509.cert = read_pem(x509.cert, "x509.cert")
  if x509.key then x509.key = read_pem(x509.key, "x509.key") end
  check_pem("x509.", nil, x509.cert, x509.key, x509.password)
  if opts.tls == false then fail("x509", "needs TLS") end
end

local function read_ca(opts)
  local tls = opts.tls
  if type(tls) ~= "table" or not tls.ca then return end
  tls.ca = read_pem(tls.ca, "tls.ca")
  check_pem("tls.", tls.ca)
end

--- Replace the options that identify the device by those needed to connect, in place.
-- Raises at the caller of dm.device.
---@param opts table  checked options
function M.read(opts)
  read_connection_string(opts)
  require_field(opts, "host_name")
  require_field(opts, "device_id")
  check_host(opts)
  check_gateway(opts)
  check_identity(opts, "device_id")
  check_identity(opts, "module_id")
  opts.resource = resource_of(opts)
  check_one(opts)
  check_secret(opts)
  read_x509(opts)
  read_ca(opts)
end

return M
