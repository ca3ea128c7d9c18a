-- Calls of devices that another hub of the name has, over a bus that does as the spec
-- says.

local cluster = require "spec.support.cluster"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"

describe("a call of a device at another hub", function()
  local world
  local ran -- times that the handler ran
  local go -- slow handlers may return

  local function begin(opts)
    ran, go = 0, false
    world = cluster.new({ "a", "b", "c" }, { "dev1", "dev2" }, opts)
  end

  local function handler(request)
    ran = ran + 1
    return 200, { got = request.payload }
  end

  local function connect(id, handlers)
    return world:device(id or "b", "dev1", handlers or { work = handler })
  end

  -- A device whose handler waits until `go`.
  local function connect_slow(id)
    connect(id, {
      work = function()
        ran = ran + 1
        dm.wait_until(function() return go end)
        return 200, "late"
      end,
    })
  end

  local function last(id)
    local calls = world:calls(id)
    return calls[#calls]
  end

  before_each(function() begin() end)
  after_each(function()
    go = true
    world:close()
  end)

  it("is answered", function()
    connect()
    local result = assert(world:call("a", "dev1", "work", { n = 1 })())
    assert.equal(200, result.status)
    assert.same({ got = { n = 1 } }, result.payload)
    assert.equal(1, ran)
  end)

  it("has one name in the traces of both hubs", function()
    connect()
    assert(world:call("a", "dev1", "work", "x")())
    local asked, lent = last "a", last "b"
    assert.truthy(asked.cluster_call:find "^a%-%d+$")
    assert.equal(asked.cluster_call, lent.cluster_call)
    assert.equal("b", asked.called_by)
    assert.equal("a", lent.asked_by)
    assert.equal("Answered", asked.outcome)
    assert.equal("Answered", lent.outcome)
    assert.equal('"x"', lent.payload)
    assert.truthy(asked.stages.published)
  end)

  it("is answered 404103 where nobody has the device", function()
    local result, err = world:call("a", "dev1", "work")()
    assert.is_nil(result)
    assert.equal(404103, err.code)
    assert.equal("not connected", last("a").reason)
    assert.equal(1, world.hubs.a:counters().calls_asked)
  end)

  it("is sent here where the device is here", function()
    connect "a"
    assert(world:call("a", "dev1", "work")())
    assert.equal(0, world.hubs.a:counters().calls_asked)
    assert.is_nil(last("a").cluster_call)
  end)

  it("waits for the device with a connect time-out", function()
    local finish = world:call("a", "dev1", "work", "x", { connect_timeout = 100 })
    world:wait(function() return world.hubs.a:counters().calls_asked >= 2 end)
    connect()
    assert.equal(200, assert(finish()).status)
    assert.equal(1, ran)
  end)

  it("waits, and is asked for again in case that a message was lost", function()
    local finish = world:call("a", "dev1", "work", "x", { connect_timeout = 100 })
    world:wait(function() return world.hubs.a:counters().calls_asked >= 2 end)
    world:flow()
    local device = world.hubs.b:device("dev1", { work = handler })
    world.clients[#world.clients + 1] = device
    assert(device:connect())
    local lost
    repeat lost = world.bus:drop() until lost == "up"
    assert.equal(200, assert(finish()).status)
    assert.equal(1, ran)
  end)

  it("is answered 404103 when its connect time-out ends", function()
    local finish = world:call("a", "dev1", "work", "x", { connect_timeout = 100 })
    world:wait(function() return world.hubs.a:counters().calls_asked >= 2 end)
    world:flow()
    dm.advance(100)
    local _, err = finish()
    assert.equal(404103, err.code)
  end)

  it("goes on to wait while no hub can be reached", function()
    local finish = world:call("a", "dev1", "work", "x", { connect_timeout = 100 })
    world:wait(function() return world.hubs.a:counters().calls_asked >= 2 end)
    world:flow()
    world.bus:up(false)
    connect() -- "a" hears of it, and cannot ask
    world.bus:up(true)
    assert.equal(200, assert(finish()).status)
    assert.equal(1, ran)
  end)

  it("waits, and is sent here when the device comes here", function()
    local finish = world:call("a", "dev1", "work", "x", { connect_timeout = 100 })
    world:wait(function() return world.hubs.a:counters().calls_asked >= 2 end)
    connect "a"
    assert.equal(200, assert(finish()).status)
    assert.equal(1, ran)
    assert.is_nil(last("a").cluster_call)
  end)

  it("is asked for once more where the device leaves meanwhile", function()
    local device = connect()
    local finish = world:call("a", "dev1", "work", "x")
    assert(dm.wait_until(function()
      return world.hubs.a:counters().calls_asked == 1
    end))
    device:close() -- the call is on its way to b
    assert(dm.wait_until(function()
      return world.hubs.b.state.plane:connections() == 0
    end))
    local _, err = finish()
    assert.equal(404103, err.code)
    assert.equal(0, ran)
  end)

  it("is never asked for again once it was taken", function()
    connect_slow()
    local finish = world:call("a", "dev1", "work", "x")
    world:wait(function() return ran == 1 end)
    world.bus:die "b"
    local _, err = finish()
    assert.equal(404104, err.code)
    assert.equal(1, world.hubs.a:counters().calls_asked)
    assert.equal(1, world.hubs.a:counters().calls_lost)
  end)

  it("is a time-out where nothing is heard of it", function()
    connect()
    local finish = world:call("a", "dev1", "work", "x", { response_timeout = 5 })
    world:lose "call"
    dm.advance(5)
    local _, err = finish()
    assert.equal(504101, err.code)
    assert.equal(0, ran)
  end)

  it("times out at both hubs", function()
    connect_slow()
    local finish = world:call("a", "dev1", "work", "x", { response_timeout = 5 })
    world:wait(function() return ran == 1 end)
    world:flow()
    dm.advance(5)
    local _, err = finish()
    assert.equal(504101, err.code)
    world:wait(function() return last "b" end)
    assert.equal("GatewayTimeout", last("b").outcome)
  end)

  it("is cancelled at the holder when its caller leaves", function()
    connect_slow()
    world:call("a", "dev1", "work", "x")
    world:wait(function() return ran == 1 end)
    world:flow()
    world.clients[#world.clients]:close() -- the service
    world:wait(function() return last "b" end)
    assert.equal("CallerGone", last("b").outcome)
    assert.equal("CallerGone", last("a").outcome)
  end)

  it("is answered 503 at once while the bus is down", function()
    connect()
    world.bus:up(false)
    local _, err = world:call("a", "dev1", "work", "x", { connect_timeout = 100 })()
    assert.equal(503001, err.code)
    world.bus:up(true)
    assert(world:call("a", "dev1", "work", "x")())
  end)

  it("has 404104 when the device leaves while it runs", function()
    connect_slow()
    local finish = world:call("a", "dev1", "work", "x")
    world:wait(function() return ran == 1 end)
    world.hubs.b:disconnect "dev1"
    local _, err = finish()
    assert.equal(404104, err.code)
  end)

  it("is refused by a rule of the holder as of this hub", function()
    connect()
    world.hubs.b:fault {
      stage = "request", action = "reject", status = 418, body = "no coffee",
    }
    local _, err = world:call("a", "dev1", "work", "x")()
    assert.equal(418, err.http_status)
    assert.equal(418, last("a").http_status)
    assert.equal(last("b").outcome, last("a").outcome)
    assert.same({ "request:reject" }, last("b").faults)
  end)

  it("is charged to the quota of the caller's hub alone", function()
    world:close()
    begin { a = { tier = "S1" }, b = { tier = "S1" } }
    connect()
    local before = world.hubs.b:counters().messages_charged
    assert(world:call("a", "dev1", "work", "x")())
    assert.equal(before, world.hubs.b:counters().messages_charged)
    assert.equal(2, world.hubs.a:counters().messages_charged)
  end)

  it("counts calls of a device at the holder", function()
    world:close()
    begin { b = { limits = { calls_per_device = 1 } } }
    connect_slow()
    local first = world:call("a", "dev1", "work", "x")
    world:wait(function() return ran == 1 end)
    local _, err = world:call("c", "dev1", "work", "x")()
    assert.equal(403800, err.code)
    go = true
    assert(first())
  end)

  it("reaches a module", function()
    for _, id in ipairs { "a", "b" } do
      assert(world.hubs[id]:add_device("dev1/mod1", {
        primary_key = "a2V5IG9mIHRoZSBkZXZpY2VzIG9mIHNwZWNz",
      }))
    end
    world:device("b", "dev1/mod1", { work = handler })
    local to_module = { module_id = "mod1" }
    local result = assert(world:call("a", "dev1", "work", "x", to_module)())
    assert.equal(200, result.status)
    local _, err = world:call("a", "dev1", "work", "x")()
    assert.equal(404103, err.code)
  end)

  -- Without a request, as the call of a job: it ends with the hub.
  it("leaves nothing when its hub closes while it waits for the device", function()
    local closing = world:add "closing"
    assert(closing.state.plane:invoke("dev1", nil, "work", nil, 30, 100, false, ""))
    closing:close()
    assert.equal("call", world.bus:deliver())
    assert.equal("call", world.bus:deliver()) -- it waits, and is asked for each second
    fixture.finish(closing)
    world.hubs.closing = nil
    connect() -- timers of the loop run
    assert(world:call("a", "dev1", "work")())
  end)

  it("ends when its identity is deleted here", function()
    connect_slow()
    local finish = world:call("a", "dev1", "work", "x")
    world:wait(function() return ran == 1 end)
    world:flow()
    assert(world.hubs.a.state.plane:remove_identity "dev1")
    local _, err = finish()
    assert.equal(404104, err.code)
  end)
end)
