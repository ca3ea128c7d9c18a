--- Devices that count what they are asked to do, callers at all hubs, and writers of
-- twins: what they have seen is compared at the end of each round.

local dm = require "directmethods"
local worlds = require "spec.cluster.world"

local M = {}

local DEVICES = 12
local RESPONSE, CONNECT = 3, 2 -- seconds of a call
local SETTLE = 30 -- seconds that devices have to come back
local JOB = 60 -- seconds that a job has to end, when all devices are back
local PRESENCE = 5 -- seconds until presence is right, once they are back

-- What a call may be answered, beside the device's own answer. Others are errors of the
-- hub. By name: may the method have run?
local ANSWERS = {
  DeviceNotOnline = false,    -- 404103
  ServiceUnavailable = false, -- the bus is away: nothing was sent
  DeviceConnectionClosedRemotely = true,            -- 404104
  ConnectionForcefullyClosedOnNewConnection = true, -- 400027
  GatewayTimeout = true,                            -- 504101
  Timeout = true, ConnectFailed = true, -- the caller's own
}

---@class spec.ClusterLoad
---@field devices table<string, { device: directmethods.Device, key: string }>
---@field acknowledged table<string, string[]> tags of each device that were written
---@field ran table<integer|string, integer> how often a call ran
---@field answers table<string, integer> how often each answer came
---@field wrong string[]
local Load = {}
Load.__index = Load

local function handlers(self, id)
  return {
    run = function(request)
      local n = request.payload
      self.ran[n] = (self.ran[n] or 0) + 1
      return 200, n
    end,
    step = function(request)
      local n = ("job %d of %s"):format(request.payload, id)
      self.ran[n] = (self.ran[n] or 0) + 1
      return 200
    end,
  }
end

