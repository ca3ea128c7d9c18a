-- A device at the hub of this process in the ways other than a key over MQTT: with a
-- certificate, over WebSockets, and by a gateway's name.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http_proxy = require "spec.support.http_proxy"
local pem = require "spec.support.pem"
local proxy = require "spec.support.proxy"
local wire = require "spec.support.wire"

local PASSWORD = "correct horse"

for _, engine in ipairs { "paho", "uv" } do
  describe("a device with a certificate, engine " .. engine, function()
    local hub, service, device

    before_each(function()
      hub = fixture.hub { tls = true }
      service = hub:service()
    end)

    after_each(function()
      device:close()
      assert.is_true(device:closed(10))
      fixture.finish(hub, service)
    end)

    local function make(x509, transport)
      device = hub:device("dev1", { who = function() return 200, "here" end },
        { x509 = x509, transport = transport, engine = engine })
      return device
    end

    it("is let in and answers, also after it connects anew", function()
      local cert, key = pem.client("dev1")
      local thumbprint = pem.thumbprint(cert, "sha256")
      assert(hub:add_device("dev1", { primary_thumbprint = thumbprint }))
      local encrypted = pem.encrypt(key, PASSWORD)
      assert(make({ cert = cert, key = encrypted, password = PASSWORD }):connect(10))
      assert.equal("here", assert(service:invoke("dev1", "who")).payload)
      device:reconnect()
      assert(dm.wait_until(function() return device:stats().reconnects == 1 end))
      assert.equal("here", assert(service:invoke("dev1", "who")).payload)
      dm.advance(86400)
      assert.same({ "online", 1 }, { device.state, device:stats().reconnects })
    end)

    it("is refused at once with another certificate", function()
      local cert = pem.client("dev1")
      local other, other_key = pem.client("dev1")
      local thumbprint = pem.thumbprint(cert, "sha256")
      assert(hub:add_device("dev1", { primary_thumbprint = thumbprint }))
      local ok, err = make({ cert = other, key = other_key }):connect(10)
      assert.is_nil(ok)
      assert.equal("Unauthorized", err.name)
      assert.equal("idle", device.state)
    end)

    it("comes over WebSockets too", function()
      local cert, key = pem.client("dev1")
      local thumbprint = pem.thumbprint(cert, "sha256")
      assert(hub:add_device("dev1", { primary_thumbprint = thumbprint }))
      assert(make({ cert = cert, key = key }, "websocket"):connect(10))
      assert.equal("here", assert(service:invoke("dev1", "who")).payload)
    end)
  end)
end

local function over_websockets(engine, tls)
  local title = "a device over WebSockets%s, engine %s"
  describe(title:format(tls and " and TLS" or "", engine), function()
    local hub, service, device

    local function make(options)
      options.transport, options.engine = "websocket", engine
      device = hub:device("dev1", { echo = function(request)
        return 200, request.payload
      end }, options)
      return device
    end

    before_each(function()
      hub = fixture.hub { tls = tls }
      service = hub:service("service", { api_version = fixture.NEW })
    end)

    after_each(function()
      device:close()
      assert.is_true(wire.turn_until(function() return device:closed(0) end))
      fixture.finish(hub, service)
    end)

    it("answers small and large calls", function()
      assert(make({ api_version = fixture.NEW }):connect(10))
      for _, size in ipairs { 0, 1, 100, 125, 126, 4096, 65535, 65536, 131070 } do
        local text = ("x"):rep(size)
        assert.equal(text, assert(service:invoke("dev1", "echo", text)).payload)
      end
    end)

    it("answers many calls at once", function()
      assert(make({}):connect(10))
      local calls = {}
      for i = 1, 100 do
        calls[i] = function() return service:invoke("dev1", "echo", i) end
      end
      for i, reply in ipairs((dm.all(calls))) do assert.equal(i, reply.payload) end
    end)

    it("renews its token and comes back", function()
      assert(make({}):connect(10))
      dm.advance(3600)
      assert.same({ "online", 1 }, { device.state, device:stats().reconnects })
      assert.equal(1, assert(service:invoke("dev1", "echo", 1)).payload)
    end)

    it("goes through a proxy", function()
      local gate = http_proxy.new("Basic dXNlcjpwYXNz") -- user:pass
      make { proxy = "http://user:pass@127.0.0.1:" .. gate.port }
      assert(proxy.await(dm.spawn(device.connect, device, 10)))
      local call = dm.spawn(service.invoke, service, "dev1", "echo", "far")
      assert.equal("far", proxy.await(call).payload)
      assert.equal(hub:ports().https, gate.requests[1].port)
      device:close()
      assert.is_true(wire.turn_until(function() return device:closed(0) end))
      gate:close()
    end)

    it("is refused at once with a wrong key", function()
      assert(hub:add_device("dev1"))
      device = dm.device {
        host_name = "localhost", device_id = "dev1", transport = "websocket",
        engine = engine, key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        port = hub:ports().https, tls = tls and { ca = hub:ca_file() },
      }
      local ok, err = device:connect(10)
      assert.is_nil(ok)
      assert.equal("Unauthorized", err.name)
    end)
  end)
end

for _, engine in ipairs { "paho", "uv" } do
  for _, tls in ipairs { false, true } do over_websockets(engine, tls) end
end

describe("a device that connects to a gateway", function()
  it("means the hub, and checks the gateway's certificate", function()
    local hub = fixture.hub { tls = true, hostname = "hub.test",
      aliases = { "localhost" } }
    local service = hub:service()
    local key = assert(hub:add_device("dev1")).primary_key
    local device = dm.device {
      connection_string = ("HostName=hub.test;DeviceId=dev1;SharedAccessKey=%s;"
        .. "GatewayHostName=localhost:%d"):format(key, hub:ports().mqtt),
      tls = { ca = hub:ca_file() },
      handlers = { who = function() return 200, "here" end },
    }
    assert(device:connect(10))
    assert.equal("here", assert(service:invoke("dev1", "who")).payload)
    device:close()
    assert.is_true(device:closed(10))
    fixture.finish(hub, service)
  end)
end)
