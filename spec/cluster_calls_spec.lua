-- Three hubs of one name in this process: a real NATS server carries their calls, and
-- they share a PostgreSQL database.

local cluster_core = require "directmethods.cluster_core"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local nats = require "spec.support.nats"
local postgres = require "spec.support.postgres"
local presences = require "directmethods.hub.cluster.presence"
local task = require "directmethods.task"

local WAIT = 60 -- seconds, at most

describe("hubs of one name", function()
  local database, server, url
  local hubs, services, buses = {}, {}, {}
  local devices -- of a test

  local function join(hub)
    local id = hub.state.cluster.id
    local bus, event = assert(cluster_core.bus(core.loop,
      { urls = server:url(), cluster = "lab", hub = id }))
    assert.equal("open", (task.wait(event)))
    local functions, context = bus:join(hub.state.plane:bus_events())
    hub.state.plane:join(functions, context, id)
    assert(presences.begin(hub.state))
    buses[#buses + 1] = bus
  end

  local function start(id)
    hubs[id] = fixture.hub { store = url, cluster = { name = "lab" } }
    join(hubs[id])
    services[id] = hubs[id]:service "iothubowner"
  end

  local function until_true(fn)
    assert(dm.wait_until(fn, WAIT))
  end

  setup(function()
    database, server = postgres.server(), nats.server()
    url = database:new_url()
    for _, id in ipairs { "a", "b", "c" } do start(id) end
  end)

  teardown(function()
    for _, service in pairs(services) do service:close() end
    for _, hub in pairs(hubs) do hub:close() end
    for _, hub in pairs(hubs) do assert(hub:closed(WAIT)) end
    for _, bus in ipairs(buses) do bus:close() end
    server:close()
    database:close()
  end)

  before_each(function() devices = {} end)

  after_each(function()
    for _, device in ipairs(devices) do device:close() end
  end)

  -- All hubs know the identity of this name.
  local function register(name)
    local device_id, module_id = name:match "^([^/]+)/?(.*)$"
    assert(hubs.a:add_device(name))
    for _, id in ipairs { "b", "c" } do
      until_true(function()
        return hubs[id].state.plane:identity(device_id,
          module_id ~= "" and module_id or nil)
      end)
    end
  end

  local function connect(id, name, handlers)
    local device = hubs[id]:device(name, handlers
      or { work = function(request) return 200, { got = request.payload } end })
    devices[#devices + 1] = device
    assert(device:connect())
    return device
  end

  local function reaches(id, name)
    until_true(function()
      local _, subscribed = hubs[id].state.plane:connected(name)
      return subscribed
    end)
  end

  it("call a device of another hub, from any of them", function()
    register "dev1"
    connect("b", "dev1")
    for _, id in ipairs { "a", "b", "c" } do
      reaches(id, "dev1")
      local result = assert(services[id]:invoke("dev1", "work", { n = 1 }))
      assert.same({ got = { n = 1 } }, result.payload)
    end
    local asked, lent = hubs.a:calls(), hubs.b:calls()
    assert.equal(asked[#asked].cluster_call, lent[1].cluster_call)
    assert.equal(hubs.b.state.cluster.id, asked[#asked].called_by)
    assert.equal(hubs.a.state.cluster.id, lent[1].asked_by)
  end)

  it("answer 404103 where none has the device", function()
    register "dev2"
    local _, err = services.a:invoke("dev2", "work")
    assert.equal(404103, err.code)
  end)

  it("wait for a device that comes to another one", function()
    register "dev3"
    local result
    dm.spawn(function()
      result = services.a:invoke("dev3", "work", "x", { connect_timeout = 100 })
    end)
    until_true(function() return hubs.a:counters().calls_under_way == 1 end)
    connect("c", "dev3")
    until_true(function() return result end)
    assert.equal(200, result.status)
  end)

  it("call modules of another one", function()
    register "dev4"
    register "dev4/mod1"
    connect("b", "dev4/mod1")
    until_true(function()
      return services.a:invoke("dev4", "work", "x", { module_id = "mod1" })
    end)
  end)

  it("have one connection of a device, the newest", function()
    register "dev5"
    local err
    local device = connect("a", "dev5", { wait = function()
      dm.wait_until(function() return err end, WAIT)
      return 200
    end })
    dm.spawn(function() err = select(2, services.a:invoke("dev5", "wait")) end)
    until_true(function() return hubs.a:counters().calls_under_way == 1 end)
    local newer = fixture.device(hubs.b, "dev5")
    until_true(function() return err end)
    assert.equal(400027, err.code)
    device:close()
    newer:close()
  end)

  it("know which devices are connected to another one", function()
    register "dev6"
    connect("b", "dev6")
    reaches("a", "dev6")
    local query = services.a:query("SELECT connectionState FROM devices "
      .. "WHERE deviceId = 'dev6'")
    assert.equal("Connected", query().connectionState)
    devices[1]:close()
    until_true(function() return not hubs.a.state.plane:connected "dev6" end)
  end)

  it("call devices of another one for jobs", function()
    register "dev7"
    local job = assert(services.a.jobs:schedule {
      method = "work", query = "deviceId = 'dev7'", max_execution = 300,
    })
    connect("c", "dev7")
    local status
    repeat status = assert(job:status()) until status.over
    assert.equal(1, status.succeeded)
  end)

  it("end calls with 404104 when the hub that made them ends", function()
    register "dev8"
    local err
    connect("c", "dev8", { wait = function()
      dm.wait_until(function() return err end, WAIT)
      return 200
    end })
    reaches("a", "dev8")
    dm.spawn(function() err = select(2, services.a:invoke("dev8", "wait")) end)
    until_true(function() return hubs.c:counters().calls_under_way == 1 end)
    services.c:close()
    hubs.c:close()
    until_true(function() return err end)
    assert.equal(404104, err.code)
    assert(hubs.c:closed(WAIT))
    until_true(function() return not hubs.a.state.plane:connected "dev8" end)
    start "c"
  end)

  it("answer 503 without the bus, and call again when it is back", function()
    register "dev9"
    connect("b", "dev9")
    reaches("a", "dev9")
    server:stop()
    local err
    until_true(function()
      err = select(2, services.a:invoke("dev9", "work", "x", { response_timeout = 5 }))
      return err and err.code == 503001
    end)
    assert(services.b:invoke("dev9", "work", "x")) -- here it is
    server:start()
    until_true(function() return services.a:invoke("dev9", "work", "x") end)
  end)
end)
