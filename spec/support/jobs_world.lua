--- The world of spec/jobs_model_spec.lua: a hub in a process of its own that can be
-- killed, a fleet that outlives it, and an oracle: what each device was called for.

local dm = require "directmethods"
local stores = require "spec.support.stores"
local uv = require "luv"

local LUA = os.getenv("LUA") or "lua5.4"
local PATIENCE = 30 -- seconds for a hub to start, and for a job to end

local M = {}
M.PATIENCE = PATIENCE

local World = {}
World.__index = World

function World:start()
  local ready = self.folder .. "/ready"
  os.remove(ready)
  stores.write(self.folder .. "/plan", dm.json.encode(self.plan))
  self.child = dm.spawn(dm.exec, { "env", "LUA_PATH=" .. package.path,
    "LUA_CPATH=" .. package.cpath, LUA, "spec/support/jobs_hub.lua",
    self.folder .. "/plan", ready }, { timeout = 120 })
  assert(dm.wait_until(function()
    return uv.fs_stat(ready) or self.child:ended()
  end, PATIENCE))
  assert(not self.child:ended(), function() return self.child:await().stderr end)
  self.facts = assert(dm.json.decode(stores.read(ready)))
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
    connection_strings = self.facts.devices, port = self.facts.ports.mqtt, tls = false,
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

--- Start one. `plan`: hub (options of dm.hub), devices (ids), faults (rules); `pause`
--- tells how many seconds a device takes to answer.
function M.new(plan, pause)
  local self = setmetatable({
    folder = stores.folder(), plan = plan, pause = pause, calls = {}, kills = 0,
    ids = plan.devices, gone = {},
  }, World)
  plan.hub.store = self.folder .. "/hub.db"
  plan.hub.tls, plan.hub.dev_keys = false, true
  self:start()
  start_fleet(self)
  self.service = dm.service {
    connection_string = self.facts.owner, port = self.facts.ports.https, tls = false,
  }
  return self
end

return M
