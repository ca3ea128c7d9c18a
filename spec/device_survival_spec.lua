-- Devices that go on: with `persist`, with a clock that is wrong, at signals; and the
-- lines that tell of it.

local core = require "directmethods.core"
local dm = require "directmethods"
local fake = require "spec.support.fake_connection"
local fixture = require "spec.support.fixture"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local QUICK = { min = 0.01, max = 0.02 }

-- Run a Lua script in a child, maybe behind other words (faketime).
local function run(script, before)
  local argv = { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath }
  for _, word in ipairs(before or {}) do argv[#argv + 1] = word end
  for _, word in ipairs { os.getenv("LUA") or "lua5.4", "-e", script } do
    argv[#argv + 1] = word
  end
  return assert(dm.exec(argv, { timeout = 60 }))
end

describe("the option persist", function()
  local restore, connections, device, lines

  local function make(plan, options)
    connections, restore = fake.install(plan)
    lines = {}
    dm.log { sink = function(level, line)
      lines[#lines + 1] = level .. ": " .. line
    end }
    options.host_name, options.device_id = "h", "d1"
    if not options.sas then options.key = KEY end
    options.reconnect = QUICK
    device = dm.device(options)
    return device
  end

  after_each(function()
    device:close()
    assert.is_true(device:closed(5))
    for _, each in ipairs(connections) do core.free_id(each.event_id) end
    restore()
    dm.log { sink = function() end }
  end)

  local function await_lines(n)
    assert(dm.wait_until(function() return #lines >= n end, 10))
    return lines
  end

  for _, plan in ipairs {
    { fake.refuse(5) }, { fake.refuse(2) }, { fake.fail "TlsFailed" },
    { fake.suback(0x80) }, { fake.fail "NameNotResolved", fake.refuse(5) },
  } do
    it("goes on after what ends another device's connect", function()
      assert(make(plan, { persist = true }):connect())
      assert.equal(#plan + 1, #connections)
    end)
  end

  it("goes on when a connect with a time-out has ended", function()
    local plan = {}
    for i = 1, 100 do plan[i] = fake.refuse(5) end
    make(plan, { persist = true })
    local ok, err = device:connect(0.05)
    assert.same({ nil, "Unauthorized" }, { ok, err.name })
    for i = 1, 100 do plan[i] = nil end
    assert(dm.wait_until(function() return device.state == "online" end, 10))
  end)

  it("ends at an own token that has expired", function()
    make({}, { persist = true,
      sas = "SharedAccessSignature sr=h%2Fdevices%2Fd1&sig=eA%3D%3D&se=1" })
    local ok, err = device:connect(5)
    assert.is_nil(ok)
    assert.matches("has expired", err.message)
    assert.equal("idle", device.state)
  end)

  it("tells the log when it goes, when the reason changes, when it is back", function()
    local plan = { fake.refuse(5), fake.refuse(5), fake.refuse(5),
      fake.fail "ConnectFailed", fake.fail "ConnectFailed" }
    assert(make(plan, { persist = true }):connect())
    await_lines(3)
    assert.matches("^warn: device d1: offline: CONNACK 5 %(.*credentials", lines[1])
    assert.matches("^warn: device d1: still offline: it failed %(", lines[2])
    assert.matches("^warn: device d1: online again after %d+ s$", lines[3])
    connections[#connections]:event("lost", "ConnectFailed", "the line broke")
    await_lines(5)
    assert.matches("^warn: device d1: offline: the line broke", lines[4])
    assert.matches("^warn: device d1: online again", lines[5])
    assert.equal(5, #lines)
  end)

  it("says nothing of a first connect without it, which tells its caller", function()
    make({ fake.fail "ConnectFailed" }, {})
    assert(device:connect(5))
    assert.same({}, lines)
  end)

  it("names both clocks when a token is refused", function()
    make({ function(connection)
      connection.peer_time, connection.peer = 1767225600, "the hub"
      fake.refuse(5)(connection)
    end }, {})
    assert.is_nil(device:connect(5))
    assert.matches("Is the clock right%? This machine's shows %d+%-%d+%-%d+ "
      .. "%d+:%d+ UTC, that of the hub 2026%-01%-01 00:00 UTC%.", device:stats().why)
  end)
end)

for _, engine in ipairs { "paho", "uv" } do
  describe("a clock that is months behind, engine " .. engine, function()
    local hub

    before_each(function()
      hub = fixture.hub { tls = true }
      assert(hub:add_device("d1"))
    end)

    after_each(function() fixture.finish(hub) end)

    it("does not end connect, which says that the clock is behind", function()
      local result = run(([[
        local dm = require "directmethods"
        local device <close> = dm.device { connection_string = %q, port = %d,
          engine = %q, tls = { ca = %q }, reconnect = { min = 0.05, max = 0.1 } }
        local changes = 0
        device:on("state", function(new)
          if new == "backoff" then changes = changes + 1 end
        end)
        local ok, err = device:connect(2)
        print(ok, changes > 1, err.name)
        print(err.message)]]):format(hub:connection_string("d1"), hub:ports().mqtt,
        engine, hub:ca_file()), { "faketime", "2024-02-03 00:00:00", "env",
        "ASAN_OPTIONS=verify_asan_link_order=0" }) -- the preloaded one is first
      assert.matches("^nil\ttrue\tTlsFailed\n", result.stdout)
      assert.matches("this machine's clock shows 2024-02-03", result.stdout, 1, true)
    end)
  end)
end

describe("dm.on_signal", function()
  it("runs a task at each signal, in place of the end of dm.run", function()
    local result = run [[
      local dm = require "directmethods"
      local n = 0
      dm.on_signal("SIGHUP", function(name)
        dm.sleep(0.01)
        print(name, n + 1)
        n = n + 1
        if n == 2 then dm.on_signal("SIGTERM", nil) os.execute "kill -TERM $PPID" end
      end)
      dm.on_signal("SIGTERM", function(name)
        print(name)
        os.execute "kill -HUP $PPID"
      end)
      dm.spawn(function()
        os.execute "kill -HUP $PPID"
        dm.wait_until(function() return n == 1 end)
        os.execute "kill -TERM $PPID"
      end)
      print(dm.run())]]
    assert.equal("", result.stderr)
    assert.equal("SIGHUP\t1\nSIGTERM\nSIGHUP\t2\nSIGTERM\n", result.stdout)
  end)

  it("raises for what is no signal and no function", function()
    assert.has_error(function() dm.on_signal("SIGUSR1", print) end,
      'dm.on_signal: signal must be "SIGINT", "SIGTERM" or "SIGHUP"')
    assert.has_error(function() dm.on_signal("SIGHUP", 1) end,
      "dm.on_signal: function or nil expected, got number")
  end)
end)

for _, megabytes in ipairs { 40, 56 } do
  it(("paho fails in good order with %d MB of address space"):format(megabytes),
    function()
      if os.getenv "MODE" ~= "release" then return end -- sanitizers map terabytes
      local result = run(([[
        local dm = require "directmethods"
        local device <close> = dm.device { host_name = "localhost", device_id = "d",
          key = %q, tls = false, port = 1, engine = "paho" }
        print(device:connect(0.1))]]):format(KEY),
        { "sh", "-c", ('ulimit -v %d; exec "$@"'):format(megabytes * 1024), "sh" })
      assert.same({ 0, 0 }, { result.status, result.signal })
      assert.matches("not enough memory for the threads", result.stdout, 1, true)
    end)
end

for _, engine in ipairs { "paho", "uv" } do
  it("SIGTERM ends a connect of the main program, engine " .. engine, function()
    local result = run(([[
      local dm = require "directmethods"
      local device = dm.device { host_name = "localhost", device_id = "d", key = %q,
        tls = false, port = 1, engine = %q, reconnect = { min = 0.01, max = 0.01 } }
      local n = 0
      device:on("state", function(new)
        if new ~= "backoff" then return end
        n = n + 1
        if n == 3 then os.execute "kill -TERM $PPID" end
      end)
      print(device:connect(30))
      print(device.state)
      device:close()
      print(device:closed(5))]]):format(KEY, engine))
    assert.same({ 0, "" }, { result.status, result.stderr })
    assert.equal("nil\tCancelled: device d: SIGTERM came before it was connected\n"
      .. "idle\ntrue\n", result.stdout)
  end)
end
