-- Fleets at the hub of this process, and at one of plain bytes.

local dm = require "directmethods"
local core = require "directmethods.core"
local fixture = require "spec.support.fixture"
local wire = require "spec.support.wire"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

local function who(request) return 200, request.device_id end

local function string_of(id, key)
  return ("HostName=localhost;DeviceId=%s;SharedAccessKey=%s"):format(id, key or KEY)
end

describe("dm.fleet", function()
  local hub

  before_each(function() hub = fixture.hub() end)
  after_each(function() fixture.finish(hub) end)

  local function raises(opts, message)
    local ok, err = pcall(function()
      local fleet = dm.fleet(opts)
      return fleet
    end)
    assert.is_false(ok)
    local place, text = err:match("([^/]+:%d+): (.*)$")
    assert.equal("dm.fleet: " .. message, text)
    assert.equal("fleet_spec.lua:24", place)
  end

  it("names the option that is wrong", function()
    raises(nil, "options must be a table, not a nil")
    raises({}, "option 'hub' must be a local hub (dm.hub), unless"
      .. " connection_strings are given")
    raises({ hub = {} }, "option 'hub' must be a local hub (dm.hub), unless"
      .. " connection_strings are given")
    raises({ hub = hub }, "option 'count' is required")
    raises({ hub = hub, count = 0 }, "option 'count' must be from 1 to 100000, not 0")
    raises({ hub = hub, count = "1" },
      "option 'count' must be of type integer, not a string")
    raises({ hub = hub, count = 2, id = "dev" },
      "option 'id' must return another id for each device")
    raises({ hub = hub, count = 2, id = "dev %d" },
      "option 'id' must return ids of 1 to 128 characters that IoT Hub allows")
    raises({ hub = hub, count = 2, id = "%d%d" },
      "option 'id' must return texts, like \"dev-%04d\"")
    raises({ hub = hub, count = 2, id = function() end },
      "option 'id' must return texts, like \"dev-%04d\"")
    raises({ hub = hub, count = 1, connect_rate = 0 },
      "option 'connect_rate' must be from 0.001 to 1000000, not 0")
    raises({ hub = hub, count = 1, keepalife = 3 },
      "unknown option 'keepalife' (did you mean 'keepalive'?)")
    raises({ hub = hub, count = 1, keepalive = 0 },
      "option 'keepalive' must be from 1 to 1177, not 0")
    raises({ hub = hub, count = 1, handlers = { m = 1 } },
      "option 'handlers.m' must be a function, not a number")
    raises({ hub = hub, count = 1, key = KEY },
      "option 'key' must not be given: connection_strings contain it")
    raises({ hub = hub, count = 1, transport = "websocket" }, "option 'transport' must"
      .. " not be given: devices of a fleet use MQTT over TCP and TLS")
    raises({ hub = hub, count = 1, engine = "uv" }, "option 'engine' must"
      .. " not be given: devices of a fleet share the engine uv")
    raises({ hub = hub, connection_strings = {} },
      "option 'hub' must not be given together with connection_strings")
    raises({ connection_strings = {} },
      "option 'connection_strings' must be 1 to 100000 texts")
    raises({ connection_strings = { string_of("a"), 2 } },
      "option 'connection_strings[2]' must be a text")
    raises({ connection_strings = { string_of("a"), string_of("b", "no key") } },
      "option 'connection_strings[2]' is wrong: SharedAccessKey is not a key in base64")
    raises({ connection_strings = { "HostName=h;DeviceId=d" } },
      "option 'key' or 'sas' or 'x509' is required (or as a field of"
        .. " connection_string)")
    raises({ connection_strings = { "nonsense" } },
      "option 'connection_strings[1]' is wrong: a field has an unknown name")
    assert.same({}, hub:devices())
  end)

  it("says how many descriptors it needs", function()
    local descriptors = core.descriptors
    core.descriptors = function() return 1024, 4096, 24 end
    local fleet, err = dm.fleet { hub = hub, count = 500 }
    local other, message = dm.fleet {
      connection_strings = { string_of("a") },
    }
    core.descriptors = descriptors
    assert.is_nil(fleet)
    assert.equal("LimitExceeded", err.name)
    assert.equal("dm.fleet: 500 devices need 1056 file descriptors (two each, as the"
      .. " hub is in this process), and this process may have 1024: raise the limit"
      .. " first with 'ulimit -n 1056'", err.message)
    assert.is_nil(message)
    other:close()
    assert.same({}, hub:devices())
  end)

  it("knows the descriptors of this process", function()
    local soft, hard, open = core.descriptors()
    assert.is_true(soft > 0 and hard >= soft and open > 3 and open < soft)
    local file <close> = assert(io.open("/dev/null"))
    assert.equal(open + 1, (select(3, core.descriptors())))
    assert.is_truthy(file)
  end)

  it("brings 200 devices online that answer", function()
    local told = {}
    local fleet <close> = assert(dm.fleet {
      hub = hub, count = 200, handlers = { who = who },
    })
    assert.same({ 200, "dev-0001", "dev-0200" },
      { #fleet:ids(), fleet:ids()[1], fleet:ids()[200] })
    assert.equal(200, fleet:stats().idle)
    assert.equal(fleet, fleet:connect(20, function(online, count)
      assert.equal(200, count)
      table.insert(told, online)
      dm.sleep(0.001)
    end))
    assert.equal(200, told[#told])
    for i = 2, #told do assert.is_true(told[i] > told[i - 1]) end
    for _, device in ipairs(hub:devices()) do
      assert.same({ true, true }, { device.connected, device.subscribed })
    end
    local service <close> = assert(hub:service())
    local calls = {}
    for i, id in ipairs(fleet:ids()) do
      calls[i] = function() return service:invoke(id, "who") end
    end
    for i, reply in ipairs((dm.all(calls))) do
      assert.equal(fleet:ids()[i], reply.payload)
    end
    local stats = fleet:stats()
    assert.same({ 200, 200, 200, 0, 200, 0 }, { stats.count, stats.online, stats.calls,
      stats.errors, stats.connects.count, stats.reconnects })
    assert.same({}, stats.why)
    assert.equal("fleet of 200 devices (200 online)", tostring(fleet))
    fleet:close()
    assert.is_true(fleet:closed(10))
    assert.equal(200, fleet:stats().closed)
  end)

  it("costs little memory", function()
    local fleet <close> = assert(dm.fleet { hub = hub, count = 200 })
    collectgarbage()
    collectgarbage()
    local before = collectgarbage("count")
    assert(fleet:connect(20))
    collectgarbage()
    collectgarbage()
    assert.is_true((collectgarbage("count") - before) * 1024 / 200 < 1800)
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("gives devices that are their own", function()
    local fleet <close> = assert(dm.fleet {
      hub = hub, count = 3, id = function(i) return "d" .. i end,
      handlers = { who = who }, fallback = function() return 404 end,
    })
    assert.equal(fleet:device(2), fleet:device("d2"))
    assert.is_nil(fleet:device(4))
    assert.is_nil(fleet:device("d4"))
    assert.has_error(function() return (fleet:device {}) end,
      "fleet:device: which must be a place or a name, not a table")
    fleet:device(2):method("who", function() return 202 end)
    fleet:device(3):method("who", nil)
    assert(fleet:connect(10))
    local service <close> = assert(hub:service())
    assert.equal("d1", assert(service:invoke("d1", "who")).payload)
    assert.equal(202, assert(service:invoke("d2", "who")).status)
    assert.equal(404, assert(service:invoke("d3", "who")).status)
    fleet:device(1):close()
    assert.is_true(fleet:device(1):closed(10))
    assert.same({ 2, 1 }, { fleet:stats().online, fleet:stats().closed })
    local ok, err = fleet:connect(1)
    assert.is_nil(ok)
    assert.equal("Closed", err.name)
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("connects at a rate", function()
    local fleet <close> = assert(dm.fleet { hub = hub, count = 5, connect_rate = 0.02 })
    local connecting = dm.spawn(fleet.connect, fleet)
    dm.advance(0)
    for online = 1, 4 do
      assert.equal(online, fleet:stats().online)
      dm.advance(25)
      assert.equal(online, fleet:stats().online)
      dm.advance(25)
    end
    assert.equal(fleet, connecting:await(1))
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("says who was refused, and tries the rest again", function()
    assert(hub:add_device("a", { primary_key = KEY }))
    assert(hub:add_device("c/m", { primary_key = KEY }))
    local fleet <close> = assert(dm.fleet {
      connection_strings = {
        string_of("a"), string_of("b"), string_of("c") .. ";ModuleId=m",
      },
      port = hub:ports().mqtt, tls = false, handlers = { who = who },
    })
    assert.same({ "a", "b", "c/m" }, fleet:ids())
    local ok, err = fleet:connect(10)
    assert.is_nil(ok)
    assert.equal("Unauthorized", err.name)
    assert.is_truthy(err.message:find("fleet: 2 of 3 devices are online; b: connect to",
      1, true))
    assert.equal(2, err.info.online)
    assert.equal("Unauthorized", err.info.failed.b.name)
    assert.is_nil(err.info.failed.a)
    assert.same({ 2, 1 }, { fleet:stats().online, fleet:stats().idle })
    assert(hub:add_device("b", { primary_key = KEY }))
    assert(fleet:connect(10))
    assert.equal(3, fleet:stats().online)
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("works over TLS with one context", function()
    local secure <close> = assert(dm.hub {})
    local fleet <close> = assert(dm.fleet {
      hub = secure, count = 20, handlers = { who = who },
    })
    assert(fleet:connect(10))
    local service <close> = assert(secure:service())
    assert.equal("dev-0020", assert(service:invoke("dev-0020", "who")).payload)
    local other <close> = assert(dm.fleet {
      hub = secure, count = 2, id = "x%d", tls = { ca = secure:ca_file() },
      port = hub:ports().mqtt,
    })
    assert.is_nil(other:connect(0.2)) -- the port of a plain hub
    for _, each in ipairs { fleet, other } do
      each:close()
      assert.is_true(each:closed(10))
    end
  end)

  it("says that the hub's certificate is not trusted", function()
    local secure <close> = assert(dm.hub {})
    local strange <close> = assert(dm.hub {})
    local fleet <close> = assert(dm.fleet {
      hub = secure, count = 3, tls = { ca = strange:ca_file() },
    })
    local ok, err = fleet:connect(10)
    assert.is_nil(ok)
    assert.equal("TlsFailed", err.name)
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("gives up at the time-out, with nothing left in the background", function()
    local listener = wire.listen()
    local fleet <close> = assert(dm.fleet {
      connection_strings = { string_of("a"), string_of("b") }, port = listener.port,
      tls = false,
    })
    local ok, err = fleet:connect(0.05)
    assert.is_nil(ok)
    assert.equal("Timeout", err.name)
    assert.is_truthy(err.message:find("0 of 2 devices are online after 0.05 s; a: ", 1,
      true))
    assert.equal(2, fleet:stats().idle)
    assert(wire.turn_until(function() return core.outstanding() == 0 end))
    assert.is_nil(core.next_deadline())
    fleet:close()
    assert.is_true(fleet:closed(10))
    while listener.waiting[1] do listener:accept():close() end
    listener:close()
  end)

  it("stops when who waits for it is cancelled", function()
    local fleet <close> = assert(dm.fleet { hub = hub, count = 5, connect_rate = 1 })
    local connecting = dm.spawn(fleet.connect, fleet)
    dm.advance(1.5)
    assert.equal(2, fleet:stats().online)
    assert.has_error(function() fleet:connect() end,
      "fleet:connect: is under way already")
    connecting:cancel()
    dm.advance(10)
    assert.same({ 2, 3 }, { fleet:stats().online, fleet:stats().idle })
    connecting = dm.spawn(fleet.connect, fleet)
    dm.advance(3)
    assert.equal(fleet, connecting:await(1))
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("is closed while it connects", function()
    local fleet = assert(dm.fleet { hub = hub, count = 50, connect_rate = 10 })
    local connecting = dm.spawn(fleet.connect, fleet)
    dm.advance(1)
    fleet:close()
    fleet:close()
    local ok, err = connecting:await(1)
    assert.is_nil(ok)
    assert.equal("Closed", err.name)
    assert.is_true(fleet:closed(10))
    assert.equal(50, fleet:stats().closed)
    assert.equal("fleet of 50 devices (closed)", tostring(fleet))
    assert.has_error(function() fleet:connect() end,
      "fleet:connect: attempt to use a closed fleet")
  end)

  it("raises what its progress function raises", function()
    local fleet <close> = assert(dm.fleet { hub = hub, count = 3 })
    local ok, err = pcall(fleet.connect, fleet, 5, function() error("no", 0) end)
    assert.same({ false, "no" }, { ok, err })
    assert.equal(3, fleet:stats().online)
    assert.has_error(function() fleet:connect(5, 7) end,
      "fleet:connect: progress must be a function or nil, not a number")
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("stays online for a day, and does not renew all tokens at once", function()
    local fleet <close> = assert(dm.fleet { hub = hub, count = 20 })
    assert(fleet:connect(10))
    local renewals, last = {}, 0
    for i = 1, 20 do
      fleet:device(i):on("state", function(new)
        if new == "renewing" then table.insert(renewals, dm.now()) end
      end)
    end
    dm.advance(3600)
    assert.equal(20, #renewals)
    for _, at in ipairs(renewals) do last = math.max(last, at) end
    assert.is_true(last - renewals[1] > 60 and last - renewals[1] < 361)
    dm.advance(82800)
    local stats = fleet:stats()
    assert.equal(20, stats.online)
    assert.is_true(stats.reconnects >= 20 * 26 and stats.reconnects <= 20 * 29)
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("comes back when the hub comes back", function()
    local first = assert(dm.hub { tls = false })
    local port = first:ports().mqtt
    local strings = {}
    for i = 1, 20 do strings[i] = string_of("d" .. i) end
    local function enrol(to)
      for i = 1, 20 do assert(to:add_device("d" .. i, { primary_key = KEY })) end
    end
    enrol(first)
    local fleet <close> = assert(dm.fleet {
      connection_strings = strings, port = port, tls = false,
      reconnect = { min = 0.01, max = 0.05 }, handlers = { who = who },
    })
    assert(fleet:connect(10))
    first:close()
    assert.is_true(first:closed(10))
    assert(dm.wait_until(function() return fleet:stats().online == 0 end))
    local why, n = next(fleet:stats().why)
    assert.is_string(why)
    assert.is_true(n >= 1)
    local second <close> = assert(dm.hub { tls = false, mqtt_port = port })
    enrol(second)
    assert(fleet:connect(10))
    assert.is_true(fleet:stats().reconnects >= 20)
    local service <close> = assert(second:service())
    assert.equal("d7", assert(service:invoke("d7", "who")).payload)
    fleet:close()
    assert.is_true(fleet:closed(10))
  end)

  it("says how its methods are called", function()
    local fleet <close> = assert(dm.fleet { hub = hub, count = 1 })
    for _, name in ipairs { "connect", "ids", "device", "stats", "close", "closed" } do
      assert.has_error(function() fleet[name]() end,
        ("fleet:%s: called on a nil (is it fleet:%s(...) with a colon?)"):format(
          name, name))
    end
    assert.has_error(function() fleet:connect(-1) end,
      "fleet:connect: timeout must be a number of seconds from 0 to 1e9, not -1")
    fleet:close()
    assert.is_true(fleet:closed(1))
  end)
end)
