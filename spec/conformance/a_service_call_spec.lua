-- Checklist A, the service's HTTP side: the body of a call under both contracts.
-- a_service_http_spec.lua has what stands around it.

local callers = require "spec.support.callers"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"

local body = callers.body

describe("the body of a call", function()
  local pair

  setup(function() pair = callers.pair() end)

  teardown(function() pair:finish() end)

  -- The bytes that the device is given for a payload.
  local function carried(payload)
    local reply, seen = pair:call { body = body('"payload":' .. payload) }
    assert.equal(200, reply.status)
    return seen
  end

  it("A09 carries an object's own bytes", function()
    local payload = '{"z":1,"a":{"b":[1,2.50,null]},"s":"x y"}'
    assert.equal(payload, carried(payload))
  end)

  it("A10 carries null as null", function()
    assert.equal("null", carried("null"))
  end)

  it("A11 carries no payload as no bytes", function()
    local reply, seen = pair:call { body = body() }
    assert.equal(200, reply.status)
    assert.equal("", seen)
  end)

  it("A12 carries every kind of value as its text", function()
    for _, payload in ipairs { '""', '"foo"', "10", "1.50", "[1,2]", "true", "false",
      "{}", "[]", "0" } do
      assert.equal(payload, carried(payload))
    end
  end)

  it("A13 carries what no decoder would keep", function()
    for _, payload in ipairs {
      "12345678901234567890123", "-0", "1e400", "1E+2", "0.10",
      '{"d":1,"d":2}', '{"payload":1,"methodName":"x"}',
      [["\ud83d\ude00\u0000\/\u002f"]], [["\ud800"]], '"\u{1F600}\u{7F}"',
      '{ "a" : [ 1 ,\t2 ] ,\r\n "b":null}',
    } do
      assert.equal(payload, carried(payload))
    end
    assert.equal('{ "a" : 1 }', carried(' \t\r\n{ "a" : 1 }\r\n '))
  end)

  it("A14 takes a payload of 131072 bytes", function()
    local payload = callers.json_of(131072)
    assert.is_true(carried(payload) == payload)
  end)

  it("A15 refuses a payload of 131073 bytes", function()
    callers.is_argument_error(
      pair:refused { body = body('"payload":' .. callers.json_of(131073)) },
      "'payload' size must not exceed 131072 bytes.")
  end)

  for _, seconds in ipairs { 5, 300 } do
    it(("A16 takes a responseTimeout of %d s"):format(seconds), function()
      pair:runs_out_after(seconds, {
        body = body('"responseTimeoutInSeconds":' .. seconds),
      })
    end)
  end

  it("A17 refuses a responseTimeout out of range", function()
    for _, value in ipairs { 4, 0, 301, 3600, -1 } do
      callers.is_argument_error(
        pair:refused { body = body('"responseTimeoutInSeconds":' .. value) },
        "responseTimeoutInSeconds must be within [5; 300].")
    end
  end)

  for _, more in ipairs { '"payload":1', '"responseTimeoutInSeconds":null' } do
    it("A18 waits 30 s for a response with " .. more, function()
      pair:runs_out_after(30, { body = body(more) })
    end)
  end

  it("A19 takes a connectTimeout of 0 and of null", function()
    for _, value in ipairs { "0", "null" } do
      local more = '"connectTimeoutInSeconds":' .. value
      assert.equal(200, pair:call({ body = body(more) }).status)
      assert(pair.hub:add_device("off" .. value))
      callers.is_error(pair:refused { device = "off" .. value, body = body(more) },
        404103, "DeviceNotOnline", nil, { timeout = "00:00:00" })
    end
  end)

  it("A19 takes a connectTimeout of 300 s", function()
    assert(pair.hub:add_device("offline"))
    local wire = pair:send {
      device = "offline",
      body = body('"connectTimeoutInSeconds":300'),
    }
    assert.is_true(wire:stays_quiet())
    dm.advance(290)
    assert.is_true(wire:stays_quiet())
    dm.advance(10)
    callers.is_error(http.read(wire), 404103, "DeviceNotOnline", nil,
      { timeout = "00:05:00" })
    wire:close()
  end)

  it("A19 refuses a connectTimeout out of range", function()
    for _, version in ipairs { fixture.OLD, fixture.NEW } do
      for _, value in ipairs { -1, 301 } do
        callers.is_argument_error(pair:refused {
          version = version,
          body = body('"connectTimeoutInSeconds":' .. value),
        }, "connectTimeoutInSeconds must be within [0; 300].")
      end
    end
  end)

  it("A20 ignores timeoutInSeconds", function()
    pair:runs_out_after(30, { body = body('"timeoutInSeconds":1') })
  end)

  it("A21 ignores members it does not know", function()
    local reply, seen = pair:call {
      body = body('"x":{"payload":2},"MethodName":"y","payload":1,"x":[]'),
    }
    assert.same({ 200, "1" }, { reply.status, seen })
  end)

  it("A22 refuses a call without a name", function()
    for _, text in ipairs { "{}", '{"methodName":""}', '{"methodName":null}',
      '{"payload":{"methodName":"x"}}' } do
      callers.is_argument_error(pair:refused { body = text },
        "methodName is null or empty.")
    end
  end)

  it("A23 takes a name of 100 characters and not of 101", function()
    local name = ("n"):rep(100)
    local reply, _, seen = pair:call { body = body(nil, name) }
    assert.same({ 200, name }, { reply.status, seen })
    callers.is_argument_error(pair:refused { body = body(nil, name .. "n") },
      "methodName cannot be longer than 100 characters.")
  end)

  it("A24 refuses a name with a character that the note excludes", function()
    local forbidden = [[$()<>@,;:/[]?={}#+% ]]
    local names = { [[a\\b]], [[a\"b]], [[a\tb]], [[a\u0000b]], [[a\nb]], "a\u{E9}b",
      [[a\u00e9b]], "a\u{7F}b" }
    for c in forbidden:gmatch(".") do names[#names + 1] = "a" .. c .. "b" end
    for _, name in ipairs(names) do
      callers.is_argument_error(pair:refused { body = body(nil, name) },
        "methodName contains a character that is not allowed.")
    end
  end)

  it("A25 takes a name of a component's command", function()
    for _, name in ipairs { "comp*cmd", "a-b_c.d~e!'&^`|" } do
      local reply, _, seen = pair:call { body = body(nil, name) }
      assert.same({ 200, name }, { reply.status, seen })
    end
  end)

  it("A26 refuses a body that is no JSON object", function()
    for _, text in ipairs { "", " ", "reboot", "[]", '[{"methodName":"x"}]', "null",
      "1", '"x"', '{"methodName":"re', '{"methodName":"reboot"', "{methodName:1}",
      '{"methodName":"x"}}' } do
      callers.is_argument_error(pair:refused { body = text })
    end
  end)

  it("A27 refuses time-outs that are no integers", function()
    local rules = {
      responseTimeoutInSeconds = "[5; 300].",
      connectTimeoutInSeconds = "[0; 300].",
    }
    for name, range in pairs(rules) do
      for _, value in ipairs { '"30.0"', '"x"', '""', "30.5", "30.0", "3e1", "1e9",
        "1e308", "true", "{}", "[30]", "1000000000", "9223372036854775838",
        "4294967326" } do
        local rule = name .. " must be within " .. range
        if value:find('^"') then rule = rule .. " Its text is no whole number." end
        callers.is_argument_error(
          pair:refused { body = body(('"%s":%s'):format(name, value)) }, rule)
      end
    end
  end)

  it("A27 takes time-outs that are texts of a number", function()
    pair:runs_out_after(7, { body = body('"responseTimeoutInSeconds":"7"') })
    pair:runs_out_after(7, { body = body([["responseTimeoutInSeconds":"\u0037"]]) })
  end)

  it("A27 refuses a name that is no string", function()
    for _, value in ipairs { "1", "true", "{}", '["reboot"]' } do
      local text = '{"methodName":' .. value .. "}"
      callers.is_argument_error(pair:refused { body = text },
        "methodName must be a string.")
    end
  end)
end)

describe("the contract of 2017", function()
  local pair

  setup(function() pair = callers.pair(nil, fixture.OLD) end)

  teardown(function() pair:finish() end)

  local function old(more)
    return { version = fixture.OLD, body = body(more) }
  end

  it("A33 takes a payload of 8192 bytes and not of 8193", function()
    local payload = callers.json_of(8192)
    local reply, seen = pair:call(old('"payload":' .. payload))
    assert.equal(200, reply.status)
    assert.is_true(seen == payload)
    callers.is_argument_error(
      pair:refused(old('"payload":' .. callers.json_of(8193))),
      "'payload' size must not exceed 8192 bytes.")
  end)

  it("A33 takes a response of 8192 bytes and not of 8193", function()
    local fits, over = old(), old()
    fits.answer, over.answer = callers.json_of(8192), callers.json_of(8193)
    local reply = pair:call(fits)
    assert.equal(200, reply.status)
    assert.is_true(reply.body == '{"status":200,"payload":' .. fits.answer .. "}")
    callers.is_error(pair:call(over), 502001, "InvalidResponseWhileProxying",
      "The device's response is larger than its api-version allows.", {})
  end)

  it("A33 judges each direction by its sender's version", function()
    local payload = callers.json_of(131072)
    local reply, seen = pair:call { body = body('"payload":' .. payload) }
    assert.equal(200, reply.status)
    assert.is_true(seen == payload)
    local newer = pair:add("dev2")
    local o = old()
    o.device, o.at, o.answer = "dev2", newer, payload
    reply = pair:call(o)
    assert.equal(200, reply.status)
    assert.is_true(reply.body == '{"status":200,"payload":' .. payload .. "}")
    newer:close()
  end)

  for _, seconds in ipairs { 1, 3600 } do
    it(("A34 takes a responseTimeout of %d s"):format(seconds), function()
      pair:runs_out_after(seconds, old('"responseTimeoutInSeconds":' .. seconds))
    end)
  end

  it("A34 waits 30 s without a responseTimeout", function()
    pair:runs_out_after(30, old())
  end)

  it("A34 refuses a responseTimeout out of range", function()
    for _, value in ipairs { 0, 3601, -1, '"0"' } do
      callers.is_argument_error(
        pair:refused(old('"responseTimeoutInSeconds":' .. value)),
        "responseTimeoutInSeconds must be within [1; 3600].")
    end
  end)
end)

describe("documented_charset", function()
  local pair

  setup(function() pair = callers.pair { documented_charset = true } end)

  teardown(function() pair:finish() end)

  it("A37 refuses names and texts outside the note's set", function()
    for c in ([[$()<>@,;:/[]?={} ]]):gmatch(".") do
      for _, payload in ipairs { '"a%sb"', '{"a%sb":1}', '{"a":["b",{"c":"%s"}]}' } do
        local text = body('"payload":' .. payload:format(c))
        callers.is_argument_error(pair:refused { body = text },
          "'payload' holds a character that is not allowed in property names and "
            .. "values.")
      end
    end
    for _, text in ipairs { [["\\"]], [["\""]], [["\u0024"]], [["\u00e9"]], '"\u{E9}"',
      '"\u{7F}"', [["\t"]] } do
      callers.is_argument_error(pair:refused { body = body('"payload":' .. text) })
    end
  end)

  it("A37 takes everything else", function()
    for _, payload in ipairs { '{ "a-b" : [ 1, -2.5e3, true, null ] }',
      [["c!#%&*+.^_`|~'"]], [["\u0041"]], '""', "[]" } do
      local reply, seen = pair:call { body = body('"payload":' .. payload) }
      assert.same({ 200, payload }, { reply.status, seen })
    end
  end)
end)
