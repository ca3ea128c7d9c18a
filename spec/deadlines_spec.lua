--- hub:deadlines and GET /deadlines: what happens next on the hub's clock.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local wires = require "spec.support.wire"

describe("the deadlines of a hub", function()
  local hub, service

  -- The first of a kind; nil: there is none.
  local function find(kind)
    for _, each in ipairs(hub:deadlines(100)) do
      if each.kind == kind then return each end
    end
  end

  local function near(expected, seconds)
    assert.is_true(math.abs(seconds - expected) < 2, seconds)
  end

  local function start(o)
    hub = fixture.hub(o or { admin_port = 0 })
    service = hub:service()
    hub:add_device "d1"
  end

  before_each(function() start() end)

  after_each(function()
    fixture.finish(hub, service)
  end)

  it("tell of calls that will fail, the next first", function()
    local device = fixture.device(hub, "d1")
    local calls = {}
    for i, seconds in ipairs { 200, 100 } do
      calls[i] = dm.spawn(service.invoke, service, "d1", "m" .. i, nil,
        { response_timeout = seconds })
    end
    hub:add_device "d2"
    calls[3] = dm.spawn(service.invoke, service, "d2", "m3", nil,
      { connect_timeout = 50 })
    assert(device:request())
    assert(device:request())
    assert(wires.turn_until(function() return find "connect_timeout" end))
    local texts = {}
    for _, each in ipairs(hub:deadlines()) do texts[#texts + 1] = each.text end
    local all = table.concat(texts, "\n")
    local first = all:find("connect timeout of call of m3 to d2", 1, true)
    local second = all:find("response timeout of call of m2 to d1", 1, true)
    local third = all:find("response timeout of call of m1 to d1", 1, true)
    assert.is_true(first < second and second < third, all)
    local deadline = find "response_timeout"
    near(100, deadline.seconds)
    near(dm.time() + 100, deadline.time)
    assert.same({ "d1", "m2" }, { deadline.device_id, deadline.method })
    dm.advance(deadline.seconds + 1)
    for i = 2, 3 do assert.is_nil((calls[i]:await())) end
    assert.equal("m1", find "response_timeout".method)
    dm.advance(100)
    calls[1]:await()
    assert.is_nil(find "response_timeout")
    device:close()
  end)

  it("tell when a token expires and what a fault rule delays", function()
    hub:add_device "d1/m"
    local device = fixture.device(hub, "d1/m", {
      password = fixture.device_token(hub, "d1/m", math.floor(dm.time()) + 500) })
    local token = find "token_expires"
    assert.is_true(token.seconds >= 499, token.seconds)
    assert.equal("token of d1/m expires: its connection is closed", token.text)
    assert(hub:fault { stage = "http", action = "delay", delay = 70 })
    local call = dm.spawn(service.invoke, service, "nobody", "m")
    assert(wires.turn_until(function() return find "fault_delay" end))
    local delay = find "fault_delay"
    near(70, delay.seconds)
    assert.equal("call of m to nobody goes on: the delay by a fault rule ends",
      delay.text)
    dm.advance(71)
    call:await()
    dm.advance(token.seconds)
    assert.is_true(device.wire:wait_closed())
    assert.is_nil(find "token_expires")
    device:close()
  end)

  it("tell of jobs", function()
    assert(service.jobs:schedule { id = "later", method = "m", query = "*",
      delay = 300, max_execution = 500 })
    local starts = find "job_starts"
    assert.same({ "later", "job later starts" }, { starts.job_id, starts.text })
    near(300, starts.seconds)
    dm.advance(301)
    assert(wires.turn_until(function() return find "job_ends" end))
    assert.equal("later", find "job_ends".job_id)
    near(499, find "job_ends".seconds)
  end)

  it("tell of rates and the quota", function()
    fixture.finish(hub, service)
    start { admin_port = 0, tier = "F1" }
    local quota = find "quota"
    assert.equal(0, quota.time % 86400)
    local calls = {}
    for i = 1, 50 do calls[i] = dm.spawn(service.invoke, service, "d1", "m") end
    assert(wires.turn_until(function() return find "throttle" end))
    assert.equal("throttle: call of m to d1 is sent: its turn at the tier's rate comes",
      find "throttle".text)
    dm.advance(2)
    for i = 1, 50 do calls[i]:await() end
  end)

  it("tell of the next timer of all, whosever it is", function()
    local sleeper = dm.spawn(dm.sleep, 3)
    assert(wires.turn_until(function() return find "timer" end))
    near(3, find "timer".seconds)
    dm.advance(3)
    sleeper:await()
  end)

  it("are at most as many as are asked for", function()
    local calls = {}
    for i = 1, 30 do
      calls[i] = dm.spawn(service.invoke, service, "d1", "m", nil,
        { connect_timeout = 9 })
    end
    assert(wires.turn_until(function() return #hub:deadlines(100) >= 30 end))
    assert.same({ 20, 7 }, { #hub:deadlines(), #hub:deadlines(7) })
    for _, wrong in ipairs { 0, 101, 1.5, "1" } do
      assert.error_matches(function() hub:deadlines(wrong) end,
        "^hub:deadlines: most must be")
    end
    local status, list = admin.ask(hub, "GET", "/deadlines")
    assert.same({ 200, 20, "connect_timeout" }, { status, #list, list[1].kind })
    dm.advance(10)
    for i = 1, 30 do calls[i]:await() end
    assert.same({}, select(2, admin.ask(hub, "GET", "/deadlines")))
  end)
end)
