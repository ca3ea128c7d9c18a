-- Cases 27 to 37 of README.md: answers that are not the device's to give, and calls
-- that would reach MQTT as something else. The limits on their number (37) are in
-- calls_spec.lua.

local uv = require "luv"
local callers = require "spec.support.callers"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

local RES = "$iothub/methods/res/"

describe("an answer", function()
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

  -- The device's own answer still ends the call.
  local function ends(waiting, at, rid)
    assert.is_true(waiting:stays_quiet())
    at:answer(rid, 200, '"own"')
    assert.equal('{"status":200,"payload":"own"}', assert(http.read(waiting)).body)
    waiting:close()
  end

  it("27 to nothing is dropped, counted and acknowledged", function()
    for i = 1, 20 do
      device:send(mqtt.publish(RES .. "200/?$rid=" .. i, "1",
        { qos = 1, packet_id = i }))
      assert.equal("\x40\x02" .. string.pack(">I2", i), device.wire:read(4))
    end
    counts("response_unknown_rid", 20)
    assert.equal(200, pair:call({}).status)
    device:answer("1", 200, "1")
    counts("response_unknown_rid", 21)
    alive(device)
  end)

  it("28 to another device's call is dropped", function()
    local thief = pair:add("thief")
    local waiting, rid = pair:pending()
    for i = 0, 40 do thief:answer(("%x"):format(i), 200, '"stolen"') end
    counts("response_unknown_rid", 41)
    alive(thief)
    ends(waiting, device, rid)
    thief:close()
  end)

  it("28 to one's own call ends no other with the same $rid", function()
    local thief = pair:add("thief")
    local waiting, rid = pair:pending()
    local other, other_rid = pair:pending_at(thief, "thief")
    assert.equal(rid, other_rid)
    thief:answer(rid, 200, '"stolen"')
    thief:answer(rid, 200, '"stolen"')
    assert.equal('{"status":200,"payload":"stolen"}', assert(http.read(other)).body)
    counts("response_unknown_rid", 1)
    ends(waiting, device, rid)
    other:close()
    thief:close()
  end)

  it("28 of a module is not its device's", function()
    local module = pair:add("dev1/mod1")
    local waiting, rid = pair:pending()
    module:answer(rid, 200, '"stolen"')
    counts("response_unknown_rid", 1)
    ends(waiting, device, rid)
    module:close()
  end)

  it("29 of a connection that was taken over is dropped", function()
    local newer = fixture.device(hub, "dev1")
    local waiting = pair:send {}
    local _, rid = newer:request()
    assert.equal("1", rid)
    device:answer(rid, 200, '"old"')
    ends(waiting, newer, rid)
    assert.is_true(device.wire:wait_closed())
    newer:close()
  end)

  it("29 that is under way when the connection is taken over is dropped", function()
    local fields = fixture.connect_fields(hub, "dev1")
    local newer = wire.connect(hub:ports().mqtt)
    local waiting, rid = pair:pending()
    newer.socket:write(mqtt.connect(fields))
    device.wire.socket:write(mqtt.publish(RES .. "200/?$rid=" .. rid, '"old"'))
    local reply = assert(http.read(waiting))
    -- either packet may come first
    if reply.status == 200 then
      assert.equal('{"status":200,"payload":"old"}', reply.body)
    else
      assert.equal(400027, fixture.error_m(reply).errorCode)
    end
    assert.equal("\x20\x02\0\0", newer:read(4))
    assert.is_true(waiting:stays_quiet())
    waiting:close()
    newer:close()
  end)

  it("30 has a $rid that says nothing about other devices", function()
    for i = 1, 3 do
      local other = pair:add("dev" .. i + 1)
      for _ = 1, i do assert.equal(200, pair:call({}).status) end
      local waiting, rid = pair:pending_at(other, "dev" .. i + 1)
      assert.equal("1", rid)
      other:answer(rid, 200, "")
      assert.equal(200, assert(http.read(waiting)).status)
      waiting:close()
      other:close()
    end
  end)

  it("31 given many times in one segment counts once", function()
    local waiting, rid = pair:pending()
    local one = mqtt.publish(RES .. "200/?$rid=" .. rid, "1")
    device:send(one:rep(50))
    assert.equal('{"status":200,"payload":1}', assert(http.read(waiting)).body)
    counts("response_unknown_rid", 49)
    assert.equal(1, hub:counters().responses)
    alive(device)
    assert.is_true(waiting:stays_quiet())
    waiting:close()
  end)

  it("32 after the caller went away is dropped", function()
    for i, leave in ipairs { "close", "reset" } do
      local waiting, rid = pair:pending()
      waiting[leave](waiting)
      counts("http_gone", i)
      device:answer(rid, 200, callers.json_of(100000))
      counts("response_unknown_rid", i)
    end
    assert.equal(200, pair:call({}).status)
  end)

  it("32 is not waited for when the caller left a waiting call", function()
    local waiting = pair:send {
      device = "dev1", body = callers.body('"connectTimeoutInSeconds":300'),
    }
    local _, rid = device:request()
    device:send(mqtt.unsubscribe({ "$iothub/methods/POST/#" }, 1))
    assert.equal("\xb0\x02\0\1", device.wire:read(4))
    local second = pair:send { body = callers.body('"connectTimeoutInSeconds":300') }
    counts("calls", 2)
    second:reset()
    counts("http_gone", 1)
    device:subscribe()
    assert.is_true(device.wire:stays_quiet())
    ends(waiting, device, rid)
  end)

  -- The device answers before the time-out, together with it, or after it. Where the
  -- loop finds both at once, libuv decides which comes first.
  local RACES = {
    function(answer, time_out)
      answer()
      dm.loop.step(0)
      time_out()
    end,
    function(answer, time_out)
      answer()
      time_out()
    end,
    function(answer, time_out)
      time_out()
      dm.loop.step(0)
      answer()
    end,
  }

  it("33 that races the time-out ends the call once", function()
    local reply_wire = wire.connect(hub:ports().https)
    local won, rounds = 0, 42
    for round = 1, rounds do
      pair:send {
        wire = reply_wire, body = callers.body('"responseTimeoutInSeconds":5'),
      }
      local _, rid = device:request()
      core.move(4.5)
      RACES[round % #RACES + 1](function()
        device.wire.socket:write(mqtt.publish(RES .. "200/?$rid=" .. rid, "1"))
        uv.run("nowait")
      end, function() core.move(0.5) end)
      local reply = assert(http.read(reply_wire))
      if reply.status == 200 then
        won = won + 1
      else
        assert.equal(504101, fixture.error_m(reply).errorCode)
      end
    end
    assert.is_true(won > 0 and won < rounds, won)
    assert.is_true(reply_wire:stays_quiet())
    counts("response_unknown_rid", rounds - won)
    counts("responses", won)
    assert.equal(rounds - won, hub:counters().calls_timed_out)
    reply_wire:close()
    alive(device)
  end)

  it("34 with a topic of another form is dropped and counted", function()
    local waiting, rid = pair:pending()
    local rests = {
      "200/?%24rid=1", "200/?$RID=1", "200/?$rid=", "200/?$rid=1&$rid=2",
      "200/?$rid=1&$rid=1", "99999999999/?$rid=1", "200abc/?$rid=1", "0x1/?$rid=1",
      "/?$rid=1", "200?$rid=1", "200", "", "200/", "200//?$rid=1", "200/?", "200/x",
      "200/?$rid=&$rid=1", "\u{0661}/?$rid=1", "-/?$rid=1", "--1/?$rid=1",
      "1e2/?$rid=1", "2147483648/?$rid=1", "-2147483649/?$rid=1",
      ("9"):rep(1000) .. "/?$rid=1", ("/"):rep(1000),
    }
    for i, rest in ipairs(rests) do
      device:send(mqtt.publish(RES .. rest, "1"))
      counts("response_malformed", i)
    end
    ends(waiting, device, rid)
    assert.equal(0, hub:counters().response_unknown_rid)
  end)

  it("34 with a wildcard or a control byte in its topic closes", function()
    for i, rest in ipairs { "+1/?$rid=1", "200/?$rid=#", "200/?$rid=\0",
      "200/?$rid=\xff" } do
      local other = pair:add("dev" .. i + 1)
      other:send(mqtt.publish(RES .. rest, "1"))
      assert.is_true(other.wire:wait_closed(), rest)
      counts("mqtt_malformed", i)
      other:close()
    end
  end)

  -- What a caller gets when the device answers with such bytes: JSON, and no more
  -- than two members of the envelope.
  local function envelope(payload)
    local reply = pair:call { answer = payload }
    local document = assert(dm.json.decode(reply.body))
    local names = {}
    for name in pairs(document) do names[#names + 1] = name end
    table.sort(names)
    return reply, table.concat(names, " "), document
  end

  it("35 that is no JSON breaks no envelope", function()
    for i, payload in ipairs {
      '1,"status":200', '1}', '"}, "status":200, "x":"', '{}}{"status":200', "//",
      '{"a":1}\0', "\0", '"\xc3', '"\xed\xa0\x80"', '"\xf8\x88\x80\x80\x80"',
      '"\n"', "nul", "nulll", "[", "]", '"', "\\", "0x1", "01", "1.", "+1", "Infinity",
      ("["):rep(100000), ("["):rep(100000) .. ("]"):rep(100),
      ('{"a":'):rep(20000), ("["):rep(65) .. ("]"):rep(65),
    } do
      local reply, names = envelope(payload)
      callers.is_error(reply, 502001, "InvalidResponseWhileProxying",
        "The device's response is not valid JSON.", {})
      assert.equal("ExceptionMessage Message", names)
      counts("response_not_json", i)
    end
    alive(device)
  end)

  it("35 that is JSON in the shape of an envelope is a payload", function()
    local payload = '{"status":500,"payload":"}"}'
    local _, names, document = envelope(payload)
    assert.equal("payload status", names)
    assert.equal(200, document.status)
    assert.same({ status = 500, payload = "}" }, document.payload)
    _, names = envelope(("["):rep(63) .. ("]"):rep(63))
    assert.equal("payload status", names)
    _, names = envelope("")
    assert.equal("payload status", names)
  end)

  it("35 over the contract is 502001", function()
    callers.is_error(pair:call { answer = callers.json_of(131073) }, 502001,
      "InvalidResponseWhileProxying",
      "The device's response is larger than its api-version allows.", {})
    alive(device)
  end)
end)

describe("a call", function()
  local pair

  setup(function() pair = callers.pair() end)
  teardown(function() pair:finish() end)

  it("36 with a name that is none reaches no device", function()
    for _, name in ipairs {
      [[""]], [["/"]], [["#"]], [["+"]], [["?"]], [["%"]], [["\u0000"]], [["\n"]],
      [["a\u0000b"]], [["a\nb"]], [["a/../b"]], [["../x"]], [["a/b"]], [["a?$rid=1"]],
      [["a b"]], [["\u00e4"]], [["ä"]], [["\ud83d\ude00"]], [["a\u007f"]], [["$a"]],
      '"' .. ("a"):rep(4096) .. '"', '"' .. ("a"):rep(101) .. '"',
      "null", "7", "true", "{}", '["reboot"]',
    } do
      callers.is_argument_error(pair:refused {
        body = ('{"methodName":%s}'):format(name),
      })
    end
    assert.is_true(pair.device.wire:stays_quiet())
  end)

  it("36 with an unusual name keeps it", function()
    for _, name in ipairs { "a*b", "thermostat1*getMaxMinReport", "-_.~!'&^`|", ".",
      "..", ("a"):rep(100) } do
      local reply, _, method = pair:call { body = callers.body(nil, name) }
      assert.equal(200, reply.status, name)
      assert.equal(name, method)
    end
  end)

  for version, range in pairs {
    [fixture.OLD] = "[1; 3600]", [fixture.NEW] = "[5; 300]",
  } do
    it("37 with a time-out that is none is refused, api-version " .. version, function()
      for _, seconds in ipairs { "0", "-1", "3601", "1e308", '"3601"', "1.5", "1e400",
        "2147483648", "4294967301", "18446744073709551621", "true", "[30]", "30.0" } do
        callers.is_argument_error(
          pair:refused {
            body = callers.body('"responseTimeoutInSeconds":' .. seconds),
            version = version,
          },
          ("responseTimeoutInSeconds must be within %s."):format(range))
      end
      assert.is_true(pair.device.wire:stays_quiet())
    end)
  end
end)
