--- What a hub has for its clients: connection strings, clients that are wired
-- already.

local canned = require "directmethods.hub.canned"
local class = require "directmethods.hub.class"
local configs = require "directmethods.hub.config"
local connection_string = require "directmethods.connection_string"
local devices = require "directmethods.hub.devices"
local policies = require "directmethods.hub.policies"
local task = require "directmethods.task"

local Hub, check_open = class.Hub, class.check_open

-- A client that a hub made keeps it alive.
local owners = setmetatable({}, { __mode = "k" })

-- The fields that say where the hub is, with its name for devices or for services.
local function host_fields(hub, field, name)
  local host = "HostName=" .. hub.hostname
  return name and ("%s;%s=%s"):format(host, field, name) or host
end

local function identity_string(hub, record)
  local credential
  if record.auth == "sas" then
    credential = "SharedAccessKey=" .. record.primary_key
  elseif record.auth ~= "none" then
    credential = "x509=true"
  end
  return connection_string.of_identity(
    host_fields(hub, "DeviceHostName", hub.config.device_hostname), record, credential)
end

-- What the data plane knows of an identity; it does not wait for the store.
local function known_identity(hub, device_id, module_id)
  local auth, primary = hub.state.plane:identity(device_id, module_id)
  if not auth then return nil end
  return {
    device_id = device_id,
    module_id = module_id,
    auth = auth,
    primary_key = auth == "sas" and primary or nil,
  }
end

--- The connection string of a policy ("iothubowner", "service", "device",
-- "registryRead", "registryReadWrite"), a device ("dev1") or a module ("dev1/mod1").
-- Clients need the ports, too: it never carries them.
---@param name string a policy's name goes before a device of the same name
---@return string connection_string
function Hub:connection_string(name)
  check_open(self, "hub:connection_string")
  local key = self.state.policies[name]
  if key then
    return ("%s;SharedAccessKeyName=%s;SharedAccessKey=%s"):format(
      host_fields(self, "ServiceHostName", self.config.service_hostname), name, key)
  end
  local device_id, module_id = devices.split_name(name, nil, "hub:connection_string")
  local known = known_identity(self, device_id, module_id)
  if not known then
    error(("hub:connection_string: '%s' is neither a policy nor a registered device")
      :format(name), 2)
  end
  return identity_string(self, known)
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
-- of the hub's method, when `undo` was called.
local function make(role, opts, undo)
  local ok, made, err = pcall(role, opts)
  if ok then return made, err end
  if undo then undo() end
  error(type(made) == "string" and made:gsub("^[^\n]-:%d+: ", "") or made, 3)
end

--- A device client of this hub, registered if it is not yet, with connection string,
-- port and CA filled in; not yet connected. Waits when it must register.
--- ```lua
--- local device <close> = hub:device("dev1", {
---   reboot = function(request) return 201, { rebooted = true } end,
--- })
--- assert(device:connect())
--- ```
---@param id string "dev1", or "dev1/mod1" for a module
---@param handlers table<string, directmethods.Handler|directmethods.Canned>?
---  a table is an answer, { status = 200, payload = {}, delay = 2 }, or a list of them
---@param opts table? more options of dm.device
---@return directmethods.Device? device
---@return directmethods.Error? err the registry has no room
function Hub:device(id, handlers, opts)
  check_open(self, "hub:device")
  local device_id, module_id = devices.split_name(id, nil, "hub:device")
  local answers = canned.handlers(handlers, "hub:device")
  local known = known_identity(self, device_id, module_id)
  local record, err = known, nil
  if not known then
    task.current("hub:device")
    record, err = devices.create(self, device_id, module_id, {})
  end
  if not record then return nil, err end
  local websocket = type(opts) == "table" and opts.transport == "websocket"
  local device = make(require "directmethods.device".device, client_options({
    connection_string = identity_string(self, record),
    handlers = answers,
    port = websocket and self.state.ports.https or self.state.ports.mqtt,
    tls = client_tls(self),
    gateway_host_name = self.gateway,
  }, opts, "hub:device"), function()
    if not known then self.state.registry:remove(device_id, module_id) end
  end)
  owners[device] = self
  self.state.devices[device] = true
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
      .. table.concat(policies.NAMES, ", "), 2)
  end
  local service, err = make(require "directmethods.service".service, client_options({
    connection_string = self:connection_string(policy),
    port = self.state.ports.https,
    tls = client_tls(self),
    connect_host = configs.reach(self.config),
  }, opts, "hub:service"))
  if service then
    owners[service] = self
    self.state.services[service] = true
  end
  return service, err
end

return Hub
