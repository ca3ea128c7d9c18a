-- Rules for faults, each action at each stage, with our own device and service; and
-- the fault messages of Azure's SDKs.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local wires = require "spec.support.wire"

describe("a fault", function()
  local hub, device, service
  local ran -- times that the handler ran

  local function new_device(id, opts)
    local o = { reconnect = { min = 1, max = 1, jitter = 0 } }
    for name, value in pairs(opts or {}) do o[name] = value end
    return hub:device(id, {
      work = function(request)
        ran = ran + 1
        return 200, { ran = ran, got = request.payload }
      end,
    }, o)
  end

  before_each(function()
    ran = 0
    hub = fixture.hub()
    device = new_device "dev1"
    service = hub:service()
  end)

  after_each(function()
    service:close()
    device:close()
    assert(device:closed(5))
    fixture.finish(hub)
  end)

  local function connect()
    assert(device:connect())
  end

  -- A call with five seconds for the device.
  local function invoke(id)
    return service:invoke(id or "dev1", "work", "x", { response_timeout = 5 })
  end

  local function last_call()
    local calls = hub:calls()
    return calls[#calls]
  end

  -- Requests -----------------------------------------------------------------

  describe("at stage request", function()
    before_each(connect)

    it("drops what is for the device", function()
      local fault = hub:fault { stage = "request", action = "drop", times = 1 }
      local task = dm.spawn(invoke)
      dm.advance(4.9)
      assert.equal(0, ran)
      dm.advance(0.1)
      local reply, err = task:await()
      assert.is_nil(reply)
      assert.equal(504101, err.code)
      assert.equal(1, fault.hits)
      local call = last_call()
      assert.same({ "request:drop" }, call.faults)
      assert.is_nil(call.stages.published)
      assert.equal("1", call.rid)
      assert.equal(1, assert(invoke()).payload.ran)
      assert.equal(1, fault.hits)
    end)

    it("delays what is for the device", function()
      hub:fault { stage = "request", action = "delay", delay = 3 }
      local task = dm.spawn(invoke)
      dm.advance(2.9)
      assert.equal(0, ran)
      dm.advance(0.1)
      assert.same({ ran = 1, got = "x" }, assert(task:await()).payload)
      local call = last_call()
      assert.same({ "request:delay" }, call.faults)
      assert.is_true(call.stages.published > 2.5)
    end)

    it("delays beyond the time that the call has", function()
      hub:fault { stage = "request", action = "delay", delay = 30 }
      local task = dm.spawn(invoke)
      dm.advance(5)
      local _, err = task:await()
      assert.equal(504101, err.code)
      dm.advance(60)
      assert.equal(0, ran)
    end)

    it("sends twice what is for the device, who answers twice", function()
      hub:fault { stage = "request", action = "duplicate" }
      assert(invoke())
      assert(dm.wait_until(function()
        return ran == 2 and hub:counters().response_unknown_rid == 1
      end))
    end)

    it("closes the connection of the device instead", function()
      local fault = hub:fault { stage = "request", action = "disconnect", times = 1 }
      local _, err = invoke()
      assert.equal(404104, err.code)
      assert.equal(0, ran)
      assert.equal(1, fault.hits)
      assert.same({ "request:disconnect" }, last_call().faults)
      assert(dm.wait_until(function() return device.state ~= "online" end))
      dm.advance(2)
      assert(dm.wait_until(function() return device.state == "online" end))
      assert(invoke())
    end)

    it("rejects the call in the place of the device", function()
      hub:fault { stage = "request", action = "reject", code = 429001 }
      local _, err = invoke()
      assert.equal(429001, err.code)
      assert.equal(429, err.http_status)
      assert.equal("ThrottlingException", err.name)
      assert.equal(0, ran)
      local call = last_call()
      assert.equal("ThrottlingException", call.outcome)
      assert.equal(429001, call.code)
      assert.equal(429, call.http_status)
    end)
  end)

  -- Responses ------------------------------------------------------------------

  describe("at stage response", function()
    before_each(connect)

    it("drops the device's answer", function()
      hub:fault { stage = "response", action = "drop" }
      local task = dm.spawn(invoke)
      dm.advance(4.9)
      assert.equal(1, ran)
      dm.advance(0.1)
      local _, err = task:await()
      assert.equal(504101, err.code)
      local call = last_call()
      assert.same({ "response:drop" }, call.faults)
      assert.equal("GatewayTimeout", call.outcome)
      assert.is_true(call.stages.answered < 1)
    end)

    it("delays the device's answer", function()
      hub:fault { stage = "response", action = "delay", delay = 2 }
      local task = dm.spawn(invoke)
      dm.advance(1.9)
      assert.equal(1, ran)
      assert.equal(0, #hub:calls())
      dm.advance(0.1)
      assert.same({ ran = 1, got = "x" }, assert(task:await()).payload)
      local call = last_call()
      assert.is_true(call.stages.answered < 1)
      assert.is_true(call.stages.replied > 1.5 and call.elapsed < 3)
    end)

    it("delays it beyond the time that the call has", function()
      hub:fault { stage = "response", action = "delay", delay = 30 }
      local task = dm.spawn(invoke)
      dm.advance(5)
      local _, err = task:await()
      assert.equal(504101, err.code)
      dm.advance(60)
      assert.equal(1, #hub:calls())
    end)

    it("takes the device's answer twice, the second for nobody's", function()
      hub:fault { stage = "response", action = "duplicate" }
      assert.equal(1, assert(invoke()).payload.ran)
      assert.equal(1, hub:counters().response_unknown_rid)
      assert.equal(1, hub:counters().responses)
    end)

    it("closes the connection of the device, its answer is lost", function()
      hub:fault { stage = "response", action = "disconnect", times = 1 }
      local _, err = invoke()
      assert.equal(404104, err.code)
      assert.equal(1, ran)
      assert(dm.wait_until(function() return device.state ~= "online" end))
    end)

    it("rejects the call although the device has answered", function()
      hub:fault { stage = "response", action = "reject" }
      local _, err = invoke()
      assert.equal(503001, err.code)
      assert.equal(503, err.http_status)
      assert.equal(1, ran)
    end)

    it("answers with a body of the rule's own", function()
      hub:fault { stage = "response", action = "reject", body = "{nonsense" }
      local reply = fixture.call(hub, {
        device = "dev1", body = '{"methodName":"work"}',
      })
      assert.equal(200, reply.status)
      assert.equal("{nonsense", reply.body)
      assert.is_nil(reply.headers["iothub-errorcode"])
      assert.equal("Rejected", last_call().outcome)
    end)

    it("answers with a status of the rule's own", function()
      hub:fault { stage = "response", action = "reject", status = 500, code = 500999 }
      local reply = fixture.call(hub, {
        device = "dev1", body = '{"methodName":"work"}',
      })
      assert.equal(500, reply.status)
      local inner = fixture.error_m(reply)
      assert.equal(500999, inner.errorCode)
      assert.equal("A rule for faults rejects it.", inner.message)
    end)
  end)

  -- Callers --------------------------------------------------------------------

  describe("at stage http", function()
    before_each(connect)

    it("never answers the caller", function()
      hub:fault { stage = "http", action = "drop", times = 1 }
      local wire = fixture.send_call(hub, {
        device = "dev1", body = '{"methodName":"work"}',
      })
      assert(dm.wait_until(function() return hub:counters().faults == 1 end))
      dm.advance(3600)
      assert.is_true(wire:stays_quiet())
      wire:close()
      assert(wires.turn_until(function() return hub:counters().http_gone == 1 end))
      local call = last_call()
      assert.equal("CallerGone", call.outcome)
      assert.equal("dev1", call.device_id)
      assert.equal("work", call.method)
      assert.same({ "http:drop" }, call.faults)
      assert.equal(0, call.http_status)
      assert.equal(0, ran)
      assert.equal(0, hub:metrics().waiting_bytes)
    end)

    it("lets the caller's own clock run out", function()
      hub:fault { stage = "http", action = "drop" }
      local task = dm.spawn(invoke)
      dm.advance(60)
      local reply, err = task:await()
      assert.is_nil(reply)
      assert.equal("Timeout", err.name)
    end)

    it("delays the caller's request", function()
      hub:fault { stage = "http", action = "delay", delay = 3 }
      local task = dm.spawn(invoke)
      dm.advance(2.9)
      assert.equal(0, ran)
      assert.equal(0, hub:metrics().calls_under_way)
      assert.is_true(hub:metrics().waiting_bytes > 0)
      dm.advance(0.1)
      assert.same({ ran = 1, got = "x" }, assert(task:await()).payload)
      assert.equal(0, hub:metrics().waiting_bytes)
      assert.same({ "http:delay" }, last_call().faults)
    end)

    it("delays the caller's request, others what follows of it", function()
      for _, stage in ipairs { "http", "request", "response" } do
        hub:fault { stage = stage, action = "delay", delay = 1 }
      end
      local task = dm.spawn(invoke)
      dm.advance(2.9)
      assert.equal(1, ran)
      dm.advance(0.1)
      assert.same({ ran = 1, got = "x" }, assert(task:await()).payload)
      assert.equal("dev1", last_call().device_id)
      assert.equal(0, hub:metrics().waiting_bytes)
      assert.same({ "http:delay", "request:delay", "response:delay" },
        last_call().faults)
    end)

    it("delays the request for a device that is not there", function()
      hub:fault { stage = "http", action = "delay", delay = 3 }
      local task = dm.spawn(invoke, "nobody")
      dm.advance(3)
      local _, err = task:await()
      assert.equal(404001, err.code)
      assert.equal("nobody", last_call().device_id)
      assert.equal("not registered", last_call().reason)
    end)

    it("forgets a delayed request whose caller has left", function()
      hub:fault { stage = "http", action = "delay", delay = 3 }
      local wire = fixture.send_call(hub, { device = "dev1" })
      assert(wires.turn_until(function() return hub:counters().faults == 1 end))
      wire:close()
      assert(wires.turn_until(function() return hub:counters().http_gone == 1 end))
      dm.advance(10)
      assert.equal(0, ran)
      assert.equal("CallerGone", last_call().outcome)
      assert.equal("dev1", last_call().device_id)
      assert.equal(0, hub:metrics().waiting_bytes)
    end)

    it("closes the caller's connection without a word", function()
      hub:fault { stage = "http", action = "disconnect", times = 1 }
      local wire = fixture.send_call(hub, { device = "dev1" })
      assert.is_true(wire:wait_closed())
      assert.equal("", wire.bytes)
      wire:close()
      assert(wires.turn_until(function() return #hub:calls() == 1 end))
      assert.same({ "http:disconnect" }, last_call().faults)
      assert.equal(0, ran)
    end)

    it("rejects the caller", function()
      hub:fault { stage = "http", action = "reject", code = 403002, delay = 1 }
      local task = dm.spawn(invoke)
      dm.advance(1)
      local _, err = task:await()
      assert.equal(403002, err.code)
      assert.equal("IotHubQuotaExceeded", err.name)
      assert.equal(0, ran)
    end)
  end)

  -- Connections ----------------------------------------------------------------

  describe("at stage connect", function()
    it("lets a CONNECT unanswered", function()
      local fault = hub:fault { stage = "connect", action = "drop", times = 1 }
      assert(hub:add_device "raw")
      local wire = wires.connect(hub:ports().mqtt)
      wire:send(mqtt.connect(fixture.connect_fields(hub, "raw")))
      assert(wires.turn_until(function() return fault.hits == 1 end))
      dm.advance(600)
      assert.is_true(wire:stays_quiet())
      wire:close()
      connect()
    end)

    it("closes a connection after connect_timeout, its CONNECT dropped", function()
      local short = fixture.hub { limits = { connect_timeout = 0.05 } }
      local fault = short:fault { stage = "connect", action = "drop", times = 1 }
      assert(short:add_device "raw")
      local wire = wires.connect(short:ports().mqtt)
      wire:send(mqtt.connect(fixture.connect_fields(short, "raw")))
      assert.is_true(wire:wait_closed())
      assert.same({ 1, "" }, { fault.hits, wire.bytes })
      assert.equal(0, short:counters().mqtt_timed_out)
      wire:close()
      fixture.finish(short)
    end)

    it("keeps a delayed CONNECT for longer than connect_timeout", function()
      local short = fixture.hub { limits = { connect_timeout = 0.05 } }
      short:fault { stage = "connect", action = "delay", delay = 5, times = 1 }
      assert(short:add_device "raw")
      local wire = wires.connect(short:ports().mqtt)
      wire:send(mqtt.connect(fixture.connect_fields(short, "raw")))
      assert(wires.turn_until(function() return short:counters().faults == 1 end))
      local silent = wires.connect(short:ports().mqtt)
      assert.is_true(silent:wait_closed())
      dm.advance(5)
      assert.equal("\x20\x02\x00\x00", wire:read(4))
      silent:close()
      wire:close()
      fixture.finish(short)
    end)

    it("lets our device come again after a while", function()
      local fault = hub:fault { stage = "connect", action = "drop", times = 1 }
      local task = dm.spawn(device.connect, device, 100)
      assert(dm.advance_until(function() return device.state == "online" end, 100))
      assert(task:await())
      assert.equal(1, fault.hits)
    end)

    it("delays a CONNACK", function()
      hub:fault { device = "raw", stage = "connect", action = "delay", delay = 500 }
      assert(hub:add_device "raw")
      local wire = wires.connect(hub:ports().mqtt)
      wire:send(mqtt.connect(fixture.connect_fields(hub, "raw")))
      assert(wires.turn_until(function() return hub:counters().faults == 1 end))
      dm.advance(490)
      assert.is_true(wire:stays_quiet())
      dm.advance(10)
      assert.equal("\x20\x02\x00\x00", wire:read(4))
      wire:close()
    end)

    it("delays the CONNECT of our device", function()
      hub:fault { stage = "connect", action = "delay", delay = 5 }
      local task = dm.spawn(device.connect, device)
      assert(dm.wait_until(function() return hub:counters().faults == 1 end))
      assert.equal("connecting", device.state)
      dm.advance(5)
      assert(task:await())
      assert(invoke())
    end)

    it("forgets a delayed CONNECT whose client has left", function()
      hub:fault { device = "raw", stage = "connect", action = "delay", delay = 5 }
      assert(hub:add_device "raw")
      local wire = wires.connect(hub:ports().mqtt)
      wire:send(mqtt.connect(fixture.connect_fields(hub, "raw")))
      assert(wires.turn_until(function() return hub:counters().faults == 1 end))
      wire:close()
      assert(wires.turn_until(function()
        return hub:metrics().mqtt_connections == 0
      end))
      dm.advance(10)
      assert.equal(0, hub:counters().connects)
    end)

    it("closes a connection instead of a CONNACK", function()
      local fault = hub:fault { stage = "connect", action = "disconnect", times = 2 }
      local task = dm.spawn(device.connect, device)
      assert(dm.advance_until(function() return device.state == "online" end, 20))
      assert(task:await())
      assert.equal(2, fault.hits)
      assert.equal(1, hub:counters().connects)
    end)

    it("rejects with a CONNACK of choice", function()
      hub:fault { device = "raw", stage = "connect", action = "reject", code = 2 }
      assert(hub:add_device "raw")
      local code, present, wire = mqtt.open(hub:ports().mqtt,
        fixture.connect_fields(hub, "raw"))
      assert.equal(2, code)
      assert.is_false(present)
      wire:close()
    end)

    it("is unavailable unless it says otherwise", function()
      local fault = hub:fault { stage = "connect", action = "reject", times = 2 }
      local task = dm.spawn(device.connect, device)
      assert(dm.advance_until(function() return device.state == "online" end, 20))
      assert(task:await())
      assert.equal(2, fault.hits)
      assert.equal(2, hub:counters().connect_refused)
    end)

    it("does not concern who would not get in anyway", function()
      local fault = hub:fault { stage = "connect", action = "reject", code = 3 }
      assert(hub:add_device "raw")
      local code, _, wire = mqtt.open(hub:ports().mqtt,
        fixture.connect_fields(hub, "raw", { password = "wrong" }))
      assert.equal(5, code)
      assert.equal(0, fault.hits)
      wire:close()
    end)
  end)

  -- Rules ----------------------------------------------------------------------

  describe("rule", function()
    before_each(connect)

    it("is for the device, module and method that it names", function()
      local other = new_device "dev2"
      local module = new_device "dev1/mod1"
      assert(other:connect())
      assert(module:connect())
      local function rule(fields)
        fields.stage, fields.action = "request", "reject"
        return hub:fault(fields)
      end
      local by_method = rule { method = "other" }
      local by_module = rule { device = "dev1", module = "mod1" }
      local by_device = rule { device = "dev2" }
      assert(invoke "dev1")
      assert.is_nil(invoke "dev2")
      local reply = service:invoke("dev1", "work", nil, { module_id = "mod1" })
      assert.is_nil(reply)
      assert.same({ 0, 1, 1 }, { by_method.hits, by_module.hits, by_device.hits })
      hub:clear_faults()
      local whole = rule { device = "dev1", method = "*" }
      assert.is_nil(invoke "dev1")
      assert.is_nil((service:invoke("dev1", "work", nil, { module_id = "mod1" })))
      assert(invoke "dev2")
      assert.equal(2, whole.hits)
      other:close()
      module:close()
      assert(other:closed(5) and module:closed(5))
    end)

    it("acts behind the first ones, and so many times", function()
      local fault = hub:fault {
        stage = "request", action = "reject", after = 2, times = 3,
      }
      local seen = {}
      for i = 1, 7 do seen[i] = invoke() and "ok" or "no" end
      assert.equal("ok ok no no no ok ok", table.concat(seen, " "))
      assert.equal(3, fault.hits)
    end)

    it("acts by chance, the same for the same seed", function()
      local function outcome(seed)
        local fault = hub:fault {
          stage = "request", action = "reject", probability = 0.5, seed = seed,
        }
        local seen = {}
        for i = 1, 24 do seen[i] = invoke() and "." or "x" end
        fault:remove()
        return table.concat(seen)
      end
      local first = outcome(7)
      assert.equal(first, outcome(7))
      assert.not_equal(first, outcome(8))
      assert.truthy(first:find(".", 1, true) and first:find("x", 1, true))
    end)

    it("never acts with probability 0", function()
      local fault = hub:fault { stage = "request", action = "reject", probability = 0 }
      for _ = 1, 5 do assert(invoke()) end
      assert.equal(0, fault.hits)
    end)

    it("adds its delay to those of others, before one that acts", function()
      hub:fault { stage = "request", action = "delay", delay = 1 }
      hub:fault { stage = "request", action = "delay", delay = 1 }
      hub:fault { stage = "request", action = "reject", delay = 1, code = 503001 }
      local late = hub:fault { stage = "request", action = "drop" }
      local task = dm.spawn(invoke)
      dm.advance(2.9)
      assert.equal(0, #hub:calls())
      dm.advance(0.1)
      local _, err = task:await()
      assert.equal(503001, err.code)
      assert.equal(0, late.hits)
      assert.same({ "request:delay", "request:delay", "request:reject" },
        last_call().faults)
    end)

    it("ends when it is removed, and still knows its hits", function()
      local fault = hub:fault { stage = "request", action = "reject" }
      assert.is_nil(invoke())
      assert.equal(1, hub:metrics().faults)
      fault:remove()
      fault:remove()
      assert.equal(0, hub:metrics().faults)
      assert(invoke())
      assert.equal(1, fault.hits)
      assert.equal("directmethods.Fault (1 hits)", tostring(fault))
    end)

    it("is removed while it holds a call, which goes on", function()
      local fault = hub:fault { stage = "request", action = "reject", delay = 2 }
      local task = dm.spawn(invoke)
      dm.advance(1)
      fault:remove()
      dm.advance(1)
      assert(task:await())
    end)

    it("ends with all others", function()
      local faults = {}
      for i = 1, 3 do
        faults[i] = hub:fault { stage = "request", action = "delay", delay = 0.001 }
      end
      local task = dm.spawn(invoke)
      dm.advance(1)
      assert(task:await())
      hub:clear_faults()
      assert.equal(0, hub:metrics().faults)
      for i = 1, 3 do assert.equal(1, faults[i].hits) end
      assert(invoke())
      assert.is_nil(last_call().faults)
    end)

    it("does not take the place of one that was removed", function()
      local old = hub:fault { stage = "request", action = "reject" }
      old:remove()
      local new = hub:fault { stage = "request", action = "reject" }
      assert.is_nil(invoke())
      old:remove()
      assert.is_nil(invoke())
      assert.same({ 0, 2 }, { old.hits, new.hits })
    end)

    it("is one of at most 1000", function()
      for _ = 1, 1000 do assert(hub:fault { stage = "http", action = "drop" }) end
      local fault, err = hub:fault { stage = "http", action = "drop" }
      assert.is_nil(fault)
      assert.equal("LimitExceeded", err.name)
    end)

    it("is closed with its hub while it holds what it delays", function()
      hub:fault { stage = "request", action = "delay", delay = 5 }
      hub:fault { stage = "connect", action = "delay", delay = 5 }
      local task = dm.spawn(invoke)
      assert(hub:add_device "raw")
      local wire = wires.connect(hub:ports().mqtt)
      wire:send(mqtt.connect(fixture.connect_fields(hub, "raw")))
      assert(wires.turn_until(function() return hub:counters().faults == 2 end))
      hub:close()
      local _, err = task:await()
      assert.equal("string", type(err.name))
      wire:close()
      assert(hub:closed(5))
    end)
  end)

  -- Names that nobody has -----------------------------------------------------------

  describe("a rule for a name that nobody has", function()
    local lines

    before_each(function()
      lines = {}
      dm.log { level = "warn", sink = function(_, line) lines[#lines + 1] = line end }
    end)

    after_each(function() dm.log { level = "warn" } end)

    -- What the log says of a rule.
    local function warning(rule)
      rule.stage, rule.action = "request", "drop"
      local count = #lines
      hub:fault(rule):remove()
      dm.advance(0)
      return lines[count + 1]
    end

    it("is kept, and the log warns of it", function()
      assert.equal("hub:fault: 'nobody' is not registered: the rule does nothing until "
        .. "it is", warning { device = "nobody" })
      assert.matches("'dev1/m' is not registered", warning { device = "dev1",
        module = "m" })
    end)

    it("is a rule for a method that no device of this process has", function()
      local fan = hub:device("fan", { set_speed = {} })
      assert.equal("hub:fault: no device has a handler for 'set_sped' (did you mean "
        .. "'set_speed'?)", warning { device = "fan", method = "set_sped" })
      assert.is_nil(warning { device = "fan", method = "set_speed" })
      fan:fallback(function() end)
      assert.is_nil(warning { device = "fan", method = "set_sped" })
      fan:close()
    end)

    it("is none where devices of other processes may have it", function()
      assert(hub:add_device "elsewhere")
      assert.is_nil(warning { method = "reboot-of-theirs" })
      assert.is_nil(warning { device = "elsewhere", method = "reboot" })
      assert.is_nil(warning { device = "elsewhere" })
    end)
  end)

  -- Wrong use --------------------------------------------------------------------

  describe("rule raises for", function()
    local CASES = {
      { {}, "option 'action' is required", "option 'stage' is required" },
      { { stage = "http" }, "option 'action' is required" },
      { { stage = "web", action = "drop" }, "option 'stage' must be one of" },
      { { stage = "http", action = "lose" }, "option 'action' must be one of" },
      { { stage = "http", action = "duplicate" },
        "option 'action' must not be 'duplicate' at stage 'connect' or 'http'" },
      { { stage = "connect", action = "duplicate" },
        "option 'action' must not be 'duplicate'" },
      { { stage = "connect", action = "drop", method = "reboot" },
        "option 'method' is not for stage 'connect'" },
      { { stage = "http", action = "delay" },
        "option 'delay' is required by action 'delay'" },
      { { stage = "http", action = "drop", delay = 1 },
        "option 'delay' is not for action 'drop'" },
      { { stage = "http", action = "drop", seed = 1 },
        "option 'seed' is for use with 'probability'" },
      { { stage = "http", action = "drop", status = 500 },
        "option 'status' is for action 'reject'" },
      { { stage = "http", action = "drop", code = 500001 },
        "option 'code' is for action 'reject'" },
      { { stage = "http", action = "disconnect", body = "x" },
        "option 'body' is for action 'reject'" },
      { { stage = "connect", action = "reject", status = 500 },
        "option 'status' is not for stage 'connect'" },
      { { stage = "connect", action = "reject", body = "x" },
        "option 'body' is not for stage 'connect'" },
      { { stage = "connect", action = "reject", code = 6 },
        "option 'code' must be from 1 to 5 at stage 'connect'" },
      { { stage = "http", action = "reject", code = 429 },
        "option 'code' must be one of IoT Hub, like 429001" },
      { { stage = "http", action = "reject", status = 199 },
        "option 'status' must be from 200 to 599" },
      { { stage = "http", action = "drop", times = 0 },
        "option 'times' must be from 1" },
      { { stage = "http", action = "drop", probability = 1.5 },
        "option 'probability' must be from 0 to 1" },
      { { stage = "http", action = "drop", tims = 1 },
        "unknown option 'tims' (did you mean 'times'?)" },
    }
    for i, case in ipairs(CASES) do
      it(("%s (%d)"):format(case[2], i), function()
        local ok, message = pcall(function() hub:fault(case[1]) end)
        assert.is_false(ok)
        assert.matches("^[^\n]*faults_spec.lua:%d+: hub:fault: ", message)
        local found = message:find(case[2], 1, true)
          or case[3] and message:find(case[3], 1, true)
        assert.truthy(found, message)
      end)
    end

    it("a hub that is closed", function()
      hub:close()
      local rule = { stage = "http", action = "drop" }
      assert.has_error(function() hub:fault(rule) end,
        "hub:fault: attempt to use a closed hub")
      assert.has_error(function() hub:clear_faults() end,
        "hub:clear_faults: attempt to use a closed hub")
    end)

    it("remove that is called without its fault", function()
      local fault = hub:fault { stage = "http", action = "drop" }
      assert.error_matches(function() fault.remove() end,
        "fault:remove: called on a nil")
    end)
  end)

  -- Messages of Azure's SDKs -------------------------------------------------------

  describe("message", function()
    local raw

    before_each(function()
      assert(hub:add_device "raw")
      raw = fixture.device(hub, "raw")
    end)

    after_each(function() raw:close() end)

    local function ask(properties)
      raw:send(mqtt.publish("devices/raw/messages/events/" .. properties, "x"))
    end

    for _, kind in ipairs { "KillTcp", "ShutDownMqtt" } do
      it("closes the connection: " .. kind, function()
        ask("AzIoTHub_FaultOperationType=" .. kind
          .. "&AzIoTHub_FaultOperationCloseReason=byebye"
          .. "&AzIoTHub_FaultOperationDelayInSecs=500")
        assert(wires.turn_until(function()
          return hub:counters().fault_messages == 1
        end))
        dm.advance(490)
        assert.is_true(raw.wire:stays_quiet())
        dm.advance(10)
        assert.is_true(raw.wire:wait_closed())
        assert.equal("byebye",
          hub:messages()[1].properties.AzIoTHub_FaultOperationCloseReason)
      end)
    end

    it("fails the calls that are under way", function()
      local wire = fixture.send_call(hub, { device = "raw" })
      assert.equal("reboot", (raw:request()))
      ask "AzIoTHub_FaultOperationType=KillTcp"
      local reply = assert(http.read(wire))
      assert.equal(404104, fixture.error_m(reply).errorCode)
      wire:close()
    end)

    it("is read decoded, and its reason logged as one line", function()
      local lines = {}
      dm.log { level = "info", sink = function(_, line) lines[#lines + 1] = line end }
      ask("%41zIoTHub_FaultOperationType=Kill%54cp"
        .. "&AzIoTHub_FaultOperationCloseReason=a%0Ab")
      assert.is_true(raw.wire:wait_closed())
      assert(dm.wait_until(function() return #lines > 0 end))
      dm.log { level = "warn" }
      assert.equal([[hub: connection closed: 'raw': fault message: a\x0Ab]],
        lines[#lines])
    end)

    it("of another type or without sense is telemetry", function()
      ask "AzIoTHub_FaultOperationType=KillAmqpConnection"
      ask "AzIoTHub_FaultOperationType"
      ask "AzIoTHub_FaultOperationType=%zz"
      ask "FaultOperationType=KillTcp"
      assert(wires.turn_until(function() return hub:counters().telemetry == 4 end))
      dm.advance(1)
      assert.is_true(raw.wire:stays_quiet())
      assert.equal(0, hub:counters().fault_messages)
    end)

    it("counts once for a connection", function()
      for _ = 1, 3 do
        ask "AzIoTHub_FaultOperationType=KillTcp&AzIoTHub_FaultOperationDelayInSecs=9"
      end
      assert(wires.turn_until(function() return hub:counters().telemetry == 3 end))
      assert.equal(1, hub:counters().fault_messages)
      raw:close()
      assert(wires.turn_until(function()
        return hub:metrics().mqtt_connections == 0
      end))
      dm.advance(10) -- nobody is there any more
    end)
  end)
end)
