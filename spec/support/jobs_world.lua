--- The world of spec/jobs_model_spec.lua: a hub in a process of its own that can be
-- killed, a fleet that outlives it, and an oracle: what each device was called for.

local dm = require "directmethods"
local stores = require "spec.support.stores"
local uv = require "luv"

local LUA = os.getenv("LUA") or "lua5.4"
local DISK = ("build/%s/slow_fsync.so"):format(os.getenv("MODE") or "release")
local PATIENCE = 30 -- seconds for a hub to start, and for a job to end

local M = {}
M.PATIENCE = PATIENCE

local World = {}
World.__index = World

-- The command of a hub, with a disk as spec/c/slow_fsync.c makes it.
local function command_of(self, ready)
  local words = { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath,
    "ASAN_OPTIONS=verify_asan_link_order=0", "LD_PRELOAD=" .. DISK,
    "DISK_FILE=" .. self.plan.hub.store }
  for name, value in pairs(self.plan.disk) do
    words[#words + 1] = ("DISK_%s=%s"):format(name, value)
  end
  table.move({ LUA, "spec/support/jobs_hub.lua", self.folder .. "/plan", ready }, 1, 4,
    #words + 1, words)
  return words
end

local function try_to_start(self)
  local ready = self.folder .. "/ready"
  os.remove(ready)
  stores.write(self.folder .. "/plan", dm.json.encode(self.plan))
  self.child = dm.spawn(dm.exec, command_of(self, ready), { timeout = 120 })
  assert(dm.wait_until(function()
    return uv.fs_stat(ready) or self.child:ended()
  end, PATIENCE))
  if not uv.fs_stat(ready) then return nil, self.child:await().stderr end
  return assert(dm.json.decode(stores.read(ready)))
end

--- Start a hub on the store. One whose disk fails meanwhile does not start; the next
--- one has a good disk.
function World:start()
  local facts, why = try_to_start(self)
  if not facts and self.plan.disk.FAIL then
    self.plan.disk = {}
    facts, why = try_to_start(self)
  end
  facts = assert(facts, why)
  if facts.devices[1] then self.strings = facts.devices end
  self.facts = facts
  self.plan.hub.mqtt_port = self.facts.ports.mqtt
  self.plan.hub.https_port = self.facts.ports.https
  self.plan.devices = dm.json.array() -- the store has them
end

--- Kill the hub, and start another on its store and its ports.
function World:kill()
  self.kills = self.kills + 1
  uv.kill(self.facts.pid, "sigkill")
  assert(self.child:await(PATIENCE))
  self:start()
end

local function start_fleet(self)
  local calls = self.calls
  self.fleet = assert(dm.fleet {
    connection_strings = self.strings, port = self.facts.ports.mqtt, tls = false,
    reconnect = { min = 0.01, max = 0.05 },
    handlers = {
      m = function(request)
        local of_job = calls[request.payload]
        of_job[request.device_id] = (of_job[request.device_id] or 0) + 1
        local seconds = self.pause()
        if seconds > 0 then dm.sleep(seconds) end
        return 200, request.device_id
      end,
    },
  })
  dm.spawn(function() self.fleet:connect(PATIENCE) end)
end

--- How often a device was called for a job.
function World:called(job_id, device_id)
  return self.calls[job_id][device_id] or 0
end

--- A device is removed or disabled; whether it is, is not known when the hub is killed
--- meanwhile.
function World:take_away(i)
  local id = self.ids[i]
  self.gone[id] = true
  if math.random(2) == 1 then
    self.service.registry:delete(id)
  else
    self.service.registry:update(id, { status = "disabled" })
  end
end

--- A device leaves and comes back.
function World:reconnect(i)
  local device = self.fleet:device(i)
  if device.state == "online" then device:reconnect() end
end

function World:__close()
  if self.service then self.service:close() end
  if self.fleet then
    self.fleet:close()
    assert(self.fleet:closed(10))
  end
  if self.child then
    self.child:cancel()
    pcall(self.child.await, self.child, PATIENCE)
  end
  stores.remove(self.folder)
end

--- Start one. `plan`: hub (options of dm.hub), devices (ids), faults (rules), disk
--- (what spec/c/slow_fsync.c reads); `pause` tells how many seconds a device takes to
--- answer.
function M.new(plan, pause)
  local self = setmetatable({
    folder = stores.folder(), plan = plan, pause = pause, calls = {}, kills = 0,
    ids = plan.devices, gone = {},
  }, World)
  plan.hub.store = self.folder .. "/hub.db"
  plan.hub.tls, plan.hub.dev_keys = false, true
  local disk = plan.disk
  plan.disk = {} -- until the devices are there
  self:start()
  if next(disk) then
    plan.disk = disk
    self:kill()
    self.kills = 0
  end
  start_fleet(self)
  self.service = dm.service {
    connection_string = self.facts.owner, port = self.facts.ports.https, tls = false,
  }
  return self
end

return M
