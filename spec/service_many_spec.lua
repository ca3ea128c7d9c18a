-- service:invoke_many: one call of many devices; and thousands of calls in flight over
-- few connections.

local checks = require "spec.support.checks"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local task = require "directmethods.task"

local failure = checks.failure

-- Device clients first: their ends take a moment.
local function finish(hub, service, devices)
  for _, each in ipairs(devices) do each:close() end
  for _, each in ipairs(devices) do
    if each.closed then assert(each:closed(5)) end
  end
  assert(dm.wait_until(function() return core.outstanding() == 0 end))
  fixture.finish(hub, service)
end

describe("service:invoke_many", function()
  local hub, service, devices

  local function device(id, handler)
    local made = assert(hub:device(id, { m = handler }))
    assert(made:connect())
    devices[#devices + 1] = made
    return made
  end

  before_each(function()
    devices = {}
    hub = fixture.hub()
    service = hub:service()
  end)

  after_each(function()
    finish(hub, service, devices)
  end)

  it("gives a result for each device, in order", function()
    device("a", function(r) return 200, { got = r.payload } end)
    device("b", function() return 404, "no" end)
    hub:add_device("c")
    device("d/m", function() return 201 end)
    local results = assert(service:invoke_many({ "d/m", "c", "x", "b", "a" }, "m", 7))
    assert.equal(5, #results)
    assert.same({ "d", "c", "x", "b", "a" }, { results[1].device_id,
      results[2].device_id, results[3].device_id, results[4].device_id,
      results[5].device_id })
    assert.equal("m", results[1].module_id)
    assert.is_nil(results[5].module_id)
    assert.equal(201, results[1].reply.status)
    assert.equal("DeviceNotOnline", results[2].err.name)
    assert.is_nil(results[2].reply)
    assert.equal("DeviceNotFound", results[3].err.name)
    assert.equal(404, results[4].reply.status)
    assert.is_nil(results[4].err)
    assert.equal(7, results[5].reply.payload.got)
    assert.equal(5, results.total)
    assert.equal(3, results.answered)
    assert.equal(2, results.ok)
    assert.equal(2, results.failed)
    assert.same({ DeviceNotOnline = 1, DeviceNotFound = 1 }, results.errors)
    assert.equal(3, results.elapsed.count)
    assert.is_true(results.elapsed:percentile(95) > 0)
  end)

  it("has nothing to do for no devices", function()
    local results = assert(service:invoke_many({}, "m"))
    assert.equal(0, #results)
    assert.equal(0, results.total)
    assert.equal(0, results.elapsed.count)
  end)

  it("keeps to its concurrency", function()
    local now, most = 0, 0
    local ids = {}
    for i = 1, 12 do
      ids[i] = "d" .. i
      device(ids[i], function()
        now = now + 1
        most = math.max(most, now)
        dm.sleep(0.02)
        now = now - 1
        return 200
      end)
    end
    assert.equal(12, service:invoke_many(ids, "m", nil, { concurrency = 3 }).ok)
    assert.equal(3, most)
  end)

  it("tells its progress, and ends when that raises", function()
    local ids = { "a", "b", "c" }
    for _, id in ipairs(ids) do device(id, function() return 200 end) end
    local seen = {}
    service:invoke_many(ids, "m", nil, { concurrency = 1,
      progress = function(done, total, result)
        seen[#seen + 1] = ("%d/%d %s %d"):format(done, total, result.device_id,
          result.reply.status)
        dm.sleep(0)
      end })
    assert.same({ "1/3 a 200", "2/3 b 200", "3/3 c 200" }, seen)
    local calls = 0
    assert.matches("enough", failure(service.invoke_many, service, ids, "m", nil, {
      concurrency = 1, progress = function()
        calls = calls + 1
        error "enough"
      end }))
    assert.equal(1, calls)
    dm.sleep(0)
    assert.equal(0, task.count())
  end)

  it("is cancelled as a whole", function()
    local ids, started = {}, 0
    for i = 1, 6 do
      ids[i] = "d" .. i
      device(ids[i], function(request)
        request:defer()
        started = started + 1
      end)
    end
    local all = dm.spawn(function()
      return service:invoke_many(ids, "m", nil, { concurrency = 4 })
    end)
    assert(dm.wait_until(function() return started == 4 end))
    all:cancel()
    local results, err = all:await(5)
    assert.is_nil(results)
    assert.equal("Cancelled", err.name)
    assert(dm.wait_until(function() return hub:counters().http_gone == 4 end))
    assert.equal(4, started)
    assert.equal(0, task.count())
  end)

  it("refuses wrong use, naming what, at the user's line", function()
    for rule, arguments in pairs {
      ["ids must be a list, not a nil"] = {},
      ["ids must be a list, not a string"] = { "dev1", "m" },
      ["ids[2] must be 1 to 128"] = { { "a", "b c" }, "m" },
      ["ids[1] must be a string, not a number"] = { { 7 }, "m" },
      ["ids[1] must be 1 to 128 "] = { { "a/" }, "m" },
      ["method must be a string, not a nil"] = { {} },
      ["method must be 1 to 100"] = { { "a" }, "a b" },
      ["payload: a function has no JSON form"] = { { "a" }, "m", print },
      ["unknown option 'concurency' (did you mean 'concurrency'?)"] =
        { { "a" }, "m", nil, { concurency = 1 } },
      ["option 'concurrency' must be from 1"] =
        { { "a" }, "m", nil, { concurrency = 0 } },
      ["option 'response_timeout' must be from 1 to 3600 s"] =
        { { "a" }, "m", nil, { response_timeout = 0 } },
      ["option 'progress' must be of type function"] =
        { { "a" }, "m", nil, { progress = 1 } },
    } do
      local line = debug.getinfo(1, "l").currentline + 2
      local message = failure(function()
        local _ = service:invoke_many(table.unpack(arguments, 1, 4))
      end)
      local text = ("service_many_spec.lua:%d: service:invoke_many: "):format(line)
      assert.is_truthy(message:find(text .. rule, 1, true), message)
    end
    local results, err = service:invoke_many({ "a" }, "m", ("x"):rep(8192))
    assert.is_nil(results)
    assert.equal("LimitExceeded", err.name)
    assert.equal(0, hub:counters().http_requests)
  end)

  it("may be given what the client's closing leaves", function()
    for _, id in ipairs { "a", "b" } do
      device(id, function(request) request:defer() end)
    end
    local all = dm.spawn(function()
      return service:invoke_many({ "a", "b", "c" }, "m", nil, { concurrency = 2 })
    end)
    assert(dm.wait_until(function() return hub:counters().calls_under_way == 2 end))
    service:close()
    local results = assert(all:await(5))
    assert.same({ Closed = 3 }, results.errors)
  end)
end)

describe("calls in flight", function()
  local IN_FLIGHT, DEVICES, CONNECTIONS = 2000, 50, 40

  local hub, service, devices

  before_each(function()
    hub = fixture.hub()
    service = hub:service("service", { max_connections = CONNECTIONS })
    devices = {}
  end)

  after_each(function()
    finish(hub, service, devices)
  end)

  local function ids_of(count)
    local ids = {}
    for i = 1, count do ids[i] = ("d%d"):format((i - 1) % DEVICES + 1) end
    return ids
  end

  it("are thousands, over few connections", function()
    for i = 1, DEVICES do
      devices[i] = assert(hub:device("d" .. i, {
        m = function(r) return 200, r.payload end,
      }))
    end
    dm.all((function()
      local connects = {}
      for i, each in ipairs(devices) do
        connects[i] = function() assert(each:connect()) end
      end
      return connects
    end)())
    local before = core.handles()
    local results = assert(service:invoke_many(ids_of(IN_FLIGHT), "m", { n = 1 },
      { concurrency = IN_FLIGHT }))
    assert.same({}, results.errors)
    assert.equal(IN_FLIGHT, results.ok)
    assert.is_true(core.handles() - before <= 2 * CONNECTIONS + 2)
    assert.is_true(hub:counters().http_requests >= IN_FLIGHT)
  end)

  it("give their places back when they are cancelled", function()
    hub:add_device("d1")
    local wired = fixture.device(hub, "d1")
    devices[1] = wired
    local calls = {}
    for i = 1, CONNECTIONS + 10 do
      calls[i] = dm.spawn(function() return service:invoke("d1", "m") end)
    end
    for _ = 1, CONNECTIONS do assert(wired:request()) end
    assert.equal(CONNECTIONS, hub:counters().calls_under_way)
    for i = 1, 10 do calls[i]:cancel() end
    for _ = 1, 10 do assert(wired:request()) end
    assert.is_true(wired.wire:stays_quiet())
    assert.equal(CONNECTIONS, hub:counters().calls_under_way)
    for i = 11, #calls do calls[i]:cancel() end
    assert(dm.wait_until(function() return hub:counters().calls_under_way == 0 end))
    local last = dm.spawn(function() return service:invoke("d1", "m") end)
    local _, rid = wired:request()
    wired:answer(rid, 200, "1")
    assert.equal(200, last:await(5).status)
  end)
end)
