--- The service: calls methods of devices over HTTPS.
--
--     local service <close> = dm.service { connection_string = "HostName=..." }
--     local reply, err = service:invoke("dev1", "reboot", { input1 = "x" })

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local json = require "directmethods.json"
local options = require "directmethods.options"
local task = require "directmethods.task"

local M = {}

local USER_AGENT = "directmethods/" .. core.version
local MARGIN_S = 10 -- the hub's clock runs out first, by this much
local ANSWER_MAX = 131072 + 8192 -- bytes of an answer: a payload and its envelope
local RENEW_MAX_S = 300 -- a token is renewed at most this long before its expiry
local SKEW_S = 300 -- the hub takes a token this long after its expiry

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

-- Replies ------------------------------------------------------------------

--- The answer of a device.
---@class directmethods.Reply
---@field status integer      the status that the method returned
---@field ok boolean          status < 400
---@field payload any         decoded when it is first read; dm.null for JSON null
---@field decode_error directmethods.Error? why payload is nil although there is a body
---@field body string         the payload as JSON text, as the device sent it
---@field request_id string?  the hub's x-ms-request-id
---@field elapsed number      seconds from the call to the answer
local Reply = { __name = "directmethods.Reply" }

local function reply_text(reply)
  return ("directmethods.Reply (status %d, %d bytes)"):format(reply.status, #reply.body)
end

local Decoded = { __name = Reply.__name, __tostring = reply_text }
Reply.__tostring = reply_text

function Reply.__index(reply, key)
  if key ~= "payload" and key ~= "decode_error" then return nil end
  setmetatable(reply, Decoded)
  reply.payload, reply.decode_error = json.decode(reply.body)
  return reply[key]
end

-- The members of an answer's body. Hubs pass on what is not JSON, too.
local function split(body)
  local ok, status, payload = core.json_members(body, "status", "payload")
  if not ok then
    status, payload = body:match('^%s*{%s*"status"%s*:%s*(%-?%d+)%s*,'
      .. '%s*"payload"%s*:%s*(.-)%s*}%s*$')
  end
  status = status and status:find("^%-?%d+$") and math.tointeger(tonumber(status))
  return status, payload or "null"
end

local function make_reply(answer, elapsed)
  local status, payload = split(answer.body)
  if not status then
    return nil, errors.new {
      name = "ProtocolError",
      http_status = answer.status,
      message = "the hub's answer is not of the form {\"status\":...,\"payload\":...}",
    }
  end
  return setmetatable({
    status = status,
    ok = status < 400,
    body = payload,
    request_id = errors.field(answer.fields, "x-ms-request-id"),
    elapsed = elapsed,
  }, Reply)
end

-- Tokens -------------------------------------------------------------------

-- A function that gives the token to send; the key lives in it alone.
local function signer(credentials, host, ttl)
  local token, signed, renew
  return function()
    local now = core.time()
    if token and now >= signed and now < renew then return token end
    local expiry = math.ceil(now + ttl)
    local text, name, message = core.sas_sign(
      host, credentials.key, expiry, credentials.key_name)
    if not text then return nil, errors.new { name = name, message = message } end
    token, signed, renew = text, now, expiry - math.min(ttl * 0.2, RENEW_MAX_S)
    return token
  end
end

local function given_token(token, expiry)
  return function()
    if core.time() <= expiry + SKEW_S then return token end
    return nil, errors.new {
      name = "Unauthorized",
      message = "the SAS token that was given expired at "
        .. os.date("!%Y-%m-%dT%H:%M:%SZ", expiry),
    }
  end
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

local function read_connection_string(text, level)
  local function fail(rule)
    options.fail("dm.service", "option 'connection_string'", rule, level + 1)
  end
  local fields, _, message = core.connstr(text)
  if not fields then fail("is wrong: " .. message:gsub("^connection string: ", "")) end
  if fields.device_id then
    fail("is a device's (it has a DeviceId); a service's has SharedAccessKeyName")
  elseif fields.gateway_host_name then
    fail("has a GatewayHostName, which services do not use")
  elseif fields.key and not fields.key_name then
    fail("has no SharedAccessKeyName")
  elseif not fields.key and not fields.signature then
    fail("needs SharedAccessKeyName and SharedAccessKey, or SharedAccessSignature")
  end
  return fields.host_name, fields
end

-- The host and the function that gives tokens.
local function read_credentials(opts, level)
  local host, token, name = opts.host, opts.sas, "option 'sas'"
  if opts.connection_string then
    if host or token then
      options.fail("dm.service", "option 'connection_string'",
        "stands alone: 'host' and 'sas' are given without it", level)
    end
    local fields
    host, fields = read_connection_string(opts.connection_string, level + 1)
    if fields.key then return host, signer(fields, host, opts.token_ttl) end
    token, name = fields.signature, "option 'connection_string'"
  elseif not host or not token then
    options.fail("dm.service", "option 'connection_string'",
      "is required (or 'host' and 'sas')", level)
  elseif not host:find("^[%w%-._]+$") then
    options.fail("dm.service", "option 'host'",
      "must be a host name without a port", level)
  end
  local expiry = core.sas_expiry(token)
  if not expiry then
    options.fail("dm.service", name,
      "must hold a token: SharedAccessSignature sr=...&sig=...&se=...", level)
  end
  return host, given_token(token, expiry)
end

local function client_options(opts, level)
  local tls = opts.tls == true and { verify = true } or opts.tls or nil
  local client = {
    tls = tls ~= nil,
    verify = tls ~= nil and tls.verify,
    proxy = opts.proxy,
    connections = opts.max_connections,
  }
  if tls and tls.ca then
    if tls.ca:find("-----BEGIN", 1, true) then
      client.ca = tls.ca
    else
      local file, why = io.open(tls.ca)
      if not file then
        options.fail("dm.service", "option 'tls.ca'", "cannot be read: " .. why, level)
      end
      file:close()
      client.ca_file = tls.ca
    end
  end
  return client
end

--- Calls methods of devices.
---@class directmethods.Service
---@field host string         host name of the hub
---@field api_version string
local Service = { __name = "directmethods.service" }
Service.__index = Service

--- Make a service client. Nothing is sent yet. Raises on wrong options.
---
--- connection_string: the hub's, with HostName, SharedAccessKeyName and
---   SharedAccessKey (or SharedAccessSignature)
--- host, sas: instead of it, the hub's host name and a token of your own
--- port: default 443
--- connect_host: where to connect instead of the host name, which is still what
---   the certificate and the token are for
--- api_version: decides what the hub allows. Default "2018-06-30" (payloads up to
---   8,192 bytes, response_timeout 1 to 3600 s); from "2019-01-01" on 131,072
---   bytes and 5 to 300 s
--- tls: { ca = a file or PEM text (default: the system's), verify = true }, or false
---   for plain HTTP
--- proxy: URL of an HTTP proxy, "http://user:password@host:3128"
--- max_connections: kept and used at a time (64); further calls wait in line
--- token_ttl: seconds a token is good for (3600); it is renewed in time
---@param opts table
---@return directmethods.Service? service
---@return directmethods.Error? err the system refused
function M.service(opts)
  opts = options.check(opts, SPEC, "dm.service")
  local host, authorize = read_credentials(opts, 1)
  local config = client_options(opts, 1)
  local http = require "directmethods.http_core"
  local client, name, message = http.client(core.loop, config)
  if not client then return nil, errors.new { name = name, message = message } end
  return setmetatable({
    host = host,
    api_version = opts.api_version,
    _port = opts.port,
    _connect_host = opts.connect_host,
    _authorize = authorize,
    _client = client,
    _waiting = {},
  }, Service)
end

function Service:__tostring()
  return ("directmethods.service (%s, %s)"):format(self.host,
    self._client and "open" or "closed")
end

--- End the client. Calls under way return nil, err (Closed). Harmless again.
function Service:close()
  local client = self._client
  if not client then return end
  self._client = nil
  client:close()
  for id in pairs(self._waiting) do
    task.finish(id, "failed", "Closed", "the service client was closed", true)
  end
end

Service.__close = Service.close
Service.__gc = Service.close

-- Requests -----------------------------------------------------------------

local function escape(text)
  local escaped = text:gsub("[^%w%-._~]", function(c)
    return ("%%%02X"):format(c:byte())
  end)
  -- a segment of dots alone would be taken for a folder
  return escaped:find("^%.+$") and escaped:gsub("%.", "%%2E") or escaped
end

local NOT_SENT = { Timeout = true, NameNotResolved = true, ConnectFailed = true }

-- Wait for the answer to the request `id`.
local function wait_for_answer(self, id)
  local client = self._client
  self._waiting[id] = true
  local event, a, b, c = task.wait(id, function()
    self._waiting[id] = nil
    client:cancel(id)
  end)
  self._waiting[id] = nil
  if event == "answer" then return { status = a, fields = b, body = c } end
  return nil, errors.new {
    name = a, message = b, retriable = not c and NOT_SENT[a] or false,
  }
end

--- Send a request and wait for the answer. For the parts of this library.
---@param request table method, target, fields, body, timeout (seconds)
---@return table? answer status, fields (header block), body
---@return directmethods.Error? err
function Service:_send(request)
  local token, why = self._authorize()
  if not token then return nil, why end
  local fields = {
    "Authorization: " .. token,
    "User-Agent: " .. USER_AGENT,
    "Accept: application/json",
    "Content-Type: application/json; charset=utf-8",
  }
  table.move(request.fields or {}, 1, #(request.fields or {}), #fields + 1, fields)
  local id, name, message = self._client:send(
    request.method, self.host, self._port, self._connect_host, request.target,
    fields, request.body, request.timeout, ANSWER_MAX, true)
  if not id then return nil, errors.new { name = name, message = message } end
  return wait_for_answer(self, id)
end

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

local function target_of(self, call)
  local module = call.module_id and "/modules/" .. escape(call.module_id) or ""
  return ("/twins/%s%s/methods?api-version=%s"):format(
    escape(call.device_id), module, self.api_version)
end

--- Call a method and wait for the device's answer. Raises on wrong arguments.
---
--- payload: nil sends none, dm.null JSON null, a string a JSON string;
---   dm.json.raw(text) passes JSON text through
--- options.response_timeout: whole seconds the device has to answer (30)
--- options.connect_timeout: whole seconds the hub waits for the device to connect
---   (0 to 300, default 0)
--- options.module_id: a module of the device
--- options.request_id: sent as x-ms-client-request-id, for the hub's records
---
--- Also as service:invoke { device_id =, method =, payload =, ... }.
---@param device_id string|table
---@param method string?
---@param payload any
---@param opts table?
---@return directmethods.Reply? reply whatever status the device answered
---@return directmethods.Error? err   nothing was answered by the device
function Service:invoke(device_id, method, payload, opts)
  if not self._client then
    error(WHAT .. ": attempt to use a closed service", 2)
  end
  local call = read_call(self, device_id, method, payload, opts)
  local text, too_large = encode_payload(self, call.payload)
  if too_large then return nil, too_large end
  local started = core.now()
  local answer, err = self:_send {
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
  return make_reply(answer, core.now() - started)
end

return M
