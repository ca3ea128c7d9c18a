--- Connections take turns: what one of them sends in a flood holds up nobody else.
-- What is counted here is who is answered before whom, not how fast.

local callers = require "spec.support.callers"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local websocket = require "spec.support.websocket"
local wires = require "spec.support.wire"

local REPORTED = "$iothub/twin/PATCH/properties/reported/?$rid="
local RES = "$iothub/twin/res/#"
local EVENTS = "devices/dev1/messages/events/"

-- n reported updates, in one text.
local function updates(n, payload)
  local all = {}
  for i = 1, n do
    all[i] = mqtt.publish(REPORTED .. i, payload or ('{"n":%d}'):format(i))
  end
  return table.concat(all)
end

-- What has come on a wire so far, packet by packet.
local Inbox = {}
Inbox.__index = Inbox

local function inbox(wire)
  return setmetatable({ wire = wire, twins = 0, acks = 0, pongs = 0 }, Inbox)
end

local function has_packet(bytes)
  local length, at = 0, 2
  repeat
    local byte = bytes:byte(at)
    if not byte then return false end
    length = length + (byte & 127) * (1 << 7 * (at - 2))
    at = at + 1
  until byte < 128
  return #bytes >= at - 1 + length
end

-- How many answers to twin requests came; they must be in order.
function Inbox:answers()
  while has_packet(self.wire.bytes) do
    local packet = mqtt.read(self.wire)
    local rid = packet.topic and packet.topic:match("^%$iothub/twin/res/.*%$rid=(%d+)")
    if rid then
      self.twins = self.twins + 1
      assert.equal(self.twins, tonumber(rid))
    end
    if packet.type == 4 then self.acks = self.acks + 1 end
    if packet.type == 13 then self.pongs = self.pongs + 1 end
  end
  return self.twins
end