function Load:say_wrong(...)
  self.wrong[#self.wrong + 1] = ("round %d: "):format(self.round) .. string.format(...)
end

--- Let a device connect to another hub; its old connection ends or stays half open.
function Load:move(id, node)
  local entry = self.devices[id]
  if entry.device then entry.device:close() end
  entry.device = self.world.device(entry.key, node, handlers(self, id))
  dm.spawn(function() entry.device:connect() end)
end

local function check_call(self, n, reply, err, may_have_lost)
  local name = reply and "answered" or err.name
  self.answers[name] = (self.answers[name] or 0) + 1
  if reply then
    if reply.payload ~= n then self:say_wrong("call %d has another's answer", n) end
    self.must_run[n] = true
  elseif ANSWERS[name] == nil then
    self:say_wrong("call %d: %s", n, tostring(err))
  elseif not ANSWERS[name] and not may_have_lost then
    self.must_not_run[n] = tostring(err)
  end
end

-- One call at a hub. If the hub is killed meanwhile, its caller knows nothing.
function Load:call(n, node, id, patient)
  self.open = self.open + 1
  local reply, err = self.services[node]:invoke {
    device_id = id, method = "run", payload = n, response_timeout = RESPONSE,
    connect_timeout = patient and CONNECT or 0,
  }
  self.open = self.open - 1
  check_call(self, n, reply, err, self.world:was_killed(node))
end

-- Each write has a tag of its own: no later one may undo it.
function Load:write(id, node)
  self.writes = self.writes + 1
  local tag = "w" .. self.writes
  if self.services[node].twins:patch(id, { tags = { [tag] = 1 } }) then
    table.insert(self.acknowledged[id], tag)
  end
end

--- Call all devices by a job; the hub may not take it.
function Load:schedule(node)
  self.job = self.services[node].jobs:schedule {
    method = "step", payload = self.round, devices = self.ids, max_execution = 600,
  }
end

--- Some calls and writes, one after the other without a pause, at random.
function Load:work(count, random)
  local ids = self.ids
  for _ = 1, count do
    self.last = self.last + 1
    local n, node, id = self.last, random(worlds.NODES), ids[random(#ids)]
    dm.spawn(self.call, self, n, node, id, random(2) == 1)
    if random(4) == 1 then dm.spawn(self.write, self, id, random(worlds.NODES)) end
    if random(8) == 1 then self:move(ids[random(#ids)], random(worlds.NODES)) end
    dm.sleep(0.05)
  end
end

-- Does each hub say of each device what is true? Nil: it does.
local function wrong_presence(self)
  for node, service in ipairs(self.services) do
    for id in pairs(self.devices) do
      local identity, err = service.registry:get(id)
      if not identity then
        return ("%s at hub%d: %s"):format(id, node, tostring(err))
      end
      if not identity.connected then
        return ("%s at hub%d: away"):format(id, node)
      end
    end
  end
end

local function wait(seconds, fn)
  local ends = dm.now() + seconds
  local why
  repeat
    why = fn()
    if not why then return nil end
    dm.sleep(0.1)
  until dm.now() > ends
  return why
end

-- Do all devices come back, and do all hubs know it?
local function check_devices(self)
  local away = wait(SETTLE, function()
    for id, entry in pairs(self.devices) do
      local state = entry.device.state
      if state ~= "online" then return id .. " is " .. state end
    end
  end)
  if away then return self:say_wrong("does not come back: %s", away) end
  local presence = wait(PRESENCE, function() return wrong_presence(self) end)
  if presence then self:say_wrong("presence: %s", presence) end
end

local function check_calls(self)
  for n, times in pairs(self.ran) do
    if times > 1 then self:say_wrong("call %s ran %d times", n, times) end
    if self.must_not_run[n] then
      self:say_wrong("call %s ran, and was answered %s", n, self.must_not_run[n])
    end
  end
  for n in pairs(self.must_run) do
    if not self.ran[n] then
      self:say_wrong("call %s was answered and did not run", n)
    end
  end
  self.ran, self.must_run, self.must_not_run = {}, {}, {}
end

local function check_writes(self)
  for id, tags in pairs(self.acknowledged) do
    for node, service in ipairs(self.services) do
      local twin, err = service.twins:get(id)
      if not twin then
        self:say_wrong("hub%d: twin of %s: %s", node, id, tostring(err))
      end
      for _, tag in ipairs(twin and tags or {}) do
        if not twin.tags[tag] then
          self:say_wrong("hub%d has lost the write %s of %s", node, tag, id)
        end
      end
    end
  end
end

--- When all is mended: everything must be as the devices and callers have seen it.
function Load:check()
  local patience = 2 * (RESPONSE + CONNECT) + 20
  if not dm.wait_until(function() return self.open == 0 end, patience) then
    self:say_wrong("%d calls have no answer", self.open)
  end
  check_devices(self)
  if self.job then
    local status, err = self.job:await(JOB)
    if not status then self:say_wrong("job %s: %s", self.job.id, tostring(err)) end
    self.job = nil
  end
  check_calls(self)
  check_writes(self)
end

function Load:close()
  for _, entry in pairs(self.devices) do entry.device:close() end
  for _, service in ipairs(self.services) do service:close() end
end

---@param world spec.ClusterWorld
---@return spec.ClusterLoad
function M.new(world)
  local self = setmetatable({ world = world, devices = {}, services = {}, ids = {},
    ran = {}, must_run = {}, must_not_run = {}, answers = {}, wrong = {}, writes = 0,
    acknowledged = {}, open = 0, last = 0, round = 0 }, Load)
  for i = 1, worlds.NODES do self.services[i] = world:service(i) end
  for i = 1, DEVICES do
    local id = "dev" .. i
    local identity = assert(self.services[1].registry:create(id))
    self.ids[i] = id
    self.acknowledged[id] = {}
    self.devices[id] = {
      key = ("HostName=hub;DeviceId=%s;SharedAccessKey=%s"):format(id,
        identity.primary_key),
    }
    self:move(id, (i - 1) % worlds.NODES + 1)
  end
  return self
end

return M
