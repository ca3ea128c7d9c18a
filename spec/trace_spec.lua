-- The record of each call, what the hub measures, canned devices and hub:reset.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local json = require "directmethods.json"
local wires = require "spec.support.wire"

describe("the trace", function()
  local hub, device, service

  local function open(opts)
    hub = fixture.hub(opts)
    device = hub:device("dev1", {
      echo = function(request) return 201, request.payload end,
      slow = function() dm.sleep(2) end,
    })
    assert(device:connect())
    service = hub:service()
  end

  before_each(function() open() end)

  local function close()
    service:close()
    device:close()
    assert(device:closed(5))
    fixture.finish(hub)
  end

  after_each(close)

  local function again(opts)
    close()
    open(opts)
  end

  local function last_call()
    local calls = hub:calls()
    return calls[#calls]
  end

  -- The record of a raw call that has ended.
  local function raw(o)
    o.device = o.device or "dev1"
    fixture.call(hub, o)
    return last_call()
  end

  describe("of a call", function()
    it("has all of it", function()
      local before = dm.time()
      assert(service:invoke("dev1", "echo", { a = 1 }))
      local call = last_call()
      assert.is_true(call.time >= math.floor(before) and call.time <= dm.time())
      assert.is_true(call.elapsed > 0 and call.elapsed < 5)
      local last = 0
      for _, name in ipairs { "received", "authorised", "published", "answered",
        "replied" } do
        assert.is_true(call.stages[name] >= last, name)
        last = call.stages[name]
      end
      assert.equal(0, call.stages.received)
      assert.equal(call.elapsed, call.stages.replied)
      call.time, call.elapsed, call.stages = nil, nil, nil
      assert.same({
        id = 1, device_id = "dev1", method = "echo", rid = "1", outcome = "Answered",
        status = 201, code = 0, http_status = 200, request_size = 7,
        response_size = 7, payload = '{"a":1}', response = '{"a":1}',
        response_timeout = 30, connect_timeout = 0, api_version = "2018-06-30",
      }, call)
    end)

    it("tells what its caller chose", function()
      local call = raw {
        version = "2021-04-12",
        body = '{"methodName":"echo","responseTimeoutInSeconds":7,'
          .. '"connectTimeoutInSeconds":5}',
      }
      assert.same({ 7, 5, "2021-04-12" },
        { call.response_timeout, call.connect_timeout, call.api_version })
    end)

    it("of a module names it", function()
      local module <close> = hub:device("dev1/mod1", {
        echo = function() return 200 end,
      })
      assert(module:connect())
      assert(service:invoke("dev1", "echo", nil, { module_id = "mod1" }))
      local call = last_call()
      assert.equal("dev1", call.device_id)
      assert.equal("mod1", call.module_id)
      assert.is_nil(call.payload)
      assert.equal(0, call.request_size)
      assert.equal("", call.response)
      module:close()
      assert(module:closed(5))
    end)

    it("counts the $rid in hex", function()
      for _ = 1, 26 do assert(service:invoke("dev1", "echo")) end
      assert.equal("1a", last_call().rid)
      assert.equal(26, last_call().id)
    end)

    it("says how long it waited for its device", function()
      assert(hub:add_device "dev2")
      local task = dm.spawn(service.invoke, service, "dev2", "echo", nil,
        { connect_timeout = 10 })
      dm.advance(3)
      local late <close> = hub:device("dev2", { echo = function() return 200 end })
      assert(late:connect())
      assert(task:await())
      local call = last_call()
      assert.is_true(call.stages.waiting < 1)
      assert.is_true(call.stages.published > 2.5)
      late:close()
      assert(late:closed(5))
    end)

    it("is on the movable clock", function()
      local task = dm.spawn(service.invoke, service, "dev1", "slow", nil)
      dm.advance(2)
      assert(task:await())
      local call = last_call()
      assert.is_true(call.elapsed > 1.5 and call.elapsed < 4)
    end)

    it("that runs out ends with its error", function()
      assert(hub:add_device "raw")
      local peer = fixture.device(hub, "raw")
      local wire = fixture.send_call(hub, { device = "raw" })
      assert.equal("reboot", (peer:request()))
      dm.advance(30)
      assert(http.read(wire))
      wire:close()
      peer:close()
      local call = last_call()
      assert.equal("GatewayTimeout", call.outcome)
      assert.equal(504101, call.code)
      assert.equal(504, call.http_status)
      assert.equal(0, call.status)
      assert.is_nil(call.reason)
      assert.is_nil(call.stages.answered)
      assert.is_true(call.elapsed > 29.5)
    end)

    it("keeps an answer that is no JSON", function()
      assert(hub:add_device "raw")
      local peer = fixture.device(hub, "raw")
      local wire = fixture.send_call(hub, { device = "raw" })
      local _, rid = peer:request()
      peer:answer(rid, 200, "{nonsense")
      assert(http.read(wire))
      wire:close()
      peer:close()
      local call = last_call()
      assert.equal("InvalidResponseWhileProxying", call.outcome)
      assert.equal("{nonsense", call.response)
      assert.equal(200, call.status)
      assert.equal(502, call.http_status)
    end)

    it("whose caller leaves ends there", function()
      assert(hub:add_device "raw")
      local peer = fixture.device(hub, "raw")
      local wire = fixture.send_call(hub, { device = "raw" })
      assert.equal("reboot", (peer:request()))
      wire:close()
      assert(wires.turn_until(function() return hub:counters().http_gone == 1 end))
      peer:close()
      local call = last_call()
      assert.equal("CallerGone", call.outcome)
      assert.equal(0, call.code)
      assert.equal(0, call.http_status)
      assert.equal("raw", call.device_id)
    end)

    it("without a good token is one, too", function()
      local call = raw { token = "SharedAccessSignature sr=x&sig=x&se=1" }
      assert.equal("IotHubUnauthorizedAccess", call.outcome)
      assert.equal(401, call.http_status)
      assert.equal("dev1", call.device_id)
      assert.equal("", call.method)
      assert.is_nil(call.stages.authorised)
      call = raw { version = false }
      assert.equal("InvalidProtocolVersion", call.outcome)
      assert.equal(400001, call.code)
    end)

    it("that is wrong has the error and no payload", function()
      local call = raw { body = '{"methodName":7}' }
      assert.equal("ArgumentInvalid", call.outcome)
      assert.equal(400004, call.code)
      assert.equal("", call.method)
      assert.is_nil(call.payload)
      assert.is_nil(call.stages.published)
      assert.is_nil(call.response_timeout)
      assert.is_nil(call.api_version)
    end)

    it("to a name of any length keeps 128 bytes of it", function()
      local call = raw { device = ("x"):rep(2000) }
      assert.equal(("x"):rep(128), call.device_id)
    end)
  end)

  describe("of a 404", function()
    local function reason(o)
      local call = raw(o)
      assert.equal(404, call.http_status)
      return call.reason
    end

    it("tells the reason at once", function()
      assert(hub:add_device("off", { status = "disabled" }))
      assert(hub:add_device "away")
      assert(hub:add_device "deaf")
      local deaf = fixture.device(hub, "deaf", { subscribe = false })
      assert.equal("not registered", reason { device = "nobody" })
      assert.equal("not registered", reason { module = "nobody" })
      assert.equal("disabled", reason { device = "off" })
      assert.equal("not connected", reason { device = "away" })
      assert.equal("not subscribed", reason { device = "deaf" })
      assert.equal(404103, last_call().code)
      deaf:close()
    end)

    it("tells the reason after a wait", function()
      assert(hub:add_device "away")
      assert(hub:add_device "deaf")
      local deaf = fixture.device(hub, "deaf", { subscribe = false })
      local body = '{"methodName":"reboot","connectTimeoutInSeconds":5}'
      local a = fixture.send_call(hub, { device = "away", body = body })
      local b = fixture.send_call(hub, { device = "deaf", body = body })
      assert(wires.turn_until(function()
        return hub:metrics().calls_under_way == 2
      end))
      dm.advance(5)
      assert(http.read(a))
      assert(http.read(b))
      local by_device = {}
      for _, call in ipairs(hub:calls()) do by_device[call.device_id] = call.reason end
      assert.same({ away = "not connected", deaf = "not subscribed" }, by_device)
      for _, wire in ipairs { a, b, deaf } do wire:close() end
    end)

    it("tells that the device went away in the registry", function()
      assert(hub:add_device "away")
      local wire = fixture.send_call(hub, {
        device = "away",
        body = '{"methodName":"reboot","connectTimeoutInSeconds":5}',
      })
      assert(wires.turn_until(function()
        return hub:metrics().calls_under_way == 1
      end))
      assert(hub:reset())
      assert.equal(404, assert(http.read(wire)).status)
      wire:close()
    end)
  end)

  describe("marks what today's Azure would refuse:", function()
    it("response time-outs", function()
      local function mark(seconds)
        local task = dm.spawn(service.invoke, service, "dev1", "echo", nil,
          { response_timeout = seconds })
        assert(task:await())
        return last_call().azure_refuses
      end
      assert.equal("responseTimeoutInSeconds must be within [5; 300].", mark(4))
      assert.is_nil(mark(5))
      assert.is_nil(mark(300))
      assert.equal("responseTimeoutInSeconds must be within [5; 300].", mark(301))
    end)

    it("no api-version", function()
      again { api_version_optional = true }
      local wire = fixture.send_call(hub, {
        device = "dev1", version = false, body = '{"methodName":"echo"}',
      })
      assert.equal(200, assert(http.read(wire)).status)
      wire:close()
      assert.equal("there is no api-version", last_call().azure_refuses)
      assert.equal(30, last_call().response_timeout)
      assert.is_nil(last_call().api_version)
    end)
  end)

  describe("marks besides", function()
    it("api-versions of other times", function()
      local function mark(version)
        raw { version = version, body = '{"methodName":"echo"}' }
        assert.equal("Answered", last_call().outcome)
        return last_call().azure_refuses
      end
      local none = "IoT Hub has no such api-version"
      assert.equal(none, mark "2016-11-13")
      assert.is_nil(mark "2016-11-14")
      assert.is_nil(mark "2021-04-12")
      assert.is_nil(mark "2026-11-01-preview")
      assert.equal(none, mark "2026-11-02")
    end)

    it("expired tokens", function()
      again { tokens = false }
      local function mark(expiry)
        local token = core.sas_sign("localhost", hub.state.policies.service,
          math.floor(dm.time()) + expiry, "service")
        raw { token = token, body = '{"methodName":"echo"}' }
        assert.equal("Answered", last_call().outcome)
        return last_call().azure_refuses
      end
      assert.is_nil(mark(60))
      assert.equal("the caller's token is expired", mark(-400))
    end)

    it("several reasons at once", function()
      again { api_version_optional = true }
      raw { version = false,
        body = '{"methodName":"echo","responseTimeoutInSeconds":4}' }
      assert.equal("there is no api-version; "
        .. "responseTimeoutInSeconds must be within [5; 300].",
        last_call().azure_refuses)
    end)

    it("jobs that waited for their device", function()
      assert(hub:add_device "late")
      local jobs = service.jobs
      local job = assert(jobs:schedule {
        method = "echo", query = "deviceId IN ['dev1', 'late']",
      })
      dm.wait_until(function() return last_call() end)
      assert.is_nil(last_call().azure_refuses)
      local late <close> = hub:device("late", { echo = function() return 200 end })
      assert(late:connect())
      assert(job:await(20))
      assert.equal("late", last_call().device_id)
      assert.equal("a job does not wait for a device that is offline",
        last_call().azure_refuses)
    end)
  end)

  describe("of a job", function()
    it("has the job's id; other calls have none", function()
      assert(service:invoke("dev1", "echo"))
      assert.is_nil(last_call().job_id)
      local definition = json.encode {
        type = "scheduleDeviceMethod", queryCondition = "deviceId = 'dev1'",
        cloudToDeviceMethod = { methodName = "echo" },
      }
      for _, id in ipairs { "nightly-1", ("j"):rep(128) } do
        assert(hub.state.jobs:create(id, definition, "2021-04-12"))
        dm.wait_until(function() return last_call().job_id end)
        assert.equal(id, last_call().job_id)
        hub:delete_calls { last_call().id }
      end
      assert(service:invoke("dev1", "echo"))
      assert.is_nil(last_call().job_id)
    end)
  end)

  describe("in hub:calls", function()
    local function ids(filter)
      local list = {}
      for i, call in ipairs(hub:calls(filter)) do list[i] = call.id end
      return list
    end

    it("is chosen by device, module, method, outcome and time", function()
      assert(service:invoke("dev1", "echo")) -- 1
      service:invoke("dev2", "echo") -- 2
      dm.advance(10)
      local since = dm.time()
      service:invoke("dev1", "unknown") -- 3
      service:invoke("dev1", "echo", nil, { module_id = "m" }) -- 4
      assert.same({ 1, 2, 3, 4 }, ids())
      assert.same({ 1, 2, 3, 4 }, ids {})
      assert.same({ 1, 3, 4 }, ids { device = "dev1" })
      assert.same({ 4 }, ids { module = "m" })
      assert.same({ 1, 2, 4 }, ids { method = "echo" })
      assert.same({ 2 }, ids { outcome = "DeviceNotFound" })
      assert.same({ 3, 4 }, ids { since = since })
      assert.same({ 3 }, ids { since = since, outcome = "Answered" })
      assert.same({}, ids { since = dm.time() + 1 })
    end)

    it("raises for what is no filter", function()
      assert.error_matches(function() hub:calls { devise = "x" } end,
        "hub:calls: unknown option 'devise' %(did you mean 'device'%?%)")
      assert.error_matches(function() hub:calls { since = "now" } end,
        "hub:calls: option 'since' must be of type number")
    end)

    it("is the latest of them, in a fixed memory", function()
      again { limits = { trace_bytes = 20000 } }
      local big = ("x"):rep(3000)
      for i = 1, 60 do
        assert(service:invoke("dev1", "echo", i % 2 == 0 and big or i))
      end
      local calls = hub:calls()
      assert.is_true(#calls > 2 and #calls < 60)
      assert.equal(60, calls[#calls].id)
      for i = 2, #calls do assert.equal(calls[i - 1].id + 1, calls[i].id) end
      assert.equal('"' .. big .. '"', calls[#calls].payload)
      assert.equal('"' .. big .. '"', calls[#calls].response)
    end)

    it("goes without payloads that are larger than all of it", function()
      again { limits = { trace_bytes = 1 } }
      local big = ("x"):rep(8000)
      assert(service:invoke("dev1", "echo", big, { response_timeout = 30 }))
      device:method("echo", function() return 200, ("y"):rep(8000) end)
      assert(service:invoke("dev1", "echo", big))
      local call = last_call()
      assert.equal(8002, call.request_size)
      assert.equal(8002, call.response_size)
      assert.equal("Answered", call.outcome)
    end)
  end)

  it("gives its records to hub:on", function()
    local seen = {}
    hub:on("call", function(call) seen[#seen + 1] = call end)
    assert(service:invoke("dev1", "echo", 1))
    service:invoke("dev2", "echo")
    assert(dm.wait_until(function() return #seen == 2 end))
    assert.same(hub:calls(), seen)
  end)

  -- Metrics ----------------------------------------------------------------------

  it("is summed up in hub:metrics", function()
    for _ = 1, 3 do assert(service:invoke("dev1", "echo")) end
    local task = dm.spawn(service.invoke, service, "dev1", "slow")
    dm.advance(2)
    assert(task:await())
    service:invoke("dev2", "echo")
    service:invoke("dev1", "echo", nil, { module_id = "m" })
    local m = hub:metrics()
    assert.same({ 4, 1, 1, 0 }, {
      m.outcomes.Answered, m.outcomes.DeviceNotFound, m.outcomes.ModuleNotFound,
      m.outcomes.GatewayTimeout,
    })
    assert.same(hub:counters(), m.counters)
    assert.equal(1, m.mqtt_connections)
    assert.equal(1, m.http_connections)
    assert.equal(1, m.identities)
    assert.same({ 0, 0, 0 }, { m.calls_under_way, m.waiting_bytes, m.faults })
    local buckets = m.latency.buckets
    assert.equal(math.huge, buckets[#buckets].le)
    assert.equal(4, buckets[#buckets].count)
    assert.equal(4, m.latency.count)
    assert.is_true(m.latency.sum > 1.5 and m.latency.sum < 5)
    for i, bucket in ipairs(buckets) do
      if bucket.le == 1 then assert.equal(3, bucket.count) end
      if i > 1 then
        assert.is_true(bucket.le > buckets[i - 1].le)
        assert.is_true(bucket.count >= buckets[i - 1].count)
      end
    end
  end)

  -- Canned devices -----------------------------------------------------------------

  describe("a device without code", function()
    it("answers what it is given", function()
      local canned <close> = hub:device("canned", {
        reboot = { status = 202, payload = { ok = true }, delay = 2 },
        empty = {},
        echo = function(request) return 200, request.payload end,
      })
      assert(canned:connect())
      local task = dm.spawn(service.invoke, service, "canned", "reboot")
      dm.advance(1.9)
      assert.equal(1, hub:metrics().calls_under_way)
      dm.advance(0.1)
      local reply = assert(task:await())
      assert.equal(202, reply.status)
      assert.same({ ok = true }, reply.payload)
      reply = assert(service:invoke("canned", "empty"))
      assert.equal(200, reply.status)
      assert.equal("null", reply.body)
      assert.equal("x", assert(service:invoke("canned", "echo", "x")).payload)
      canned:close()
      assert(canned:closed(5))
    end)

    it("takes what can be called for a handler", function()
      local callable = setmetatable({}, { __call = function() return 207 end })
      local canned <close> = hub:device("canned", { reboot = callable })
      assert(canned:connect())
      assert.equal(207, assert(service:invoke("canned", "reboot")).status)
      canned:close()
      assert(canned:closed(5))
    end)

    it("answers one after the other, then the last one again", function()
      local canned <close> = hub:device("canned", {
        on = { { status = 503 }, { status = 200, payload = "at last" } },
      })
      assert(canned:connect())
      local statuses = {}
      for i = 1, 3 do statuses[i] = assert(service:invoke("canned", "on")).status end
      assert.same({ 503, 200, 200 }, statuses)
      canned:close()
      assert(canned:closed(5))
    end)

    it("raises for an answer that is none", function()
      for answer, message in pairs {
        [{ {}, { stats = 1 } }] = "answer 2: unknown option 'stats'",
        [{ {}, 7 }] = "answer 2: options must be a table",
        [{ {}, status = 200 }] = "the table must be one answer or a list of answers",
        [{ stats = 1 }] = "unknown option 'stats' %(did you mean 'status'%?%)",
        [{ status = "ok" }] = "option 'status' must be of type integer",
        [{ delay = -1 }] = "option 'delay' must be from 0",
      } do
        local ok, raised = pcall(function()
          hub:device("canned", { reboot = answer })
        end)
        assert.is_false(ok)
        assert.matches("^[^\n]*trace_spec.lua:%d+: hub:device: handler 'reboot': "
          .. message, raised)
      end
      assert.error(function() hub:device("canned", { ["a b"] = {} }) end)
      assert.error(function() hub:device("canned", {}, { keepalive = "x" }) end)
      assert.equal(1, #hub:devices()) -- it is not registered
    end)
  end)

  -- Reset --------------------------------------------------------------------------

  describe("hub:reset", function()
    it("brings back what was there in the beginning", function()
      local before = hub:connection_string "service"
      assert(hub:add_device "dev2/mod1")
      assert(hub:add_device "raw")
      local peer = fixture.device(hub, "raw")
      local fault = hub:fault { stage = "http", action = "delay", delay = 0.001 }
      local task = dm.spawn(service.invoke, service, "dev1", "echo")
      dm.advance(1)
      assert(task:await())
      assert.equal(true, hub:reset())
      assert.same({}, hub:devices())
      assert.same({}, hub:calls())
      assert.same({}, hub:messages())
      assert.equal(0, hub:counters().calls)
      assert.same({ 0, 0 }, { hub:metrics().identities, hub:metrics().faults })
      assert.equal(0, hub:metrics().latency.count)
      assert.equal(1, fault.hits)
      assert.is_true(peer.wire:wait_closed())
      peer:close()
      assert.equal(before, hub:connection_string "service")
      assert.is_nil((service:invoke("dev1", "echo")))
      assert.equal(1, last_call().id)
      assert(hub:add_device "dev1")
    end)

    it("waits for the listener, which puts back what is always there", function()
      hub:on("reset", function()
        dm.sleep(0.001)
        assert(hub:add_device "always")
      end)
      assert(hub:reset())
      local devices = hub:devices()
      assert.same({ 1, "always" }, { #devices, devices[1].device_id })
      hub:on("reset", nil)
      assert(hub:reset())
      assert.same({}, hub:devices())
      assert(hub:add_device "dev1")
    end)

    describe("of more devices than a page has", function()
      local turns, resetting

      before_each(function()
        for i = 1, 1200 do assert(hub:add_device("d" .. i)) end
        for i = 1, 5 do
          assert(service.jobs:schedule { id = "j" .. i, method = "m", query = "*",
            delay = 100 })
        end
        turns, resetting = {}, dm.spawn(hub.reset, hub)
      end)

      it("goes on between the turns of the loop, and takes what comes", function()
        while not resetting:ended() do
          local left = hub:metrics().identities
          if left ~= turns[#turns] then table.insert(turns, left) end
          if left > 400 and left < 1200 then hub:add_device("late") end
          dm.loop.step(0)
        end
        assert.equal(true, resetting:await())
        assert.is_true(#turns >= 3, #turns)
        assert.equal(0, hub:metrics().identities)
        assert.same({}, service.jobs:list():all())
      end)

      it("ends when the hub is closed", function()
        assert(dm.wait_until(function()
          return hub:metrics().identities < 1000
        end))
        device:close()
        hub:close()
        local done, err = resetting:await()
        assert.same({ nil, "Closed" }, { done, err.name })
      end)
    end)

    it("fails the calls that are under way", function()
      local task = dm.spawn(service.invoke, service, "dev1", "slow")
      assert(dm.wait_until(function() return hub:metrics().calls_under_way == 1 end))
      assert(hub:reset())
      local _, err = task:await()
      assert.equal(404104, err.code)
      dm.advance(2) -- the handler ends
    end)
  end)
end)
