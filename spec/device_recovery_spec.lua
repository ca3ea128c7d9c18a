-- A device comes back for ever, whatever ended its connection: behind a proxy that does
-- harm, and at a hub of plain bytes that refuses.

local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local proxy = require "spec.support.proxy"
local states = require "spec.support.states"
local wire = require "spec.support.wire"

local reaches = states.reaches

local QUICK = { min = 0.01, max = 0.05 }

local function connect(device)
  assert(proxy.await(dm.spawn(device.connect, device, 10)))
  assert(reaches(device, "online"))
end

for _, way in ipairs {
  { name = "" }, { name = ", over TLS", tls = true },
  { name = ", engine uv", engine = "uv" },
  { name = ", over TLS, engine uv", tls = true, engine = "uv" },
} do
  local tls = way.tls or false
  describe("a device behind a bad line" .. way.name, function()
    local hub, service, line, device

    local function make(options)
      options = options or {}
      options.engine = way.engine
      options.port, options.reconnect = line.port, options.reconnect or QUICK
      device = states.watch(hub:device("dev1",
        { who = function() return 200, "here" end }, options))
      return device
    end

    local function answers()
      local reply = proxy.await(dm.spawn(service.invoke, service, "dev1", "who", nil,
        { connect_timeout = 10 }))
      return reply and reply.payload
    end

    before_each(function()
      hub = fixture.hub { tls = tls }
      service = hub:service()
      line = proxy.new(hub:ports().mqtt)
    end)

    after_each(function()
      device:close()
      line:close()
      assert.is_true(device:closed(10))
      fixture.finish(hub, service)
    end)

    it("gets online within one connect when it is refused first", function()
      line:refuse()
      make()
      local connecting = dm.spawn(device.connect, device, 10)
      local why = assert(reaches(device, "backoff"))
      local part = way.engine and "connect to localhost:%d+: TCP: connection refused"
        or "connect to localhost:%d+: refused, not reachable"
      assert.is_truthy(why:find(part), why)
      assert.is_truthy(why:find("(is the network up", 1, true), why)
      line:accept()
      assert.equal(device, proxy.await(connecting))
      assert.equal("here", answers())
    end)

    for _, clean in ipairs { false, true } do
      it(("answers again when it was cut off, %s session"):format(
        clean and "without a" or "with its"), function()
        make { clean_session = clean }
        connect(device)
        for round = 1, 3 do
          line:cut()
          local why = assert(reaches(device, "backoff"))
          assert.is_truthy(why:find("was lost", 1, true), why)
          assert(reaches(device, "online"))
          assert.equal("here", answers())
          assert.equal(round, device:stats().reconnects)
        end
      end)
    end

    it("is not stopped by a peer that never answers", function()
      make { open_timeout = 1 }
      connect(device)
      line:stall()
      local before = line.accepted
      device:reconnect() -- its DISCONNECT does not arrive either
      assert.is_true(wire.turn_until(function()
        return line.accepted > before + 2 and device.state == "backoff"
      end, 10))
      local why = device:stats().why
      assert.is_truthy(why:find("within 1 s (is the network slow, or", 1, true), why)
      line:cut()
      line:flow()
      assert(reaches(device, "online"))
      assert.equal("here", answers())
    end)

    if not tls then
      it("notices a half-open connection by keep-alive", function()
        make { keepalive = 1 }
        connect(device)
        line:stall()
        local why = assert(reaches(device, "backoff", 10))
        assert.is_truthy(why:find("was lost", 1, true), why)
        line:cut()
        line:flow()
        assert(reaches(device, "online", 20))
        assert.equal("here", answers())
      end)
    end

    it("survives damaged bytes", function()
      make { open_timeout = 1 }
      connect(device)
      for _, place in ipairs { 1, 2, 4, 5, 6 } do -- CONNACK, or the server's hello
        line:corrupt(place)
        line:cut()
        assert(reaches(device, "backoff"))
        assert.is_true(wire.turn_until(function() return line.accepted > place end))
      end
      line:corrupt(nil)
      assert(reaches(device, "online", 10))
      assert.equal("here", answers())
    end)
  end)
end

describe("a device whose hub has another certificate", function()
  it("says so, tries on and comes back when the right one is there", function()
    local hub, other = fixture.hub { tls = true }, fixture.hub { tls = true }
    local line = proxy.new(hub:ports().mqtt)
    local device = states.watch(hub:device("dev1", nil,
      { port = line.port, reconnect = QUICK }))
    connect(device)
    line.target_port = other:ports().mqtt
    line:cut()
    assert.is_true(wire.turn_until(function()
      return device.state == "backoff" and device.last_error.name == "TlsFailed"
    end))
    local why = device:stats().why
    assert.is_truthy(why:find("TLS handshake: certificate verify failed", 1, true), why)
    assert.is_truthy(why:find("(are the clock, the host name and the CA", 1, true))
    line.target_port = hub:ports().mqtt
    assert(reaches(device, "online"))
    device:close()
    line:close()
    assert.is_true(device:closed(10))
    fixture.finish(other)
    fixture.finish(hub)
  end)
end)

