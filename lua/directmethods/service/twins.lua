--- service.twins: tags, desired and reported properties of devices and modules.

local calls = require "directmethods.service.call"
local options = require "directmethods.options"
local rest = require "directmethods.service.rest"

local M = {}

local PAGE_MAX = 1000

--- Twins of the hub's devices and modules.
---@class directmethods.Twins
local Twins = { __name = "directmethods.twins" }
Twins.__index = Twins

---@param service directmethods.Service
function M.new(service)
  return setmetatable({ _service = service }, Twins)
end

--- A twin, as IoT Hub writes it: tags, properties.desired, properties.reported, etag,
--- version and more.
---@alias directmethods.TwinDocument table

local GET = { module_id = { "string", check = options.rules.identity } }

--- The twin of a device.
--- ```lua
--- local twin = assert(service.twins:get("dev1"))
--- print(twin.properties.reported.firmware)
--- ```
---@param id string
---@param opts { module_id: string? }?
---@return directmethods.TwinDocument? twin
---@return directmethods.Error? err
function Twins:get(id, opts)
  local what = "twins:get"
  rest.check(self, Twins, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  opts = options.check(opts, GET, what)
  return rest.ask(self._service, {
    method = "GET", path = calls.path("/twins/", id, opts.module_id),
  })
end

local PATCH = {
  tags = { "table" },
  properties = { "table", fields = { desired = { "table" } } },
}

local CHANGE = {
  module_id = GET.module_id,
  etag = { "string", check = options.rules.header_value },
}

local function check_given(what, name, value)
  if type(value) == "table" then return end
  options.fail(what, name, "must be a table, not a " .. type(value), 1)
end

local function change(self, method, id, body, opts)
  return rest.ask(self._service, {
    method = method,
    path = calls.path("/twins/", id, opts.module_id),
    body = body,
    if_match = rest.quoted(opts.etag or "*"),
  })
end

---@class directmethods.TwinChange
---@field tags table?
---@field properties { desired: table? }?

---@class directmethods.TwinOptions
---@field module_id string?
---@field etag string? change only this version; default: any

--- Change tags and desired properties: given members are set, members that are dm.null
--- are removed, all others stay. A device that subscribed is told of the change.
--- ```lua
--- service.twins:patch("dev1", { tags = { site = "north" },
---   properties = { desired = { interval = 60 } } })
--- ```
---@param id string
---@param patch directmethods.TwinChange
---@param opts directmethods.TwinOptions?
---@return directmethods.TwinDocument? twin as it is now
---@return directmethods.Error? err
function Twins:patch(id, patch, opts)
  local what = "twins:patch"
  rest.check(self, Twins, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  check_given(what, "patch", patch)
  local body = rest.encode(what, "patch", options.check(patch, PATCH, what))
  opts = options.check(opts, CHANGE, what)
  return change(self, "PATCH", id, body, opts)
end

--- Replace all tags and desired properties: members that are not given are removed.
---@param id string
---@param twin directmethods.TwinChange
---@param opts directmethods.TwinOptions?
---@return directmethods.TwinDocument? twin as it is now
---@return directmethods.Error? err
function Twins:replace(id, twin, opts)
  local what = "twins:replace"
  rest.check(self, Twins, what)
  calls.check_text(what, "id", id, options.rules.identity, 0)
  check_given(what, "twin", twin)
  local body = rest.encode(what, "twin", options.check(twin, PATCH, what))
  opts = options.check(opts, CHANGE, what)
  return change(self, "PUT", id, body, opts)
end

local QUERY = {
  page_size = { "integer", default = 100, min = 1, max = PAGE_MAX },
  continuation = { "string", min = 1, max = 8192 },
}

--- One page of a query's rows.
--- ```lua
--- local page, more = assert(service.twins:query("SELECT * FROM devices"))
--- if more then page, more = service.twins:query(text, { continuation = more }) end
--- ```
---@param text string
---@param opts { page_size: integer?, continuation: string? }? page_size: 100
---@return table[]? page
---@return string|directmethods.Error|nil continuation of the next; nil: it is the last
function Twins:query(text, opts)
  local what = "twins:query"
  rest.check(self, Twins, what)
  if type(text) ~= "string" then
    options.fail(what, "text", "must be a string, not a " .. type(text), 0)
  end
  opts = options.check(opts, QUERY, what)
  local fields = { "x-ms-max-item-count: " .. opts.page_size }
  if opts.continuation then
    fields[2] = "x-ms-continuation: " .. opts.continuation
  end
  return rest.page(self._service, {
    method = "POST", path = "/devices/query", fields = fields,
    body = rest.encode(what, "text", { query = text }),
  })
end

return M
