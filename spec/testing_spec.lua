--- The test kit: what it makes, what its end checks, and its matchers.

local checks = require "spec.support.checks"
local core = require "directmethods.core"
local dm = require "directmethods"
local task = require "directmethods.task"
local testing = require "directmethods.testing"

local has = checks.has
local LUA = os.getenv("LUA") or arg[-1]

-- What fn raises.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("a test kit", function()
  local t

  before_each(function()
    dm.errors()
    dm.log { level = "off" }
    t = testing.new { tls = false }
  end)

  after_each(function()
    t:close()
    dm.log { level = "warn" }
  end)

  local function fan(handlers)
    return t:device("fan", handlers or { set_speed = {} })
  end

  local function set_speed(speed)
    return t.service:invoke("fan", "set_speed", { speed = speed })
  end

  describe("has", function()
    it("a hub, a service, and devices that are online", function()
      local device = fan {
        set_speed = function(request) return 201, request.payload end,
      }
      assert.equal("online", device.state)
      local reply = assert(set_speed(40))
      assert.same({ 201, 40 }, { reply.status, reply.payload.speed })
      assert.equal("set_speed", t:calls { device = "fan" }[1].method)
    end)

    it("devices without code that answer in sequence", function()
      fan { set_speed = { { status = 503 }, { status = 200 } } }
      local first, second = assert(set_speed(1)), assert(set_speed(1))
      assert.same({ 503, 200 }, { first.status, second.status })
    end)

    it("a clock and faults", function()
      fan()
      local fault = t:fault { device = "fan", stage = "response", action = "drop" }
      local call = dm.spawn(set_speed, 40)
      t:advance(30)
      local _, err = call:await()
      assert.same({ "GatewayTimeout", 1 }, { err.name, fault.hits })
    end)

    it("the calls as text", function()
      fan()
      t:fault { stage = "request", action = "reject", code = 404103, times = 1 }
      set_speed(40)
      set_speed(50)
      local text = t:trace()
      has(text, "calls that the hub has seen: 2, and 0 in progress")
      assert.matches('\n  %+%d+%.%d%d%d s  fan%.set_speed {"speed":40} %-> '
        .. "DeviceNotOnline %(404103%).*%[request:reject%]", text)
      has(text, 'fan.set_speed {"speed":50} -> 200')
    end)

    it("no text of a long payload as a whole", function()
      fan()
      assert(t.service:invoke("fan", "set_speed", ("ä"):rep(1000)))
      local text = t:trace()
      assert.is_truthy(utf8.len(text))
      assert.is_true(#text < 600)
    end)
  end)

  describe("raises at the caller's line", function()
    local function blamed(message, method, ...)
      local err = raised(function(...)
        t[method](t, ...)
      end, ...)
      assert.matches("testing_spec%.lua:%d+: " .. message, err)
    end

    it("for wrong use", function()
      blamed("testing:expect_call: device must be a string, not a device: pass its "
        .. "device_id", "expect_call", fan(), "m")
      blamed("testing:expect_call: method must be a string, not a nil", "expect_call",
        "fan")
      blamed("testing:called: payload: a function has no JSON form", "called", "fan",
        "m", print)
      blamed("testing:advance: seconds must be", "advance", -1)
      blamed("hub:fault: option 'stage'", "fault", { action = "drop", stage = "all" })
      blamed("hub:device: device id must be", "device", "")
      blamed("hub:calls: unknown option", "calls", { devise = "fan" })
      assert.matches("testing_spec%.lua:%d+: dm.hub: unknown option 'tsl'",
        raised(function() local _ = testing.new { tsl = false } end))
      assert.matches("testing_spec%.lua:%d+: testing:close: called on a nil",
        raised(function() t.close() end))
    end)

    it("for a device that cannot connect", function()
      t:fault { stage = "connect", action = "reject", code = 5 }
      blamed("testing:device: Unauthorized", "device", "fan")
    end)

    it("for a kit that is closed", function()
      t:close()
      blamed("testing:device: attempt to use a closed test kit", "device", "fan")
    end)
  end)

  -- The end --------------------------------------------------------------------------

  describe("closes", function()
    it("all that it and its hub have made, once", function()
      local device, service = fan(), t.hub:service()
      local hub = t.hub
      t:close()
      t:close()
      assert.equal("closed", device.state)
      assert.matches("closed", tostring(service))
      assert.matches("closed", tostring(hub))
      assert.equal(0, task.count())
    end)

    it("at the end of a block", function()
      local hub
      do
        local inner <close> = testing.new { tls = false }
        hub = inner.hub
      end
      assert.matches("closed", tostring(hub))
    end)

    it("in a task, too", function()
      dm.spawn(function()
        local inner = testing.new { tls = false }
        inner:device("fan", { on = {} })
        inner:close()
      end):await()
    end)

    it("handlers that still run, which is no problem", function()
      fan { set_speed = function() dm.sleep(1e6) end }
      local call = dm.spawn(set_speed, 1)
      t:advance(31)
      assert.is_nil((call:await()))
      assert.equal(1, task.count())
      t:close()
      assert.equal(0, task.count())
    end)
  end)

  describe("raises at its end", function()
    it("nothing for calls that were expected and seen", function()
      fan()
      t:expect_call("fan", "set_speed", { speed = 40 })
      t:expect_call("fan", "set_speed")
      t:expect_call("fan", "set_speed", { speed = 40 })
      assert(set_speed(40))
      assert(set_speed(40.0))
      assert(set_speed(7))
      t:close()
    end)

    it("for a call that was expected and not seen, with the trace", function()
      fan()
      t:expect_call("fan", "set_speed", { speed = 40 })
      assert(set_speed(30))
      local message = raised(t.close, t)
      has(message, 'testing:close: expected call not seen: fan.set_speed {"speed":40}')
      has(message, 'fan.set_speed {"speed":30} -> 200')
      assert.matches("closed", tostring(t.hub))
    end)

    it("for each time that a call was expected", function()
      fan()
      t:expect_call("fan", "set_speed")
      t:expect_call("fan", "set_speed")
      assert(set_speed(1))
      local _, count = raised(t.close, t):gsub("not seen", "")
      assert.equal(1, count)
    end)

    it("for a call that came before it was expected", function()
      fan()
      assert(set_speed(40))
      t:expect_call("fan", "set_speed")
      has(raised(t.close, t), "not seen: fan.set_speed")
    end)

    it("for a call that the device never got", function()
      fan()
      t:expect_call("fan", "set_speed")
      t:fault { stage = "request", action = "reject" }
      assert.is_nil((set_speed(40)))
      has(raised(t.close, t), "not seen: fan.set_speed")
    end)

    it("for calls that were expected of a hub that was closed", function()
      t:expect_call("fan", "set_speed")
      t.hub:close()
      has(raised(t.close, t), "the test closed the hub")
    end)

    it("for a task that is left, with its place, and cancels it", function()
      local left = dm.spawn(function() dm.sleep(1e6) end)
      assert.matches("a task is left %(waiting%) at [^\n]*testing_spec%.lua:%d+",
        raised(t.close, t))
      assert.equal("cancelled", left.status)
    end)

    it("for a handle that is left", function()
      local hub = assert(dm.hub { tls = false })
      local other = testing.new { tls = false }
      local second = assert(dm.hub { tls = false })
      local message = raised(other.close, other)
      assert.matches("%d handles are left", message)
      second:close()
      hub:close()
      assert(second:closed(5) and hub:closed(5))
    end)

    it("for an error that nobody awaited, of a task or a handler", function()
      fan { set_speed = function() error("stuck") end }
      assert.equal(500, set_speed(1).status)
      dm.spawn(function() error("lost") end)
      local message = raised(t.close, t)
      has(message, "an error that nobody has awaited: device fan: method 'set_speed': ")
      has(message, "stuck")
      has(message, "an error that nobody has awaited: task failed: ")
      has(message, "lost")
    end)

    it("nothing for an error from before, which dm.errors still returns", function()
      dm.spawn(error, "from before")
      dm.advance(0)
      testing.new({ tls = false }):close()
      has(dm.errors()[1], "from before")
    end)

    it("nothing for an error that the test has taken", function()
      fan { set_speed = function() error("stuck") end }
      assert.equal(500, set_speed(1).status)
      assert.equal(1, #dm.errors())
      t:close()
    end)

    it("nothing that replaces the error of a block", function()
      local _, err = pcall(function()
        local inner <close> = testing.new { tls = false }
        inner:expect_call("fan", "set_speed")
        error("mine", 0)
      end)
      assert.equal("mine", err)
      has(raised(function()
        local inner <close> = testing.new { tls = false }
        inner:expect_call("fan", "set_speed")
      end), "not seen: fan.set_speed")
    end)
  end)

  -- Matchers -------------------------------------------------------------------------

  describe("has a matcher", function()
    before_each(function() fan { set_speed = function() return 201 end } end)

    local function nobody()
      return t.service:invoke("nobody", "set_speed")
    end

    it("answered", function()
      local reply = assert.answered(set_speed(40))
      assert.equal(201, reply.status)
      assert.answered(201, set_speed(40))
      assert.is_not.answered(200, set_speed(40))
      assert.is_not.answered(nobody())
      local message = raised(assert.answered, 200, set_speed(30))
      has(message, "expected an answer of status 200; the call was answered 201")
      has(message, 'fan.set_speed {"speed":30} -> 201')
      message = raised(assert.answered, nobody())
      has(message, "expected an answer; the call failed with DeviceNotFound (404001)")
      has(message, "nobody.set_speed")
      has(raised(assert.is_not.answered, set_speed(1)), "expected no answer;")
    end)

    it("failed_with", function()
      assert.failed_with("DeviceNotFound", nobody())
      assert.failed_with(404001, nobody())
      assert.is_not.failed_with("Timeout", nobody())
      local message = raised(assert.failed_with, "DeviceNotFound", set_speed(30))
      has(message, "expected the error DeviceNotFound; the call was answered 201")
      has(message, 'fan.set_speed {"speed":30} -> 201')
    end)

    it("called", function()
      assert.is_not.called(t, "fan", "set_speed")
      assert(set_speed(30))
      assert.called(t, "fan", "set_speed")
      assert.called(t, "fan", "set_speed", { speed = 30 })
      local message = raised(assert.called, t, "fan", "set_speed", { speed = 40 })
      has(message, 'expected a call of fan.set_speed {"speed":40}')
      has(message, 'fan.set_speed {"speed":30} -> 201')
      has(raised(assert.is_not.called, t, "fan", "set_speed"),
        "expected no call of fan.set_speed")
    end)

    it("called that leaves spies alone", function()
      local fn = spy.new(function() end)
      assert.spy(fn).was_not.called()
      has(raised(function() assert.spy(fn).was.called() end),
        "Expected to be called >0 time(s), but was called 0 time(s)")
      fn()
      assert.spy(fn).was.called()
      assert.spy(fn).was.called(1)
      has(raised(function() assert.spy(fn).was_not.called() end),
        "Expected to be called 0 time(s), but was called 1 time(s)")
    end)
  end)
end)

-- Elsewhere -------------------------------------------------------------------------

describe("the test kit's document", function()
  local folder, path

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(dm.exec { "mkdir", "-m", "700", folder })
    path = folder .. "/fan_spec.lua"
  end)

  after_each(function() assert(dm.exec { "rm", "-rf", folder }) end)

  -- Write the block of code that begins so to a file; the device may fail there.
  local function write_block(first, fails)
    local document <close> = assert(io.open("docs/testing.md"))
    local code = document:read("a"):match("```lua\n(" .. first .. ".-)```")
    local file <close> = assert(io.open(path, "w"))
    if fails then code = code:gsub("return 201", "return 500") end
    assert(file:write(code))
  end

  local function run(...)
    return assert(dm.exec({ LUA, ... }, { timeout = 60 }))
  end

  local function busted()
    return run("-e", ("arg = { %q }"):format(path), "-e",
      "require 'busted.runner' { standalone = false }")
  end

  it("has a test for busted that passes, and can fail", function()
    write_block("%-%- needs busted")
    local result = busted()
    has(result.stdout, "3 successes / 0 failures / 0 errors")
    assert.equal(0, result.status)
    write_block("%-%- needs busted", true)
    has(busted().stdout, "expected an answer of status 201; the call was answered 500")
  end)

  it("has a test for LuaUnit that passes, and can fail", function()
    write_block("%-%- needs LuaUnit")
    local result = run(path)
    has(result.stdout, "Ran 1 tests")
    assert.equal(0, result.status)
    write_block("%-%- needs LuaUnit", true)
    assert.equal(1, run(path).status)
  end)

  it("is for scripts that end with an error, too", function()
    local result = run("-e", [[
      local t <close> = require "directmethods.testing".new { tls = false }
      t:expect_call("fan", "on")
    ]])
    has(result.stderr, "expected call not seen: fan.on")
    assert.equal(1, result.status)
    assert.equal(0, core.outstanding())
  end)
end)
