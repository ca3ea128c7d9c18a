-- dm.speed: the clock that tests move runs fast by itself. Nothing here asserts how
-- long anything takes: only order, and what must not come before what.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"

local FAST = 1000000 -- 4 ms of the real clock are more than an hour
local HOUR = 3600

describe("dm.speed", function()
  after_each(function()
    dm.speed(1)
  end)

  it("tells how fast the clock runs, and changes it", function()
    assert.equal(1, dm.speed())
    assert.equal(600, dm.speed(600))
    assert.equal(600, dm.speed())
    assert.equal(1.5, dm.speed(1.5))
    assert.equal(1, dm.speed(1))
  end)

  it("refuses what is no speed, and changes nothing", function()
    dm.speed(2)
    for _, wrong in ipairs { 0, 0.99, -1, 0 / 0, math.huge, 1e6 + 1, "2", {}, true } do
      local ok, err = pcall(function() dm.speed(wrong) end)
      assert.is_false(ok)
      assert.matches("speed_spec.lua:%d+: dm.speed: n must be a number from 1", err)
    end
    assert.equal(2, dm.speed())
  end)

  it("lets hours of sleep end by themselves, in their order", function()
    local woken = {}
    local naps = {}
    for i, hours in ipairs { 3, 1, 2 } do
      naps[i] = dm.spawn(function()
        dm.sleep(hours * HOUR)
        woken[#woken + 1] = hours
      end)
    end
    local began, wall = dm.now(), dm.time()
    dm.speed(FAST)
    for _, nap in ipairs(naps) do nap:await() end
    assert.same({ 1, 2, 3 }, woken)
    assert.is_true(dm.now() - began >= 3 * HOUR)
    assert.is_true(dm.time() - wall >= 3 * HOUR)
  end)

  it("never lets time go back, whatever moves the clock", function()
    local now, wall = 0, 0
    local function look()
      assert.is_true(dm.now() >= now)
      assert.is_true(dm.time() >= wall)
      now, wall = dm.now(), dm.time()
    end
    for i = 1, 200 do
      dm.speed(i % 3 == 0 and FAST or i % 3)
      look()
      core.step(0)
      look()
      if i % 50 == 0 then dm.advance(HOUR) end
      look()
    end
  end)

  it("leaves what is not due when it is turned off", function()
    dm.speed(FAST)
    local nap = dm.spawn(dm.sleep, 1e9)
    dm.spawn(dm.sleep, HOUR):await()
    dm.speed(1)
    dm.advance(HOUR)
    assert.equal("waiting", nap.status)
    assert.is_true(dm.advance_until(function() return nap:ended() end, 1e9))
  end)

  it("goes together with dm.advance, which still happens in order", function()
    local woken = {}
    for i, seconds in ipairs { 3e7, 1e7, 2e7 } do
      dm.spawn(function()
        dm.sleep(seconds)
        woken[#woken + 1] = i
      end)
    end
    local began = dm.now()
    dm.speed(600)
    dm.advance(3e7)
    assert.same({ 2, 3, 1 }, woken)
    assert.is_true(dm.now() - began >= 3e7)
  end)

  it("has wait_until wait for what is real, if it is told no time", function()
    dm.speed(FAST)
    local child = dm.spawn(dm.exec, { "sh", "-c", "read word" }, { stdin = "a\n" })
    assert.is_true(dm.wait_until(function() return child:ended() end))
    assert.equal(0, child:await().status)
    local found, err = dm.wait_until(function() return nil end, HOUR)
    assert.is_nil(found)
    assert.equal("Timeout", err.name)
  end)
end)

describe("a hub and its clients under dm.speed", function()
  local hub

  before_each(function()
    hub = assert(dm.hub { tls = false })
  end)

  after_each(function()
    dm.speed(1)
    hub:close()
    assert(hub:closed(10))
  end)

  -- A token is renewed each second of real time.
  it("renew tokens and answer calls in between", function()
    local device = hub:device("dev1", { on = function() return 200 end },
      { token_ttl = HOUR, token_renew = HOUR // 2 })
    local service = hub:service()
    assert(device:connect())
    dm.speed(1800)
    for renewals = 1, 3 do
      assert(dm.wait_until(function()
        return device:stats().reconnects >= renewals and device.state == "online"
      end, 100 * HOUR))
      dm.speed(1) -- a call's time-outs would be milliseconds
      assert.equal(200, assert(service:invoke("dev1", "on",
        nil, { connect_timeout = 30 })).status)
      dm.speed(1800)
    end
  end)

  it("end a call that nobody answers, at once and by the contract", function()
    local device = hub:device("dev1", { deaf = function(r) r:defer() end })
    assert(device:connect())
    local wire = fixture.send_call(hub, { device = "dev1", version = fixture.OLD,
      body = '{"methodName":"deaf","responseTimeoutInSeconds":3600}' })
    assert(dm.wait_until(function() return device:stats().calls == 1 end))
    dm.speed(FAST)
    local reply = assert(http.read(wire))
    wire:close()
    assert.equal(504, reply.status)
    local call = hub:calls { device = "dev1" }[1]
    assert.is_true(call.elapsed >= HOUR)
  end)

  it("date answers by the clock that judges tokens", function()
    dm.advance(400 * 24 * HOUR)
    local before = math.floor(dm.time())
    local reply = assert(http.exchange(hub:ports().https, { method = "GET",
      target = "/devices/dev1?api-version=" .. fixture.NEW }))
    local dates = {}
    for second = before, math.floor(dm.time()) do
      dates[os.date("!%a, %d %b %Y %H:%M:%S GMT", second)] = true
    end
    assert.is_true(dates[reply.headers.date], reply.headers.date)
  end)
end)
