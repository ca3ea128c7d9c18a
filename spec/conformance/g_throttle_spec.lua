-- Throttles and quota of a tier (G01 to G05), on the movable clock. The real time
-- that a test takes passes there too, so numbers of calls have it as their slack.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"
local wire = require "spec.support.wire"

local LARGE = 28 * 4096 -- bytes: four pass or queue on S1, the fifth is refused

-- JSON text of so many bytes.
local function text_of(bytes)
  return dm.json.raw('"' .. ("x"):rep(bytes - 2) .. '"')
end

describe("a tier", function()
  local hub, device, service, began

  local function start(opts, service_opts)
    hub = fixture.hub(opts)
    hub:add_device("offline")
    device = hub:device("d", {
      m = function(request) return 200, request.payload end,
      quiet = function() return 200 end,
      long = function() return 200, text_of(8193) end,
    }, { api_version = fixture.NEW })
    assert(device:connect())
    local o = { max_connections = 200, api_version = fixture.NEW }
    for k, v in pairs(service_opts or {}) do o[k] = v end
    service = hub:service("service", o)
    began = dm.now()
  end

  after_each(function()
    if service then service:close() end
    if device then
      device:close()
      assert(device:closed(10))
    end
    if hub then fixture.finish(hub) end
    hub, device, service = nil, nil, nil
  end)

  local function counters() return hub:counters() end

  -- `value` is what it should be, or that and what `rate` gave in the meantime.
  local function about(expected, value, rate)
    local most = expected + rate * (dm.now() - began) + 1
    assert(value >= expected and value <= most,
      ("%g is not from %g to %g"):format(value, expected, most))
  end

  -- Invoke so many times at once. Nobody is there to answer: a call that passes ends
  -- with 404103 at once. How many were throttled, and the tasks.
  local function burst(count, payload)
    local calls = {}
    for i = 1, count do
      calls[i] = dm.spawn(function() return service:invoke("offline", "m", payload) end)
    end
    dm.advance(0)
    local throttled = 0
    for _, call in ipairs(calls) do
      local err = call:ended() and select(2, call:await())
      if err and err.code == 429001 then throttled = throttled + 1 end
    end
    return throttled, calls
  end

  -- How many of them have passed.
  local function passed(calls)
    local n = 0
    for _, call in ipairs(calls) do
      local err = call:ended() and select(2, call:await())
      if err and err.code == 404103 then n = n + 1 end
    end
    return n
  end

  it("G01 S1: 40 calls in a second pass, then they queue, then 429001", function()
    start { tier = "S1" }
    local throttled, calls = burst(150)
    about(40, passed(calls), 40)
    about(120, 150 - throttled, 40)
    about(40, 150 - throttled - counters().shaped, 40) -- never waited
    assert.equal(throttled, counters().throttled)
    assert.equal(150, counters().calls)
    dm.advance(1)
    about(40, passed(calls), 40) -- the second that was advanced is in the slack
    assert.is_true(passed(calls) >= 80)
    dm.advance(1.1)
    assert.equal(150 - throttled, passed(calls))
    dm.advance(1)
    assert.equal(0, (burst(40)))
    assert.equal(throttled, counters().throttled)
  end)

  it("G01 a call that queued reaches its device", function()
    start { tier = "S1" }
    local calls = {}
    for i = 1, 5 do
      calls[i] = dm.spawn(function()
        return service:invoke("d", "m", text_of(LARGE), { response_timeout = 5 })
      end)
    end
    dm.advance(0)
    assert.is_true(calls[1]:ended() and calls[5]:ended())
    assert.is_false(calls[2]:ended() or calls[3]:ended() or calls[4]:ended())
    dm.advance(2)
    for i = 1, 4 do
      local reply = assert(calls[i]:await())
      assert.equal(LARGE, #reply.body)
    end
    assert.equal(429001, select(2, calls[5]:await()).code)
    assert.equal(3, counters().shaped)
  end)

  it("G01 says 429 in Format M", function()
    start { tier = "S1" }
    local wires = {}
    local body = ('{"methodName":"quiet","payload":"%s"}'):format(("x"):rep(LARGE - 2))
    for i = 1, 5 do wires[i] = fixture.send_call(hub, { device = "d", body = body }) end
    local reply = assert(http.read(wires[5]))
    assert.equal(429, reply.status)
    local inner = fixture.error_m(reply)
    assert.equal(429001, inner.errorCode)
    assert.equal("The request has been throttled. Wait 10 seconds and try again.",
      inner.message)
    assert.same({}, inner.info)
    assert.equal("ThrottlingException", reply.headers["iothub-errorcode"])
    assert.is_nil(reply.headers["retry-after"])
    assert.equal(200, assert(http.read(wires[1])).status)
    for _, w in ipairs(wires) do w:close() end -- three of them wait
    assert(dm.wait_until(function() return counters().http_gone == 3 end))
    dm.advance(3)
    assert.equal(1, counters().calls_answered)
  end)

  it("G01 units and S2 multiply, S3 has room for all of it", function()
    for _, case in ipairs { { "S1", 2, 240, 80 }, { "S2", 1, 360, 120 } } do
      local tier, units, tokens, rate = table.unpack(case)
      start { tier = tier, units = units }
      local throttled, calls = burst(24, text_of(98304))
      about(tokens // 24, 24 - throttled, rate / 24)
      dm.advance(3)
      assert.equal(24 - throttled, passed(calls))
      service:close()
      device:close()
      assert(device:closed(10))
      fixture.finish(hub)
    end
    start { tier = "S3" }
    local throttled, calls = burst(90)
    assert.equal(0, throttled)
    assert.equal(90, passed(calls))
    assert.equal(0, counters().shaped)
  end)

  it("G02 4,097 bytes count twice, the response nothing", function()
    start { tier = "S1" }
    local throttled, calls = burst(90, text_of(4097))
    about(60, 90 - throttled, 20)
    dm.advance(3)
    assert.equal(90 - throttled, passed(calls))
  end)

  it("G02 4,096 bytes count once", function()
    start { tier = "S1" }
    local throttled = burst(130, text_of(4096))
    about(120, 130 - throttled, 40)
    dm.advance(3)
  end)

  it("begins anew with hub:reset", function()
    start { tier = "S1" }
    assert.equal(1, (burst(5, text_of(LARGE))))
    assert(hub:reset())
    local _, err = service:invoke("offline", "m", text_of(LARGE))
    assert.equal(404001, err.code)
    assert.equal(0, counters().shaped)
  end)

  it("without one nothing is metered", function()
    start {}
    local throttled, calls = burst(90)
    assert.equal(0, throttled)
    assert.equal(90, passed(calls))
    assert.equal(0, counters().messages_charged)
  end)

  -- How many messages a call is charged.
  local function charge_of(...)
    local before = counters().messages_charged
    local reply, err = service:invoke(...)
    return counters().messages_charged - before, reply or err
  end

  it("G03 charges request and response in 4 KB, an empty one as one", function()
    start { tier = "S1" }
    assert.equal(2, charge_of("d", "quiet"))
    assert.equal(2, charge_of("d", "quiet", text_of(4096)))
    assert.equal(3, charge_of("d", "quiet", text_of(4097)))
    assert.equal(4, charge_of("d", "long"))
    assert.equal(64, charge_of("d", "m", text_of(131072)))
  end)

  it("G03 charges a call to a device that is offline one more", function()
    start { tier = "S1" }
    local n, err = charge_of("offline", "m", text_of(4097))
    assert.equal(3, n)
    assert.equal(404103, err.code)
    n, err = charge_of("unknown", "m")
    assert.equal(404001, err.code)
    assert.equal(1, n)
  end)

  it("G03 charges the calls of jobs the same", function()
    start { tier = "S1" }
    local before = counters().messages_charged
    assert.equal(200, rest.ask(hub, "PUT", "/jobs/v2/j", {
      jobId = "j", type = "scheduleDeviceMethod", queryCondition = "deviceId = 'd'",
      cloudToDeviceMethod = { methodName = "quiet", payload = text_of(4097) },
    }).status)
    assert(dm.advance_until(function() return counters().calls_answered == 1 end, 60))
    assert.equal(3, counters().messages_charged - before)
  end)

  it("G03 charges in 0.5 KB on F1", function()
    start { tier = "F1" }
    assert.equal(2, charge_of("d", "quiet", text_of(512)))
    assert.equal(3, charge_of("d", "quiet", text_of(513)))
    assert.equal(18, charge_of("d", "long"))
  end)

  -- Call until the quota of F1 is used up: 257 messages a call.
  local function use_up()
    hub:add_device("offline")
    local body = '{"methodName":"m","payload":"' .. ("x"):rep(131070) .. '"}'
    for _ = 1, 32 do
      local reply = assert(fixture.call(hub, { device = "offline", body = body }))
      assert.equal(404, reply.status)
      dm.advance(1)
    end
    assert.equal(32 * 257, counters().messages_charged)
  end

  it("G04 the quota used up: 403 IotHubQuotaExceeded till UTC midnight", function()
    hub = fixture.hub { tier = "F1", retry_after = true }
    local left = 86400 - dm.time() % 86400
    if left < 120 then dm.advance(left + 1) end
    use_up()
    local call = { device = "offline" }
    local reply = assert(fixture.call(hub, call))
    assert.equal(403, reply.status)
    assert.equal("IotHubQuotaExceeded", reply.headers["iothub-errorcode"])
    assert.is_nil(reply.headers["retry-after"])
    assert.equal(403002, (fixture.error_m(reply)).errorCode)
    assert.equal(400, fixture.call(hub, { device = "offline", version = "x" }).status)
    assert.equal(401, fixture.call(hub, { device = "offline", token = "x" }).status)
    dm.advance(86400 - dm.time() % 86400 - 5)
    call.body = "not JSON" -- the quota is judged before the body
    assert.equal(403, fixture.call(hub, call).status)
    dm.advance(6)
    assert.equal(400, fixture.call(hub, call).status)
    call.body = nil
    assert.equal(404, fixture.call(hub, call).status)
    assert.equal(2, counters().quota_exceeded)
  end)

  it("G05 a client that retries waits as Retry-After says", function()
    start({ tier = "S1", retry_after = true }, { retry = false })
    assert.equal(1, (burst(5, text_of(LARGE))))
    local _, err = service:invoke("d", "quiet", text_of(LARGE))
    assert.equal(429001, err.code)
    assert.equal(1, err.retry_after)
    local again = dm.spawn(function()
      return service:invoke("d", "quiet", text_of(LARGE),
        { retry = { max = 1, wait = 0.001, jitter = 0 } })
    end)
    dm.advance(0)
    local before = counters().throttled
    dm.advance(0.9) -- there was room long ago
    assert.is_false(again:ended())
    dm.advance(4)
    assert.equal(200, assert(again:await()).status)
    assert.equal(before, counters().throttled)
  end)
end)

describe("a tier's rate of", function()
  local hub, began

  after_each(function()
    if hub then fixture.finish(hub) end
    hub = nil
  end)

  local function start(opts)
    hub = fixture.hub(opts)
    began = dm.now()
  end

  it("registry operations: 100 a minute, then 429 in Format E", function()
    start { tier = "S1", retry_after = true }
    hub:add_device("d")
    local n, reply = 0, rest.ask(hub, "GET", "/devices/d")
    while reply.status == 200 and n < 200 do
      n, reply = n + 1, rest.ask(hub, "GET", "/devices/d")
    end
    assert(n >= 100 and n <= 101 + (dm.now() - began) * 100 / 60, n)
    assert.equal("The request has been throttled. Wait 10 seconds and try again.",
      rest.refused(reply, 429, "ThrottlingException"))
    assert.equal("1", reply.headers["retry-after"])
    assert.equal(429, rest.ask(hub, "PUT", "/devices/e", '{"deviceId":"e"}').status)
    assert.equal(429, rest.ask(hub, "GET", "/statistics/devices").status)
    assert.equal(200, rest.ask(hub, "GET", "/twins/d").status)
    assert.equal(401, rest.ask(hub, "GET", "/devices/d", nil,
      { policy = "service" }).status)
    dm.advance(0.6)
    assert.equal(200, rest.ask(hub, "GET", "/devices/d").status)
    dm.advance(60)
    for _ = 1, 100 do
      assert.equal(200, rest.ask(hub, "GET", "/devices/d").status)
    end
  end)

  -- Ask until it is 429: it is so many a minute, and of a bucket of its own.
  for _, case in ipairs {
    { "queries: 20", 20, "POST", "/devices/query",
      { query = "SELECT * FROM devices" }, tier = "S1" },
    { "queries, two units: 40", 40, "POST", "/devices/query",
      { query = "SELECT * FROM devices" }, tier = "S2", units = 2 },
    { "job requests: 100", 100, "GET", "/jobs/v2/query", tier = "S1" },
    { "registry operations, two units: 200", 200, "GET", "/devices", tier = "S1",
      units = 2 },
    { "registry operations, S3: 5000", 5000, "GET", "/devices", tier = "S3" },
  } do
    local name, count, method, path, body = table.unpack(case, 1, 5)
    it(name .. " a minute, then 429 in Format E", function()
      start { tier = case.tier, units = case.units or 1 }
      local w = wire.connect(hub:ports().https)
      local function ask()
        w:send(http.request {
          method = method, target = path .. "?api-version=" .. fixture.NEW,
          headers = { "Authorization: " .. fixture.service_token(hub, "iothubowner") },
          body = body and dm.json.encode(body),
        })
        return assert(http.read(w))
      end
      local n, reply = 0, ask()
      while reply.status == 200 and n < 2 * count do n, reply = n + 1, ask() end
      local most = count + 1 + (dm.now() - began) * count / 60
      assert(n >= count and n <= most, n)
      rest.refused(reply, 429, "ThrottlingException")
      -- others have theirs
      local other = path == "/devices" and "/jobs/v2/query" or "/devices"
      assert.equal(200, rest.ask(hub, "GET", other).status)
      dm.advance(60 / count)
      assert.equal(200, ask().status)
      w:close()
    end)
  end

  for units, count in pairs { [1] = 100, [10] = 120 } do
    local name = ("connections, %d units of S1: %d a second"):format(units, count)
    it(name .. ", then CONNACK 3", function()
      start { tier = "S1", units = units }
      local wires, connects = {}, {}
      for i = 1, 190 do
        local id = "d" .. i
        hub:add_device(id)
        connects[i] = mqtt.connect(fixture.connect_fields(hub, id))
        wires[i] = wire.connect(hub:ports().mqtt)
      end
      began = dm.now()
      for i, w in ipairs(wires) do w:send(connects[i]) end
      local codes = { [0] = 0, [3] = 0 }
      for _, w in ipairs(wires) do
        local code = assert(mqtt.read(w)).body:byte(2)
        codes[code] = codes[code] + 1
      end
      local most = count + 1 + (dm.now() - began) * count
      assert(codes[0] >= count and codes[0] <= most, codes[0])
      assert.equal(190 - codes[0], codes[3])
      assert.equal(codes[3], hub:counters().throttled)
      assert.equal(codes[3], hub:counters().connect_refused)
      dm.advance(1)
      local late = fixture.device(hub, "d160")
      assert.equal(0, late.code)
      late:close()
      for _, w in ipairs(wires) do w:close() end
    end)
  end
end)

describe("a tier's rates of twins and messages", function()
  local hub

  after_each(function()
    fixture.finish(hub)
    hub = nil
  end)

  local function start(opts)
    hub = fixture.hub(opts)
    hub:add_device("d")
  end

  -- Ask until it is 429: how often it was not, and the first reply that was.
  local function count(method, most, body)
    for n = 0, most do
      local reply = rest.ask(hub, method, "/twins/d", body)
      if reply.status == 429 then return n, reply end
      assert.equal(200, reply.status)
    end
    return most
  end

  it("G08 S1: 100 reads and 50 updates a second, then 429", function()
    start { tier = "S1" }
    local reads, reply = count("GET", 400)
    assert.is_true(reads >= 100, reads)
    rest.refused(reply, 429, "ThrottlingException")
    local updates
    updates, reply = count("PATCH", 400, '{"tags":{"a":1}}')
    assert.is_true(updates >= 50, updates)
    rest.refused(reply, 429, "ThrottlingException")
    dm.advance(1)
    assert.equal(200, rest.ask(hub, "GET", "/twins/d").status)
    assert.equal(200, rest.ask(hub, "PUT", "/twins/d", "{}").status)
  end)

  it("G08 counts digital twins, too", function()
    start { tier = "S1" }
    for method, body in pairs { GET = "", PATCH = "[]" } do
      local w = wire.connect(hub:ports().https)
      w:send(http.request({
        method = method, body = body,
        target = "/digitaltwins/d?api-version=" .. fixture.NEW,
        headers = { "Authorization: " .. fixture.service_token(hub) },
      }):rep(400))
      local reply
      repeat reply = assert(http.read(w)) until reply.status == 429
      rest.refused(reply, 429, "ThrottlingException")
      w:close()
    end
  end)

  it("G08 a device over the rate gets res/429 with a body", function()
    start { tier = "S1" }
    local device = fixture.device(hub, "d", { subscribe = false })
    device:subscribe(0, "$iothub/twin/res/#")
    device:send(mqtt.publish("$iothub/twin/GET/?$rid=1", ""):rep(300))
    local statuses, body = {}, nil
    for _ = 1, 300 do
      local packet = assert(device:read())
      local status = packet.topic:match("^%$iothub/twin/res/(%d+)/")
      statuses[status] = (statuses[status] or 0) + 1
      if status == "429" then body = packet.payload end
    end
    assert.is_true(statuses["200"] >= 100)
    assert.equal(300, statuses["200"] + statuses["429"])
    assert.equal(429001, dm.json.decode(body).errorCode)
    device:close()
  end)

  it("G09 rates grow with the units, where the tier says so", function()
    start { tier = "S2", units = 20 }
    assert.is_true(count("GET", 200) >= 200)
    assert.is_true(count("PATCH", 100, '{"tags":{"a":1}}') >= 100)
  end)

  it("G10 messages over the rate make their device wait, and are kept", function()
    start { tier = "S1" }
    local device = fixture.device(hub, "d", { subscribe = false })
    local bytes = {}
    for i = 1, 150 do
      bytes[i] = mqtt.publish("devices/d/messages/events/", tostring(i))
    end
    device:send(table.concat(bytes))
    assert(dm.wait_until(function() return hub:counters().telemetry >= 100 end, 5))
    dm.advance(2)
    assert(dm.wait_until(function() return hub:counters().telemetry == 150 end, 5))
    assert.is_true(hub:counters().sends_shaped > 0)
    assert.equal("150", hub:messages()[150].body)
    device:close()
  end)
end)

describe("dm.hub refuses", function()
  for rule, opts in pairs {
    ["option 'tier' must be one of"] = { tier = "B1" },
    ["option 'units' must be from 1 to 200, not 0"] = { tier = "S1", units = 0 },
    ["option 'units' needs a tier"] = { units = 2 },
    ["option 'units' must be 1 for the tier F1"] = { tier = "F1", units = 2 },
  } do
    it(rule, function()
      local ok, message = pcall(dm.hub, opts)
      assert.is_false(ok)
      assert.matches("dm.hub: " .. rule, message, 1, true)
    end)
  end
end)
