-- What waits: each wait takes a number of seconds or says what is wrong with it, ends
-- when they have passed, and says where nothing may wait. docs/tasks.md lists them.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local wire = require "spec.support.wire"

local NO_SECONDS = {
  -1, 0 / 0, math.huge, -math.huge, 1e308, "1", "x", true, {}, print,
}

describe("a wait", function()
  local hub, service, device, fleet, silent, sleeper

  -- A device that nobody lets in.
  local function stuck()
    return dm.device {
      host_name = "127.0.0.1", device_id = "d", key = "a2V5", tls = false,
      port = silent.port,
    }
  end

  setup(function()
    hub = fixture.hub()
    hub:snapshot "w"
    service = hub:service()
    silent = wire.listen()
    device = stuck()
    fleet = assert(dm.fleet {
      connection_strings = { "HostName=127.0.0.1;DeviceId=d;SharedAccessKey=a2V5" },
      tls = false, port = silent.port,
    })
    sleeper = dm.spawn(dm.sleep, 1e6)
    hub:add_device("dev1")
  end)

  teardown(function()
    sleeper:cancel()
    for _, each in ipairs { device, fleet } do
      each:close()
      assert.is_true(each:closed(10))
    end
    while silent.waiting[1] do silent:accept():close() end
    silent:close()
    fixture.finish(hub, service)
  end)

  local function never() return false end

  -- So that what is called has its caller's place.
  local function both(value, err) return value, err end

  -- Name, argument, and a call with so many seconds.
  local WAITS = {
    { "device:connect", "timeout", function(s)
      return both(device:connect(s))
    end },
    { "device:closed", "timeout", function(s)
      return both(device:closed(s))
    end },
    { "fleet:connect", "timeout", function(s)
      return both(fleet:connect(s))
    end },
    { "fleet:closed", "timeout", function(s)
      return both(fleet:closed(s))
    end },
    { "hub:closed", "timeout", function(s)
      return both(hub:closed(s))
    end },
    { "task:await", "timeout", function(s)
      return both(sleeper:await(s))
    end },
    { "dm.wait_until", "timeout", function(s)
      return both(dm.wait_until(never, s))
    end },
    { "dm.timeout", "seconds", function(s)
      return both(dm.timeout(s, dm.sleep, 1e6))
    end },
  }
  local MOVES = {
    { "dm.sleep", "seconds", function(s)
      return both(dm.sleep(s))
    end },
    { "dm.advance", "seconds", function(s)
      return both(dm.advance(s))
    end },
    { "dm.advance_until", "max", function(s)
      return both(dm.advance_until(never, s))
    end },
    { "dm.loop.step", "timeout", function(s)
      return both(dm.loop.step(s))
    end },
  }

  local function refuses(wait)
    local name, argument, call = table.unpack(wait)
    for _, value in ipairs(NO_SECONDS) do
      local ok, err = pcall(call, value)
      assert.is_false(ok)
      assert.matches(("^spec/waits_spec.lua:%%d+: %s: %s must be a number of seconds "
        .. "from 0 to 1e9, not "):format(name, argument), err)
    end
  end

  for _, wait in ipairs(WAITS) do
    it("of " .. wait[1] .. " ends in time, and is given seconds", function()
      local value, err = wait[3](0.01)
      assert.is_nil(value)
      assert.equal("Timeout", err.name)
      assert.is_nil(wait[3](0))
      refuses(wait)
    end)
  end

  for _, wait in ipairs(MOVES) do
    it("of " .. wait[1] .. " is given seconds", function()
      wait[3](0)
      refuses(wait)
    end)
  end

  local function call(fn, ...)
    local args = table.pack(...)
    return function() return both(fn(table.unpack(args, 1, args.n))) end
  end

  local function elsewhere()
    return {
      ["dm.all"] = call(dm.all, { sleeper }),
      ["dm.exec"] = call(dm.exec, { "true" }),
      ["dm.run"] = call(dm.run),
      ["service:invoke"] = call(service.invoke, service, "dev1", "m"),
      ["service:invoke_many"] = call(service.invoke_many, service, { "dev1" }, "m"),
      ["registry:get"] = call(service.registry.get, service.registry, "dev1"),
      ["twins:get"] = call(service.twins.get, service.twins, "dev1"),
      ["hub:stop"] = call(hub.stop, hub),
      ["hub:reset"] = call(hub.reset, hub),
      ["hub:snapshot"] = call(hub.snapshot, hub, "s"),
      ["hub:restore"] = call(hub.restore, hub, "w"),
    }
  end

  it("in a coroutine of the user's own says so by its name", function()
    local calls = elsewhere()
    for _, wait in ipairs(WAITS) do calls[wait[1]] = call(wait[3], 1) end
    for _, name in ipairs { "sleep", "advance" } do
      calls["dm." .. name] = call(dm[name], 1)
    end
    calls["dm.advance_until"] = call(dm.advance_until, never, 1)
    for name, fn in pairs(calls) do
      local ok, err = coroutine.resume(coroutine.create(fn))
      assert.is_false(ok, name)
      assert.matches("^spec/waits_spec.lua:%d+: " .. name .. ": cannot wait in a "
        .. "coroutine that is not a running task$", err)
    end
  end)

  it("is in the table of docs/tasks.md", function()
    local file <close> = assert(io.open("docs/tasks.md"))
    local table_of_waits = file:read("a"):match("\n## How long things wait\n(.-)\n## ")
    for _, wait in ipairs(WAITS) do
      assert.is_truthy(table_of_waits:find(wait[1], 1, true), wait[1])
    end
    for name in pairs(elsewhere()) do
      local object = name:match("^(%l+):get$")
      name = object and "service." .. object or name:gsub("^service:invoke_", "invoke_")
      assert.is_truthy(table_of_waits:find(name, 1, true), name)
    end
  end)

  it("is not a turn of the loop, which no task may take", function()
    local ok, err = pcall(dm.run, function() dm.loop.step(0) end)
    assert.is_false(ok)
    assert.matches("^spec/waits_spec.lua:%d+: dm.loop.step: cannot be called by a "
      .. "task$", err)
    assert.is_true(dm.run(function() dm.sleep(0) return true end))
  end)
end)
