--- Brings a running hub up to date with the file of `--config`. It changes only what
-- differs from the older file.

local canned = require "directmethods.hub.canned"
local checks = require "directmethods.cli.hub_file_check"
local tables = require "directmethods.tables"

local M = {}

local function places_of(file)
  local places = {}
  for i, device in ipairs(file.devices) do places[device.id] = i end
  return places
end

local function with_registry(hub, fn)
  local service <close> = hub:service "iothubowner"
  return fn(service.registry)
end

-- The file no longer has this device. With a store it stays, as after a restart.
local function remove(old, hub, i)
  local id = old.devices[i].id
  if old.clients[i] then old.clients[i]:close() end
  if hub.config.store ~= ":memory:" then return end
  local device_id, module_id = id:match("^([^/]+)/([^/]+)$")
  with_registry(hub, function(registry)
    registry:delete(device_id or id, { module_id = module_id })
  end)
end

-- Keys that are not in the file stay as they are.
local function change_identity(new, hub, i, identity)
  local id, path = new.devices[i].id, { "devices", i }
  local device_id, module_id = id:match("^([^/]+)/([^/]+)$")
  local changes = { module_id = module_id or identity.module }
  for name, value in pairs(identity) do
    if name ~= "module" then changes[name] = value end
  end
  if not changes.module_id then changes.status = identity.status or "enabled" end
  with_registry(hub, function(registry)
    new:call(path, registry.update, registry, device_id or id, changes)
  end)
  local kept = new.identities[i]
  for name, value in pairs(identity) do kept[name] = value end
  kept.status = identity.status
end

-- Give a client other answers; calls that are under way end as they began.
local function change_answers(client, before, now)
  for name in pairs(before) do
    if now[name] == nil then client:method(name, nil) end
  end
  for name, handler in pairs(canned.handlers(now, "config")) do
    if not tables.equal(before[name], now[name]) then client:method(name, handler) end
  end
end

local function change_methods(new, hub, i, before, now)
  local client = new.clients[i]
  if not now.methods then
    client:close()
    new.clients[i] = nil
  elseif not client then
    new:connect(hub, i, now)
  else
    change_answers(client, before.methods, now.methods)
  end
end

local function change_device(new, hub, i, old, j)
  new.identities[i], new.clients[i] = old.identities[j], old.clients[j]
  local before, identity_before = checks.split(old.devices[j])
  local now, identity = checks.split(new.devices[i])
  if not tables.equal(identity_before, identity) then
    change_identity(new, hub, i, identity)
  end
  if not tables.equal(before.tags, now.tags)
    or not tables.equal(before.desired, now.desired) then
    new:set_twin(hub, now, { "devices", i })
  end
  if not tables.equal(before.methods, now.methods) then
    change_methods(new, hub, i, before, now)
  end
end

local function merge_devices(new, hub, old)
  local before, now = places_of(old), places_of(new)
  for id, j in pairs(before) do
    if not now[id] then remove(old, hub, j) end
  end
  for i, device in ipairs(new.devices) do
    local j = before[device.id]
    if j then change_device(new, hub, i, old, j) else new:add_device(hub, i) end
  end
end

local function merge_faults(new, hub, old)
  if tables.equal(new.faults, old.faults) then
    new.rules = old.rules
    return
  end
  for _, rule in ipairs(old.rules) do rule:remove() end
  new:add_faults(hub)
end

--- Give the hub the devices and faults of a file that was checked before.
---@param new directmethods.HubFile
---@param hub directmethods.Hub
---@param old directmethods.HubFile the file that the hub has now
function M.merge(new, hub, old)
  merge_devices(new, hub, old)
  merge_faults(new, hub, old)
end

return M
