-- Hubs with the option `cluster`, on a real PostgreSQL and a real NATS server.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local metrics = require "directmethods.hub.metrics"
local nats = require "spec.support.nats"
local postgres = require "spec.support.postgres"

local LUA = os.getenv("LUA") or "lua5.4"

describe("several hubs", function()
  local database, server, store

  setup(function()
    database, server = postgres.server(), nats.server()
  end)
  teardown(function()
    database:close()
    server:close()
  end)
  before_each(function() store = database:new_url() end)

  local function options(more)
    local o = { store = store, cluster = { name = "lab", url = server:url() } }
    for name, value in pairs(more or {}) do o.cluster[name] = value end
    return o
  end

  it("call each other's devices, and count what is dropped", function()
    local a, b = fixture.hub(options()), fixture.hub(options())
    assert(a:add_device "dev1")
    local device = a:device("dev1", { ping = function() return 200, "here" end })
    assert(device:connect())
    local service = b:service()
    local result
    assert(dm.wait_until(function() -- b follows the registry of a
      result = service:invoke("dev1", "ping")
      return result
    end, 30))
    assert.equal("here", result.payload)
    local client = nats.client(server)
    client:publish("dm.lab.all", "nonsense")
    client:close()
    assert(dm.wait_until(function() return b:counters().bus_newer == 1 end))
    local text = metrics.text(b:metrics())
    assert.matches('\ndirectmethods_drops_total{reason="bus_newer"} 1\n', text, 1, true)
    assert.matches("\ndirectmethods_bus_connected 1\n", text, 1, true)
    b:close()
    fixture.finish(a, device, service)
    fixture.finish(b)
  end)

  it("say which of them they are, and which others live", function()
    local function start()
      local o = options()
      o.admin_port = 0
      return fixture.hub(o)
    end
    local function facts(hub)
      return select(2, admin.ask(hub, "GET", "/hub")).cluster
    end
    local a = start()
    local alone = facts(a)
    assert.equal("lab", alone.name)
    assert.same({}, alone.others)
    local b = start()
    local id = facts(b).id
    assert.not_equal(alone.id, id)
    local seen
    assert(dm.wait_until(function()
      seen = facts(a)
      return seen.others[1]
    end, 30))
    assert.same({ name = "lab", id = alone.id, others = { id } }, seen)
    b:close()
    assert(dm.wait_until(function() return not facts(a).others[1] end, 30))
    fixture.finish(a)
    fixture.finish(b)
  end)

  it("do not begin without their bus", function()
    local hub, err = dm.hub { tls = false, store = store,
      cluster = { name = "lab", url = "nats://127.0.0.1:1" } }
    assert.is_nil(hub)
    assert.equal("ConnectFailed", err.name)
    assert.matches("cluster: nats://127.0.0.1:1: ", err.message, 1, true)
  end)

  it("leave their bus when they are closed", function()
    local client = nats.client(server)
    client:subscribe("dm.lab.up.dev1")
    local hub = fixture.hub(options())
    assert(hub:add_device "dev1")
    local device = hub:device("dev1", { ping = function() return 200 end })
    assert(device:connect())
    assert.equal("up", (nats.read(assert(client:message()).bytes)))
    fixture.finish(hub, device)
    client:subscribe("answers")
    -- what is published before the hub's UNSUB reaches the server has no answer
    local message
    repeat
      client:publish("dm.lab.call.dev1", "", "answers")
      message = client:message()
    until message
    assert.is_true(message.nobody)
    client:close()
  end)
end)

describe("the demonstration of several hubs", function()
  it("shows calls across hubs, a hub that is killed, and no bus", function()
    local result = assert(dm.exec({ LUA, "examples/cluster/demo.lua" },
      { timeout = 120 }))
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    local text = result.stdout
    for _, line in ipairs {
      'ms  fan%.status %-> status 200  "fan is fine"',
      "ms  lamp%.status %-> DeviceNotOnline %(404103%)",
      'ms  lamp%.status %-> status 200  "lamp is fine"',
      "ms  fan%.slow %-> .* %(404104%)",
      'ms  fan%.status %-> status 200  "fan is fine"',
      'ms  fan%.status %-> status 200  "fan is fine"',
      "ms  lamp%.status %-> ServiceUnavailable",
    } do
      local _, to = text:find(line)
      assert(to, line .. " is not in " .. text)
      text = text:sub(to)
    end
  end)
end)
