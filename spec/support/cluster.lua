--- Hubs of one name in this process, with a bus whose messages wait until the spec lets
-- them go (spec/c/bus_double.c).

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local presences = require "directmethods.hub.cluster.presence"

local MODE = os.getenv "MODE" or "release"
local double = assert(package.loadlib(("build/%s/bus_double.so"):format(MODE),
  "luaopen_bus_double"))()

local KEY = "a2V5IG9mIHRoZSBkZXZpY2VzIG9mIHNwZWNz" -- of all devices

local M = {}

-- What all hubs of a world know of connections, in place of the rows of their store
-- (hub/cluster/presence.lua).
local Presence = {}
Presence.__index = Presence

function Presence:decide(changes, record, request)
  local name = record.device_id .. "/" .. (record.module_id or "")
  changes:put_session(record, request.stored and request.filters or nil)
  local shared = self.shared
  if request.connects then
    shared.epoch = shared.epoch + 1
    request.epoch, request.found = shared.epoch, shared.sessions[name]
    shared.sessions[name] = request.stored and (request.found or {}) or nil
  else
    shared.sessions[name] = request.stored and request.filters or nil
  end
end

function Presence:left(device_id, module_id, epoch)
  table.insert(self.shared.left, { self.id, device_id, module_id, epoch })
end

function Presence:bus_is_up()
  self.ups = self.ups + 1
end

function Presence.close() end

---@class spec.Cluster
---@field hubs table<string, directmethods.Hub>
local Cluster = {}
Cluster.__index = Cluster

--- Hubs of these ids that know the same devices.
---@param ids string[]
---@param devices string[]
---@param opts table<string, table>? options of a hub, by its id
function M.new(ids, devices, opts)
  local self = setmetatable({
    bus = double(), hubs = {}, clients = {}, devices = devices,
    shared = { epoch = 0, sessions = {}, left = {} },
  }, Cluster)
  for _, id in ipairs(ids) do self:add(id, opts and opts[id]) end
  return self
end

--- A hub more.
---@param id string
---@param opts table?
function Cluster:add(id, opts)
  local hub = fixture.hub(opts)
  local plane, store = hub.state.plane, hub.state.cluster
  local events, own = plane:bus_events()
  local member = store and store.id or id
  local functions, context = self.bus:join(events, own, member)
  plane:join(functions, context, member)
  if store then
    assert(presences.begin(hub.state))
  else
    hub.state.presence = setmetatable({ id = id, shared = self.shared, ups = 0 },
      Presence)
  end
  self.hubs[id] = hub
  for _, device in ipairs(self.devices) do
    if not plane:identity(device) then
      assert(hub:add_device(device, { primary_key = KEY }))
    end
  end
  return hub
end

--- The same on one database.
---@param ids string[]
---@param devices string[]
---@param url string of a new database
function M.with_store(ids, devices, url)
  local opts = {}
  for _, id in ipairs(ids) do opts[id] = { store = url, cluster = { name = "lab" } } end
  return M.new(ids, devices, opts)
end

--- Deliver all messages.
function Cluster:flow()
  local count = 0
  while self.bus:deliver() do count = count + 1 end
  return count
end

--- Deliver messages up to one of this kind, which is delivered too.
function Cluster:flow_to(kind)
  assert(dm.wait_until(function()
    local found
    repeat found = self.bus:deliver() until not found or found == kind
    return found == kind
  end))
end

--- Lose the next message, which must be of this kind.
function Cluster:lose(kind)
  local found
  assert(dm.wait_until(function()
    found = self.bus:drop()
    return found
  end))
  assert(found == kind, found)
end

--- Wait until a condition is true; messages flow.
function Cluster:wait(condition)
  assert(dm.wait_until(function()
    self:flow()
    return condition()
  end))
end

--- A device that is connected to the hub of this id.
function Cluster:device(id, name, handlers, opts)
  local device = self.hubs[id]:device(name, handlers, opts)
  self.clients[#self.clients + 1] = device
  assert(device:connect())
  self:flow()
  return device
end

--- Call a method at the hub of this id. Call the function that is returned for the
-- results: it waits, and messages flow.
function Cluster:call(id, ...)
  local service = self.hubs[id]:service()
  self.clients[#self.clients + 1] = service
  local results
  local words = table.pack(...)
  dm.spawn(function()
    results = table.pack(service:invoke(table.unpack(words, 1, words.n)))
  end)
  return function()
    self:wait(function() return results end)
    return table.unpack(results, 1, results.n)
  end
end

--- The calls that the hub of this id has kept.
function Cluster:calls(id)
  return self.hubs[id]:calls()
end

function Cluster:close()
  for _, wire in ipairs(self.wires or {}) do wire:close() end
  for _, client in ipairs(self.clients) do client:close() end
  for _, hub in pairs(self.hubs) do hub:close() end
  for _, hub in pairs(self.hubs) do fixture.finish(hub) end
end

return M
