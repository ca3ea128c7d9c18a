-- What a peer may not do, in packets that are well made or come in the wrong place.
-- The numbers are those of README.md.

local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local sieges = require "spec.support.siege"

local METHODS = "$iothub/methods/POST/#"
local EVENTS = "devices/dev1/messages/events/"
local packet, text = mqtt.packet, mqtt.text

describe("an MQTT client, attack", function()
  local siege

  after_each(function()
    siege:finish()
  end)

  it("3 closes when the first packet is not CONNECT", function()
    siege = sieges.start()
    for _, bytes in ipairs {
      mqtt.publish(EVENTS, "x"), mqtt.PINGREQ, mqtt.DISCONNECT, "\xc0", "\0", "\x11\0",
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01\xfc",
      "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "\r\n\r\n\0\r\nQUIT\n",
    } do
      siege:closes_new(bytes)
    end
  end)

  it("4 closes for a second CONNECT", function()
    siege = sieges.start()
    siege:closes(siege:hello())
  end)

  it("11 takes no id for a pattern, a path or a query", function()
    siege = sieges.start()
    siege:closes(mqtt.publish(("x"):rep(65535), "x"), "publish_refused")
    siege:closes_new(siege:hello { client_id = ("x"):rep(65535) }, "mqtt_over_limit")
    for _, id in ipairs {
      "dev1/", "/dev1", "..", "../dev1", "dev1/../witness", "dev%31", "dev1%2f", "'",
      '"', "dev1\n", "+", "#", "*", "' OR 1=1 --", ("d"):rep(129), ("d"):rep(4000),
    } do
      siege:answers(siege:hello { client_id = id }, "\x20\2\0\5")
      siege:answers(siege:hello {
        client_id = id, username = ("localhost/%s/?api-version=2021-04-12"):format(id),
      }, "\x20\2\0\5")
    end
    for _, id in ipairs { "+", "#", "%2f", "a'b", "*" } do
      siege.hub:add_device(id)
      local device = fixture.device(siege.hub, id)
      assert.equal(0, device.code, id)
      assert.equal(0x80, device:subscribe(0, "devices/dev1/messages/devicebound/#"))
      siege:calls_witness(function() assert.is_true(device.wire:stays_quiet()) end)
      device:close()
    end
  end)

  it("13 and 79 grants no filter beyond the device's own", function()
    siege = sieges.start()
    local device = siege:device { subscribe = false }
    for _, filter in ipairs {
      "#", "+", "+/#", "/#", "$iothub/#", "$iothub/+/POST/#", "$SYS/#",
      "$share/g/" .. METHODS, "devices/dev2/messages/devicebound/#",
      "devices/+/messages/events/#", "devices/#", "$iothub/methods/res/#",
      "$", "$/", "$x/y", "$share/x", "$CONTROL/#",
    } do
      assert.equal(0x80, device:subscribe(0, filter), filter)
    end
    siege.witness:send(mqtt.publish("devices/witness/messages/events/", "x"))
    siege:calls_witness(function() assert.is_true(device.wire:stays_quiet()) end)
    device:close()
  end)

  it("14 closes for a PUBLISH that is not the device's to make", function()
    siege = sieges.start()
    for _, topic in ipairs {
      "$iothub/methods/POST/x/?$rid=1", "$iothub/methods/POST/x/", "$SYS/x", "$SYS",
      "$iothub", "$iothub/", "devices/witness/messages/events/", "/" .. EVENTS,
      "devices/dev1/modules/m/messages/events/", "devices/DEV1/messages/events/",
      "devices/dev1/../witness/messages/events/", "devices/dev1/messages/eventsx",
    } do
      siege:closes(mqtt.publish(topic, "x"), "publish_refused")
    end
    assert.is_true(siege.witness.wire:stays_quiet())
  end)

  it("15 refuses other levels, and closes for the reserved flag", function()
    siege = sieges.start()
    for _, o in ipairs {
      { protocol = "MQIsdp", level = 3 }, { level = 5 }, { level = 0 },
    } do
      siege:answers(siege:hello(o), "\x20\2\0\1")
    end
    siege:counts("connect_refused", 3)
    siege:closes_new(siege:hello { flags = 1 })
    siege:closes_new(packet(0x10, "\0\4MQTT\4"))
    siege:closes_new(packet(0x10, "\0\4MQT"))
    siege:closes_new(packet(0x10, ""))
  end)

  it("16 closes for flags of a CONNECT that contradict, and foreign wills", function()
    siege = sieges.start()
    siege:closes_new(mqtt.connect { client_id = "dev1", password = "p" })
    for _, flags in ipairs { 0x08, 0x10, 0x18, 0x20 } do
      siege:closes_new(siege:hello { flags = flags })
    end
    siege:closes_new(siege:hello { flags = 0x18, will_topic = EVENTS })
    siege:closes_new(siege:hello { will_topic = "" })
    siege:closes_new(siege:hello { will_topic = EVENTS .. "#" })
    for _, topic in ipairs {
      "$iothub/methods/res/200/?$rid=1", "$iothub/methods/POST/x/?$rid=1",
      "$iothub/twin/GET/?$rid=1", "devices/witness/messages/events/", "$SYS/x", "x",
    } do
      siege:closes_new(siege:hello { will_topic = topic }, "connect_bad_will")
    end
  end)

  it("17 closes for a CONNECT that is cut off, or goes on behind its end", function()
    siege = sieges.start()
    local body = siege:hello { will_topic = EVENTS, will_message = "m" }:sub(4)
    for n = 10, #body - 1 do
      local w = siege:connect():send(packet(0x10, body:sub(1, n)))
      assert.is_true(w:wait_closed(), n)
      assert.equal("", w.bytes, n)
      w:close()
    end
    siege:counts("mqtt_malformed", #body - 10)
    siege:closes_new(packet(0x10, body .. "\0"))
    siege:closes_new(packet(0x10, body .. text("x")))
    assert.equal(1, siege.hub:counters().connects)
  end)

  it("18 refuses an empty client id", function()
    siege = sieges.start()
    siege:answers(siege:hello { client_id = "", clean = false }, "\x20\2\0\2")
    siege:answers(siege:hello { client_id = "", clean = true }, "\x20\2\0\5")
    siege:counts("connect_refused", 2)
  end)

end)
