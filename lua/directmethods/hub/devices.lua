--- The registered devices and modules, as Lua code adds and sees them.

local class = require "directmethods.hub.class"
local errors = require "directmethods.errors"
local identity = require "directmethods.hub.identity"
local options = require "directmethods.options"

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

--- Add an identity to the registry, a module's device too.
---@return directmethods.IdentityRecord? record
---@return directmethods.Error? err
function M.create(hub, device_id, module_id, fields)
  local registry = hub.state.registry
  if module_id and not registry.store:find(device_id) then
    local device, problem = registry:create(device_id, nil, {})
    if not device then return nil, registry_error(problem) end
  end
  local record, problem = registry:create(device_id, module_id, fields)
  if not record then return nil, registry_error(problem) end
  return record
end

--- Register the devices that are not there yet, with one write to the store.
---@param hub directmethods.Hub
---@param ids string[]
---@return boolean? done
---@return directmethods.Error? err there is no room, or the store has failed
function M.create_all(hub, ids)
  local entries, err = {}, nil
  for i, id in ipairs(ids) do entries[i] = { device_id = id } end
  local kept, problem = hub.state.registry:batch(entries, function()
    for _, id in ipairs(ids) do
      local _, why = M.create(hub, id, nil, {})
      if why and why.name ~= "DeviceAlreadyExists" then err = err or why end
    end
  end)
  if not kept then return nil, registry_error(problem) end
  return not err or nil, err
end

local KEY = { "string", check = identity.wrong_key }
local THUMBPRINT = { "string", check = identity.wrong_thumbprint }

local ADD_DEVICE = {
  module = { "string" },
  authentication = { "string", choices = identity.AUTHENTICATIONS },
  primary_key = KEY,
  secondary_key = KEY,
  primary_thumbprint = THUMBPRINT,
  secondary_thumbprint = THUMBPRINT,
  status = { "string", default = "enabled", choices = { "enabled", "disabled" } },
}

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
-- of hub:add_device.
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
  local device_id, module_id = M.split_name(id, opts.module, "hub:add_device")
  local auth = authentication_of(opts)
  local record, err = M.create(self, device_id, module_id, {
    auth = auth,
    primary_key = opts.primary_key,
    secondary_key = opts.secondary_key,
    primary_thumbprint = opts.primary_thumbprint,
    secondary_thumbprint = opts.secondary_thumbprint,
    enabled = opts.status == "enabled",
  })
  if not record then return nil, err end
  return {
    device_id = device_id,
    module_id = module_id,
    authentication = auth,
    primary_key = record.primary_key,
    secondary_key = record.secondary_key,
    primary_thumbprint = record.primary_thumbprint,
    secondary_thumbprint = record.secondary_thumbprint,
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
  local modules, err = state.store:modules(record.device_id)
  if not modules then return nil, err end
  for i, module in ipairs(modules) do modules[i] = module.module_id end
  return {
    device_id = record.device_id,
    status = record.enabled and "enabled" or "disabled",
    connected = connected,
    subscribed = subscribed,
    modules = modules,
  }
end

--- One of the registered devices.
---@param hub directmethods.Hub
---@param device_id string
---@return directmethods.HubDevice? device
---@return directmethods.Error? err the store has failed; nil: there is none
function M.find(hub, device_id)
  local record, err = hub.state.store:find(device_id)
  if not record then return nil, err end
  return device_of(hub.state, record)
end

local PAGE = 1000 -- records that are read from the store at a time

local DEVICES = { top = { "integer", min = 1 }, after = { "string" } }

--- The registered devices, ordered by id: all, in one go, or so many of them.
--- ```lua
--- local next = hub:devices { top = 100, after = devices[#devices].device_id }
--- ```
---@param opts { top: integer?, after: string? }? at most how many; behind which id
---@return directmethods.HubDevice[]? devices
---@return directmethods.Error? err the store has failed
function Hub:devices(opts)
  check_open(self, "hub:devices")
  opts = options.check(opts, DEVICES, "hub:devices")
  local state, list = self.state, {}
  local after, left = opts.after, opts.top or math.huge
  local wanted, page, err
  repeat
    wanted = math.min(left, PAGE)
    page, err = state.store:devices(after, wanted)
    if not page then return nil, err end
    for _, record in ipairs(page) do
      list[#list + 1], err = device_of(state, record)
      if err then return nil, err end
    end
    after, left = #page > 0 and page[#page].device_id, left - #page
  until #page < wanted or left == 0
  return list
end

return M
