-- The threadless MQTT client, against raw bytes and against the hub.

local dm = require "directmethods"
local core = require "directmethods.core"
local mqtt = require "spec.support.mqtt"
local task = require "directmethods.task"
local wire = require "spec.support.wire"

local FILTER = "$iothub/methods/POST/#"
local CONNACK = "\x20\x02\x00\x00"

describe("mqtt_uv", function()
  local listener, engine, clients, peers

  -- The server's end of the next connection.
  local function accept()
    local peer = assert(listener:accept())
    table.insert(peers, peer)
    return peer
  end

  local Client = {}
  Client.__index = Client

  -- The arguments of the event `name`; raises when it does not come.
  function Client:await(name, patience)
    local found
    assert(wire.turn_until(function()
      for i, event in ipairs(self.events) do
        if event[1] == name then found = table.remove(self.events, i) end
        if found then return true end
      end
    end, patience), "no event " .. name)
    return table.unpack(found, 2, found.n)
  end

  -- The names of the events that came and were not awaited.
  function Client:rest()
    local names = {}
    for i, event in ipairs(self.events) do names[i] = event[1] end
    return table.concat(names, " ")
  end

  function Client:close(linger)
    self.conn:close(linger)
    self:await("gone")
  end

  local function fields_of(o)
    local fields = {
      engine = engine, host = "127.0.0.1", port = listener.port,
      host_name = "hub.test", device_id = "d1", api_version = "2018-06-30",
      password = "secret", keepalive = 60, connect_timeout = 5,
      inbox = 100, outbox = 100,
    }
    for name, value in pairs(o or {}) do fields[name] = value end
    return fields
  end

  local function connect(o)
    local conn, name, message = core.mqtt_connect(fields_of(o))
    if not conn then return nil, name, message end
    local client = setmetatable({ conn = conn, events = {} }, Client)
    local id = conn:id()
    task.objects[id] = function(...)
      table.insert(client.events, table.pack(...))
      local on = o and o.on and o.on[(...)]
      if on then on(client) end
      if ... == "gone" then task.objects[id] = nil end
    end
    table.insert(clients, client)
    return client
  end

  -- A client that is connected, and the server's end of it.
  local function online(o)
    local client = connect(o)
    local peer = accept()
    assert(mqtt.read(peer))
    peer:send(CONNACK)
    client:await("connected")
    return client, peer
  end

  local handles, ids
  before_each(function()
    handles, ids = core.handles(), core.ids()
    listener, clients, peers = wire.listen(), {}, {}
    engine = assert(core.mqtt_engine(false))
  end)

  after_each(function()
    for _, client in ipairs(clients) do client.conn:close() end
    for _, peer in ipairs(peers) do peer:close() end
    listener:close()
    engine:close()
    assert(wire.turn_until(function()
      return core.handles() <= handles and core.ids() <= ids
    end), "something is left")
    assert.equal(0, core.outstanding())
  end)

  it("says CONNECT", function()
    connect { clean_session = true, keepalive = 77, module_id = "m1" }
    local peer = accept()
    local packet = assert(mqtt.read(peer))
    local user = packet.body:match(
      "hub%.test/d1/m1/%?api%-version=2018%-06%-30&DeviceClientType=[%w%%%.%-]+")
    assert.equal(mqtt.connect {
      client_id = "d1/m1", username = user, password = "secret", clean = true,
      keepalive = 77,
    }:sub(3), string.char(#packet.body >> 7) .. packet.body)
  end)

  it("tells whether the hub had a session", function()
    for _, present in ipairs { false, true } do
      local client = connect()
      local peer = accept()
      peer:send(present and "\x20\x02\x01\x00" or CONNACK)
      assert.equal(present, client:await("connected"))
      client:close()
    end
  end)

  it("says why the hub refused", function()
    local names = { "ProtocolError", "Unauthorized", "ConnectFailed",
      "Unauthorized", "Unauthorized" }
    for code = 1, 5 do
      local client = connect()
      local peer = accept()
      peer:send("\x20\x02\x00" .. string.char(code))
      local name, message, connack = client:await("failed")
      assert.same({ names[code], code }, { name, connack })
      assert.is_truthy(message:find(("(CONNACK %d)"):format(code), 1, true))
      assert.is_truthy(message:find("127.0.0.1:" .. listener.port, 1, true))
      assert.is_true(peer:wait_closed())
      client:close()
      assert.equal("", client:rest())
    end
  end)

  local function failure(o)
    local client = connect(o)
    local name, message, connack = client:await("failed")
    assert.equal(0, connack)
    client:close()
    assert.equal("", client:rest())
    return name, message
  end

  it("says that nobody listens", function()
    local name, message = failure { port = 1 }
    assert.equal("ConnectFailed", name)
    assert.equal("connect to 127.0.0.1:1: TCP: connection refused", message)
  end)

  it("says that a name does not resolve", function()
    local name, message = failure { host = "no-such-host.invalid" }
    assert.equal("NameNotResolved", name)
    assert.is_truthy(message:find("no-such-host.invalid", 1, true))
  end)

  it("looks a name up once for all", function()
    for _ = 1, 10 do connect { host = "localhost" } end
    for _ = 1, 10 do accept():send(CONNACK) end
    for _, client in ipairs(clients) do client:await("connected") end
  end)

  it("says that it was closed before CONNACK", function()
    local client = connect()
    local peer = accept()
    assert(mqtt.read(peer))
    peer:close()
    local name, message = client:await("failed")
    assert.equal("ConnectFailed", name)
    assert.is_truthy(message:find("closed before CONNACK", 1, true))
    client:close()
  end)

  it("says that no CONNACK came in time", function()
    local name, message = failure { connect_timeout = 0.05 }
    assert.equal("Timeout", name)
    assert.equal(("connect to 127.0.0.1:%d: no CONNACK within 0.05 s"):format(
      listener.port), message)
  end)

  it("takes nothing but CONNACK first", function()
    for _, bytes in ipairs { mqtt.PINGRESP, "HTTP/1.1 400", "\x20\x02\x00\x06",
      "\x20\x03\x00\x00\x00", "\x20\x02\x02\x00" } do
      local client = connect()
      local peer = accept()
      peer:send(bytes)
      assert.equal("ProtocolError", (client:await("failed")))
      assert.is_true(peer:wait_closed())
      client:close()
    end
  end)

  it("subscribes", function()
    local client, peer = online()
    assert(client.conn:subscribe())
    assert.equal("LimitExceeded", select(2, client.conn:subscribe()))
    local packet = assert(mqtt.read(peer))
    assert.equal(mqtt.subscribe({ { FILTER, 0 } }, 1),
      "\x82" .. string.char(#packet.body) .. packet.body)
    peer:send("\x90\x03\x00\x01\x00")
    assert.equal(0, client:await("subscribed"))
    assert(client.conn:subscribe())
    packet = assert(mqtt.read(peer))
    peer:send("\x90\x03" .. packet.body:sub(1, 2) .. "\x80")
    assert.equal(0x80, client:await("subscribed"))
  end)

  it("unsubscribes, one of both at a time", function()
    local client, peer = online()
    assert.is_true(client.conn:unsubscribe())
    assert.equal("LimitExceeded", (select(2, client.conn:subscribe())))
    local packet = assert(mqtt.read(peer))
    assert.same({ 10, 2 }, { packet.type, packet.flags })
    assert.equal(mqtt.text(FILTER), packet.body:sub(3))
    peer:send(mqtt.packet(0xb0, packet.body:sub(1, 2)))
    client:await("unsubscribed")
    assert.is_true(client.conn:unsubscribe())
    assert(mqtt.read(peer))
    peer:send(mqtt.packet(0xb0, "\xff\xff"))
    client:await("lost")
  end)

  it("hears requests and answers them", function()
    local client, peer = online()
    peer:send(mqtt.publish("$iothub/methods/POST/reboot/?$rid=a1", '{"x":1}'))
    assert.same({ "reboot", "a1", '{"x":1}' }, { client:await("request") })
    assert(client.conn:reply("a1", 201, "true"))
    assert.equal(1, client.conn:pending())
    local packet = assert(mqtt.read(peer))
    assert.same({ "$iothub/methods/res/201/?$rid=a1", "true", 0 },
      { packet.topic, packet.payload, packet.qos })
    assert.equal(0, client.conn:pending())
  end)

  it("takes packets in pieces of any size", function()
    local client, peer = online()
    assert(client.conn:subscribe())
    local first = mqtt.publish("$iothub/methods/POST/m/?$rid=1", ("x"):rep(300))
    peer:trickle("\x90\x03\x00\x01\x00" .. first)
    assert.equal(0, client:await("subscribed"))
    assert.same({ "m", "1", ("x"):rep(300) }, { client:await("request") })
    local large = ("y"):rep(131072)
    peer:send(mqtt.publish("$iothub/methods/POST/m/?$rid=2", large) .. first)
    assert.same({ "m", "2", large }, { client:await("request") })
    assert.equal("m", (client:await("request")))
  end)

  it("keeps the topics alone of messages over its bound", function()
    local client, peer = online { inbox = 5 }
    local bytes = {}
    for i = 1, 20 do
      bytes[i] = mqtt.publish("$iothub/methods/POST/m/?$rid=" .. i, "1")
    end
    peer:send(table.concat(bytes))
    for i = 1, 5 do
      assert.equal(tostring(i), (select(2, client:await("request"))))
    end
    for i = 6, 20 do assert.equal(tostring(i), client:await("overflow")) end
    peer:send(bytes[1])
    client:await("request")
    assert.equal(0, client.conn:dropped())
  end)

  it("confirms messages of QoS 1 and takes none of QoS 2", function()
    local client, peer = online()
    peer:send(mqtt.publish("some/topic", "hello", { qos = 1, packet_id = 513 }))
    assert.same({ "some/topic", "hello" }, { client:await("message") })
    assert.same({ 4, "\x02\x01" }, (function()
      local packet = assert(mqtt.read(peer))
      return { packet.type, packet.body }
    end)())
    peer:send(mqtt.publish("some/topic", "", { qos = 2, packet_id = 1 }))
    client:await("lost")
  end)

  it("bounds what is not confirmed", function()
    local client, peer = online { outbox = 3 }
    for _ = 1, 3 do assert(client.conn:publish("t", "1", 1)) end
    local ok, name = client.conn:publish("t", "1", 1)
    assert.same({ nil, "LimitExceeded" }, { ok, name })
    local packets = {}
    for i = 1, 3 do packets[i] = assert(mqtt.read(peer)).packet_id end
    assert.same({ 1, 2, 3 }, packets)
    peer:send("\x40\x02\x00\x02")
    assert(wire.turn_until(function() return client.conn:pending() == 2 end))
    assert(client.conn:publish("t", "1", 1))
    assert.equal(4, assert(mqtt.read(peer)).packet_id)
    peer:send("\x40\x02\x00\x09\x40\x02\x00\x01\x40\x02\x00\x03\x40\x02\x00\x04")
    assert(wire.turn_until(function() return client.conn:pending() == 0 end))
  end)

  it("refuses what the wire has no room for", function()
    local client = online()
    assert.equal("LimitExceeded",
      select(2, client.conn:publish(("t"):rep(65536), "", 0)))
    local payload = ("x"):rep(8 * 1024 * 1024)
    assert(client.conn:publish("t", payload, 0))
    assert.equal("LimitExceeded", select(2, client.conn:publish("t", payload, 0)))
  end)

  it("says that the connection was lost", function()
    for _, how in ipairs { "close", "reset" } do
      local client, peer = online()
      peer[how](peer)
      local name, message = client:await("lost")
      assert.equal("ConnectFailed", name)
      assert.is_truthy(message:find("was lost", 1, true))
      local ok, why = client.conn:reply("1", 200, "")
      assert.same({ nil, "Closed" }, { ok, why })
      client:close()
      assert.equal("", client:rest())
    end
  end)

  it("closes what breaks the protocol", function()
    for _, bytes in ipairs { CONNACK, mqtt.PINGREQ, "\x90\x03\x00\x07\x00",
      "\x90\x04\x00\x07\x00\x00", "\x00\x00", "\xf0\x00", mqtt.publish("a/#", "") } do
      local client, peer = online()
      peer:send(bytes)
      client:await("lost")
      assert.is_true(peer:wait_closed())
      client:close()
    end
  end)

  it("keeps alive and notices silence", function()
    local client, peer = online { keepalive = 1 }
    local packet = assert(mqtt.read(peer, 1.4))
    assert.equal(12, packet.type)
    peer:send(mqtt.PINGRESP)
    packet = assert(mqtt.read(peer, 1.4))
    assert.equal(12, packet.type)
    local _, message = client:await("lost", 0.9)
    assert.is_truthy(message:find("does not answer", 1, true))
  end)

  it("lets everything go out before it closes", function()
    local client, peer = online { outbox = 1000 }
    local payload = ("p"):rep(1000)
    for i = 1, 500 do assert(client.conn:reply(tostring(i), 200, payload)) end
    client.conn:close(5)
    for i = 1, 500 do
      local packet = assert(mqtt.read(peer))
      assert.equal("$iothub/methods/res/200/?$rid=" .. i, packet.topic)
    end
    assert.equal(14, assert(mqtt.read(peer)).type)
    assert.is_true(peer:wait_closed())
    peer:close()
    client:await("gone")
    assert.equal("", client:rest())
  end)

  it("waits for confirmations before it closes", function()
    local client, peer = online()
    assert(client.conn:publish("t", "1", 1))
    client.conn:close(5)
    assert.equal(3, assert(mqtt.read(peer)).type)
    peer:send(mqtt.publish("$iothub/methods/POST/m/?$rid=1", "1"))
    assert.is_true(peer:stays_quiet())
    peer:send("\x40\x02\x00\x01")
    assert.equal(14, assert(mqtt.read(peer)).type)
    peer:close()
    client:await("gone")
    assert.equal("", client:rest())
  end)

  it("closes at its deadline", function()
    local client, peer = online()
    assert(client.conn:publish("t", "1", 1))
    client.conn:close(0.05)
    client:await("gone")
    assert.is_true(peer:wait_closed())
  end)

  it("is closed in any stage, and then tells that it is gone alone", function()
    local function check(o)
      local client = connect(o)
      client:close()
      assert.equal("", client:rest())
    end
    local client = online()
    assert(client.conn:reply("1", 200, ""))
    client:close(0)
    assert.equal("", client:rest())
    local connecting = connect()
    accept()
    connecting:close()
    assert.equal("", connecting:rest())
    check { host = "localhost" }
    check()
    check { port = 1 }
    assert.has_error(function() client.conn:subscribe() end,
      "attempt to use a closed connection")
  end)

  it("is closed inside its own events", function()
    local function close(client) client.conn:close() end
    local client = connect { on = { connected = close } }
    local peer = accept()
    peer:send(CONNACK .. mqtt.publish("$iothub/methods/POST/m/?$rid=1", ""))
    client:await("gone")
    assert.equal("connected", client:rest())
    peer:close()
    client, peer = online { on = { request = close } }
    local request = mqtt.publish("$iothub/methods/POST/m/?$rid=1", "")
    peer:send(request:rep(3))
    client:await("gone")
    assert.equal("request", client:rest())
    peer:close()
    client = connect { port = 1, on = { failed = close } }
    client:await("gone")
    assert.equal("failed", client:rest())
  end)

  it("ends when it is collected, and its engine with it", function()
    local client, peer = online()
    engine:close()
    client.conn = nil
    clients[1] = nil
    client = nil
    collectgarbage()
    collectgarbage()
    assert.is_nil(client)
    assert.is_true(peer:wait_closed())
  end)

  it("is not used with an engine that is none or closed", function()
    assert.has_error(function()
      core.mqtt_connect(fields_of { engine = "paho" })
    end, "field 'engine' is not an engine")
    engine:close()
    assert.has_error(function()
      core.mqtt_connect(fields_of {})
    end, "field 'engine' is closed")
  end)

  it("tells a certificate that is none", function()
    for _, cert in ipairs { "x", "" } do
      local none, name, message = core.mqtt_engine(true, nil, true, cert)
      assert.same({ nil, "TlsFailed" }, { none, name })
      assert.matches("^the certificate cannot be used: ", message)
    end
  end)
end)

describe("mqtt_uv at the hub", function()
  -- How a connection to the hub ends: its first event and its values.
  local function outcome(hub, o)
    local ca = o.ca or hub:ca_file()
    local file <close> = assert(io.open(ca))
    local engine <close> = assert(core.mqtt_engine(true, file:read("a"),
      o.verify ~= false))
    local conn = assert(core.mqtt_connect {
      engine = engine, host = o.host or "127.0.0.1", port = hub:ports().mqtt,
      host_name = "localhost", device_id = "d1", api_version = "2018-06-30",
      password = "no token", keepalive = 60, connect_timeout = 5,
      inbox = 1, outbox = 1,
    })
    local result
    local id = conn:id()
    task.objects[id] = function(event, ...)
      result = result or table.pack(event, ...)
      if event == "gone" then task.objects[id] = nil end
    end
    assert(dm.wait_until(function() return result end))
    conn:close()
    assert(dm.wait_until(function() return not task.objects[id] end))
    return table.unpack(result, 1, result.n)
  end

  it("checks chain and name of the certificate", function()
    local hub <close> = assert(dm.hub {})
    local other <close> = assert(dm.hub {})
    assert(hub:add_device("d1"))
    for _, host in ipairs { "127.0.0.1", "localhost" } do
      local event, name, _, connack = outcome(hub, { host = host })
      assert.same({ "failed", "Unauthorized", 5 }, { event, name, connack })
    end
    local event, name, message = outcome(hub, { ca = other:ca_file() })
    assert.same({ "failed", "TlsFailed" }, { event, name })
    assert.is_truthy(message:find("certificate verify failed: ", 1, true))
    local _, _, _, connack = outcome(hub, { ca = other:ca_file(), verify = false })
    assert.equal(5, connack)
  end)

  it("checks the name", function()
    local hub <close> = assert(dm.hub { hostname = "hub.test" })
    assert(hub:add_device("d1"))
    local event, name, message = outcome(hub, { host = "127.0.0.2" })
    assert.same({ "failed", "ConnectFailed" }, { event, name })
    assert.is_truthy(message:find("refused", 1, true))
  end)

  it("refuses a CA that is none", function()
    local engine, name, message = core.mqtt_engine(true, "no PEM", true)
    assert.same({ nil, "TlsFailed" }, { engine, name })
    assert.is_truthy(message:find("CA", 1, true))
  end)
end)
