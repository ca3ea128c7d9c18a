-- Packets that MQTT 3.1.1 does not allow: what each must get. The numbers are those
-- of README.md.

local dm = require "directmethods"
local mqtt = require "spec.support.mqtt"
local sieges = require "spec.support.siege"

local METHODS = "$iothub/methods/POST/#"
local EVENTS = "devices/dev1/messages/events/"
local packet, text = mqtt.packet, mqtt.text

describe("an MQTT packet, attack", function()
  local siege

  after_each(function()
    siege:finish()
  end)

  it("1 closes at the fourth byte of a remaining length of five", function()
    siege = sieges.start()
    siege:closes_new("\x10\x80\x80\x80\x80")
    siege:closes_new("\x10\xff\xff\xff\xff")
    siege:closes("\x30\x80\x80\x80\x80")
    siege:closes("\xc0\x80\x80\x80\x80")
  end)

  it("2 closes for a packet over the limit before its body", function()
    siege = sieges.start()
    siege:closes_new("\x10\xfe\x3f", "mqtt_over_limit") -- 3 + 8190 of 8192
    siege:closes_new("\x10\xff\xff\xff\x7f", "mqtt_over_limit")
    siege:closes("\x30\xfd\xff\x0f", "mqtt_over_limit") -- 4 + 262141 of 262144
    siege:closes("\x82\xff\xff\xff\x7f", "mqtt_over_limit")
  end)

  it("5 closes for reserved types and those of a server", function()
    siege = sieges.start()
    for _, bytes in ipairs {
      "\0\0", "\xf0\0", "\x20\x02\0\0", "\x90\x03\0\1\0", "\xb0\x02\0\1", "\xd0\0",
    } do
      siege:closes_new(bytes)
      siege:closes(bytes)
    end
  end)

  it("6 closes for flags that the type does not allow", function()
    siege = sieges.start()
    local filter = "\0\1" .. text(METHODS)
    siege:closes_new("\x11" .. siege:hello():sub(2))
    for flags = 0, 15 do
      if flags ~= 2 then
        siege:closes(packet(0x80 | flags, filter .. "\0"))
        siege:closes(packet(0xa0 | flags, filter))
        siege:closes(packet(0x60 | flags, "\0\1"))
      end
      if flags ~= 0 then
        siege:closes(packet(0xc0 | flags, ""))
        siege:closes(packet(0xe0 | flags, ""))
        siege:closes(packet(0x40 | flags, "\0\1"))
      end
    end
    siege:closes("\xc0\1x") -- and for a body where there is none
    siege:closes("\xe0\1x")
    siege:closes("\x40\3\0\1x")
  end)

  it("7 closes for QoS 3, and DUP with QoS 0", function()
    siege = sieges.start()
    local body = text(EVENTS) .. "\0\1x"
    for _, first in ipairs { 0x36, 0x37, 0x3e, 0x3f, 0x38, 0x39 } do
      siege:closes(packet(first, body))
    end
  end)

  it("8 closes for an empty topic", function()
    siege = sieges.start()
    siege:closes(packet(0x30, "\0\0x"))
    siege:closes(packet(0x32, "\0\0\0\1x"))
  end)

  it("9 closes for lengths beyond the packet and missing packet ids", function()
    siege = sieges.start()
    for _, case in ipairs {
      { 0x30, "" }, { 0x30, "\0" }, { 0x30, "\0\2x" }, { 0x30, "\xff\xffx" },
      { 0x32, "\0\1x" }, { 0x32, "\0\1x\0" }, { 0x32, "\0\1x\0\0" },
      { 0x82, "" }, { 0x82, "\0" }, { 0x82, "\0\0\0\1x\0" }, { 0x82, "\0\1\0\1x" },
      { 0x82, "\0\1\0\2x" }, { 0x82, "\0\1\0" }, { 0xa2, "\0\0\0\1x" },
      { 0xa2, "\0\1\0\2x" }, { 0x40, "" }, { 0x40, "\0" }, { 0x40, "\0\0" },
    } do
      siege:closes(packet(table.unpack(case)))
    end
  end)

  local BAD_TEXT = {
    "a\0b", "\xff", "\xc0\x80", "\xe0\x80\xaf", "\xed\xa0\x80", "\xef\xbf\xbe",
    "\xf4\x90\x80\x80", "\xc3", "\x80",
  }

  it("10 closes for wildcards in topics and for what is not UTF-8", function()
    siege = sieges.start()
    for _, topic in ipairs { "#", "+", EVENTS .. "#", "a/+/b" } do
      siege:closes(mqtt.publish(topic, "x"))
    end
    for _, bad in ipairs(BAD_TEXT) do
      siege:closes(mqtt.publish(EVENTS .. bad, "x"))
      siege:closes(mqtt.subscribe { { METHODS .. bad, 0 } })
      siege:closes(mqtt.unsubscribe { bad })
      siege:closes_new(siege:hello { client_id = bad })
      siege:closes_new(siege:hello { username = bad })
    end
    for _, control in ipairs { "\1", "\n", "\x1f", "\x7f", "\xc2\x80", "\xc2\x9f" } do
      siege:closes(mqtt.subscribe { { METHODS, 0 }, { "a" .. control, 0 } })
      siege:closes(mqtt.unsubscribe { METHODS, "a/" .. control .. "/b" })
    end
    siege:closes(mqtt.subscribe { { "a#", 0 } })
    siege:closes(mqtt.subscribe { { "#/a", 0 } })
    siege:closes(mqtt.subscribe { { "a+/b", 0 } })
  end)

  it("12 bounds filters", function()
    siege = sieges.start { limits = { filters = 10 } }
    siege:closes("\x82\2\0\1")
    siege:closes(packet(0x82, "\0\1" .. text(METHODS) .. "\3"))
    siege:closes(packet(0x82, "\0\1" .. text("") .. "\0"))
    local many = {}
    for i = 1, 10000 do many[i] = { METHODS, 0 } end
    siege:closes(mqtt.subscribe(many), "subscribe_flood")
    for i = 1, 10000 do many[i] = { "$iothub/methods/POST/" .. i, 0 } end
    siege:closes(mqtt.subscribe(many):sub(1, 262144), "mqtt_over_limit")
    local device = siege:device()
    local same = {}
    for i = 1, 256 do same[i] = { METHODS, 1 } end
    for _ = 1, 40 do
      device:send(mqtt.subscribe(same))
      assert.equal("\x90\x82\x02\0\1" .. ("\1"):rep(256), device.wire:read(261))
    end
    for i = 1, 12 do
      local code = device:subscribe(0, "$iothub/methods/POST/" .. i .. "/#")
      assert.equal(i <= 9 and 0 or 0x80, code, i)
    end
    assert.equal(3, siege.hub:counters().subscribe_refused)
    device:close()
  end)

  it("21 ignores a PUBACK, and closes for the packets of QoS 2", function()
    siege = sieges.start()
    local device = siege:device()
    for id = 1, 1000 do device:send(packet(0x40, string.pack(">I2", id))) end
    device:send(mqtt.PINGREQ)
    assert.equal(mqtt.PINGRESP, device.wire:read(2))
    siege:counts("puback_unowed", 1000)
    device:close()
    for _, first in ipairs { 0x50, 0x62, 0x70 } do
      siege:closes(packet(first, "\0\1"))
    end
    siege:closes(mqtt.publish(EVENTS, "x", { qos = 2, packet_id = 5 }):rep(100))
    siege:counts("telemetry", 0)
  end)

  it("is logged with a line a second at most", function()
    local lines = {}
    siege = sieges.start()
    dm.log { level = "info", sink = function(_, line) table.insert(lines, line) end }
    local began = dm.now()
    for _ = 1, 20 do siege:closes(mqtt.PINGREQ .. "\0\0") end
    local most = dm.now() - began + 1 -- the first is logged at once
    dm.advance(0)
    dm.log { level = "warn" }
    assert.is_true(#lines >= 1 and #lines <= most, #lines)
    assert.equal("hub: connection closed: 'dev1': MQTT packet: reserved type",
      lines[1])
    assert.equal(20 - #lines, siege.hub:counters().log_suppressed)
  end)

  -- The bytes with some of them changed, by a generator of our own: the same bytes
  -- in every run.
  local function mutated(bytes, seed)
    local function random(n)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed // 65536 % n
    end
    local out = { bytes:byte(1, -1) }
    for _ = 0, random(4) do out[random(#out) + 1] = random(256) end
    return string.char(table.unpack(out))
  end

  it("of any bytes does no harm", function()
    siege = sieges.start()
    local hello = siege:hello()
    local packets = mqtt.subscribe({ { METHODS, 1 }, { "$iothub/twin/res/#", 0 } })
      .. mqtt.publish(EVENTS, "x", { qos = 1 })
      .. mqtt.publish("$iothub/methods/res/200/?$rid=1", "{}") .. mqtt.PINGREQ
      .. mqtt.unsubscribe({ METHODS }) .. mqtt.DISCONNECT
    for seed = 1, 300 do
      local changed = seed % 3 == 0 and mutated(hello .. packets, seed)
        or hello .. mutated(packets, seed)
      local w = siege:connect():send(changed)
      w:stays_quiet(2)
      w:close()
    end
    assert.is_true(siege.hub:counters().mqtt_malformed > 50)
    siege:calls_witness()
  end)
end)
