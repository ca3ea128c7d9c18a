--- Devices and modules, as Lua code registers and disconnects them.

local class = require "directmethods.hub.class"
local errors = require "directmethods.errors"
local identity = require "directmethods.hub.identity"
local options = require "directmethods.options"
local task = require "directmethods.task"

local M = {}

local Hub, check_open = class.Hub, class.check_open

local function check_id(id, what, argument)
  local wrong = identity.wrong_id(id)
  if wrong then error(("%s: %s %s"):format(what, argument, wrong), 4) end
end

--- The ids in "device" or "device/module". Raises at the caller of the hub's method.
---@param name any
---@param module_id any the module's, if it is given apart
---@param what string the hub's method
---@return string device_id
---@return string? module_id
function M.split_name(name, module_id, what)
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

--- Add an identity to the registry, a module's device too. Waits.
---@return directmethods.IdentityRecord? record
---@return directmethods.Error? err
function M.create(hub, device_id, module_id, fields)
  local registry = hub.state.registry
  local ids = { { device_id = device_id, module_id = module_id } }
  local record, problem = registry:change(ids, function(changes)
    if module_id and not changes:find(device_id) then
      local device, why = registry:decide_create(changes, device_id, nil, {})
      if not device then return nil, why end
    end
    return registry:decide_create(changes, device_id, module_id, fields)
  end)
  if not record then return nil, registry_error(problem) end
  return record
end

local LIST = 256 -- devices that are registered by one write

-- Register those of ids[first] to ids[last] that are not there yet.
local function create_some(registry, ids, first, last)
  local entries = {}
  for i = first, last do entries[#entries + 1] = { device_id = ids[i] } end
  local _, problem = registry:change(entries, function(changes)
    for _, each in ipairs(entries) do
      if not changes:find(each.device_id) then
        registry:decide_create(changes, each.device_id, nil, {})
      end
    end
  end)
  return problem
end

--- Register the devices that are not there yet. Waits.
---@param hub directmethods.Hub
---@param ids string[]
---@return boolean? done
---@return directmethods.Error? err there is no room, or the store has failed
function M.create_all(hub, ids)
  for first = 1, #ids, LIST do
    local last = math.min(first + LIST - 1, #ids)
    local problem = create_some(hub.state.registry, ids, first, last)
    if problem then return nil, registry_error(problem) end
  end
  return true
end

local KEY = { "string", check = identity.wrong_key }
local THUMBPRINT = { "string", check = identity.wrong_thumbprint }

local IDENTITY = {
  authentication = { "string", choices = identity.AUTHENTICATIONS },
  primary_key = KEY,
  secondary_key = KEY,
  primary_thumbprint = THUMBPRINT,
  secondary_thumbprint = THUMBPRINT,
  status = { "string", choices = { "enabled", "disabled" } },
}

local ADD_DEVICE = { module = { "string" } }
for name, rule in pairs(IDENTITY) do ADD_DEVICE[name] = rule end

---@class directmethods.NewIdentity
---@field module string? the module's id, instead of "dev1/mod1"
---@field authentication "sas"|"selfSigned"|"certificateAuthority"|"none"|nil how it
---  shows who it is; default: selfSigned with a thumbprint, else sas
---@field primary_key string? base64 of 16 to 64 bytes; default: random
---@field secondary_key string? likewise
---@field primary_thumbprint string? of its certificate, SHA-1 or SHA-256 in hex
---@field secondary_thumbprint string? of its next one
---@field status "enabled"|"disabled"|nil default "enabled"

---@class directmethods.Identity
---@field device_id string
---@field module_id string?
---@field authentication "sas"|"selfSigned"|"certificateAuthority"|"none"
---@field primary_key string? base64; nil: it does not log in by key
---@field secondary_key string?
---@field primary_thumbprint string?
---@field secondary_thumbprint string?
---@field status "enabled"|"disabled"
---@field etag string
---@field generation_id string

-- How it is to show who it is. Options that do not go together raise at the caller
-- of hub:add_device, or of M.wanted.
local function authentication_of(opts)
  local x509 = opts.primary_thumbprint or opts.secondary_thumbprint
  local auth = opts.authentication or (x509 and "selfSigned" or "sas")
  local function fail(option, rule)
    options.fail("hub:add_device", ("option '%s'"):format(option), rule, 2)
  end
  if auth ~= "selfSigned" and x509 then
    fail("primary_thumbprint", "is for authentication = 'selfSigned'")
  elseif auth == "selfSigned" and not x509 then
    fail("primary_thumbprint", "is required by authentication = 'selfSigned'")
  elseif auth ~= "sas" and (opts.primary_key or opts.secondary_key) then
    fail("primary_key", "is for authentication = 'sas'")
  end
  return auth
end

-- As Registry:decide_create takes them; nil where nothing is said.
local function fields_of(opts, auth)
  return {
    auth = auth,
    primary_key = opts.primary_key,
    secondary_key = opts.secondary_key,
    primary_thumbprint = opts.primary_thumbprint,
    secondary_thumbprint = opts.secondary_thumbprint,
    enabled = opts.status and opts.status == "enabled",
  }
end

-- The options that say how an identity logs in.
local CREDENTIALS = { "authentication", "primary_key", "secondary_key",
  "primary_thumbprint", "secondary_thumbprint" }

--- What is wrong with each single field of an identity.
---@param opts table
---@return string[] texts
function M.all_wrong(opts)
  return options.all_wrong(opts, IDENTITY)
end

--- What options of hub:add_device ask of an identity that may be there already, as
-- Registry:decide_create and Registry:decide_update take it. Raises as hub:add_device.
---@param opts directmethods.NewIdentity
---@return table fields empty: nothing
function M.wanted(opts)
  opts = options.check(opts, IDENTITY, "hub:add_device")
  local auth
  for _, name in ipairs(CREDENTIALS) do
    if opts[name] then auth = authentication_of(opts) end
  end
  return fields_of(opts, auth)
end

--- Register a device, or a module ("dev1/mod1"; its device too, if need be). Waits.
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
  task.current("hub:add_device")
  local device_id, module_id = M.split_name(id, opts.module, "hub:add_device")
  local auth = authentication_of(opts)
  local record, err = M.create(self, device_id, module_id, fields_of(opts, auth))
  if not record then return nil, err end
  return {
    device_id = device_id,
    module_id = module_id,
    authentication = auth,
    primary_key = record.primary_key,
    secondary_key = record.secondary_key,
    primary_thumbprint = record.primary_thumbprint,
    secondary_thumbprint = record.secondary_thumbprint,
    status = opts.status or "enabled",
    etag = record.etag,
    generation_id = record.generation_id,
  }
end

--- Close the connection of a device, or of a module ("dev1/mod1"): it is told nothing,
--- as if the network were gone. Most clients connect again by themselves.
--- ```lua
--- hub:disconnect("dev1")
--- ```
---@param id string
---@return boolean was_connected
function Hub:disconnect(id)
  check_open(self, "hub:disconnect")
  local device_id, module_id = M.split_name(id, nil, "hub:disconnect")
  return self.state.plane:disconnect(device_id, module_id)
end

return M
