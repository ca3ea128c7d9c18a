-- Attack 49: failed log-ins are limited by source address, and nobody locks out a
-- device by failing in its name from elsewhere.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local tokens = require "spec.support.tokens"

local ELSEWHERE = "127.0.0.2"

describe("49 failed log-ins", function()
  local hub

  local function start(opts)
    hub = fixture.hub(opts)
    hub:add_device("dev1")
  end

  after_each(function()
    fixture.finish(hub)
  end)

  local function wrong_token()
    return tokens.make { resource = "localhost/devices/dev1", bytes = "guessed" }
  end

  local function connack(o)
    return tokens.connack(hub, "dev1", fixture.device_token(hub, "dev1"), o)
  end

  local function guess_device(times, o)
    for _ = 1, times do
      assert.equal(5, tokens.connack(hub, "dev1", wrong_token(), o))
    end
  end

  local function guess_service(times, o)
    for _ = 1, times do
      local token = tokens.make { bytes = "guessed", skn = "service" }
      assert.equal(401, (tokens.call_status(hub, token, o)))
    end
  end

  local function call_status(o)
    return (tokens.call_status(hub, fixture.service_token(hub), o))
  end

  it("are not limited on loopback unless it is asked for", function()
    start {}
    guess_device(25)
    guess_service(25)
    assert.equal(0, connack())
    assert.equal(404, call_status())
    assert.equal(0, hub:counters().logins_refused)
  end)

  it("are limited to 20 beyond loopback", function()
    start { host = "0.0.0.0", insecure = true }
    guess_device(20)
    assert.equal(3, connack())
    assert.equal(1, hub:counters().sources_refused)
  end)

  it("have their address refused for a minute, over MQTT and HTTP", function()
    start { failed_logins = 3 }
    local began = dm.now()
    guess_device(2)
    guess_service(1)
    assert.equal(3, connack())
    local reply = assert(fixture.call(hub, { device = "dev1" }))
    assert.equal(429, reply.status)
    assert.equal("ThrottlingException", (fixture.error_e(reply)))
    assert.equal(429, http.exchange(hub:ports().https, {
      method = "GET", target = "/devices/dev1?api-version=2021-04-12",
      headers = { "Authorization: " .. fixture.service_token(hub, "registryRead") },
    }).status)
    assert.equal(3, hub:counters().logins_refused)
    assert.equal(1, hub:counters().connect_refused - 2)
    dm.advance(59)
    assert.is_true(connack() == 3 or dm.now() - began >= 60)
    dm.advance(1)
    assert.equal(0, connack())
    assert.equal(404, call_status())
    guess_device(2) -- counted anew
    assert.equal(0, connack())
  end)

  it("tell when to come again, if the hub says Retry-After", function()
    start { failed_logins = 1, retry_after = true }
    guess_service(1)
    local reply = assert(fixture.call(hub, { device = "dev1" }))
    assert.equal(429, reply.status)
    assert.equal("60", reply.headers["retry-after"])
  end)

  it("lock out no device, and no caller, that comes from elsewhere", function()
    start { failed_logins = 3 }
    guess_device(3)
    assert.equal(3, connack())
    assert.equal(0, connack { source = ELSEWHERE })
    assert.equal(404, call_status { source = ELSEWHERE })
  end)

  it("do not touch who is connected", function()
    start { failed_logins = 3 }
    local device = fixture.device(hub, "dev1")
    guess_device(3)
    local wire = fixture.send_call(hub, { device = "dev1", source = ELSEWHERE })
    local _, rid = device:request()
    device:answer(rid, 200, "{}")
    assert.equal(200, assert(http.read(wire)).status)
    wire:close()
    device:close()
  end)

  it("count within a minute", function()
    start { failed_logins = 3 }
    for _ = 1, 3 do
      guess_device(2)
      dm.advance(60)
    end
    assert.equal(0, connack())
    assert.equal(0, hub:counters().sources_refused)
  end)

  it("are what showed something: no token is none, nor a right that is missing",
    function()
      start { failed_logins = 1 }
      for _ = 1, 3 do
        assert.equal(401, fixture.call(hub, { device = "dev1", token = false }).status)
        assert.equal(401, fixture.call(hub, {
          device = "dev1", token = fixture.service_token(hub, "registryRead"),
        }).status)
      end
      assert.equal(404, call_status())
    end)

  it("are counted after a flood from more addresses than are kept", function()
    start { failed_logins = 2 }
    for i = 0, 1199 do
      guess_service(1, { source = ("127.1.%d.%d"):format(i // 250, i % 250 + 1) })
    end
    guess_service(2)
    assert.equal(429, call_status())
    assert.equal(404, call_status { source = ELSEWHERE })
  end)
end)
