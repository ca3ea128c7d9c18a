-- Which device is connected to which hub of the name, over a bus that does as the spec
-- says.

local cluster = require "spec.support.cluster"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"

describe("a device among several hubs", function()
  local world, a, b
  local wires -- raw devices

  before_each(function()
    wires = {}
    world = cluster.new({ "a", "b", "c" }, { "dev1", "dev2" })
    a, b = world.hubs.a, world.hubs.b
  end)

  after_each(function()
    for _, wire in ipairs(wires) do wire:close() end
    world:close()
  end)

  local function connect(hub, opts)
    local device = fixture.device(hub, "dev1", opts)
    wires[#wires + 1] = device
    assert.equal(0, device.code)
    return device
  end

  local function presence(hub, id)
    return hub.state.plane:connected(id or "dev1")
  end

  local function is_closed(device)
    local _, why = device:read()
    return why == "closed"
  end

  it("is connected at all of them", function()
    local device = connect(b)
    world:flow()
    local connected, subscribed, changed, active = presence(a)
    assert.is_true(connected)
    assert.is_true(subscribed)
    assert.equal(select(3, presence(b)), changed)
    assert.truthy(active)
    assert.equal(1, a.state.plane:connected_devices())
    device:close()
    world:wait(function() return not presence(a) end)
    assert.is_false(presence(b))
    assert.equal(0, a.state.plane:connected_devices())
    assert.equal(select(3, presence(b)), select(3, presence(a)))
  end)

  it("has its state in the registry and in queries of all", function()
    connect(b)
    world:flow()
    local service <close> = a:service()
    local found = assert(service:query(
      "SELECT deviceId FROM devices WHERE connectionState = 'Connected'"))
    assert.equal("dev1", found().deviceId)
    assert.is_nil(found())
    local token = fixture.service_token(a, "registryRead")
    local reply = fixture.call(a, { method = "GET", token = token, body = "",
      target = "/devices/dev1?api-version=2021-04-12" })
    assert.equal("Connected", dm.json.decode(reply.body).connectionState)
  end)

  it("is not subscribed everywhere, either", function()
    connect(b, { subscribe = false })
    world:flow()
    local connected, subscribed = presence(a)
    assert.is_true(connected)
    assert.is_false(subscribed)
    local _, err = world:call("a", "dev1", "work")()
    assert.equal(404103, err.code)
    local calls = a:calls()
    assert.equal("not subscribed", calls[#calls].reason)
  end)

  it("is taken over by its connection to another hub", function()
    local older = connect(a)
    local finish = world:call("a", "dev1", "work", "x")
    assert.equal("work", (older:request()))
    connect(b)
    local _, err = finish()
    assert.equal(400027, err.code)
    assert.is_true(is_closed(older))
    assert.equal(1, a:counters().taken_over)
    assert.is_true(presence(a))
    local history = a:device_history("dev1")
    assert.equal("taken_over", history[#history].event)
    assert.equal("a connection from hub b took its place", history[#history].text)
  end)

  it("ends calls of other hubs with 400027 when it is taken over", function()
    local older = connect(a)
    world:flow()
    local finish = world:call("c", "dev1", "work", "x")
    world:flow_to "call"
    assert.equal("work", (older:request()))
    connect(b)
    local _, err = finish()
    assert.equal(400027, err.code)
  end)

  it("keeps its newest connection, in whatever order the hubs hear of them", function()
    local first = connect(a)
    local second = connect(b) -- epoch 2
    world:lose "presence" -- b and c hear nothing of epoch 1
    world:lose "presence"
    world:flow()
    assert.is_true(is_closed(first))
    world:wait(function() return a.state.plane:connections() == 0 end)
    assert.equal(1, b.state.plane:connections())
    second:send("\xc0\0") -- PINGREQ
    assert.equal(13, second:read().type)
  end)

  it("does not come up where a newer connection is known", function()
    world.shared.epoch = 4
    local newer = connect(b) -- epoch 5
    world:flow()
    world.shared.epoch = 2
    local code, _, wire = require "spec.support.mqtt".open(a:ports().mqtt,
      fixture.connect_fields(a, "dev1"))
    assert.is_nil(code) -- epoch 3
    if wire then wire:close() end
    world:flow()
    newer:send("\xc0\0")
    assert.equal(13, newer:read().type)
  end)

  it("has the end of its connection in the store, with its epoch", function()
    local left = world.shared.left
    connect(a):close()
    world:wait(function() return left[1] end)
    assert.same({ { "a", "dev1", nil, 1 } }, left)
  end)

  it("finds its stored session at any hub", function()
    connect(a, { clean = false }):close()
    world:wait(function() return not presence(a) end)
    local device = connect(b, { clean = false, subscribe = false })
    assert.is_true(device.session_present)
    world:flow()
    local finish = world:call("c", "dev1", "work", "x")
    world:flow_to "call"
    local method, rid = device:request()
    assert.equal("work", method)
    device:answer(rid, 200, "1")
    assert.equal(200, assert(finish()).status)
  end)

  it("has no stored session where another hub has removed it", function()
    connect(a, { clean = false }):close()
    world:wait(function() return not presence(a) end)
    connect(b, { clean = true }):close()
    world:wait(function() return not presence(b) end)
    local device = connect(a, { clean = false, subscribe = false })
    assert.is_false(device.session_present)
    world:flow()
    assert.is_false(select(2, presence(a)))
  end)

  it("is forgotten with its hub", function()
    connect(b)
    world:flow()
    assert.is_true(presence(a))
    a.state.plane:drop_presence "c"
    assert.is_true(presence(a))
    a.state.plane:drop_presence "b"
    assert.is_false(presence(a))
    b.state.plane:tell_presence(0, 10) -- it was alive
    world:flow()
    assert.is_true(presence(a))
  end)

  it("is counted no more when it is removed from the registry", function()
    connect(b)
    world:flow()
    assert.equal(1, a.state.plane:connected_devices())
    assert(a.state.plane:remove_identity "dev1")
    assert.equal(0, a.state.plane:connected_devices())
  end)

  it("is what the store says, after messages were lost", function()
    connect(b)
    world:lose "presence"
    world:lose "presence"
    local plane = a.state.plane
    assert.is_false(presence(a))
    plane:put_presence("dev1", nil, "b", 1, 1700000000000)
    plane:put_presence("dev2", nil, "c", 2, 1700000000000)
    assert.is_true(presence(a))
    assert.is_true(presence(a, "dev2"))
    plane:begin_presence()
    plane:put_presence("dev1", nil, "b", 1, 1700000000000)
    plane:end_presence()
    assert.is_true(presence(a))
    assert.is_false(presence(a, "dev2"))
  end)

  it("is subscribed as the bus has said, since the store does not know", function()
    connect(b, { subscribe = false })
    world:flow()
    a.state.plane:put_presence("dev1", nil, "b", 1, 1700000000000)
    local connected, subscribed = presence(a)
    assert.is_true(connected)
    assert.is_false(subscribed)
  end)

  it("closes its older connection by what the store says", function()
    local device = connect(a)
    a.state.plane:put_presence("dev1", nil, "b", 7, 1700000000000)
    assert.is_true(is_closed(device))
  end)

  it("waits for it, and hears of it, once the bus is up again", function()
    local finish = world:call("a", "dev1", "work", "x", { connect_timeout = 100 })
    world:wait(function() return a:counters().calls_asked >= 2 end)
    world:flow()
    local device = connect(b)
    while world.bus:drop() do end -- also "up"
    world.bus:up(true)
    world:flow_to "call"
    local _, rid = device:request()
    device:answer(rid, 200, "1")
    assert.equal(200, assert(finish()).status)
    assert.equal(1, a.state.presence.ups)
  end)

  it("lists its connections with their epochs", function()
    connect(a)
    local list, place = a.state.plane:connections_after(0, 1)
    assert.same({ { "dev1", nil, 1 } }, list)
    list, place = a.state.plane:connections_after(place, 1)
    assert.same({}, list)
    assert.is_nil(place)
  end)

  -- Jobs -----------------------------------------------------------------------

  local function schedule(hub)
    local service = hub:service()
    wires[#wires + 1] = service
    return assert(service.jobs:schedule {
      method = "work", query = "deviceId = 'dev1'", max_execution = 300,
    })
  end

  local function answer_one(device)
    world:flow_to "call"
    local _, rid = device:request()
    device:answer(rid, 200, "1")
  end

  local function has_succeeded(job)
    local status
    repeat
      world:flow()
      status = assert(job:status())
    until status.over
    return status.succeeded == 1
  end

  it("is called by a job of another hub", function()
    local device = connect(b)
    world:flow()
    local job = schedule(a)
    answer_one(device)
    assert.is_true(has_succeeded(job))
  end)

  it("is called by a job of another hub when it comes", function()
    local job = schedule(a)
    repeat local status = assert(job:status()) until status.status == "running"
    answer_one(connect(b))
    assert.is_true(has_succeeded(job))
  end)
end)
