-- Which device is connected to which hub, in the PostgreSQL database that the hubs
-- share, on a real server. Their bus does as the spec says.

local cluster = require "spec.support.cluster"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local postgres = require "spec.support.postgres"

local WAIT = 60 -- seconds, at most

describe("the presence of devices in a database", function()
  local server, url
  local world, a, b
  local wires -- raw devices

  setup(function() server = postgres.server() end)
  teardown(function() server:close() end)

  before_each(function()
    wires = {}
    url = server:new_url()
    world = cluster.with_store({ "a", "b" }, { "dev1", "dev2" }, url)
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

  -- The epoch of dev1, and whether it is connected; nil: it has no row.
  local function row()
    local text = server:sql(url:match "///([^?]+)",
      "SELECT epoch, connected FROM presence WHERE device_id = 'dev1'")
    local epoch, connected = text:match "^(%d+)|(%d)"
    return tonumber(epoch), connected == "1"
  end

  local function until_true(fn)
    assert(dm.wait_until(function()
      world:flow()
      return fn()
    end, WAIT))
  end

  local function presence(hub)
    return (hub.state.plane:connected "dev1")
  end

  it("has a greater epoch for each connection", function()
    connect(a)
    local first, is_connected = row()
    assert.is_true(is_connected)
    connect(b)
    assert.is_true(row() > first)
    until_true(function() return a.state.plane:connections() == 0 end)
    assert.is_true(presence(a))
  end)

  it("says when the newest connection has ended", function()
    local older = connect(a)
    connect(b)
    world:flow()
    older:close()
    assert.is_true(select(2, row()))
    connect(b):close()
    until_true(function() return not select(2, row()) end)
    until_true(function() return not presence(a) end)
  end)

  it("repairs what lost messages have left", function()
    connect(a)
    while world.bus:drop() do end
    until_true(function() return presence(b) end)
  end)

  it("reads what is older than the knowledge of its identity", function()
    local cluster_of_b = b.state.cluster
    local follow = cluster_of_b.identities.follow
    cluster_of_b.identities.follow = function() end
    cluster_of_b.on_tick = function() b.state.presence.follower:wake() end -- no reload
    assert(a:add_device "late")
    wires[1] = fixture.device(a, "late")
    assert.equal(0, wires[1].code)
    server:sql(url:match "///([^?]+)", "SELECT setval('epochs', 100000)")
    connect(a)
    until_true(function() return presence(b) end)
    cluster_of_b.identities.follow = follow
    cluster_of_b.followers.i:wake()
    until_true(function() return (b.state.plane:connected "late") end)
  end)

  it("repairs within a minute what the lost message of an end has left", function()
    local device = connect(a)
    until_true(function() return presence(b) end)
    device:close()
    assert(dm.wait_until(function() return not select(2, row()) end, WAIT))
    while world.bus:drop() do end
    for _ = 1, 60 do b.state.cluster.on_tick() end
    assert(dm.wait_until(function() return not presence(b) end, WAIT))
  end)

  it("closes the older connection when the message of the newer one is lost", function()
    connect(a)
    connect(b)
    while world.bus:drop() do end
    assert(dm.wait_until(function()
      return a.state.plane:connections() == 0
    end, WAIT))
    assert.equal(1, b.state.plane:connections())
  end)

  it("is read when a hub begins", function()
    connect(a)
    local c = world:add("c", { store = url, cluster = { name = "lab" } })
    assert.is_true(presence(c))
  end)

  it("forgets a hub that has ended", function()
    connect(b)
    until_true(function() return presence(a) end)
    b:close()
    assert(b:closed(WAIT))
    until_true(function() return not presence(a) end)
    assert.is_false(select(2, row()))
  end)

  it("has stored sessions wherever the device comes back", function()
    connect(a, { clean = false }):close()
    until_true(function() return not presence(a) end)
    local device = connect(b, { clean = false, subscribe = false })
    assert.is_true(device.session_present)
    assert.is_true(select(2, b.state.plane:connected "dev1"))
    connect(a, { clean = true }):close()
    device = connect(b, { clean = false, subscribe = false })
    assert.is_false(device.session_present)
  end)

  it("refuses to keep subscriptions of a connection that is not the newest", function()
    local older = connect(a, { clean = false, subscribe = false })
    connect(b, { clean = false }) -- a does not hear of it
    older:send(require "spec.support.mqtt".subscribe(
      { { "$iothub/twin/res/#", 0 } }, 9))
    local _, why = older:read()
    assert.equal("closed", why)
    assert.equal('["$iothub/methods/POST/#"]\n', server:sql(url:match "///([^?]+)",
      "SELECT subscriptions FROM sessions"))
  end)

  it("disconnects a device of another hub that is disabled or deleted", function()
    local device = connect(b)
    local token = fixture.service_token(a, "registryReadWrite")
    local reply = fixture.call(a, { method = "DELETE", token = token, body = "",
      target = "/devices/dev1?api-version=2021-04-12",
      headers = { "If-Match: *" } })
    assert.equal(204, reply.status)
    until_true(function() return b.state.plane:connections() == 0 end)
    local _, why = device:read()
    assert.equal("closed", why)
    assert.is_nil((row()))
  end)

  it("brings desired properties to a device of another hub", function()
    local device = connect(b, { subscribe = false })
    device:subscribe(0, "$iothub/twin/PATCH/properties/desired/#")
    local token = fixture.service_token(a, "service")
    local reply = fixture.call(a, { method = "PATCH", token = token,
      target = "/twins/dev1?api-version=2021-04-12",
      body = '{"properties":{"desired":{"x":1}}}' })
    assert.equal(200, reply.status)
    local packet = assert(device:read(WAIT))
    assert.equal(1, dm.json.decode(packet.payload).x)
  end)

  it("does not let time move while a hub is in another process", function()
    dm.advance(1)
    assert(a.state.store.db:write {
      { "INSERT INTO hubs (id, beat) VALUES ('elsewhere', 1)" },
    })
    until_true(function() return a.state.cluster.members.others.elsewhere end)
    local moved, why = pcall(dm.advance, 1)
    assert.is_false(moved)
    assert.truthy(why:find("dm.advance: hub elsewhere of 'lab' is in another process",
      1, true))
    assert.is_false(pcall(dm.advance_until, function() return true end, 1))
  end)
end)
