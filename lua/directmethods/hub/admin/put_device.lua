--- PUT of a device or a module: registers it, or changes it. Members that the body does
-- not have stay as they are.

local canned = require "directmethods.hub.canned"
local device = require "directmethods.device"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local registered = require "directmethods.hub.devices"
local registries = require "directmethods.hub.registry"
local requests = require "directmethods.hub.admin.request"
local twins = require "directmethods.hub.twins"

local refuse, try = requests.refuse, requests.try

local M = {}

local IDENTITY = { "authentication", "primary_key", "secondary_key",
  "primary_thumbprint", "secondary_thumbprint", "status" }
local SECTIONS = { "tags", "desired" }
local MEMBERS = { "methods", "tags", "desired", table.unpack(IDENTITY) }

-- Raises what hub:device would raise.
local function check_answers(methods)
  if type(methods) ~= "table" then
    error("hub:device: handlers must be a table, not a " .. type(methods), 0)
  end
  device.check_handlers(canned.handlers(methods, "hub:device"))
end

-- The content of the body, checked before anything is changed: fields of the identity,
-- sections of the twin, canned answers (json.null: remove them).
local function read(request)
  local body, opts = requests.body(request, table.unpack(MEMBERS)), {}
  for _, name in ipairs(IDENTITY) do
    if body[name] ~= json.null then opts[name] = body[name] end
  end
  local fields = try(registered.wanted, opts)
  if request.module and fields.enabled ~= nil then
    refuse(400, "status is for devices: a module is enabled as its device is.")
  end
  local sections, rule = twins.read {
    tags = body.tags, properties = { desired = body.desired },
  }
  if not sections then refuse(400, rule) end
  if body.methods and body.methods ~= json.null then
    try(check_answers, body.methods)
  end
  return fields, sections, body.methods
end

-- Both sections of the twin: the given one, or else the one that the twin had.
local function whole(changes, request, given)
  local twin, sections = changes:twin(request.id, request.module), {}
  for _, name in ipairs(SECTIONS) do
    sections[name] = given[name] or json.decode(twin[name])
  end
  return sections
end

-- The decision, for Registry:change.
local function decide(registry, changes, request, fields, sections)
  local id, module = request.id, request.module
  local record, problem = changes:find(id, module), nil
  if not record then
    if module and not changes:find(id) then
      record, problem = registry:decide_create(changes, id, nil, {})
      if not record then return nil, problem end
    end
    record, problem = registry:decide_create(changes, id, module, fields)
  elseif next(fields) then
    record, problem = registry:decide_update(changes, id, module, fields)
  end
  if not record then return nil, problem end
  if next(sections) then
    local twin
    twin, problem = twins.decide_update(changes, record,
      whole(changes, request, sections), { whole = true })
    if not twin then return nil, problem end
  end
  return record
end

local function change(hub, request, fields, sections)
  local registry, ids = hub.state.registry, { { device_id = request.id,
    module_id = request.module } }
  local record, problem = registry:change(ids, function(changes)
    local decided, why = decide(registry, changes, request, fields, sections)
    if not decided then changes:discard() end
    return decided, why
  end)
  if problem then refuse(problem.http_status, problem.text) end
  return record
end

-- Connect the client with canned answers again if the answers or its credentials have
-- changed.
local function connect(hub, request, name, record, answers)
  local clients = hub.state.admin.clients
  if answers == json.null then
    clients:drop(name)
    request.release()
    return try(clients.wait_closed, clients)
  end
  clients.answers[name] = answers
  if not record.enabled then return clients:disconnect(name) end
  local client = try(hub.device, hub, name, answers)
  clients:put(name, client)
  request.release()
  try(client.connect, client)
end

--- Do what the request asks for.
---@param hub directmethods.Hub
---@param request { id: string, module: string?, body: string }
---@param name string "device" or "device/module"
function M.put(hub, request, name)
  for what, id in pairs { device = request.id, module = request.module } do
    local wrong = identity.wrong_id(id)
    if wrong then refuse(400, ("the %s id %s"):format(what, wrong)) end
  end
  local fields, sections, answers = read(request)
  local record = change(hub, request, fields, sections)
  local kept = next(fields) and hub.state.admin.clients.answers[name]
  if answers or kept then connect(hub, request, name, record, answers or kept) end
end

--- The record and the twin of an identity; refused with 404 when it is not there.
---@param hub directmethods.Hub
---@param request { id: string, module: string? }
---@return directmethods.IdentityRecord record
---@return directmethods.Twin twin
function M.find(hub, request)
  local id, module = request.id, request.module
  local found, problem = hub.state.registry:read {
    { device_id = id, module_id = module },
  }
  if not found then refuse(problem.http_status, problem.text) end
  local record = registries.find(found, id, module)
  if record then return record, found:twin(id, module) end
  refuse(404, "There is no such device.")
end

return M
