-- How a device changes its connection when its token is about to expire: no call is
-- lost, none is answered twice. spec/bench/renewal.lua says how long it takes.

local core = require "directmethods.core"
local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local proxy = require "spec.support.proxy"
local wire = require "spec.support.wire"

local CONNECT, SUBSCRIBE, UNSUBSCRIBE, PUBLISH, DISCONNECT = 1, 8, 10, 3, 14

for _, engine in ipairs { "paho", "uv" } do
  describe("a device that renews its token, engine " .. engine, function()
    local hub, device, peer, kept

    before_each(function()
      hub, kept = fake_hub.new(), {}
      device = dm.device {
        host_name = "127.0.0.1", device_id = "dev1", key = fake_hub.KEY, tls = false,
        port = hub:port(), token_ttl = 100, token_renew = 50,
        reconnect = { min = 0.01, max = 0.05 }, engine = engine,
        handlers = {
          quick = function() return 200 end,
          slow = function(request) kept[#kept + 1] = request:defer() end,
        },
      }
      local connecting = dm.spawn(device.connect, device, 10)
      peer = hub:device()
      assert(proxy.await(connecting))
    end)

    after_each(function()
      device:close()
      hub:close()
      assert.is_true(device:closed(10))
    end)

    local function next_type(type)
      local packet = assert(peer:read())
      assert.equal(type, packet.type)
      return packet
    end

    local function unsuback(packet)
      peer.wire:send("\xb0\x02" .. packet.body:sub(1, 2))
    end

    local function wait_for_calls(n)
      assert.is_true(wire.turn_until(function() return device:stats().calls == n end))
    end

    it("answers what it has, refuses more, answers that, and goes", function()
      peer:call("slow", "1")
      wait_for_calls(1)
      dm.advance(50)
      assert.equal("renewing", device.state)
      peer:call("quick", "2") -- a slow call deafens nobody
      assert.equal("$iothub/methods/res/200/?$rid=2", next_type(PUBLISH).topic)
      kept[1]:reply(201)
      assert.equal("$iothub/methods/res/201/?$rid=1", next_type(PUBLISH).topic)
      local packet = next_type(UNSUBSCRIBE)
      assert.equal("$iothub/methods/POST/#", string.unpack(">s2", packet.body, 3))
      peer:call("slow", "3") -- was on its way when UNSUBSCRIBE came
      unsuback(packet)
      wait_for_calls(3)
      assert.equal("renewing", device.state)
      kept[2]:reply(202)
      assert.equal("$iothub/methods/res/202/?$rid=3", next_type(PUBLISH).topic)
      next_type(DISCONNECT)
      peer = hub:device()
      assert.is_true(wire.turn_until(function() return device.state == "online" end))
      assert.same({ 3, 0, 0, 1 }, { device:stats().calls, device:stats().late,
        device:stats().dropped, device:stats().reconnects })
    end)

    it("connects with a token that is valid for longer", function()
      local soonest = dm.time() + 50
      dm.advance(50)
      unsuback(next_type(UNSUBSCRIBE))
      next_type(DISCONNECT)
      local w = hub:accept()
      local connect = assert(mqtt.read(w))
      assert.equal(CONNECT, connect.type)
      local expiry = math.tointeger(connect.body:match("&se=(%d+)"))
      assert.is_true(expiry >= soonest + 100 - 2 and expiry <= dm.time() + 100 + 2)
      w:send("\x20\x02\1\0")
      assert.equal(SUBSCRIBE, mqtt.read(w).type)
    end)

    it("goes after a second although UNSUBSCRIBE is not acknowledged", function()
      dm.advance(50)
      next_type(UNSUBSCRIBE)
      core.move(1.1) -- dm.advance would wait for this hub to take the next connection
      next_type(DISCONNECT)
    end)

    it("goes after five seconds although a call is not answered", function()
      peer:call("slow", "1")
      wait_for_calls(1)
      dm.advance(50)
      assert.equal("renewing", device.state)
      core.move(5.1)
      next_type(DISCONNECT)
      local sent, err = kept[1]:reply(200)
      assert.is_nil(sent)
      assert.equal("Closed", err.name)
      assert.equal(1, device:stats().late)
    end)

    it("starts anew when the connection is lost meanwhile", function()
      peer:call("slow", "1")
      wait_for_calls(1)
      dm.advance(50)
      assert.equal("renewing", device.state)
      peer.wire:close()
      assert.is_true(wire.turn_until(function() return device.state ~= "renewing" end))
      hub:device()
      assert.is_true(wire.turn_until(function() return device.state == "online" end))
    end)
  end)
end

for _, engine in ipairs { "paho", "uv" } do
  describe("calls while a device renews its token, engine " .. engine, function()
    it("are all answered, each by one run of the handler", function()
      local hub = fixture.hub()
      local service = hub:service()
      local runs, over, made, failed = {}, false, 0, 0
      local device = hub:device("dev1", { count = function(request)
        runs[request.payload] = (runs[request.payload] or 0) + 1
        return 200
      end }, { engine = engine })
      assert(device:connect(10))
      local callers = {}
      for i = 1, 4 do
        callers[i] = dm.spawn(function()
          while not over do
            made = made + 1
            local reply = service:invoke("dev1", "count", made, { connect_timeout = 5 })
            if not reply then failed = failed + 1 end
          end
        end)
      end
      for round = 1, 10 do
        local before = made
        assert(dm.wait_until(function() return made > before + 20 end))
        device:reconnect()
        assert(dm.wait_until(function() return device:stats().reconnects == round end))
      end
      over = true
      for _, caller in ipairs(callers) do caller:await(10) end
      assert.equal(0, failed)
      for call = 1, made do assert.equal(1, runs[call]) end
      device:close()
      assert.is_true(device:closed(10))
      fixture.finish(hub, service)
    end)
  end)
end
