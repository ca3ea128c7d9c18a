-- C: what a connected device may do, and its session, by the ids of the checklist.

local uv = require "luv"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"

local METHODS = "$iothub/methods/POST/#"
local EVENTS = "devices/dev1/messages/events/"

describe("an MQTT session", function()
  local hub, open

  local function start(opts)
    hub = fixture.hub(opts)
    hub:add_device("dev1")
    return hub
  end

  local function connect(o, identity)
    local device = fixture.device(hub, identity or "dev1", o)
    table.insert(open, device)
    assert.equal(0, device.code)
    return device
  end

  before_each(function()
    open = {}
  end)

  local function finish()
    fixture.finish(hub, table.unpack(open))
    hub, open = nil, {}
  end

  after_each(finish)

  local function counts(name, n)
    dm.wait_until(function() return hub:counters()[name] == n end, 2)
    assert.equal(n, hub:counters()[name], name)
  end

  local function alive(device)
    device:send(mqtt.PINGREQ)
    assert.equal(mqtt.PINGRESP, device.wire:read(2))
  end

  local function closed(device)
    assert.is_true(device.wire:wait_closed())
    assert.equal("", device.wire.bytes)
  end

  -- A call that the device gets and answers.
  local function takes_calls(device, o)
    local call = fixture.send_call(hub, { device = "dev1" })
    local method, rid = device:request()
    assert.equal("reboot", method)
    device:answer(rid, 201, '{"a":1}', o)
    local reply = assert(http.read(call))
    call:close()
    assert.equal(200, reply.status)
    assert.equal('{"status":201,"payload":{"a":1}}', reply.body)
  end

  local function is_offline()
    local reply = assert(fixture.call(hub, { device = "dev1" }))
    assert.equal(404, reply.status)
    assert.equal(404103, fixture.error_m(reply).errorCode)
  end

  -- Leave without DISCONNECT, and wait until the hub has seen it.
  local function leave(device)
    device:close()
    assert(dm.wait_until(function() return not hub:devices()[1].connected end))
  end

  -- The hub closes the connection at least `least` seconds after `began`, and before a
  -- timer of this loop that is due in `most` seconds. The loop's timers fire in their
  -- order, however slow the machine is; it counts time in whole milliseconds.
  local function is_closed_within(device, began, least, most)
    local in_time
    local limit = dm.spawn(function()
      dm.sleep(most)
      in_time = hub:counters().mqtt_timed_out == 1
    end)
    closed(device)
    limit:cancel()
    assert.is_true(in_time ~= false)
    local seconds = (uv.hrtime() - began) / 1e9
    assert.is_true(seconds >= least - 0.002, seconds)
    counts("mqtt_timed_out", 1)
    assert.is_false(hub:devices()[1].connected)
  end

  it("C16 closes after one and a half times the keep-alive", function()
    start()
    local began = uv.hrtime()
    is_closed_within(connect { keepalive = 1 }, began, 1.5, 2)
  end)

  -- Send a packet now and then for `seconds`. Is the connection open then? When the
  -- last packet went, and the longest that the hub may have waited for one.
  local function keep_busy(device, seconds)
    local before, longest, is_open = uv.hrtime(), 0, true
    local stop = before + seconds * 1e9
    while is_open and uv.hrtime() < stop do
      local sent = uv.hrtime()
      device:send(mqtt.publish(EVENTS, "x") .. mqtt.PINGREQ)
      is_open = device.wire:read(2) == mqtt.PINGRESP and device.wire:stays_quiet(50)
      longest, before = math.max(longest, uv.hrtime() - before), sent
    end
    return is_open, before, longest / 1e9
  end

  it("C16 waits anew after any packet, and not longer than the cap", function()
    local CAP = 0.6
    local device, is_open, sent, longest
    repeat -- until this machine was fast enough
      if hub then finish() end
      start { limits = { keepalive_cap = CAP } }
      device = connect { keepalive = 60 }
      is_open, sent, longest = keep_busy(device, 2 * CAP)
    until is_open or longest < CAP
    assert.is_true(is_open)
    is_closed_within(device, sent, CAP, 2)
  end)

  it("C17 takes keep-alive 0 for the cap", function()
    start { limits = { keepalive_cap = 0.2 } }
    local began = uv.hrtime()
    is_closed_within(connect { keepalive = 0 }, began, 0.2, 0.9)
  end)

  it("C20 keeps the subscriptions of clean session 0", function()
    start()
    local device = connect { clean = false }
    assert.is_false(device.session_present)
    leave(device)
    is_offline()
    device = connect { clean = false, subscribe = false }
    assert.is_true(device.session_present)
    takes_calls(device)
    local newer = connect { clean = false, subscribe = false }
    assert.is_true(newer.session_present)
    closed(device)
    takes_calls(newer)
  end)

  it("C21 forgets them with clean session 1", function()
    start()
    leave(connect { clean = false })
    local device = connect { clean = true, subscribe = false }
    assert.is_false(device.session_present)
    is_offline()
    leave(device)
    device = connect { clean = false, subscribe = false }
    assert.is_false(device.session_present)
    is_offline()
    leave(device)
    assert.is_true(connect({ clean = false, subscribe = false }).session_present)
  end)

  it("C22 grants QoS 0, 1 and for 2 also 1", function()
    start()
    local device = connect { subscribe = false }
    for qos, granted in pairs { [0] = 0, 1, 1 } do
      device:send(mqtt.subscribe({ { METHODS, qos } }, 0x102 + qos))
      assert.equal(string.char(0x90, 3, 1, 2 + qos, granted), device.wire:read(5))
    end
    takes_calls(device)
  end)

  it("C23 refuses filters that are not documented or not its own", function()
    start()
    local device = connect { subscribe = false }
    local others = {
      "#", "+/x", "$iothub/#", "$iothub/methods/#", "$SYS/#", "devices/#",
      "devices/dev2/messages/devicebound/#", "devices/dev11/messages/devicebound/#",
      "devices/+/messages/events/#", "devices/dev1/#", "x",
      "$iothub/methods/res/#",
    }
    for i, filter in ipairs(others) do
      device:send(mqtt.subscribe({ { filter, 0 } }, i))
      assert.equal(string.char(0x90, 3, 0, i, 0x80), device.wire:read(5), filter)
    end
    counts("subscribe_refused", #others)
    is_offline()
    device:send(mqtt.subscribe({ { "#", 0 }, { METHODS, 1 } }, 1))
    assert.equal("\x90\x04\0\1\x80\1", device.wire:read(6))
    takes_calls(device)
  end)

  it("C24 grants the filters that SDKs use beside methods", function()
    start()
    hub:add_device("dev1/mod1")
    local device = connect { subscribe = false }
    for _, filter in ipairs {
      "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
      "devices/dev1/messages/devicebound/#", "$iothub/methods/POST/reboot/#",
    } do
      assert.equal(1, device:subscribe(1, filter), filter)
    end
    local module = connect({ subscribe = false }, "dev1/mod1")
    for _, filter in ipairs {
      "devices/dev1/modules/mod1/#", "devices/dev1/modules/mod1/inputs/#",
      "$iothub/twin/res/#", METHODS,
    } do
      assert.equal(0, module:subscribe(0, filter), filter)
    end
    counts("subscribe_refused", 0)
  end)

  it("C25 closes for a PUBLISH of QoS 2", function()
    start()
    local device = connect()
    device:send(mqtt.publish(EVENTS, "x", { qos = 2 }))
    closed(device)
    counts("mqtt_malformed", 1)
  end)

  it("C26 acknowledges an answer of QoS 1", function()
    start()
    local device = connect { qos = 1 }
    takes_calls(device, { qos = 1, packet_id = 0x1234 })
    assert.equal("\x40\x02\x12\x34", device.wire:read(4))
  end)

  it("C27 closes for a PUBLISH to a topic that is not documented", function()
    start()
    local topics = {
      "x", "devices/dev1", "devices/dev2/messages/events/", "$iothub/twin/GET/",
      "devices/dev1/messages/devicebound/", "$iothub/methods/POST/x/?$rid=1",
      "$iothub/twin/PATCH/properties/desired/?$rid=1",
    }
    for i, topic in ipairs(topics) do
      local device = connect()
      device:send(mqtt.publish(topic, "x", { qos = i % 2, packet_id = i }))
      closed(device) -- and nothing was acknowledged before
      counts("publish_refused", i)
    end
  end)

  it("C28 takes telemetry of QoS 0 and 1, retained or not", function()
    start()
    local device = connect()
    device:send(mqtt.publish(EVENTS, "x"))
    device:send(mqtt.publish(EVENTS .. "a=b&%24.mid=1", "", { retain = true }))
    device:send(mqtt.publish(EVENTS, "x", { qos = 1, packet_id = 7, retain = true }))
    assert.equal("\x40\x02\0\7", device.wire:read(4))
    device:send(mqtt.publish(EVENTS, "x", { qos = 1, packet_id = 7, dup = true }))
    assert.equal("\x40\x02\0\7", device.wire:read(4))
    counts("telemetry", 4)
    takes_calls(device)
  end)

  it("C29 closes for a packet over 256 KB, before it is whole", function()
    start()
    local device = connect()
    local rest = 262144 - 4 - #mqtt.text(EVENTS) - 2 -- 4: the fixed header
    device:send(mqtt.publish(EVENTS, ("x"):rep(rest), { qos = 1, packet_id = 9 }))
    assert.equal("\x40\x02\0\9", device.wire:read(4))
    local larger = mqtt.publish(EVENTS, ("x"):rep(rest + 1), { qos = 1 })
    device:send(larger:sub(1, 4))
    closed(device)
    counts("mqtt_over_limit", 1)
  end)

  it("C30 takes a will", function()
    start()
    local will = { will_topic = EVENTS .. "a=b", will_message = "gone" }
    takes_calls(connect(will))
    will.flags = 0x08 | 0x20 -- QoS 1, retained
    local device = connect(will)
    takes_calls(device)
    leave(device)
    is_offline()
  end)

  local MALFORMED = {
    "\xc0\x80\x80\x80\x80", -- remaining length of five bytes
    "\xc1\x00", "\x80\x06\0\1\0\1x\0", "\x00\x00", "\xf0\x00", -- reserved bits, types
    mqtt.packet(0x30, "\0\1\xff"), mqtt.packet(0x30, "\0\2\xc0\x80"), -- UTF-8
    mqtt.packet(0x32, "\0\1x\0\0"), mqtt.packet(0x82, "\0\0\0\1x\0"), -- packet id 0
  }

  it("C31 closes for malformed packets", function()
    start()
    for i, bytes in ipairs(MALFORMED) do
      local device = connect()
      device:send(bytes)
      closed(device)
      counts("mqtt_malformed", i)
    end
  end)

  it("C32 ignores and counts a PUBACK that nobody waits for", function()
    start()
    local device = connect()
    device:send("\x40\x02\0\1\x40\x02\0\1")
    alive(device)
    counts("puback_unowed", 2)
    takes_calls(device)
  end)

  it("C34 takes more than five filters", function()
    start()
    local device = connect { subscribe = false }
    local filters = {}
    for i = 1, 12 do
      filters[i] = { ("$iothub/methods/POST/m%d/#"):format(i), i % 2 }
    end
    filters[13] = { METHODS, 0 }
    device:send(mqtt.subscribe(filters, 3))
    assert.equal("\x90\x0f\0\3" .. ("\1\0"):rep(6) .. "\0", device.wire:read(17))
    takes_calls(device)
  end)
end)
