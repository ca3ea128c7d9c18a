--- service.registry: the identities of a hub.

local calls = require "directmethods.service.call"
local identities = require "directmethods.service.identity"
local json = require "directmethods.json"
local options = require "directmethods.options"
local rest = require "directmethods.service.rest"

local M = {}

local LIST_MAX = 1000
local BULK_MAX = 100 -- entries of one request

--- The hub's registry of devices and modules. The policy needs RegistryRead, and
--- RegistryWrite for changes.
---@class directmethods.RegistryClient
local Registry = { __name = "directmethods.registry" }
Registry.__index = Registry

---@param service directmethods.Service
function M.new(service)
  return setmetatable({ _service = service }, Registry)
end

local module_id = { "string", check = options.rules.identity }
local etag = { "string", check = options.rules.header_value }

local function with(more)
  local spec = {}
  for name, rule in pairs(identities.FIELDS) do spec[name] = rule end
  for name, rule in pairs(more) do spec[name] = rule end
  return spec
end

local function ask(self, method, id, opts, more)
  local path = calls.path("/devices/", id, opts.module_id)
  local request = { method = method, path = path }
  for name, value in pairs(more or {}) do request[name] = value end
  return rest.ask(self._service, request)
end

-- An identity of a document, or nil, err.
local function identity_of(document, err)
  if not document then return nil, err end
  return identities.new(document)
end

local CREATE = with { module_id = module_id }

---@class directmethods.IdentityOptions
---@field module_id string?     a module of the device
---@field authentication "sas"|"selfSigned"|"certificateAuthority"|"none"|nil how it
---  logs in; default: selfSigned with a thumbprint, else sas
---@field primary_key string?   base64 of 16 to 64 bytes; default: the hub makes one
---@field secondary_key string? the same
---@field primary_thumbprint string? of its certificate, SHA-1 or SHA-256 in hex
---@field secondary_thumbprint string? of its next certificate
---@field status "enabled"|"disabled"|nil of a device
---@field status_reason string?

