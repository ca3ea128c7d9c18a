--- The service: calls methods of devices over HTTPS.
--
--     local service <close> = dm.service { connection_string = "HostName=..." }
--     local reply, err = service:invoke("dev1", "reboot", { input1 = "x" })

local connection = require "directmethods.service.connection"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local json = require "directmethods.json"
local options = require "directmethods.options"
local reply = require "directmethods.service.reply"

local M = {}

local MARGIN_S = 10 -- the hub's clock runs out first, by this much

-- What the hub allows, by api-version; both ends are included.
local CONTRACT_2017 = {
  payload_max = 8192, response_min = 1, response_max = 3600, connect_max = 300,
}
local CONTRACT_2019 = {
  payload_max = 131072, response_min = 5, response_max = 300, connect_max = 300,
}
local RESPONSE_DEFAULT_S = 30

local function contract_of(api_version)
  return api_version:sub(1, 10) < "2019-01-01" and CONTRACT_2017 or CONTRACT_2019
end

-- Making -------------------------------------------------------------------

local TLS = {
  ca = { "string", min = 1 },
  verify = { "boolean", default = true },
}

local SPEC = {
  connection_string = { "string" },
  host = { "string", min = 1, max = 255 },
  sas = { "string" },
  port = { "integer", default = 443, min = 1, max = 65535 },
  connect_host = { "string", min = 1, max = 255 },
  api_version = {
    "string", default = "2018-06-30", check = options.rules.api_version,
  },
  tls = { "table|boolean", default = true, fields = TLS },
  proxy = {
    "string",
    check = function(value)
      if value:find("^%a[%w+.-]*://[!-~]+$") then return nil end
      return "must be a URL like http://host:3128"
    end,
  },
  max_connections = { "integer", default = 64, min = 1, max = 10000 },
  token_ttl = { "number", default = 3600, min = 1, max = 365 * 86400 },
}

--- Calls methods of devices.
---@class directmethods.Service
---@field host string         host name of the hub
---@field api_version string
local Service = { __name = "directmethods.service" }
Service.__index = Service

