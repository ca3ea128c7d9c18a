-- A device behind an HTTP proxy, and over WebSockets.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http_proxy = require "spec.support.http_proxy"
local proxy = require "spec.support.proxy"
local states = require "spec.support.states"
local wire = require "spec.support.wire"

local function behind_a_proxy(engine, tls)
  local title = "a device behind an HTTP proxy%s, engine %s"
  describe(title:format(tls and ", over TLS" or "", engine), function()
    local hub, service, gate, device

    local function make(credentials, options)
      options = options or {}
      options.proxy = ("http://%s127.0.0.1:%d"):format(
        credentials and credentials .. "@" or "", gate.port)
      options.reconnect = { min = 0.01, max = 0.05 }
      options.engine = engine
      device = hub:device("dev1", { who = function() return 200, "here" end }, options)
      return proxy.await(dm.spawn(device.connect, device, 10))
    end

    local function answers()
      return proxy.await(dm.spawn(service.invoke, service, "dev1", "who")).payload
    end

    before_each(function()
      hub = fixture.hub { tls = tls }
      service = hub:service()
    end)

    after_each(function()
      device:close()
      assert.is_true(wire.turn_until(function() return device:closed(0) end))
      gate:close()
      fixture.finish(hub, service)
    end)

    it("asks it for the hub, without credentials", function()
      gate = http_proxy.new()
      assert(make())
      assert.equal("here", answers())
      local port = hub:ports().mqtt
      assert.same({ { method = "CONNECT", host = "localhost", port = port } },
        gate.requests)
    end)

    it("gives user and password, %XX decoded", function()
      gate = http_proxy.new("Basic dXM6ZXIrQHA6dyU=") -- us:er+@p:w%
      assert(make("us:er+%40p%3Aw%25"))
      assert.equal("here", answers())
      assert.equal("Basic dXM6ZXIrQHA6dyU=", gate.requests[1].credentials)
    end)

    it("says where it cannot get when the proxy refuses it", function()
      gate = http_proxy.new("Basic eDp5")
      device = hub:device("dev1", nil, {
        proxy = "http://user:secret@127.0.0.1:" .. gate.port,
        reconnect = { min = 0.01, max = 0.05 }, engine = engine,
      })
      local ok, err = proxy.await(dm.spawn(device.connect, device, 0.5))
      assert.is_nil(ok)
      assert.equal("ConnectFailed", err.name)
      local part = "through the proxy 127.0.0.1:" .. gate.port
      assert.is_truthy(err.message:find(part, 1, true), err.message)
      assert.is_nil(err.message:find("secret", 1, true))
      assert.is_nil(device:stats().why:find("secret", 1, true))
    end)
  end)
end

-- The proxy acknowledges what the device sends, so the system sees no fault.
local function behind_a_silent_proxy(engine)
  describe("a device whose hub is silent behind a proxy, engine " .. engine, function()
    it("is offline when PINGREQ gets no answer; other devices stay", function()
      local hub, gate = fixture.hub { tls = true }, http_proxy.new()
      local function online(id)
        local device = states.watch(hub:device(id, nil, {
          proxy = "http://127.0.0.1:" .. gate.port, engine = engine, keepalive = 5,
          reconnect = { min = 0.01, max = 0.05 },
        }))
        assert(proxy.await(dm.spawn(device.connect, device, 10)))
        assert(states.reaches(device, "online"))
        return device
      end
      local mute = online "mute"
      gate:stall()
      local other = online "other"
      local why = assert(states.reaches(mute, "backoff", 20))
      assert.is_truthy(why:find("was lost: the hub does not answer", 1, true), why)
      assert(states.reaches(mute, "online"))
      assert.equal("online", other.state)
      assert.equal(0, other:stats().reconnects)
      for _, device in ipairs { mute, other } do
        device:close()
        assert.is_true(wire.turn_until(function() return device:closed(0) end))
      end
      gate:close()
      fixture.finish(hub)
    end)
  end)
end

for _, engine in ipairs { "paho", "uv" } do
  for _, tls in ipairs { false, true } do behind_a_proxy(engine, tls) end
  behind_a_silent_proxy(engine)
end
