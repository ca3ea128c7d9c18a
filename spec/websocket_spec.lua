-- MQTT over WebSocket at the HTTPS port: handshake, frames, the close, and a device
-- that is called over it. Bytes are made by spec/support/websocket.lua.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local websocket = require "spec.support.websocket"
local wires = require "spec.support.wire"

local BINARY, CLOSE = websocket.BINARY, websocket.CLOSE
local CONNACK = "\x20\x02\0\0"
local SUBSCRIBE = mqtt.subscribe({ { "$iothub/methods/POST/#", 0 } }, 7)
local SUBACK = "\x90\x03\0\7\0"

describe("MQTT over WebSocket", function()
  local hub, port, client

  local function connect_packet(identity, o)
    return mqtt.connect(fixture.connect_fields(hub, identity or "dev", o))
  end

  local function open(o)
    local reply
    reply, client = websocket.open(port, o)
    return reply
  end

  -- An open WebSocket.
  local function upgraded(o)
    assert.equal(101, open(o).status)
    return client
  end

  -- A device that is connected and subscribed.
  local function device(identity, o)
    local ws = upgraded()
    ws:send(BINARY, connect_packet(identity, o))
    assert.equal(CONNACK, ws:message())
    ws:send(BINARY, SUBSCRIBE)
    assert.equal(SUBACK, ws:message())
    return ws
  end

  -- A call of the device behind `ws`, answered by it.
  local function call(ws, payload)
    local caller = fixture.send_call(hub, {
      device = "dev",
      body = ('{"methodName":"reboot","payload":%s}'):format(payload),
    })
    local p = assert(mqtt.read(ws))
    local rid = p.topic:match("^%$iothub/methods/POST/reboot/%?%$rid=(.+)$")
    assert.equal(payload, p.payload)
    return caller, rid
  end

  local function answer_packet(rid, payload)
    return mqtt.publish("$iothub/methods/res/200/?$rid=" .. rid, payload)
  end

  before_each(function()
    hub = fixture.hub()
    port = hub:ports().https
    assert(hub:add_device("dev"))
  end)

  after_each(function()
    fixture.finish(hub, client)
    client = nil
  end)

  describe("handshake", function()
    it("C13 answers 101 with the sub-protocol mqtt, and MQTT works", function()
      local reply = open()
      assert.equal(101, reply.status)
      assert.equal("websocket", reply.headers.upgrade)
      assert.equal("Upgrade", reply.headers.connection)
      assert.equal(websocket.ACCEPT, reply.headers["sec-websocket-accept"])
      assert.equal("mqtt", reply.headers["sec-websocket-protocol"])
      assert.is_nil(reply.headers["content-length"])
      client:send(BINARY, connect_packet())
      assert.equal(CONNACK, client:message())
    end)

    it("C13 takes the sub-protocol in any case and echoes it as offered", function()
      for _, offered in ipairs { "MQTT", "Mqtt" } do
        local reply = open { headers = { ["Sec-WebSocket-Protocol"] = offered } }
        assert.equal(101, reply.status)
        assert.equal(offered, reply.headers["sec-websocket-protocol"])
        client:close()
      end
    end)

    it("C13 finds it among others", function()
      local reply = open {
        headers = { ["Sec-WebSocket-Protocol"] = "amqp, mqttv5 ,\tMQTT,mqtt" },
      }
      assert.equal(101, reply.status)
      assert.equal("MQTT", reply.headers["sec-websocket-protocol"])
    end)

    it("C13 takes a path with a query, and an escaped one", function()
      local query = "?iothub-no-client-cert=true"
      assert.equal(101, open { path = websocket.PATH .. query }.status)
      client:close()
      assert.equal(101, open { path = "/%24iothub/websocket" }.status)
    end)

    it("takes Connection and Upgrade as lists, in any case", function()
      assert.equal(101, open {
        headers = { Connection = "keep-alive, UPGRADE", Upgrade = "WebSocket" },
      }.status)
    end)

    it("negotiates no extension", function()
      local reply = open {
        headers = { ["Sec-WebSocket-Extensions"] = "permessage-deflate" },
      }
      assert.equal(101, reply.status)
      assert.is_nil(reply.headers["sec-websocket-extensions"])
    end)

    -- what is changed in a good request, and what it gets
    local REFUSED = {
      ["no Upgrade"] = { 426, { Upgrade = false, Connection = false } },
      ["another Upgrade"] = { 426, { Upgrade = "h2c" } },
      ["no Connection: upgrade"] = { 426, { Connection = "keep-alive" } },
      ["version 8"] = { 426, { ["Sec-WebSocket-Version"] = "8" } },
      ["no version"] = { 400, { ["Sec-WebSocket-Version"] = false } },
      ["no key"] = { 400, { ["Sec-WebSocket-Key"] = false } },
      ["a short key"] = { 400, { ["Sec-WebSocket-Key"] = "c2hvcnQ=" } },
      ["a long key"] = { 400, { ["Sec-WebSocket-Key"] = "YWFhYWFhYWFhYWFhYWFhYWE=" } },
      ["a key that is not base64"] =
        { 400, { ["Sec-WebSocket-Key"] = "!!!!!!!!!!!!!!!!!!!!!!==" } },
      ["no sub-protocol"] = { 400, { ["Sec-WebSocket-Protocol"] = false } },
      ["another sub-protocol"] = { 400, { ["Sec-WebSocket-Protocol"] = "mqttv5" } },
    }
    for what, case in pairs(REFUSED) do
      it("refuses " .. what .. " and goes on serving the connection", function()
        local status, changes = table.unpack(case)
        local reply = open { headers = changes }
        assert.equal(status, reply.status)
        assert.is_string(assert(dm.json.decode(reply.body)).Message)
        if status == 426 then
          assert.equal("websocket", reply.headers.upgrade)
          assert.equal("13", reply.headers["sec-websocket-version"])
        end
        assert.equal(1, hub:counters().websocket_refused)
        assert.equal(101, websocket.open(port, { wire = client.wire }).status)
      end)
    end

    it("refuses two keys", function()
      local wire = wires.connect(port)
      local lines = websocket.headers()
      lines[#lines + 1] = "Sec-WebSocket-Key: " .. websocket.KEY
      wire:send(http.request {
        method = "GET", target = websocket.PATH, headers = lines,
      })
      assert.equal(400, http.read(wire).status)
      wire:close()
    end)

    it("refuses other methods than GET", function()
      local reply = open { method = "POST" }
      assert.equal(405, reply.status)
      assert.equal("GET", reply.headers.allow)
    end)

    it("refuses HTTP/1.0", function()
      local wire = wires.connect(port)
      wire:send("GET " .. websocket.PATH .. " HTTP/1.0\r\nHost: localhost\r\n"
        .. table.concat(websocket.headers(), "\r\n") .. "\r\n\r\n")
      assert.truthy(assert(wire:read_to("\r\n")):find("^HTTP/1%.1 400 "))
      wire:close()
    end)

    it("upgrades at no other path", function()
      for _, path in ipairs { "/$iothub/websocket/x", "/", "/twins/dev/methods" } do
        local reply = open { path = path }
        assert.not_equal(101, reply.status)
        client:close()
      end
    end)

    it("upgrades a connection that has made calls, and one with calls before it in "
      .. "the same bytes", function()
      local wire = wires.connect(port)
      local request = http.request {
        method = "GET", target = "/devices/dev?api-version=2021-04-12",
      }
      wire:send(request .. request)
      local _, ws = websocket.open(port, { wire = wire })
      assert.equal(401, http.read(wire).status) -- the first was read by open
      assert.equal(101, http.read(wire).status)
      ws:send(BINARY, connect_packet())
      assert.equal(CONNACK, ws:message())
      ws:close()
    end)

    it("takes frames that came in the same bytes as the request", function()
      upgraded { behind = websocket.frame(BINARY, connect_packet())
        .. websocket.frame(BINARY, SUBSCRIBE) }
      assert.equal(CONNACK, client:message())
      assert.equal(SUBACK, client:message())
    end)
  end)

  describe("frames", function()
    it("carries calls to the device and its answers back", function()
      local ws = device()
      assert.equal(1, #hub:devices())
      assert.is_true(hub:devices()[1].connected)
      local caller, rid = call(ws, '{"a":1}')
      ws:send(BINARY, answer_packet(rid, '{"b":2}'))
      local reply = assert(http.read(caller))
      caller:close()
      assert.equal(200, reply.status)
      assert.equal('{"status":200,"payload":{"b":2}}', reply.body)
    end)

    it("sends one whole unmasked binary frame for each packet, its length in the "
      .. "shortest form", function()
      local ws = device()
      local LENGTHS = { [1] = 2, [200] = 4, [70000] = 10 }
      for size, head in pairs(LENGTHS) do
        local caller = fixture.send_call(hub, {
          device = "dev",
          body = ('{"methodName":"m","payload":"%s"}'):format(("x"):rep(size)),
        })
        local f = assert(ws:frame())
        assert.same({ true, 0, BINARY, false, head },
          { f.fin, f.rsv, f.opcode, f.masked, #f.head })
        assert.equal('"' .. ("x"):rep(size) .. '"', f.payload:sub(-size - 2))
        caller:close()
      end
    end)

    it("G07 takes frames of one byte, byte by byte, while others are served", function()
      assert(hub:add_device("other"))
      local other = fixture.device(hub, "other")
      local ws = upgraded()
      local first = true
      for byte in (connect_packet() .. SUBSCRIBE):gmatch(".") do
        ws.wire:trickle(websocket.frame(BINARY, byte))
        if first then
          local caller = fixture.send_call(hub, { device = "other" })
          local _, rid = assert(other:request())
          other:answer(rid, 200, "null")
          assert.equal(200, http.read(caller).status)
          caller:close()
          first = false
        end
      end
      assert.equal(CONNACK, ws:message())
      assert.equal(SUBACK, ws:message())
      other:close()
    end)

    it("takes many packets in one frame, and a packet over many", function()
      local ws = upgraded()
      local bytes = connect_packet() .. SUBSCRIBE .. mqtt.PINGREQ:rep(100)
      ws:send(BINARY, bytes)
      assert.equal(CONNACK, ws:message())
      assert.equal(SUBACK, ws:message())
      for _ = 1, 100 do
        assert.equal(mqtt.PINGRESP, ws:message())
      end
      local caller, rid = call(ws, "1")
      local answer = answer_packet(rid, '"' .. ("y"):rep(100000) .. '"')
      for i = 1, #answer, 7919 do
        ws:send(BINARY, answer:sub(i, i + 7918))
      end
      assert.equal(#'{"status":200,"payload":""}' + 100000, #http.read(caller).body)
      caller:close()
    end)

    it("takes a message in fragments, with a ping and empty frames between", function()
      local ws = upgraded()
      local bytes = connect_packet()
      ws:send(BINARY, bytes:sub(1, 10), { fin = false })
      ws:send(websocket.PING, "are you there?")
      ws:send(websocket.CONTINUATION, "", { fin = false })
      ws:send(websocket.CONTINUATION, bytes:sub(11), { fin = true })
      local pong = assert(ws:frame())
      assert.same({ websocket.PONG, "are you there?", true, false },
        { pong.opcode, pong.payload, pong.fin, pong.masked })
      assert.equal(CONNACK, ws:message())
      ws:send(BINARY, "")
      ws:send(BINARY, mqtt.PINGREQ)
      assert.equal(mqtt.PINGRESP, ws:message())
    end)

    it("answers pings of 0 and 125 bytes, and ignores pongs", function()
      local ws = upgraded()
      for _, size in ipairs { 0, 125 } do
        ws:send(websocket.PING, ("p"):rep(size))
        local pong = assert(ws:frame())
        assert.same({ websocket.PONG, ("p"):rep(size) }, { pong.opcode, pong.payload })
      end
      ws:send(websocket.PONG, "nobody asked")
      ws:send(BINARY, connect_packet())
      assert.equal(CONNACK, ws:message())
    end)

    it("takes the same bytes cut in two at every place", function()
      local bytes = websocket.frame(websocket.PING, "p")
        .. websocket.frame(BINARY, connect_packet(), { fin = false })
        .. websocket.frame(websocket.CONTINUATION, SUBSCRIBE)
      for i = 1, #bytes - 1 do
        local ws = upgraded()
        ws.wire:send(bytes:sub(1, i))
        dm.loop.step(0)
        ws.wire:send(bytes:sub(i + 1))
        assert.equal("p", assert(ws:frame()).payload)
        assert.equal(CONNACK, ws:message())
        assert.equal(SUBACK, ws:message())
        ws:close()
      end
    end)

    it("closes who floods it with pings and reads no pong", function()
      fixture.finish(hub, client)
      hub = fixture.hub { limits = { http_output = 65536 } }
      port = hub:ports().https
      local ws = upgraded()
      ws.wire:stall()
      local flood = websocket.frame(websocket.PING, ("p"):rep(125)):rep(4000)
      for _ = 1, 200 do
        ws.wire:send(flood)
        if hub:counters().mqtt_over_limit > 0 then break end
      end
      assert.equal(1, hub:counters().mqtt_over_limit)
    end)

    it("keeps MQTT's own limits: a packet too large closes with 1009", function()
      fixture.finish(hub, client)
      hub = fixture.hub { limits = { packet_size = 1000 } }
      port = hub:ports().https
      assert(hub:add_device("dev"))
      local ws = device()
      ws:send(BINARY, mqtt.publish("devices/dev/messages/events/", ("x"):rep(1000)))
      assert.equal(1009, ws:closed())
      assert.equal(1, hub:counters().mqtt_over_limit)
    end)
  end)

  describe("closing", function()
    -- a frame that breaks a rule, and the code it is closed with
    local BAD = {
      ["a frame without a mask"] = { 1002, BINARY, "x", { mask = false } },
      ["a reserved bit: no compression"] = { 1002, BINARY, "x", { rsv = 4 } },
      ["a text message"] = { 1003, websocket.TEXT, "x" },
      ["the reserved opcode 3"] = { 1002, 3, "x" },
      ["the reserved opcode 11"] = { 1002, 11, "x" },
      ["a continuation of nothing"] = { 1002, websocket.CONTINUATION, "x" },
      ["a ping in parts"] = { 1002, websocket.PING, "x", { fin = false } },
      ["a ping of 126 bytes"] = { 1002, websocket.PING, ("x"):rep(126) },
      ["a close of one byte"] = { 1002, CLOSE, "x" },
      ["a close with code 1005"] = { 1002, CLOSE, "\x03\xed" },
      ["a close with code 999"] = { 1002, CLOSE, "\x03\xe7" },
      ["a close with a reason that is not UTF-8"] = { 1007, CLOSE, "\x03\xe8\xff" },
      ["MQTT that is none"] = { 1002, BINARY, "GET / HTTP/1.1\r\n" },
    }
    for what, case in pairs(BAD) do
      it("answers " .. what .. " with its code and ends", function()
        local ws = upgraded()
        ws:send(case[2], case[3], case[4])
        local code, ended = ws:closed()
        assert.equal(case[1], code)
        assert.is_true(ended)
        assert(dm.wait_until(function() return hub:counters().mqtt_malformed == 1 end))
      end)
    end

    it("answers a message inside of another with 1002", function()
      local ws = upgraded()
      ws:send(BINARY, "\x10", { fin = false })
      ws:send(BINARY, "x")
      assert.equal(1002, ws:closed())
    end)

    it("answers lengths that are not in the shortest form with 1002", function()
      for _, head in ipairs {
        "\x82\xfe\0\x7d",
        "\x82\xff\0\0\0\0\0\0\xff\xff",
        "\x82\xff\x80\0\0\0\0\0\0\0",
      } do
        local ws = upgraded()
        ws.wire:send(head)
        assert.equal(1002, ws:closed())
        ws:close()
      end
    end)

    it("answers a message over the limit with 1009, in one frame or more", function()
      fixture.finish(hub, client)
      hub = fixture.hub { limits = { websocket_size = 100 } }
      port = hub:ports().https
      assert(hub:add_device("dev"))
      local ws = upgraded()
      ws.wire:send("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" .. "mask" .. "x")
      assert.equal(1009, ws:closed())
      ws:close()
      ws = upgraded()
      ws:send(BINARY, "\x10", { fin = false })
      ws:send(websocket.CONTINUATION, ("x"):rep(100))
      assert.equal(1009, ws:closed())
      assert(dm.wait_until(function() return hub:counters().mqtt_over_limit == 2 end))
    end)

    it("answers a close with the same code, and the device is offline", function()
      local ws = device()
      ws:send(CLOSE, string.pack(">I2", 3001) .. "bye")
      local code, ended = ws:closed()
      assert.same({ 3001, true }, { code, ended })
      assert(dm.wait_until(function() return not hub:devices()[1].connected end))
    end)

    it("answers an empty close with an empty one, and reads nothing behind it",
      function()
        local ws = upgraded()
        ws.wire:send(websocket.frame(CLOSE, "")
          .. websocket.frame(BINARY, connect_packet()))
        assert.same({ 0, true }, { ws:closed() })
        assert.equal(0, hub:counters().connects)
      end)

    it("closes after DISCONNECT with 1000", function()
      local ws = device()
      ws:send(BINARY, mqtt.DISCONNECT)
      assert.same({ 1000, true }, { ws:closed() })
    end)

    it("resets nobody whose good-bye is on its way", function()
      for _, farewell in ipairs { websocket.frame(CLOSE, "\x03\xe8"),
        websocket.frame(BINARY, mqtt.DISCONNECT) } do
        local ws = device()
        ws.wire:send(farewell)
        assert.same({ 1000, true }, { ws:closed() })
        assert.is_false(hub:devices()[1].connected)
        assert.is_true(ws.wire:is_heard())
        ws:close()
      end
    end)

    it("C07 refuses a wrong password with CONNACK 5, then 1000", function()
      local ws = upgraded()
      ws:send(BINARY, connect_packet("dev", { password = "SharedAccessSignature x" }))
      assert.equal("\x20\x02\0\x05", ws:message())
      ws:send(CLOSE, "\x03\xe8")
      assert.same({ 1000, true }, { ws:closed() })
    end)

    it("C18 takes over between TCP and WebSocket, both ways", function()
      local tcp = fixture.device(hub, "dev")
      local ws = device()
      assert.is_true(tcp.wire:wait_closed())
      local caller, rid = call(ws, "1")
      ws:send(BINARY, answer_packet(rid, "2"))
      assert.equal(200, http.read(caller).status)
      caller:close()
      local again = fixture.device(hub, "dev")
      assert.same({ 1000, true }, { ws:closed() })
      again:close()
      tcp:close()
    end)

    it("C15 closes when no CONNECT comes in time", function()
      fixture.finish(hub, client)
      hub = fixture.hub { limits = { connect_timeout = 0.05 } }
      port = hub:ports().https
      local ws = upgraded()
      assert.same({ 1008, true }, { ws:closed() })
      assert.equal(1, hub:counters().mqtt_timed_out)
    end)

    it("fails a call when the connection breaks", function()
      local ws = device()
      local caller = call(ws, "1")
      ws.wire:reset()
      assert.equal(404104, fixture.error_m(http.read(caller)).errorCode)
      caller:close()
    end)

    it("says 1001 when the hub closes", function()
      local ws = device()
      hub:close()
      assert.same({ 1001, true }, { ws:closed() })
    end)
  end)
end)