for _, engine in ipairs { "paho", "uv" } do
  describe("a device that the hub refuses, engine " .. engine, function()
    local hub, device

    before_each(function()
      hub = fake_hub.new()
      device = states.watch(dm.device {
        host_name = "127.0.0.1", device_id = "dev1", key = fake_hub.KEY, tls = false,
        port = hub:port(), reconnect = QUICK, engine = engine,
      })
    end)

    after_each(function()
      device:close()
      hub:close()
      assert.is_true(device:closed(10))
    end)

    -- Let it in, then throw it out: from now on it may not give up.
    local function be_online_once()
      local connecting = dm.spawn(device.connect, device, 10)
      local peer = hub:device()
      assert.equal(device, proxy.await(connecting))
      peer.wire:close()
      assert(reaches(device, "backoff"))
    end

    local WORDS = {
      "the protocol version is refused", "the client id is refused",
      "the service is unavailable", "bad user name or password", "not authorized",
    }
    local HINTS = {
      "is it a hub, and", "is the device registered", "is the hub overloaded, or its",
      "is the device registered", "is the device registered",
    }
    for code, words in ipairs(WORDS) do
      it(("tries on after CONNACK %d"):format(code), function()
        be_online_once()
        for _ = 1, 2 do
          local w = hub:accept()
          assert.equal(1, mqtt.read(w).type)
          w:send(string.char(0x20, 2, 0, code))
          local why = assert(reaches(device, "backoff"))
          local part = ("%s (CONNACK %d) (%s"):format(words, code, HINTS[code])
          assert.is_truthy(why:find(part, 1, true), why)
        end
        hub:device()
        assert(reaches(device, "online"))
      end)
    end

    it("tries on after SUBACK 0x80", function()
      be_online_once()
      local w = hub:accept()
      assert.equal(1, mqtt.read(w).type)
      w:send("\x20\x02\0\0")
      local subscribe = mqtt.read(w)
      w:send("\x90\x03" .. subscribe.body:sub(1, 2) .. "\x80")
      local why = assert(reaches(device, "backoff"))
      assert.is_truthy(why:find("SUBACK 0x80", 1, true), why)
      hub:device()
      assert(reaches(device, "online"))
    end)

    it("tries on when the connection is closed before or after CONNACK", function()
      be_online_once()
      hub:accept():close()
      assert(reaches(device, "backoff"))
      local w = hub:accept()
      assert.equal(1, mqtt.read(w).type)
      w:send("\x20\x02\0\0")
      assert.equal(8, mqtt.read(w).type)
      w:close()
      assert(reaches(device, "backoff"))
      hub:device()
      assert(reaches(device, "online"))
    end)

    it("subscribes anew whether or not the hub kept its session", function()
      be_online_once()
      local peer = hub:device(true)
      assert.equal("$iothub/methods/POST/#",
        string.unpack(">s2", peer.subscribe.body, 3))
      assert(reaches(device, "online"))
      peer.wire:close()
      assert(reaches(device, "backoff"))
      peer = hub:device(false)
      assert.equal("$iothub/methods/POST/#",
        string.unpack(">s2", peer.subscribe.body, 3))
      assert(reaches(device, "online"))
    end)

    it("probes with SUBSCRIBE, and connects anew when it gets no SUBACK", function()
      device:close()
      assert.is_true(device:closed(10))
      device = states.watch(dm.device {
        host_name = "127.0.0.1", device_id = "dev1", key = fake_hub.KEY, tls = false,
        port = hub:port(), reconnect = { min = 60, jitter = 0 }, probe = 60,
        engine = engine,
      })
      local connecting = dm.spawn(device.connect, device, 10)
      local peer = hub:device()
      assert.equal(device, proxy.await(connecting))
      assert(reaches(device, "online"))
      dm.advance(60)
      local again = assert(peer:read())
      assert.equal(8, again.type)
      assert.equal("$iothub/methods/POST/#", string.unpack(">s2", again.body, 3))
      peer.wire:send("\x90\x03" .. again.body:sub(1, 2) .. "\0")
      peer:call("m", "1")
      assert.equal(3, peer:read().type) -- the device has read the SUBACK before
      dm.advance(60)
      assert.equal(8, peer:read().type)
      dm.advance(30) -- open_timeout
      assert.equal("backoff", device.state)
      local why = device:stats().why
      assert.is_truthy(why:find("did not acknowledge the subscription", 1, true), why)
      device:reconnect()
      hub:device()
      assert(reaches(device, "online"))
    end)
  end)
end

describe("a device whose hub has no address", function()
  it("says so and tries on until the time is up", function()
    local device <close> = dm.device {
      host_name = "no..host", device_id = "dev1", key = fake_hub.KEY,
      reconnect = QUICK,
    }
    local ok, err = device:connect(0.3)
    assert.is_nil(ok)
    assert.equal("NameNotResolved", err.name)
    assert.is_truthy(err.message:find("look up 'no..host'", 1, true))
    assert.is_truthy(device:stats().why:find("does the name server answer?", 1, true))
  end)
end)
