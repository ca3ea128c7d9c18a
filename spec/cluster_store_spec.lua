--- Hubs that share one PostgreSQL database: on a real server, two hubs in this process.

local checks = require "spec.support.checks"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local postgres = require "spec.support.postgres"

local WAIT = 60 -- seconds, at most

local has = checks.has

describe("hubs with one database", function()
  local server, url
  local hubs = {}

  setup(function() server = postgres.server() end)
  teardown(function() server:close() end)

  before_each(function() url = server:new_url() end)

  after_each(function()
    for _, hub in ipairs(hubs) do hub:close() end
    for _, hub in ipairs(hubs) do assert(hub:closed(WAIT)) end
    hubs = {}
  end)

  local function start(opts)
    opts = opts or {}
    opts.store = opts.store or url
    if opts.cluster == nil then opts.cluster = { name = "lab" } end
    local hub, err = dm.hub(opts)
    if hub then hubs[#hubs + 1] = hub end
    return hub, err
  end

  local function plain(opts)
    opts = opts or {}
    opts.tls = false
    return assert(start(opts))
  end

  local function until_true(fn, what)
    assert(dm.wait_until(fn, WAIT), what)
  end

  local function service_of(hub) return assert(hub:service("iothubowner")) end

  local function database() return url:match("///([^?]+)") end

  -- Another hub follows what this one has changed.
  local function knows(hub, device_id)
    until_true(function() return hub.state.plane:identity(device_id) ~= nil end,
      device_id)
  end

  describe("at their start", function()
    it("have the same policies' keys and authority", function()
      local a, b = assert(start()), assert(start { hostname = "other.example" })
      for _, name in ipairs { "iothubowner", "service", "device" } do
        assert.equal(core.connstr(a:connection_string(name)).key,
          core.connstr(b:connection_string(name)).key)
      end
      assert.equal(a.state.ca, b.state.ca)
      local kept = a.state.ca
      a:close()
      b:close()
      assert(a:closed(WAIT) and b:closed(WAIT))
      assert.equal(kept, assert(start { hostname = "third.example" }).state.ca)
    end)

    it("find what one hub alone has kept in the database before", function()
      local alone = assert(dm.hub { store = url })
      assert(alone:add_device("dev1"))
      local key = core.connstr(alone:connection_string("service")).key
      local device_key = core.connstr(alone:connection_string("dev1")).key
      alone:close()
      assert(alone:closed(WAIT))
      local again = assert(dm.hub { store = url })
      assert.equal(alone.state.ca, again.state.ca)
      assert.equal(key, core.connstr(again:connection_string("service")).key)
      assert.equal(device_key, core.connstr(again:connection_string("dev1")).key)
      again:close()
      assert(again:closed(WAIT))
      assert.equal(device_key,
        core.connstr(plain():connection_string("dev1")).key)
    end)

    it("are refused by the database of another cluster, or of one hub alone", function()
      dm.log { level = "off" }
      local a = plain()
      local _, err = start { tls = false, cluster = { name = "other" } }
      assert.equal("StorageFailed", err.name)
      has(err.message, "it belongs to the cluster 'lab', not 'other'")
      _, err = dm.hub { tls = false, store = url }
      has(err.message, "another hub uses the database")
      a:close()
      assert(a:closed(WAIT))
      _, err = dm.hub { tls = false, store = url }
      has(err.message, "it belongs to the cluster 'lab': set the option cluster.name")
      plain()
      server:sql(database(), "UPDATE directmethods_store SET version = 99")
      _, err = start { tls = false }
      has(err.message, "of a newer version of this program")
      dm.log { level = "warn" }
    end)

    it("warn that they do not reach each other without a bus", function()
      local lines = {}
      dm.log { level = "warn", sink = function(_, line) lines[#lines + 1] = line end }
      finally(function() dm.log { level = "warn" } end)
      plain()
      assert.equal(1, #lines)
      assert.matches("cluster.url is not set: calls do not reach", lines[1], 1, true)
    end)

    it("need a database", function()
      assert.error_matches(function()
        dm.hub { tls = false, cluster = { name = "lab" } }
      end, "option 'store' must be a URL postgres://")
      assert.error_matches(function()
        dm.hub { tls = false, store = url, cluster = { name = "a b" } }
      end, "cluster.name")
    end)
  end)

  it("have no device behind, or with, what a database cannot keep", function()
    local hub = plain()
    assert(hub:add_device "dev1")
    for _, text in ipairs { "\0", "\xff" } do
      assert.same({}, hub:devices { after = text })
      assert.same({}, hub:devices { contains = text })
    end
  end)

  it("follow the policies' keys that one of them changes", function()
    local a, b = plain(), plain()
    local key = core.base64_encode(("k"):rep(32))
    assert(a:change { policies = { service = key } })
    until_true(function()
      return core.connstr(b:connection_string("service")).key == key
    end, "the key")
    local c = plain { policies = { registryRead = key } }
    assert.equal(key, core.connstr(c:connection_string("service")).key)
    until_true(function()
      return core.connstr(a:connection_string("registryRead")).key == key
    end, "the key of the option")
  end)

  describe("let devices in that another hub", function()
    it("has registered, and disconnect those that it disables or removes", function()
      local a, b = plain(), plain()
      local ids = {}
      for i = 1, 700 do ids[i] = ("bulk%03d"):format(i) end
      assert(a:add_device("dev1"))
      assert(a:add_device("dev1/mod1"))
      assert(require("directmethods.hub.devices").create_all(a, ids))
      knows(b, "bulk700")
      assert.truthy(b.state.plane:identity("bulk001"))
      assert.truthy(b.state.plane:identity("dev1", "mod1"))
      local device = fixture.device(b, "dev1")
      assert.equal(0, device.code)
      local registry = service_of(a).registry
      assert(registry:update("dev1", { status = "disabled" }))
      local _, why = device:read()
      assert.equal("closed", why)
      device:close()
      assert(registry:update("dev1", { status = "enabled" }))
      until_true(function()
        device = fixture.device(b, "dev1", { subscribe = false })
        if device.code ~= 0 then device:close() end
        return device.code == 0
      end, "enabled")
      assert(registry:delete("dev1"))
      _, why = device:read()
      assert.equal("closed", why)
      device:close()
      assert.is_nil(b.state.plane:identity("dev1", "mod1"))
    end)

    it("has changed while this one was not told", function()
      local a, b = plain(), plain()
      server:sql(database(),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        .. "WHERE datname = current_database() AND pid <> pg_backend_pid()")
      until_true(function() return a:add_device("dev1") end, "added")
      knows(b, "dev1")
    end)
  end)

  it("keep conditions: of two changes with one etag, one is made", function()
    local a, b = plain(), plain()
    assert(a:add_device("dev1"))
    for round = 1, 10 do
      local services = { service_of(a), service_of(b) }
      local twin = assert(services[1].twins:get("dev1"))
      local tasks, done = {}, 0
      for i, service in ipairs(services) do
        tasks[i] = dm.spawn(function()
          return service.twins:patch("dev1", { tags = { round = round, by = i } },
            { etag = twin.etag })
        end)
      end
      for _, each in ipairs(tasks) do
        local changed, err = each:await()
        if changed then done = done + 1
        else assert.equal("PreconditionFailed", err.name) end
      end
      assert.equal(1, done)
    end
  end)

  it("tell a device of desired properties that another hub has changed, in order",
    function()
      local a, b = plain(), plain()
      assert(a:add_device("dev1"))
      knows(b, "dev1")
      local device = fixture.device(b, "dev1", { subscribe = false })
      device:subscribe(0, "$iothub/twin/PATCH/properties/desired/#")
      local large = ("\u{20ac}x"):rep(900)
      local services, tasks = { service_of(a), service_of(b) }, {}
      for i = 1, 20 do
        tasks[i] = dm.spawn(function()
          return assert(services[i % 2 + 1].twins:patch("dev1", { properties = {
            desired = { n = i, a = large, b = large, c = large } } }))
        end)
      end
      for version = 2, 21 do
        local packet = assert(device:read(WAIT))
        has(packet.topic, "$version=" .. version)
        assert.equal(large, dm.json.decode(packet.payload).c)
      end
      for _, each in ipairs(tasks) do each:await() end
      device:close()
    end)

  it("end a hub that counts no longer, and take it back if it was only late", function()
    dm.log { level = "off" }
    local a, b = plain(), plain()
    local ended, returned
    a.state.cluster.on_ended = function(hub) ended = hub end
    b.state.cluster.on_returned = function() returned = true end
    local beat = b.state.cluster.members.beat
    b.state.cluster.members.beat = function() return nil, { name = "StorageFailed" } end
    until_true(function() return ended end, "ended")
    assert.equal(b.state.cluster.id, ended)
    b.state.cluster.members.beat = beat
    until_true(function() return returned end, "returned")
    ended = nil
    b:close()
    until_true(function() return ended end, "left")
    assert.equal(b.state.cluster.id, ended)
    dm.log { level = "warn" }
  end)

  it("reset nothing and keep no snapshot while another one lives", function()
    local a = plain()
    assert(a:snapshot "alone")
    local b = plain()
    assert(b:add_device "dev1")
    knows(a, "dev1")
    local why = (": hub %s of 'lab' is alive and has the same devices and jobs: end "
      .. "the other hubs first"):format(b.state.cluster.id)
    for what, run in pairs {
      ["hub:reset"] = function() return a:reset() end,
      ["hub:snapshot"] = function() return a:snapshot "s" end,
      ["hub:restore"] = function() return a:restore "alone" end,
    } do
      local done, err = run()
      assert.is_nil(done, what)
      assert.equal("Conflict", err.name)
      assert.equal(what .. why, err.message)
    end
    local _, err = a:reset { keep = "devices" }
    assert.equal("hub:reset" .. why, err.message)
    assert.truthy(a.state.plane:identity("dev1"))
    assert.same({ "alone" }, { a:snapshots()[1].name, a:snapshots()[2] })
    b:close()
    assert(b:closed(WAIT))
    assert(a:restore "alone")
    assert.is_nil(a.state.plane:identity("dev1"))
    assert(a:add_device "dev2")
    assert(a:reset())
    assert.is_nil(a.state.plane:identity("dev2"))
  end)
end)
