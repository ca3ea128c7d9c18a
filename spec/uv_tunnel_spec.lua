-- The threadless client against raw proxies and WebSocket servers: what they may
-- answer, and what ends the connection. The bytes are made here.

local core = require "directmethods.core"
local mqtt = require "spec.support.mqtt"
local task = require "directmethods.task"
local websocket = require "spec.support.websocket"
local wire = require "spec.support.wire"

local CONNACK = "\x20\x02\x00\x00"
local OPEN = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"
local KEY = "\r\nSec%-WebSocket%-Key: ([^\r\n]+)"

describe("a tunnel of the engine uv", function()
  local listener, engine, client, peer, events

  local function connect(o)
    local fields = {
      engine = engine, host = "hub.test", port = 1883, host_name = "hub.test",
      device_id = "d1", api_version = "2018-06-30", password = "secret",
      keepalive = 60, connect_timeout = 5, inbox = 100, outbox = 100,
    }
    for name, value in pairs(o) do fields[name] = value end
    events, client = {}, assert(core.mqtt_connect(fields))
    local id = client:id()
    task.objects[id] = function(...)
      table.insert(events, table.pack(...))
      if ... == "gone" then task.objects[id] = nil end
    end
    peer = assert(listener:accept())
  end

  local function by_proxy(o)
    o = o or {}
    o.proxy = ("http://me:secret@127.0.0.1:%d"):format(listener.port)
    connect(o)
    return assert(peer:read_to("\r\n\r\n"))
  end

  local function in_websocket()
    connect { host = "127.0.0.1", port = listener.port, websocket = true }
    local head = assert(peer:read_to("\r\n\r\n"))
    return head, assert(head:match(KEY))
  end

  local function answer(key, changes)
    local fields = {
      Upgrade = "websocket",
      Connection = "Upgrade",
      ["Sec-WebSocket-Protocol"] = "mqtt",
      ["Sec-WebSocket-Accept"] = websocket.accept_of(key),
    }
    for name, value in pairs(changes or {}) do fields[name] = value or nil end
    local lines = { "HTTP/1.1 101 Switching Protocols" }
    for name, value in pairs(fields) do lines[#lines + 1] = name .. ": " .. value end
    return table.concat(lines, "\r\n") .. "\r\n\r\n"
  end

  local function first_event()
    assert(wire.turn_until(function() return events[1] end), "no event")
    return table.unpack(events[1], 1, events[1].n)
  end

  -- The next frame of the client; its payload without the mask.
  local function read_frame()
    local head = assert(peer:read(2))
    local opcode, n = head:byte() & 0x0f, head:byte(2)
    assert.equal(0x80, n & 0x80, "a frame without a mask")
    n = n & 0x7f
    if n == 126 then n = string.unpack(">I2", assert(peer:read(2))) end
    local mask = { assert(peer:read(4)):byte(1, 4) }
    local i = 0
    return opcode, (assert(peer:read(n)):gsub(".", function(c)
      i = i % 4 + 1
      return string.char(c:byte() ~ mask[i])
    end))
  end

  local function frame(opcode, payload, o)
    o = o or {}
    if o.mask == nil then o.mask = false end
    return websocket.frame(opcode, payload, o)
  end

  local function online()
    local _, key = in_websocket()
    peer:send(answer(key))
    local opcode, packet = read_frame()
    assert.same({ websocket.BINARY, "\x10" }, { opcode, packet:sub(1, 1) })
    peer:send(frame(websocket.BINARY, CONNACK))
    assert.equal("connected", (first_event()))
    table.remove(events, 1)
  end

  before_each(function()
    listener = wire.listen()
    engine = assert(core.mqtt_engine(false))
  end)

  after_each(function()
    client:close()
    if peer then peer:close() end
    assert(wire.turn_until(function() return not task.objects[client] end))
    listener:close()
    engine:close()
    assert(wire.turn_until(function()
      return events[#events] and events[#events][1] == "gone"
    end), "the client has not gone")
  end)

  it("asks the proxy for the hub, and speaks MQTT behind its answer", function()
    local head = by_proxy()
    assert.equal("CONNECT hub.test:1883 HTTP/1.1\r\nHost: hub.test:1883\r\n"
      .. "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n", head)
    peer:send(OPEN)
    assert.equal(1, assert(mqtt.read(peer)).type)
    peer:send(CONNACK)
    assert.equal("connected", (first_event()))
  end)

  it("takes an answer in pieces, and one with what follows it", function()
    by_proxy()
    peer:trickle(OPEN:sub(1, 20))
    peer:send(OPEN:sub(21) .. CONNACK)
    assert.equal("connected", (first_event()))
  end)

  for what, case in pairs {
    ["a refusal"] = { "HTTP/1.1 407 No\r\n\r\n", "ConnectFailed", "HTTP 407" },
    ["no HTTP"] = { "SSH-2.0-x\r\n\r\n", "ProtocolError", "the answer is not HTTP" },
    ["no end"] = { ("x"):rep(9000), "LimitExceeded", "the answer is too long" },
  } do
    it("fails when the proxy answers with " .. what, function()
      by_proxy()
      peer:send(case[1])
      local event, name, message = first_event()
      assert.same({ "failed", case[2] }, { event, name })
      local where = "hub.test:1883 through the proxy 127.0.0.1:" .. listener.port
      assert.is_truthy(message:find(where, 1, true), message)
      assert.is_truthy(message:find(case[3], 1, true), message)
      assert.is_nil(message:find("secret", 1, true))
    end)
  end

  it("takes nothing of the proxy for the hub's TLS", function()
    engine:close()
    engine = assert(core.mqtt_engine(true, nil, false))
    by_proxy { tls = true }
    peer:send(OPEN .. "\x16\x03\x03")
    local event, name = first_event()
    assert.same({ "failed", "ProtocolError" }, { event, name })
  end)

  it("begins TLS behind the proxy's answer", function()
    engine:close()
    engine = assert(core.mqtt_engine(true, nil, false))
    by_proxy { tls = true }
    peer:send(OPEN)
    assert.equal("\x16\x03\x01", assert(peer:read(3))) -- a handshake record
  end)

  it("says that a proxy closed", function()
    by_proxy()
    peer:close()
    assert.equal("failed", (first_event()))
  end)

  it("asks for a WebSocket with a key of its own", function()
    local head, key = in_websocket()
    assert.matches("^GET /%$iothub/websocket HTTP/1%.1\r\n", head)
    assert.equal(24, #key)
    assert.matches("\r\nSec%-WebSocket%-Protocol: mqtt\r\n", head)
  end)

  for what, changes in pairs {
    ["a wrong key"] = { ["Sec-WebSocket-Accept"] = websocket.ACCEPT },
    ["another protocol"] = { ["Sec-WebSocket-Protocol"] = "amqp" },
    ["no protocol"] = { ["Sec-WebSocket-Protocol"] = false },
    ["no Upgrade"] = { Upgrade = false },
  } do
    it("takes no WebSocket with " .. what, function()
      local _, key = in_websocket()
      local text = answer(key, changes)
      for name, value in pairs(changes) do
        if not value then text = text:gsub(name .. ": [^\r]+\r\n", "") end
      end
      peer:send(text)
      local event, name = first_event()
      assert.same({ "failed", "ProtocolError" }, { event, name })
    end)
  end

  it("says with which status the WebSocket was refused", function()
    in_websocket()
    peer:send("HTTP/1.1 404 Not Found\r\n\r\n")
    local event, name, message = first_event()
    assert.same({ "failed", "ConnectFailed" }, { event, name })
    assert.matches("HTTP 404$", message)
  end)

  it("reads messages in any frames, and answers pings", function()
    online()
    local request = mqtt.publish("$iothub/methods/POST/m/?$rid=1", ("x"):rep(300))
    peer:send(frame(websocket.BINARY, request:sub(1, 5), { fin = false })
      .. frame(websocket.PING, "hello")
      .. frame(websocket.CONTINUATION, request:sub(6)))
    assert.equal("request", (first_event()))
    local opcode, payload = read_frame()
    assert.same({ websocket.PONG, "hello" }, { opcode, payload })
  end)

  it("sends each packet in one frame, and says good-bye", function()
    online()
    assert(client:reply("1", 200, ("y"):rep(500)))
    local opcode, packet = read_frame()
    assert.equal(websocket.BINARY, opcode)
    assert.is_truthy(packet:find(("y"):rep(500), 1, true))
    client:close(5)
    assert.same({ websocket.BINARY, "\xe0\x00" }, { read_frame() })
    assert.same({ websocket.CLOSE, "\x03\xe8" }, { read_frame() })
    assert.is_true(peer:wait_closed())
  end)

  for what, bytes in pairs {
    ["a frame with a mask"] = frame(websocket.BINARY, "x", { mask = true }),
    ["a text"] = frame(websocket.TEXT, "x"),
    ["a Close frame"] = frame(websocket.CLOSE, "\x03\xe8"),
  } do
    it("is lost by " .. what, function()
      online()
      peer:send(bytes)
      assert.equal("lost", (first_event()))
      assert.is_true(peer:wait_closed())
    end)
  end
end)
