--- The service: calls methods of devices over HTTPS.
--
--     local service <close> = dm.service { connection_string = "HostName=..." }
--     local reply, err = service:invoke("dev1", "reboot", { input1 = "x" })

local calls = require "directmethods.service.call"
local connection = require "directmethods.service.connection"
local core = require "directmethods.core"
local jobs = require "directmethods.service.jobs"
local many = require "directmethods.service.many"
local options = require "directmethods.options"
local query = require "directmethods.service.query"
local registry = require "directmethods.service.registry"
local retry = require "directmethods.service.retry"
local task = require "directmethods.task"
local twins = require "directmethods.service.twins"

local M = {}

local VERSION = "2018-06-30" -- of method calls
local REST_VERSION = "2021-04-12" -- of registry, twins and jobs

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
  api_version = { "string", check = options.rules.api_version },
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
  retry = retry.OPTION,
}

--- Calls methods of devices.
---@class directmethods.Service
---@field host string         host name of the hub
---@field api_version string  of method calls
---@field registry directmethods.RegistryClient
---@field twins directmethods.Twins
---@field jobs directmethods.JobsClient
local Service = { __name = "directmethods.service" }
Service.__index = Service

---@class directmethods.ServiceOptions
---@field connection_string string?
-- the hub's: "HostName=h;SharedAccessKeyName=service;SharedAccessKey=k", or with
-- SharedAccessSignature=token
---@field host string?  instead of a connection string: the hub's host name, with sas
---@field sas string?   your own token; it is not renewed
---@field port integer?          default 443
---@field connect_host string?
-- the host to connect to; certificate and token are still those of the host name
---@field api_version string?
-- default "2018-06-30": payloads up to 8192 bytes, response_timeout 1 to 3600 s; from
-- "2019-01-01" on 131072 bytes and 5 to 300 s. Registry and twins have no such limits;
-- without this option they are asked with "2021-04-12"
---@field tls boolean|{ca: string?, verify: boolean?}?
-- default true; ca: PEM text or path (default: the system's); verify: check the
-- certificate and its name (default true); false: plain HTTP
---@field proxy string?          URL of an HTTP proxy, "http://user:password@host:3128"
---@field max_connections integer?
-- connections in use at a time, 1 to 10000; further calls wait; default 64
---@field token_ttl number?
-- seconds a token is valid; it is renewed in time; default 3600
---@field retry directmethods.RetryOptions|boolean?
-- repeat calls that provably did not run: DeviceNotOnline, throttled (429), not
-- connected; true: with the defaults; default: false, so each call is sent once

local function check_self(service, what, level)
  options.check_self(service, Service, what, level or 1)
end

local function check_open(service, what)
  check_self(service, what, 2)
  if not service._connection.client then
    error(what .. ": attempt to use a closed service", 3)
  end
  task.current(what, 1)
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
  local service = setmetatable({
    host = made.host,
    api_version = opts.api_version or VERSION,
    _methods = "/methods?api-version=" .. (opts.api_version or VERSION),
    _contract = core.contract(opts.api_version or VERSION),
    _rest_version = opts.api_version or REST_VERSION,
    _commands = { -- what check_times and command_body look at
      api_version = opts.api_version or REST_VERSION,
      _contract = core.contract(opts.api_version or REST_VERSION),
    },
    _max_connections = opts.max_connections,
    _retry = retry.policy(opts.retry),
    _connection = made,
  }, Service)
  service.registry = registry.new(service)
  service.twins = twins.new(service)
  service.jobs = jobs.new(service)
  return service
end

function Service:__tostring()
  return ("directmethods.service (%s, %s)"):format(self.host,
    self._connection.client and "open" or "closed")
end

--- End the client. Calls in progress return nil, err (Closed). A second call does
-- nothing.
function Service:close()
  check_self(self, "service:close")
  self._connection:close()
end

Service.__close = Service.close
Service.__gc = Service.close

-- Invoking -----------------------------------------------------------------

local WHAT = "service:invoke"

local INVOKE = {
  module_id = { "string", check = options.rules.identity },
  request_id = { "string", check = options.rules.header_value },
}
for name, rule in pairs(calls.OPTIONS) do INVOKE[name] = rule end

local INVOKE_TABLE = {
  device_id = { "string", required = true, check = options.rules.identity },
  method = { "string", required = true, check = options.rules.method_name },
  payload = { "any" },
}
for name, rule in pairs(INVOKE) do INVOKE_TABLE[name] = rule end

local NO_OPTIONS = {}

-- The call that the arguments of invoke describe, checked: device, method, payload,
-- options.
local function read_call(self, device_id, method, payload, opts)
  if type(device_id) == "table" and not options.is_device(device_id) then
    if method ~= nil or payload ~= nil or opts ~= nil then
      options.fail(WHAT, "the table", "must be the only argument", 1)
    end
    local call = options.check(device_id, INVOKE_TABLE, WHAT, 1)
    calls.check_times(self, WHAT, call, 1)
    return call.device_id, call.method, call.payload, call
  end
  calls.check_text(WHAT, "device_id", device_id, options.rules.identity, 1)
  calls.check_text(WHAT, "method", method, options.rules.method_name, 1)
  if opts == nil then return device_id, method, payload, NO_OPTIONS end
  opts = options.check(opts, INVOKE, WHAT, 1)
  calls.check_times(self, WHAT, opts, 1)
  return device_id, method, payload, opts
end

---@class directmethods.InvokeOptions
---@field response_timeout integer?
-- seconds that the hub waits for the device's answer; the hub's default is 30
---@field connect_timeout integer?
-- seconds that the hub waits for the device to connect, 0 to 300; default 0
---@field module_id string?   call the device's module
---@field request_id string?
-- sent as x-ms-client-request-id
---@field retry directmethods.RetryOptions|boolean?
-- instead of the service's; false: never

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
  check_open(self, WHAT)
  device_id, method, payload, opts = read_call(self, device_id, method, payload, opts)
  local body, too_large = calls.body(self, WHAT, method, payload, opts, 0)
  if not body then return nil, too_large end
  return calls.run(self, device_id, opts.module_id, body, opts)
end

local COMMAND = "service:command"

local COMMAND_OPTIONS = {
  component = { "string", check = options.rules.method_name },
  request_id = INVOKE.request_id,
}
for name, rule in pairs(calls.OPTIONS) do COMMAND_OPTIONS[name] = rule end

---@class directmethods.CommandOptions
---@field component string? of the digital twin that has the command
---@field response_timeout integer?
---@field connect_timeout integer?
---@field request_id string?
---@field retry directmethods.RetryOptions|boolean?

--- Call a command of a digital twin (IoT Plug and Play): the device gets it as the
-- method "name", or "component*name". Raises on wrong arguments.
--- ```lua
--- local reply, err = service:command("dev1", "getMaxMinReport", dm.json.raw "null",
---   { component = "thermostat1" })
--- ```
---@param device_id string
---@param name string
---@param payload any
---@param opts directmethods.CommandOptions?
---@return directmethods.Reply? reply whatever status the device answered
---@return directmethods.Error? err   nothing was answered by the device
function Service:command(device_id, name, payload, opts)
  check_open(self, COMMAND)
  calls.check_text(COMMAND, "device_id", device_id, options.rules.identity, 0)
  calls.check_text(COMMAND, "name", name, options.rules.method_name, 0)
  opts = options.check(opts, COMMAND_OPTIONS, COMMAND, 0)
  calls.check_times(self._commands, COMMAND, opts, 0)
  local body, too_large = calls.command_body(self, COMMAND, payload, 0)
  if too_large then return nil, too_large end
  return calls.run_command(self, device_id, name, body, opts)
end

--- Call the same method of many devices, a bounded number at a time. If one fails,
-- the others go on. Cancelling the task ends them all.
--- ```lua
--- local results = assert(service:invoke_many({ "dev1", "dev2" }, "reboot"))
--- for _, each in ipairs(results) do print(each.device_id, each.reply or each.err) end
--- print(results.ok, results.failed, results.elapsed:percentile(95))
--- ```
---@param ids string[] "dev1", or "dev1/mod1" for a module
---@param method string
---@param payload any
---@param opts directmethods.InvokeManyOptions?
---@return directmethods.ManyResults? results in the order of ids
---@return directmethods.Error? err the payload is larger than the contract allows
function Service:invoke_many(ids, method, payload, opts)
  check_open(self, "service:invoke_many")
  local results, err = many.run(self, ids, method, payload, opts)
  return results, err
end

--- What a query in the hub's language selects, in pages behind an iterator: twins of
-- devices or modules, results of jobs, or rows of the members that the query names.
--- ```lua
--- for twin in service:query("SELECT * FROM devices WHERE tags.site = 'north'") do
---   print(twin.deviceId)
--- end
--- for row in service:query("SELECT deviceId, tags.site AS site FROM devices") do
---   print(row.deviceId, row.site)
--- end
--- ```
---@param text string "SELECT ... FROM devices", "devices.modules" or "devices.jobs"
---@param opts { page_size: integer? }? rows that are asked for at a time; default 100
---@return directmethods.Query query
function Service:query(text, opts)
  check_open(self, "service:query")
  local rows = query.run(self, "service:query", text, opts)
  return rows
end

return M