---@class directmethods.ServiceOptions
---@field connection_string string?
-- the hub's: "HostName=h;SharedAccessKeyName=service;SharedAccessKey=k", or with
-- SharedAccessSignature=token
---@field host string?  instead of it the hub's host name, together with sas
---@field sas string?   a token of your own; it is not renewed
---@field port integer?          default 443
---@field connect_host string?
-- where to connect instead of the host name, which is still what the certificate and
-- the token are for
---@field api_version string?
-- default "2018-06-30": payloads up to 8192 bytes, response_timeout 1 to 3600 s; from
-- "2019-01-01" on 131072 bytes and 5 to 300 s
---@field tls boolean|{ca: string?, verify: boolean?}?
-- default true; ca: PEM text or path (default: the system's); verify: check the
-- certificate and its name (default true); false: plain HTTP
---@field proxy string?          URL of an HTTP proxy, "http://user:password@host:3128"
---@field max_connections integer?
-- used at a time and kept, 1 to 10000; further calls wait in line; default 64
---@field token_ttl number?
-- seconds a token is good for, renewed in time; default 3600

local function check_self(service, what)
  if getmetatable(service) ~= Service then
    error(("%s: called on a %s (is it service:name(...) with a colon?)"):format(
      what, type(service)), 3)
  end
end

--- Make a service client. Nothing is sent yet. Raises on wrong options.
--- ```lua
--- local service <close> = dm.service {
---   connection_string = "HostName=h;SharedAccessKeyName=service;SharedAccessKey=...",
--- }
--- ```
---@param opts directmethods.ServiceOptions
---@return directmethods.Service? service
---@return directmethods.Error? err the system refused
function M.service(opts)
  opts = options.check(opts, SPEC, "dm.service")
  local made, err = connection.new(opts, 1)
  if not made then return nil, err end
  return setmetatable({
    host = made.host,
    api_version = opts.api_version,
    _connection = made,
  }, Service)
end

function Service:__tostring()
  return ("directmethods.service (%s, %s)"):format(self.host,
    self._connection.client and "open" or "closed")
end

--- End the client. Calls under way return nil, err (Closed). Harmless again.
function Service:close()
  check_self(self, "service:close")
  self._connection:close()
end

Service.__close = Service.close
Service.__gc = Service.close

-- Invoking -----------------------------------------------------------------

local WHAT = "service:invoke"

local INVOKE = {
  response_timeout = { "integer" },
  connect_timeout = { "integer" },
  module_id = { "string", check = options.rules.identity },
  request_id = { "string", check = options.rules.header_value },
}

local INVOKE_TABLE = {
  device_id = { "string", required = true, check = options.rules.identity },
  method = { "string", required = true, check = options.rules.method_name },
  payload = { "any" },
}
for name, rule in pairs(INVOKE) do INVOKE_TABLE[name] = rule end

local function check_argument(value, name, rule, level)
  if type(value) ~= "string" then
    options.fail(WHAT, name, "must be a string, not a " .. type(value), level)
  end
  local wrong = rule(value)
  if wrong then options.fail(WHAT, name, wrong, level) end
end

local function check_seconds(value, name, min, max, self)
  if not value or value >= min and value <= max then return end
  options.fail(WHAT, ("option '%s'"):format(name),
    ("must be from %d to %d s with api-version %s, not %d"):format(
      min, max, self.api_version, value), 2)
end

-- The call that the arguments of invoke describe, checked.
local function read_call(self, device_id, method, payload, opts)
  local call
  if type(device_id) == "table" then
    if method ~= nil or payload ~= nil or opts ~= nil then
      options.fail(WHAT, "the table", "must be the only argument", 1)
    end
    call = options.check(device_id, INVOKE_TABLE, WHAT, 1)
  else
    check_argument(device_id, "device_id", options.rules.identity, 2)
    check_argument(method, "method", options.rules.method_name, 2)
    call = options.check(opts, INVOKE, WHAT, 1)
    call.device_id, call.method, call.payload = device_id, method, payload
  end
  local contract = contract_of(self.api_version)
  check_seconds(call.response_timeout, "response_timeout",
    contract.response_min, contract.response_max, self)
  check_seconds(call.connect_timeout, "connect_timeout", 0, contract.connect_max, self)
  return call
end

-- The payload as JSON text; nil: there is none.
local function encode_payload(self, payload)
  if payload == nil then return nil end
  local text, wrong = json.try_encode(payload, "payload")
  if not text then error(("%s: %s"):format(WHAT, wrong), 3) end
  local contract = contract_of(self.api_version)
  if #text <= contract.payload_max then return text end
  local advice = contract == CONTRACT_2017 and #text <= CONTRACT_2019.payload_max
    and ("; from api-version 2019-01-01 on %d are allowed"):format(
      CONTRACT_2019.payload_max) or ""
  return nil, errors.new {
    name = "LimitExceeded",
    message = ("%s: the payload has %d bytes, api-version %s allows %d%s"):format(
      WHAT, #text, self.api_version, contract.payload_max, advice),
  }
end

local function body_of(call, payload)
  local parts = { ('{"methodName":"%s"'):format(call.method) }
  if call.response_timeout then
    parts[#parts + 1] = (',"responseTimeoutInSeconds":%d'):format(call.response_timeout)
  end
  if call.connect_timeout then
    parts[#parts + 1] = (',"connectTimeoutInSeconds":%d'):format(call.connect_timeout)
  end
  if payload then
    parts[#parts + 1] = ',"payload":'
    parts[#parts + 1] = payload
  end
  parts[#parts + 1] = "}"
  return table.concat(parts)
end

local function escape(text)
  local escaped = text:gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end)
  -- a segment of dots alone would be taken for a folder
  return escaped:find("^%.+$") and escaped:gsub("%.", "%%2E") or escaped
end

local function target_of(self, call)
  local module = call.module_id and "/modules/" .. escape(call.module_id) or ""
  return ("/twins/%s%s/methods?api-version=%s"):format(
    escape(call.device_id), module, self.api_version)
end

---@class directmethods.InvokeOptions
---@field response_timeout integer?
-- seconds that the device has to answer; the hub's default is 30
---@field connect_timeout integer?
-- seconds that the hub waits for the device to connect, 0 to 300; default 0
---@field module_id string?   call the device's module
---@field request_id string?
-- sent as x-ms-client-request-id, for the hub's records

---@class directmethods.InvokeTable: directmethods.InvokeOptions
---@field device_id string
---@field method string
---@field payload any

--- Call a method and wait for the device's answer. Raises on wrong arguments.
-- The payload: nil sends none, dm.null JSON null, a string a JSON string;
-- dm.json.raw(text) passes JSON text through.
--- ```lua
--- local reply, err = service:invoke("dev1", "reboot", { input1 = "x" },
---   { response_timeout = 200 })
--- service:invoke { device_id = "dev1", method = "reboot" }  -- the same by names
--- ```
---@param device_id string|directmethods.InvokeTable
---@param method string?
---@param payload any
---@param opts directmethods.InvokeOptions?
---@return directmethods.Reply? reply whatever status the device answered
---@return directmethods.Error? err   nothing was answered by the device
function Service:invoke(device_id, method, payload, opts)
  check_self(self, WHAT)
  if not self._connection.client then
    error(WHAT .. ": attempt to use a closed service", 2)
  end
  local call = read_call(self, device_id, method, payload, opts)
  local text, too_large = encode_payload(self, call.payload)
  if too_large then return nil, too_large end
  local started = core.now()
  local answer, err = self._connection:send {
    method = "POST",
    target = target_of(self, call),
    fields = { call.request_id and "x-ms-client-request-id: " .. call.request_id },
    body = body_of(call, text),
    timeout = (call.response_timeout or RESPONSE_DEFAULT_S)
      + (call.connect_timeout or 0) + MARGIN_S,
  }
  if not answer then return nil, err end
  if answer.status ~= 200 then
    return nil, errors.from_http(answer.status, answer.fields, answer.body)
  end
  return reply.new(answer, core.now() - started)
end

return M
