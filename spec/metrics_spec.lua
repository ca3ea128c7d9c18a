--- /metrics of the admin listener, as a real OpenMetrics parser reads it.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local openmetrics = require "spec.support.openmetrics"
local rest = require "spec.support.rest"
local value = openmetrics.value

local PREFIX = "directmethods_"
local LARGE = 28 * 4096 - 2 -- bytes: four pass or queue on S1, the fifth is refused
local FAMILIES = {
  calls = "counter",
  drops = "counter",
  throttles = "counter",
  auth_failures = "counter",
  events = "counter",
  call_seconds = "histogram",
  mqtt_connections = "gauge",
  http_connections = "gauge",
  calls_under_way = "gauge",
  waiting_bytes = "gauge",
  identities = "gauge",
  faults = "gauge",
  resident_memory_bytes = "gauge",
}

describe("/metrics", function()
  local hub, device, reply, families

  local function fetch()
    reply = assert(http.exchange(hub:ports().admin, {
      method = "GET", target = "/metrics",
      headers = { "Authorization: Bearer " .. hub:admin_token() },
    }))
    families = assert(openmetrics.parse(reply.body))
    return families
  end

  local function call(id, o)
    o = o or {}
    o.device = id
    return fixture.send_call(hub, o)
  end

  local function status_of(w)
    local status = assert(http.read(w)).status
    w:close()
    return status
  end

  -- One of each: an answer, 404001, 404103, 401 twice, CONNACK 5, a log-in at the
  -- admin listener, an answer that nobody waits for, 429001, a call under way.
  local function make_traffic()
    hub:add_device("offline")
    local answered = call("d", { body = '{"methodName":"m","payload":"12345678"}' })
    local _, rid = device:request()
    device:answer(rid, 200, "1")
    assert.equal(200, status_of(answered))
    device:answer(rid, 200, "1")
    assert.equal(404, status_of(call("nobody")))
    assert.equal(404, status_of(call("offline")))
    assert.equal(401, status_of(call("d", { token = "x" })))
    assert.equal(401, rest.ask(hub, "GET", "/devices/d", nil,
      { policy = "service" }).status)
    local stranger = fixture.device(hub, "d", { password = "x" })
    assert.equal(5, stranger.code)
    stranger:close()
    assert.equal(401, http.exchange(hub:ports().admin,
      { method = "GET", target = "/calls" }).status)
    local large = '{"methodName":"m","payload":"' .. ("x"):rep(LARGE) .. '"}'
    local statuses = {}
    for i = 1, 5 do statuses[i] = call("offline", { body = large }) end
    assert.equal(429, status_of(statuses[5]))
    dm.advance(3)
    for i = 1, 4 do assert.equal(404, status_of(statuses[i])) end
    local waiting = call("d", { body = '{"methodName":"slow"}' })
    assert(device:request())
    return waiting
  end

  before_each(function()
    hub = fixture.hub { admin_port = 0, tier = "S1" }
    hub:add_device("d")
    device = fixture.device(hub, "d")
  end)

  after_each(function()
    device:close()
    fixture.finish(hub)
  end)

  it("is OpenMetrics, of the types and units that are documented", function()
    local waiting = make_traffic()
    fetch()
    assert.equal("application/openmetrics-text; version=1.0.0; charset=utf-8",
      reply.headers["content-type"])
    assert.equal("\n# EOF\n", reply.body:sub(-7))
    local types = {}
    for name, family in pairs(families) do
      types[name:gsub("^" .. PREFIX, "")] = family.type
      assert.is_true(#family.help > 0 and #family.samples > 0, name)
      local unit = name:match("_(seconds)$") or name:match("_(bytes)$") or ""
      assert.equal(unit, family.unit, name)
    end
    assert.same(FAMILIES, types)
    waiting:close()
  end)

  it("has what was done, by outcome and reason", function()
    local waiting = make_traffic()
    fetch()
    for family, reasons in pairs {
      calls = { Answered = 1, DeviceNotFound = 1, DeviceNotOnline = 5,
        IotHubUnauthorizedAccess = 1, ThrottlingException = 1, GatewayTimeout = 0 },
      drops = { response_unknown_rid = 1, mqtt_malformed = 0 },
      throttles = { throttled = 1, shaped = 3, quota_exceeded = 0 },
      auth_failures = { http_unauthorized = 2, connect_unauthorized = 1,
        admin_refused = 1 },
      events = { connects = 1, connect_refused = 1, calls = 9 },
    } do
      local label = ({ calls = "outcome", events = "kind" })[family] or "reason"
      for reason, count in pairs(reasons) do
        assert.equal(count, value(families[PREFIX .. family],
          PREFIX .. family .. "_total", { [label] = reason }), family .. " " .. reason)
      end
    end
    local function gauge(name)
      return value(families[PREFIX .. name], PREFIX .. name)
    end
    assert.same({ 1, 1, 2, 0 }, { gauge "calls_under_way", gauge "mqtt_connections",
      gauge "identities", gauge "faults" })
    assert.is_true(gauge "resident_memory_bytes" > 1e6)
    assert.is_true(gauge "http_connections" >= 1)
    waiting:close()
  end)

  it("has a histogram of the calls that were answered", function()
    local slow = call("d", { body = '{"methodName":"m"}' })
    local _, rid = device:request()
    dm.advance(20)
    device:answer(rid, 200, "1")
    assert.equal(200, status_of(slow))
    local quick = call("d", { body = '{"methodName":"m"}' })
    _, rid = device:request()
    device:answer(rid, 200, "1")
    assert.equal(200, status_of(quick))
    local name = PREFIX .. "call_seconds"
    local family = fetch()[name]
    assert.equal(2, value(family, name .. "_count"))
    assert.equal(2, value(family, name .. "_bucket", { le = "+Inf" }))
    assert.equal(2, value(family, name .. "_bucket", { le = "30.0" }))
    assert.equal(1, value(family, name .. "_bucket", { le = "10.0" }))
    local sum = value(family, name .. "_sum")
    assert.is_true(sum >= 20 and sum < 30, sum)
  end)

  it("tells each counter once, and those that may fall as gauges", function()
    fetch()
    local told, expected = {}, {}
    for _, family in ipairs { "drops", "throttles", "auth_failures", "events" } do
      for _, sample in ipairs(families[PREFIX .. family].samples) do
        local name = sample[2].reason or sample[2].kind
        assert.is_nil(told[name], name)
        told[name] = true
      end
    end
    for name in pairs(hub:counters()) do expected[name] = true end
    expected.calls_under_way = nil
    assert.same(expected, told)
  end)
end)

describe("the parser", function()
  it("refuses what is no OpenMetrics", function()
    local text = "# TYPE a counter\na_total 1\n"
    assert(openmetrics.parse(text .. "# EOF\n"))
    for _, wrong in ipairs { text, "a{ 1\n# EOF\n",
      '# TYPE a histogram\na_bucket{le="1"} 1\n# EOF\n' } do
      local families, why = openmetrics.parse(wrong)
      assert.is_nil(families)
      assert.matches("ValueError", why)
    end
  end)
end)