--- Register a device, or a module of one.
--- ```lua
--- local identity = assert(service.registry:create("dev1"))
--- print(identity.primary_key)
--- ```
---@param id string
---@param opts directmethods.IdentityOptions?
---@return directmethods.RemoteIdentity? identity
---@return directmethods.Error? err DeviceAlreadyExists, ModuleAlreadyExistsOnDevice
function Registry:create(id, opts)
  local what = "registry:create"
  rest.check(self, Registry, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  opts = options.check(opts, CREATE, what)
  local document = identities.change({ deviceId = id, moduleId = opts.module_id }, opts)
  identities.ask_for_keys(document)
  return identity_of(ask(self, "PUT", id, opts, { body = json.encode(document) }))
end

local GET = { module_id = module_id }

--- An identity of the registry.
---@param id string
---@param opts { module_id: string? }?
---@return directmethods.RemoteIdentity? identity
---@return directmethods.Error? err DeviceNotFound, ModuleNotFound
function Registry:get(id, opts)
  local what = "registry:get"
  rest.check(self, Registry, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  opts = options.check(opts, GET, what)
  return identity_of(ask(self, "GET", id, opts))
end

local UPDATE = with { module_id = module_id, etag = etag }

---@class directmethods.IdentityChange: directmethods.IdentityOptions
---@field etag string?
-- change only this version ("*": any); default: the version that was read, so that no
-- change of somebody else is lost

--- Change an identity. It is read first; options that are not given stay as they are.
--- ```lua
--- service.registry:update("dev1", { status = "disabled" })
--- ```
---@param id string
---@param changes directmethods.IdentityChange
---@return directmethods.RemoteIdentity? identity
---@return directmethods.Error? err PreconditionFailed: the etag is another one
function Registry:update(id, changes)
  local what = "registry:update"
  rest.check(self, Registry, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  changes = options.check(changes, UPDATE, what)
  local document, err = ask(self, "GET", id, changes)
  if not document then return nil, err end
  local version = changes.etag or document.etag
  identities.change(document, changes)
  return identity_of(ask(self, "PUT", id, changes, {
    body = json.encode(document), if_match = rest.quoted(version),
  }))
end

local DELETE = { module_id = module_id, etag = etag }

--- Remove an identity, and a device's modules with it.
---@param id string
---@param opts { module_id: string?, etag: string? }? etag: remove this version alone
---@return boolean? removed
---@return directmethods.Error? err
function Registry:delete(id, opts)
  local what = "registry:delete"
  rest.check(self, Registry, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  opts = options.check(opts, DELETE, what)
  local document, err = ask(self, "DELETE", id, opts,
    { if_match = rest.quoted(opts.etag or "*") })
  if not document then return nil, err end
  return true
end

local function list_of(documents, err)
  if not documents then return nil, err end
  local list = {}
  for i, document in ipairs(documents) do list[i] = identities.new(document) end
  return list
end

local LIST = { top = { "integer", default = LIST_MAX, min = 1, max = LIST_MAX } }

--- The first devices, at most 1000, because IoT Hub lists no more. service:query
--- reads all, page by page.
---@param opts { top: integer? }?
---@return directmethods.RemoteIdentity[]? identities
---@return directmethods.Error? err
function Registry:list(opts)
  local what = "registry:list"
  rest.check(self, Registry, what)
  opts = options.check(opts, LIST, what)
  return list_of(rest.ask(self._service, {
    method = "GET", path = "/devices", query = "top=" .. opts.top,
  }))
end

--- The modules of a device.
---@param id string
---@return directmethods.RemoteIdentity[]? identities
---@return directmethods.Error? err
function Registry:modules(id)
  local what = "registry:modules"
  rest.check(self, Registry, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  return list_of(rest.ask(self._service, {
    method = "GET", path = calls.path("/devices/", id, nil, "/modules"),
  }))
end

--- The number of devices.
---@return { total: integer, enabled: integer, disabled: integer }? counts
---@return directmethods.Error? err
function Registry:statistics()
  rest.check(self, Registry, "registry:statistics")
  local found, err = rest.ask(self._service, {
    method = "GET", path = "/statistics/devices",
  })
  if not found then return nil, err end
  return {
    total = found.totalDeviceCount,
    enabled = found.enabledDeviceCount,
    disabled = found.disabledDeviceCount,
  }
end

-- Many at once ---------------------------------------------------------------

local ENTRY = with {
  id = { "string", required = true, check = options.rules.identity },
  module_id = module_id,
  mode = {
    "string", default = "create_or_update",
    choices = { "create", "update", "create_or_update", "delete", "update_twin" },
  },
  etag = etag,
  tags = { "table" },
  desired = { "table" },
}

-- The entries of the request; raises if an entry of the user is wrong.
local function read_entries(entries, what)
  if type(entries) ~= "table" then
    options.fail(what, "entries", "must be a list, not a " .. type(entries), 1)
  end
  local list = {}
  for i = 1, #entries do
    local entry = entries[i]
    if type(entry) == "string" then entry = { id = entry } end
    local name = ("%s: entries[%d]"):format(what, i)
    list[i] = identities.entry(options.check(entry, ENTRY, name, 1))
  end
  return list
end

-- A 400 with the result of a bulk request is a result, not an error.
local function is_result(answer)
  return answer.status == 400 and answer.body:find('"isSuccessful"', 1, true) ~= nil
end

---@class directmethods.BulkEntry: directmethods.IdentityOptions
---@field id string
---@field mode "create"|"update"|"create_or_update"|"delete"|"update_twin"|nil
-- default "create_or_update"
---@field etag string?   change only this version
---@field tags table?    replaces the tags of its twin
---@field desired table? replaces the desired properties of its twin

---@class directmethods.BulkResult
---@field ok boolean every entry was done
---@field errors { device_id: string, module_id: string?, code: integer?, name: string,
---  message: string }[] for each entry that was not

--- Make many changes, up to 100 in a request.
--- ```lua
--- local result = assert(service.registry:bulk { "dev1", "dev2",
---   { id = "dev3", mode = "delete" } })
--- for _, err in ipairs(result.errors) do print(err.device_id, err.message) end
--- ```
---@param entries (string|directmethods.BulkEntry)[] a string: { id = string }
---@return directmethods.BulkResult? result
---@return directmethods.Error? err a request failed as a whole; those before it did not
function Registry:bulk(entries)
  local what = "registry:bulk"
  rest.check(self, Registry, what)
  local list = read_entries(entries, what)
  local result = { ok = true, errors = {} }
  for first = 1, #list, BULK_MAX do
    local part = table.move(list, first, math.min(first + BULK_MAX - 1, #list), 1, {})
    local document, err = rest.ask(self._service, {
      method = "POST", path = "/devices", takes = is_result,
      body = rest.encode(what, "entries", part),
    })
    if not document then return nil, err end
    identities.add_errors(result, document)
  end
  return result
end

return M