describe("a device that floods the hub", function()
  local pair, wire, came

  before_each(function()
    pair = callers.pair()
    wire = pair.device.wire
    wire:send(mqtt.subscribe { { RES, 0 } })
    assert(mqtt.read(wire))
    came = inbox(wire)
  end)

  after_each(function() pair:finish() end)

  -- The control plane takes requests, and answers none of them.
  local function keep_requests()
    local requests, kept = pair.hub.state.requests, {}
    function requests.add(_, connection, request)
      kept[#kept + 1] = request
      request.connection = connection
    end
    return kept, function() requests.add = nil end
  end

  local function let_go(kept, n)
    local requests = pair.hub.state.requests
    for _ = 1, n do
      local request = table.remove(kept, 1)
      getmetatable(requests).__index.add(requests, request.connection, request)
    end
  end

  local function turn(n)
    for _ = 1, n or 50 do
      wires.turn_until(function() return false end, 0)
      dm.loop.step(0)
    end
  end

  it("with twin requests does not hold up another's call", function()
    local other = pair:add("dev2")
    local total = 5000
    wire.socket:write(updates(total))
    assert(wires.turn_until(function() return came:answers() > 0 end))
    for _ = 1, 3 do
      local call = pair:send { device = "dev2" }
      local method, rid = other:request()
      assert.equal("reboot", method)
      other:answer(rid, 200)
      assert.equal(200, http.read(call).status)
      call:close()
    end
    local early = came:answers()
    assert.is_true(early < total // 2, early)
    local function all_came() return came:answers() == total end
    assert.is_true(wires.turn_until(all_came, 60))
    other:close()
  end)

  it("has 16 twin requests waiting, and the others unread", function()
    local kept, restore = keep_requests()
    wire:send(updates(100))
    assert(dm.wait_until(function() return #kept == 16 end))
    turn()
    assert.equal(16, #kept)
    let_go(kept, 3)
    assert(dm.wait_until(function() return #kept == 16 end))
    turn()
    assert.equal(16, #kept)
    restore()
    let_go(kept, 16)
    assert.is_true(wires.turn_until(function() return came:answers() == 100 end))
  end)

  it("has 256 KB of twin requests waiting", function()
    local kept, restore = keep_requests()
    wire:send(updates(10, '"' .. ("x"):rep(100000) .. '"'))
    assert(dm.wait_until(function() return #kept == 3 end))
    turn()
    assert.equal(3, #kept)
    restore()
    let_go(kept, 3)
    assert.is_true(wires.turn_until(function() return came:answers() == 10 end))
  end)

  it("loses nothing that it sent before it left", function()
    local telemetry = {}
    for i = 1, 1000 do telemetry[i] = mqtt.publish(EVENTS, tostring(i)) end
    wire:send(table.concat(telemetry))
    wire:close()
    local hub = pair.hub
    assert(dm.wait_until(function() return hub:counters().telemetry == 1000 end, 5))
    local plane = hub.state.plane
    assert(dm.wait_until(function() return not plane:connected("dev1") end, 5))
  end)

  it("is answered in order, whatever waits", function()
    local mixed = {}
    for i = 1, 100 do
      mixed[#mixed + 1] = mqtt.publish(REPORTED .. i, "{}")
      mixed[#mixed + 1] = mqtt.publish(EVENTS, "x", { qos = 1, packet_id = i })
    end
    wire:send(table.concat(mixed) .. mqtt.PINGREQ)
    assert.is_true(wires.turn_until(function()
      return came:answers() == 100 and came.pongs == 1
    end))
    assert.equal(100, came.acks)
  end)
end)

describe("a TLS device that floods the hub", function()
  it("loses nothing that it sent before its close_notify", function()
    local hub = fixture.hub { tls = true }
    hub:add_device("dev1")
    local sent = { mqtt.connect(fixture.connect_fields(hub, "dev1")) }
    for i = 1, 1000 do sent[#sent + 1] = mqtt.publish(EVENTS, tostring(i)) end
    assert(dm.exec({ "openssl", "s_client", "-quiet", "-no_ign_eof", "-connect",
      "127.0.0.1:" .. hub:ports().mqtt }, { stdin = table.concat(sent) }))
    assert(dm.wait_until(function() return hub:counters().telemetry == 1000 end, 5))
    local plane = hub.state.plane
    assert(dm.wait_until(function() return not plane:connected("dev1") end, 5))
    fixture.finish(hub)
  end)
end)

describe("a guest that floods the hub", function()
  it("loses nothing that it sent before it closed its WebSocket", function()
    local hub = fixture.hub()
    hub:add_device("dev1")
    local _, guest = websocket.open(hub:ports().https)
    local connect = mqtt.connect(fixture.connect_fields(hub, "dev1"))
    guest:send(websocket.BINARY, connect)
    assert(guest.wire:read(6)) -- a frame with the CONNACK
    local frames = {}
    for i = 1, 200 do
      local qos = i % 2
      frames[i] = websocket.frame(websocket.BINARY,
        mqtt.publish(EVENTS, "x", { qos = qos, packet_id = i }))
    end
    frames[#frames + 1] = websocket.frame(websocket.CLOSE, "\x03\xe8")
    guest.wire:send(table.concat(frames))
    assert(dm.wait_until(function() return hub:counters().telemetry == 200 end, 5))
    assert.is_true(guest.wire:wait_closed())
    guest.wire:close()
    fixture.finish(hub)
  end)
end)

describe("a device whose packets wait", function()
  it("is not closed for its silence", function()
    local pair = callers.pair { limits = { keepalive_cap = 1 } }
    local wire = pair.device.wire
    wire:send(mqtt.subscribe { { RES, 0 } })
    assert(mqtt.read(wire))
    local requests, kept = pair.hub.state.requests, {}
    function requests.add(_, connection, request)
      kept[#kept + 1] = { connection, request }
    end
    wire:send(updates(20))
    local late = dm.now() + 1.8 -- its silence would end it after 1.5 s
    assert(dm.wait_until(function() return dm.now() > late end))
    assert.is_false(wire.closed)
    requests.add = nil
    for _, each in ipairs(kept) do requests:add(table.unpack(each)) end
    local came = inbox(wire)
    assert.is_true(wires.turn_until(function() return came:answers() == 20 end))
    assert.is_true(wire:wait_closed()) -- it is silent now, and listened to
    pair:finish()
  end)
end)
