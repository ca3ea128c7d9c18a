--- What a hub has for its clients: identities, connection strings, clients that are
-- wired already.

local class = require "directmethods.hub.class"
local configs = require "directmethods.hub.config"
local errors = require "directmethods.errors"
local identity = require "directmethods.hub.identity"
local options = require "directmethods.options"
local planes = require "directmethods.hub.plane"

local Hub, check_open = class.Hub, class.check_open

-- A client that a hub made keeps it alive.
local owners = setmetatable({}, { __mode = "k" })

-- Identities ---------------------------------------------------------------

local function check_id(id, what, argument)
  local wrong = identity.wrong_id(id)
  if wrong then error(("%s: %s %s"):format(what, argument, wrong), 4) end
end

-- "device" or "device/module"
local function split_name(name, module_id, what)
  if type(name) == "string" then
    local device, module = name:match("^([^/]*)/([^/]*)$")
    if device then name, module_id = device, module_id or module end
  end
  check_id(name, what, "device id")
  if module_id ~= nil then check_id(module_id, what, "module id") end
  return name, module_id
end

-- The registry words its problems for the wire, some with "Conflict" alone.
local function registry_error(problem)
  local bare = problem.text:find("^%a+$")
  return errors.new {
    name = problem.name,
    code = problem.code,
    message = bare and errors.codes[problem.code].cause or problem.text,
  }
end

local function create(hub, device_id, module_id, fields)
  local registry = hub.state.registry
  if module_id and not registry.store:find(device_id) then
    local device, problem = registry:create(device_id, nil, {})
    if not device then return nil, registry_error(problem) end
  end
  local record, problem = registry:create(device_id, module_id, fields)
  if not record then return nil, registry_error(problem) end
  return record
end

local function key_option()
  return { "string", check = identity.wrong_key }
end

local ADD_DEVICE = {
  module = { "string" },
  primary_key = key_option(),
  secondary_key = key_option(),
  status = { "string", default = "enabled", choices = { "enabled", "disabled" } },
}

---@class directmethods.NewIdentity
---@field module string? the module's id, instead of "dev1/mod1"
---@field primary_key string? base64 of 16 to 64 bytes; default: random
---@field secondary_key string? likewise
---@field status "enabled"|"disabled"|nil default "enabled"

---@class directmethods.Identity
---@field device_id string
---@field module_id string?
---@field primary_key string base64
---@field secondary_key string base64
---@field status "enabled"|"disabled"
---@field etag string
---@field generation_id string

--- Register a device, or a module ("dev1/mod1"; its device too, if need be).
--- ```lua
--- local identity = assert(hub:add_device("dev1"))
--- ```
---@param id string
---@param opts directmethods.NewIdentity?
---@return directmethods.Identity? identity
---@return directmethods.Error? err DeviceAlreadyExists, ModuleAlreadyExistsOnDevice,
---  TooManyDevices
function Hub:add_device(id, opts)
  check_open(self, "hub:add_device")
  opts = options.check(opts, ADD_DEVICE, "hub:add_device")
  local device_id, module_id = split_name(id, opts.module, "hub:add_device")
  local record, err = create(self, device_id, module_id, {
    primary_key = opts.primary_key,
    secondary_key = opts.secondary_key,
    enabled = opts.status == "enabled",
  })
  if not record then return nil, err end
  return {
    device_id = device_id,
    module_id = module_id,
    primary_key = record.primary_key,
    secondary_key = record.secondary_key,
    status = opts.status,
    etag = record.etag,
    generation_id = record.generation_id,
  }
end

---@class directmethods.HubDevice
---@field device_id string
---@field status "enabled"|"disabled"
---@field connected boolean
---@field subscribed boolean takes method calls
---@field modules string[] ids, ordered

local function device_of(state, record)
  local connected, subscribed = state.plane:connected(record.device_id)
  local modules = {}
  for i, module in ipairs(assert(state.store:modules(record.device_id))) do
    modules[i] = module.module_id
  end
  return {
    device_id = record.device_id,
    status = record.enabled and "enabled" or "disabled",
    connected = connected,
    subscribed = subscribed,
    modules = modules,
  }
end

local PAGE = 1000 -- records that are read from the store at a time

