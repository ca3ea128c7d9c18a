-- MQTT clients that are silent, slow, or deliver their packets in pieces. The numbers
-- are those of README.md.

local uv = require "luv"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local sieges = require "spec.support.siege"
local wire = require "spec.support.wire"

local METHODS = "$iothub/methods/POST/#"
local EVENTS = "devices/dev1/messages/events/"

describe("a slow MQTT client, attack", function()
  local siege, hub

  local function start(opts)
    siege = sieges.start(opts)
    hub = siege.hub
  end

  after_each(function()
    siege:finish()
  end)

  local function is_closed(w)
    assert.is_true(w:wait_closed())
    w:close()
  end

  local function call_dev1(o)
    o = o or {}
    o.device = "dev1"
    return fixture.send_call(hub, o)
  end

  local function fails(call, status, code)
    local reply = assert(http.read(call))
    call:close()
    assert.equal(status, reply.status)
    assert.equal(code, fixture.error_m(reply).errorCode)
  end

  -- Silence --------------------------------------------------------------------

  it("19 closes when no whole CONNECT comes in time, however it trickles", function()
    start { limits = { connect_timeout = 0.2 } }
    local connect = siege:hello()
    local silent, half, slow = siege:connect(), siege:connect(), siege:connect()
    half:send(connect:sub(1, 30))
    local began, i = uv.hrtime(), 0
    while not slow.closed and i < #connect - 1 do
      i = i + 1
      slow:send(connect:sub(i, i))
      wire.turn_until(function() return slow.closed end, 0.02)
    end
    assert.is_true(i < 30, i)
    assert.is_true(uv.hrtime() - began < 1e9)
    for _, w in ipairs { silent, half, slow } do
      assert.equal("", w.bytes)
      is_closed(w)
    end
    siege:counts("mqtt_timed_out", 3)
  end)

  it("19 closes on TLS when no handshake comes, or nothing behind it", function()
    local secret = fixture.hub { tls = true, limits = {
      handshake_timeout = 0.2, connect_timeout = 0.4,
    } }
    local port = secret:ports().mqtt
    local silent, half = wire.connect(port), wire.connect(port)
    half:send("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03")
    is_closed(silent)
    is_closed(half)
    local result = assert(dm.exec({ "openssl", "s_client", "-ign_eof", "-connect",
      "127.0.0.1:" .. port, "-brief" }, { timeout = 5 }))
    assert.truthy(result.stderr:find("CONNECTION ESTABLISHED", 1, true))
    dm.wait_until(function() return secret:counters().mqtt_timed_out == 3 end, 2)
    assert.equal(3, secret:counters().mqtt_timed_out)
    fixture.finish(secret)
    start()
  end)

  it("20 and 73 fails the calls of a device that falls silent", function()
    start { limits = { keepalive_cap = 1 } }
    siege.witness:send(mqtt.PINGREQ)
    assert.equal(mqtt.PINGRESP, siege.witness.wire:read(2))
    local device = siege:device { keepalive = 0 }
    local call = call_dev1()
    assert(device:request())
    local keep = siege.witness
    assert.is_true(wire.turn_until(function()
      keep.wire.bytes = ""
      keep.wire.socket:try_write(mqtt.PINGREQ)
      return device.wire.closed
    end, 20))
    keep:send(mqtt.publish("devices/witness/messages/events/", "x",
      { qos = 1, packet_id = 0x7777 }))
    assert.truthy(keep.wire:read_to("\x40\x02\x77\x77"))
    fails(call, 404, 404104)
    assert.is_false(hub:devices()[1].connected)
    fails(call_dev1(), 404, 404103)
    device:close()
  end)

  -- Delivery -------------------------------------------------------------------

  local REPLIES = "\x20\2\0\0" .. "\x90\4\0\7\1\x80" .. "\x40\2\x12\x34" .. "\xb0\2\0\8"
    .. "\xd0\0"

  local function packets()
    return siege:hello() .. mqtt.subscribe({ { METHODS, 2 }, { "#", 0 } }, 7)
      .. mqtt.publish(EVENTS, ("x"):rep(20), { qos = 1, packet_id = 0x1234 })
      .. mqtt.unsubscribe({ METHODS }, 8) .. mqtt.PINGREQ
  end

  local function replies(deliver)
    local w = siege:connect()
    deliver(w)
    local bytes = w:read(#REPLIES)
    assert.equal("", w.bytes)
    w:close()
    return bytes
  end

  it("22 does the same for packets byte by byte, and glued together", function()
    start()
    local bytes = packets()
    assert.equal(REPLIES, replies(function(w) w:send(bytes) end))
    assert.equal(REPLIES, replies(function(w) w:trickle(bytes) end))
  end)

  it("22 does the same for packets that are split at every offset", function()
    start()
    local bytes = packets()
    for i = 1, #bytes - 1 do
      assert.equal(REPLIES, replies(function(w)
        w:send(bytes:sub(1, i))
        dm.loop.step(0)
        w:send(bytes:sub(i + 1))
      end), i)
    end
    siege:counts("mqtt_malformed", 0)
    siege:counts("telemetry", #bytes - 1)
  end)

  local PAYLOAD = '{"methodName":"fill","payload":"' .. ("x"):rep(130000) .. '"}'

  it("23 closes a client that never reads, and no other notices", function()
    start { limits = { mqtt_output = 262144 } }
    local device = siege:device()
    device.wire:stall()
    local calls = {}
    while hub:counters().mqtt_over_limit == 0 do
      assert.is_true(#calls < 100, "nothing bounds the queue")
      calls[#calls + 1] = call_dev1 { body = PAYLOAD }
      siege:calls_witness()
    end
    for i, call in ipairs(calls) do
      local offline = i == #calls and call
      local reply = assert(http.read(call))
      local code = fixture.error_m(reply).errorCode
      assert.is_true(code == 404104 or offline and code == 404103, code)
      call:close()
    end
    siege:counts("mqtt_over_limit", 1)
    device:close()
  end)

  it("23 closes a client that reads nothing for too long", function()
    start { limits = { mqtt_output = 64 * 1024 * 1024, write_timeout = 0.2 } }
    local device = siege:device()
    device.wire:stall()
    local calls = {}
    for i = 1, 60 do calls[i] = call_dev1 { body = PAYLOAD } end
    for _, call in ipairs(calls) do fails(call, 404, 404104) end
    siege:counts("mqtt_over_limit", 0)
    device:close()
  end)
end)
