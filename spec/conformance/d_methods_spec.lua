-- D: method requests and responses on MQTT at the hub, by the ids of the checklist.
-- d_device_spec.lua has our own device's side.

local callers = require "spec.support.callers"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

describe("a method", function()
  local pair, hub, device

  before_each(function()
    pair = callers.pair()
    hub, device = pair.hub, pair.device
  end)

  after_each(function() pair:finish() end)

  local function counts(name, n)
    wire.turn_until(function() return hub:counters()[name] == n end, 2)
    assert.equal(n, hub:counters()[name], name)
  end

  local function alive(at)
    at:send(mqtt.PINGREQ)
    assert.equal(mqtt.PINGRESP, at.wire:read(2))
  end

  -- The reply to a call that the device answers by these bytes; %rid is its $rid.
  local function answered_by(topic, payload, o)
    local waiting, rid = pair:pending(o)
    device:send(mqtt.publish(topic:gsub("%%rid", rid), payload))
    local reply = assert(http.read(waiting))
    waiting:close()
    return reply
  end

  -- What such an answer becomes: the reply's body.
  local function spliced(payload)
    local reply = pair:call { answer = payload }
    assert.equal(200, reply.status)
    return reply.body
  end

  -- An answer to this topic does not end the call, and is counted by this name.
  local function drops(topic, counter)
    local waiting, rid = pair:pending()
    local before = hub:counters()[counter]
    device:send(mqtt.publish(topic:gsub("%%rid", rid), "1"))
    counts(counter, before + 1)
    alive(device)
    device:answer(rid, 202, "2")
    assert.equal('{"status":202,"payload":2}', assert(http.read(waiting)).body, topic)
    waiting:close()
  end

  it("D01 is asked for by a topic that ends with the $rid", function()
    local waiting = pair:send { body = callers.body('"payload":{"a":1}', "do*it") }
    local packet = assert(device:read())
    assert.equal("$iothub/methods/POST/do*it/?$rid=1", packet.topic)
    assert.equal('{"a":1}', packet.payload)
    device:answer("1", 200, "{}")
    assert.equal(200, assert(http.read(waiting)).status)
    waiting:close()
  end)

  for qos = 0, 2 do
    it("D02 is asked for with QoS 0, no retain, no dup, subscribed at QoS " .. qos,
      function()
        device:subscribe(qos)
        local waiting = pair:send { body = callers.body('"payload":[1]') }
        local bytes = mqtt.publish("$iothub/methods/POST/reboot/?$rid=1", "[1]")
        assert.equal(bytes, device.wire:read(#bytes))
        assert.equal(0x30, bytes:byte())
        device:answer("1", 200, "{}")
        assert.equal(200, assert(http.read(waiting)).status)
        waiting:close()
      end)
  end

  it("D03 has a $rid that counts in hex, for each connection", function()
    local other = pair:add("dev2")
    local seen = {}
    local reply_wire = wire.connect(hub:ports().https)
    for i = 1, 18 do
      pair:send { wire = reply_wire }
      local _, rid = device:request()
      seen[i] = rid
      device:answer(rid, 200, "")
      assert.equal(200, assert(http.read(reply_wire)).status)
    end
    assert.equal("1 2 3 4 5 6 7 8 9 a b c d e f 10 11 12", table.concat(seen, " "))
    pair:send { wire = reply_wire, device = "dev2" }
    assert.equal("1", select(2, other:request()))
    other:answer("1", 200, "")
    assert.equal(200, assert(http.read(reply_wire)).status)
    local newer = fixture.device(hub, "dev1")
    pair:send { wire = reply_wire }
    assert.equal("1", select(2, newer:request()))
    for _, each in ipairs { reply_wire, newer, other } do each:close() end
  end)

  it("D04 is answered 300 times on one connection", function()
    local reply_wire = wire.connect(hub:ports().https)
    for i = 1, 300 do
      pair:send { wire = reply_wire }
      local _, rid = device:request()
      assert.equal(("%x"):format(i), rid)
      device:answer(rid, i, tostring(i))
      assert.equal(('{"status":%d,"payload":%d}'):format(i, i),
        assert(http.read(reply_wire)).body)
    end
    reply_wire:close()
    assert.equal(300, hub:counters().responses)
  end)

  it("D06 ignores a $rid that it does not know", function()
    for i, rid in ipairs { "2", "0", "10", "01", "%rid0", "x", "1 ",
      ("1"):rep(200), "ffffffffffffffff1", "-1" } do
      drops("$iothub/methods/res/200/?$rid=" .. rid, "response_unknown_rid")
      assert.equal(i, hub:counters().response_unknown_rid)
    end
  end)

  it("D07 takes the first of two answers", function()
    local waiting, rid = pair:pending()
    local topic = "$iothub/methods/res/200/?$rid=" .. rid
    device:send(mqtt.publish(topic, "1") .. mqtt.publish(topic, "2"))
    assert.equal('{"status":200,"payload":1}', assert(http.read(waiting)).body)
    counts("response_unknown_rid", 1)
    assert.is_true(waiting:stays_quiet())
    alive(device)
    waiting:close()
  end)

  it("D08 ignores an answer without $rid", function()
    for _, rest in ipairs { "200/", "200", "200/?", "200/?$rid=", "200/?rid=%rid",
      "200/?x=1&$rid=%rid", "200/$rid=%rid", "200/?$rid", "200?$rid=%rid" } do
      drops("$iothub/methods/res/" .. rest, "response_malformed")
    end
  end)

  it("D09 is not answered by another device", function()
    local thief = pair:add("dev2")
    local waiting, rid = pair:pending()
    thief:answer(rid, 200, '"stolen"')
    counts("response_unknown_rid", 1)
    alive(thief)
    assert.is_true(waiting:stays_quiet())
    device:answer(rid, 200, '"own"')
    assert.equal('{"status":200,"payload":"own"}', assert(http.read(waiting)).body)
    waiting:close()
    thief:close()
  end)

  it("D10 is not answered with a status that is none", function()
    for _, status in ipairs { "abc", "", "99999999999", "2147483648", "-2147483649",
      "1.0", "0x1", " 1", "1 ", "-", "99999999999999999999999" } do
      drops("$iothub/methods/res/" .. status .. "/?$rid=%rid", "response_malformed")
    end
  end)

  it("D10 runs into its time-out after such a status", function()
    local waiting, rid = pair:pending()
    device:answer(rid, "abc", "1")
    counts("response_malformed", 1)
    dm.advance(30)
    local reply = assert(http.read(waiting))
    assert.equal(504101, fixture.error_m(reply).errorCode)
    waiting:close()
  end)

  it("D11 passes on every status of 32 bits", function()
    for status, shown in pairs {
      ["-1"] = "-1", ["0"] = "0", ["2147483647"] = "2147483647",
      ["-2147483648"] = "-2147483648", ["007"] = "7", ["1001"] = "1001",
    } do
      local reply = pair:call { status = status, answer = "[]" }
      assert.equal(200, reply.status)
      assert.equal(('{"status":%s,"payload":[]}'):format(shown), reply.body)
    end
  end)

  it("D12 turns an empty answer into null", function()
    assert.equal('{"status":200,"payload":null}', spliced(""))
  end)

  it("D13 passes on JSON of every kind as it is", function()
    for _, payload in ipairs { "null", '"x"', "5", "[]", "{}", "true", "-0.0",
      '{"b":1,"a":{"b":1,"b":2}}', "12345678901234567890", '"\\u00e4\u{e4}"',
      '{ "a" :\t[ 1 ]\n}' } do
      assert.equal(('{"status":200,"payload":%s}'):format(payload), spliced(payload))
    end
  end)

  it("D14 is 502001 when the answer is not JSON", function()
    for _, payload in ipairs { "hello", "{", '{"a":1}}', "'a'", "NaN", "\0", "\xff",
      '"\xff"', "1 2", "[1,]", " ", '{"a":undefined}', '1},"x":{', "\u{feff}1" } do
      local reply = pair:call { answer = payload }
      callers.is_error(reply, 502001, "InvalidResponseWhileProxying",
        "The device's response is not valid JSON.", {})
    end
    assert.equal(14, hub:counters().response_not_json)
    alive(device)
  end)

  it("D15 takes an answer of 131072 bytes and not of 131073", function()
    local payload = callers.json_of(131072)
    assert.is_true(spliced(payload) == '{"status":200,"payload":' .. payload .. "}")
    callers.is_error(pair:call { answer = callers.json_of(131073) }, 502001,
      "InvalidResponseWhileProxying",
      "The device's response is larger than its api-version allows.", {})
    assert.equal(1, hub:counters().response_too_large)
    alive(device)
  end)

  it("D15 takes 8192 bytes of a device of the seeds' time", function()
    local old = pair:add("dev2", fixture.OLD)
    local payload = callers.json_of(8192)
    local reply = pair:call { device = "dev2", at = old, answer = payload }
    assert.is_true(reply.body == '{"status":200,"payload":' .. payload .. "}")
    reply = pair:call { device = "dev2", at = old, answer = callers.json_of(8193) }
    callers.is_error(reply, 502001, "InvalidResponseWhileProxying", nil, {})
    old:close()
  end)

  it("D16 leaves out blanks around the answer", function()
    assert.equal('{"status":200,"payload":{"a": 1}}', spliced(' \r\n\t{"a": 1}\n \r\n'))
    assert.equal('{"status":200,"payload":7}', spliced("7 "))
  end)

  it("D17 takes an answer with more properties behind the $rid", function()
    for _, more in ipairs { "&x=y", "&x", "&", "&x=y&z=$rid", "&rid=2", "&$rid" } do
      local reply = answered_by("$iothub/methods/res/200/?$rid=%rid" .. more, "1")
      assert.equal('{"status":200,"payload":1}', reply.body, more)
    end
  end)

  it("D18 drops an answer with another spelling of $rid", function()
    for _, query in ipairs { "?%24rid=%rid", "?$RID=%rid", "?$Rid=%rid",
      "?x=y&$rid=%rid", "?$rid=%rid&$rid=2", "?$rid =%rid", "? $rid=%rid",
      "/?$rid=%rid" } do
      drops("$iothub/methods/res/200/" .. query, "response_malformed")
    end
  end)
end)