--- The registered devices, ordered by id.
---@return directmethods.HubDevice[]
function Hub:devices()
  check_open(self, "hub:devices")
  local state, list = self.state, {}
  repeat
    local last = list[#list]
    local page = assert(state.store:devices(last and last.device_id, PAGE))
    for _, record in ipairs(page) do list[#list + 1] = device_of(state, record) end
  until #page < PAGE
  return list
end

-- Clients ------------------------------------------------------------------

local function identity_string(hub, record)
  local module = record.module_id and ";ModuleId=" .. record.module_id or ""
  return ("HostName=%s;DeviceId=%s%s;SharedAccessKey=%s"):format(
    hub.hostname, record.device_id, module, record.primary_key)
end

--- The connection string of a policy ("iothubowner", "service", "device",
-- "registryRead", "registryReadWrite"), a device ("dev1") or a module ("dev1/mod1").
-- Clients need the ports, too: it never carries them.
---@param name string a policy's name goes before a device of the same name
---@return string
function Hub:connection_string(name)
  check_open(self, "hub:connection_string")
  local key = self.state.policies[name]
  if key then
    return ("HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%s"):format(
      self.hostname, name, key)
  end
  local device_id, module_id = split_name(name, nil, "hub:connection_string")
  local record = self.state.store:find(device_id, module_id)
  if not record then
    error(("hub:connection_string: '%s' is neither a policy nor a registered device")
      :format(name), 2)
  end
  return identity_string(self, record)
end

local function client_tls(hub)
  if not hub.config.tls then return false end
  return { ca = hub.state.ca }
end

-- The options of a client, where the user's own go first.
local function client_options(own, user, what)
  if user ~= nil and type(user) ~= "table" then
    error(what .. ": opts must be a table, not a " .. type(user), 3)
  end
  for name, value in pairs(user or {}) do own[name] = value end
  return own
end

-- A client, made by dm.device or dm.service; what they raise is raised at the caller
-- of the hub's method.
local function make(role, opts)
  local ok, made, err = pcall(role, opts)
  if ok then return made, err end
  error(type(made) == "string" and made:gsub("^[^\n]-:%d+: ", "") or made, 3)
end

--- A device client of this hub, registered if it is not yet, with connection string,
-- port and CA filled in; not yet connected.
--- ```lua
--- local device <close> = hub:device("dev1", {
---   reboot = function(request) return 201, { rebooted = true } end,
--- })
--- assert(device:connect())
--- ```
---@param id string "dev1", or "dev1/mod1" for a module
---@param handlers table<string, directmethods.Handler>?
---@param opts table? more options of dm.device
---@return directmethods.Device? device
---@return directmethods.Error? err the registry has no room
function Hub:device(id, handlers, opts)
  check_open(self, "hub:device")
  local device_id, module_id = split_name(id, nil, "hub:device")
  local record, err = self.state.store:find(device_id, module_id), nil
  if not record then record, err = create(self, device_id, module_id, {}) end
  if not record then return nil, err end
  local device = make(require "directmethods.device".device, client_options({
    connection_string = identity_string(self, record),
    handlers = handlers,
    port = self.state.ports.mqtt,
    tls = client_tls(self),
    gateway_host_name = self.gateway,
  }, opts, "hub:device"))
  owners[device] = self
  return device
end

--- A service client of this hub, with connection string, port and CA filled in.
--- ```lua
--- local service <close> = hub:service()
--- local reply = assert(service:invoke("dev1", "reboot"))
--- ```
---@param policy string? default "service"
---@param opts table? more options of dm.service
---@return directmethods.Service? service
---@return directmethods.Error? err
function Hub:service(policy, opts)
  check_open(self, "hub:service")
  policy = policy or "service"
  if not self.state.policies[policy] then
    error("hub:service: policy must be one of: "
      .. table.concat(planes.POLICY_NAMES, ", "), 2)
  end
  local service, err = make(require "directmethods.service".service, client_options({
    connection_string = self:connection_string(policy),
    port = self.state.ports.https,
    tls = client_tls(self),
    connect_host = configs.reach(self.config),
  }, opts, "hub:service"))
  if service then owners[service] = self end
  return service, err
end

return Hub
