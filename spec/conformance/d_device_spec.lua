-- D: our own device at a hub of plain bytes, by the ids of the checklist.

local dm = require "directmethods"
local core = require "directmethods.core"
local fake_hub = require "spec.support.fake_hub"
local mqtt = require "spec.support.mqtt"
local task = require "directmethods.task"
local wire = require "spec.support.wire"

local METHODS = "$iothub/methods/POST/#"

describe("our device", function()
  local hub, device, handles

  before_each(function()
    handles = core.handles()
    hub = fake_hub.new()
  end)

  after_each(function()
    device:close()
    assert(wire.turn_until(function() return device:closed(0) end, 10))
    hub:close()
    assert(wire.turn_until(function() return core.handles() <= handles end))
    assert.equal(0, task.count())
  end)

  -- The device, and the peer that the hub has let in.
  local function connect(handlers, opts)
    local options = {
      host_name = "127.0.0.1",
      device_id = "dev1",
      key = fake_hub.KEY,
      port = hub:port(),
      tls = false,
      handlers = handlers,
      reconnect = { min = 0.001, max = 0.01 },
    }
    for name, value in pairs(opts or {}) do options[name] = value end
    device = dm.device(options)
    local connecting = dm.spawn(device.connect, device, 10)
    local peer = hub:device(false)
    assert(wire.turn_until(function() return connecting:ended() end))
    assert.equal(device, connecting:await(0))
    return peer
  end

  local function answer_of(peer)
    local packet = assert(peer:read())
    assert.equal(0x30, packet.type << 4 | packet.flags)
    return packet.topic, packet.payload
  end

  it("D05 echoes every $rid byte for byte", function()
    local peer = connect { echo = function() return 200, true end }
    for _, rid in ipairs {
      "1", "a", "0001", "FF", ("x"):rep(64), ("9"):rep(400), "%31", "a b", "$rid",
      "b2f6f8c3-0e5d-4f0e-9d0a-6f6f4c1f0f77", "B2F6F8C3", "=", "\u{e4}",
    } do
      peer:call("echo", rid)
      assert.same({ "$iothub/methods/res/200/?$rid=" .. rid, "true" },
        { answer_of(peer) })
    end
  end)

  it("D05 takes a request of QoS 1, and acknowledges it", function()
    local peer = connect { echo = function(request) return 200, request.payload end }
    peer:call("echo", "a", "7", { qos = 1, packet_id = 0x1234 })
    local seen = {}
    for _ = 1, 2 do
      local packet = assert(peer:read())
      seen[packet.type] = packet
    end
    assert.equal("\x12\x34", seen[4].body)
    assert.same({ "$iothub/methods/res/200/?$rid=a", "7" },
      { seen[3].topic, seen[3].payload })
  end)

  it("D19 answers 501 and no body to a method it does not know", function()
    local peer = connect { known = function() return 200 end }
    for _, name in ipairs { "unknown", "Known", "known2", "*" } do
      peer:call(name, "7", "{}")
      assert.same({ "$iothub/methods/res/501/?$rid=7", "" }, { answer_of(peer) })
    end
    device:fallback(function(request) return 404, { request.method } end)
    peer:call("unknown", "8")
    assert.same({ "$iothub/methods/res/404/?$rid=8", '["unknown"]' },
      { answer_of(peer) })
  end)

  it("D20 answers others and pings while a handler takes its time", function()
    local peer = connect({
      slow = function()
        dm.sleep(1000)
        return 200, "slow"
      end,
      quick = function() return 200, "quick" end,
    }, { keepalive = 1 })
    peer:call("slow", "1")
    for i = 2, 20 do
      peer:call("quick", ("%x"):format(i))
      assert.same({ ("$iothub/methods/res/200/?$rid=%x"):format(i), '"quick"' },
        { answer_of(peer) })
    end
    assert.equal(12, assert(mqtt.read(peer.wire)).type) -- PINGREQ
    peer.wire:send(mqtt.PINGRESP)
    assert.equal(1, device:stats().running)
    dm.advance(1000)
    assert.same({ "$iothub/methods/res/200/?$rid=1", '"slow"' }, { answer_of(peer) })
  end)

  for _, present in ipairs { false, true } do
    it("D21 subscribes anew after a reconnect, session present: " .. tostring(present),
      function()
        local peer = connect { echo = function() return 200, 1 end }
        assert.is_false(peer.connect.clean)
        assert.equal(4, peer.connect.level)
        assert.equal("dev1", peer.connect.client_id)
        assert.equal(mqtt.text(METHODS), peer.subscribe.body:sub(3, -2))
        peer.wire:close()
        local again = hub:device(present)
        assert.is_false(again.connect.clean)
        assert.equal("dev1", again.connect.client_id)
        assert.equal(mqtt.text(METHODS), again.subscribe.body:sub(3, -2))
        assert(wire.turn_until(function() return device.state == "online" end))
        again:call("echo", "1")
        assert.same({ "$iothub/methods/res/200/?$rid=1", "1" }, { answer_of(again) })
        assert.equal(1, device:stats().reconnects)
      end)
  end

  it("D21 answers a call of the old connection on no other", function()
    local request
    local peer = connect { later = function(r) request = r:defer() end }
    peer:call("later", "1")
    assert(wire.turn_until(function() return request end))
    peer.wire:close()
    local again = hub:device(true)
    assert(wire.turn_until(function() return device.state == "online" end))
    local sent, err = request:reply(200, "late")
    assert.is_nil(sent)
    assert.equal("Closed", err.name)
    assert.is_true(again.wire:stays_quiet())
  end)
end)
