--- A hub under attack at its MQTT port: what is closed must be counted, and a
-- witness, another device that stays connected, must notice nothing.

local assert = require "luassert"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

local Siege = {}
Siege.__index = Siege

local M = {}

--- A hub with the devices "dev1" and "witness", the latter connected. Fields: hub,
-- witness.
function M.start(opts)
  local hub = fixture.hub(opts)
  hub:add_device("dev1")
  hub:add_device("witness")
  return setmetatable({ hub = hub, witness = fixture.device(hub, "witness") }, Siege)
end

--- The witness is the only one left, and well.
function Siege:finish()
  local plane = self.hub.state.plane
  assert(dm.wait_until(function() return plane:connections() == 1 end))
  assert.equal("", self.witness.wire.bytes)
  self.witness:send(mqtt.PINGREQ)
  assert.equal(mqtt.PINGRESP, self.witness.wire:read(2))
  fixture.finish(self.hub, self.witness)
end

--- A call of the witness still reaches it; `meanwhile` runs before its answer.
function Siege:calls_witness(meanwhile)
  local call = fixture.send_call(self.hub, { device = "witness" })
  local _, rid = assert(self.witness:request())
  if meanwhile then meanwhile() end
  self.witness:answer(rid, 200)
  assert.equal("HTTP/1.1 200 OK\r\n", call:read_to("\r\n"))
  call:close()
end

--- A counter of the hub becomes n.
function Siege:counts(name, n)
  dm.wait_until(function() return self.hub:counters()[name] == n end, 2)
  assert.equal(n, self.hub:counters()[name], name)
end

--- CONNECT of dev1.
function Siege:hello(o)
  return mqtt.connect(fixture.connect_fields(self.hub, "dev1", o))
end

function Siege:connect()
  return wire.connect(self.hub:ports().mqtt)
end

function Siege:device(o)
  return fixture.device(self.hub, "dev1", o)
end

-- The wire is closed without a word when it gets the bytes, and that is counted.
local function is_closed(self, w, bytes, counter)
  local before = self.hub:counters()[counter]
  local what = ("%q"):format(bytes:sub(1, 80))
  w:send(bytes)
  assert.is_true(w:wait_closed(), what)
  assert.equal("", w.bytes, what)
  w:close()
  self:counts(counter, before + 1)
end

--- Bytes instead of a CONNECT; the counter: of malformed packets, if not given.
function Siege:closes_new(bytes, counter)
  is_closed(self, self:connect(), bytes, counter or "mqtt_malformed")
end

--- Bytes behind the CONNECT of dev1.
function Siege:closes(bytes, counter)
  local device = self:device { subscribe = false }
  is_closed(self, device.wire, bytes, counter or "mqtt_malformed")
end

--- A first packet that gets this CONNACK, and then the end.
function Siege:answers(bytes, connack)
  local w = self:connect():send(bytes)
  assert.equal(connack, w:read(4))
  assert.is_true(w:wait_closed())
  assert.equal("", w.bytes)
  w:close()
end

return M
