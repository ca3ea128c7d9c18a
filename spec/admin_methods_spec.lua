--- Calls of methods at the admin listener.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

local RESPONSE_RULE = "response_timeout must be a whole number from 5 to 300."

describe("a call at the admin listener", function()
  local hub

  local function call(target, o)
    local status, body, reply = admin.ask(hub, "POST", "/devices/" .. target, o)
    return status, body, reply
  end

  local function put(target, methods)
    assert.equal(200, (admin.ask(hub, "PUT", "/devices/" .. target,
      { body = { methods = methods } })))
  end

  -- Send a call to a raw device; the wire of the caller, and the request's $rid.
  local function begin(device, target, body)
    local wire = wires.connect(hub:ports().admin)
    wire:send(http.request(admin.request(hub, "POST", target, { body = body })))
    local _, rid, payload = device:request()
    return wire, rid, payload
  end

  local function with_hub(o)
    hub = fixture.hub(o)
    hub:add_device "d1"
  end

  before_each(function()
    with_hub { admin_port = 0 }
  end)

  after_each(function()
    fixture.finish(hub)
  end)

  it("hands the payload on as it is, and answers with the device's", function()
    local device = fixture.device(hub, "d1")
    for _, payload in ipairs { '{"a" : 1}', "null", '"x"', "" } do
      local wire, rid, got = begin(device, "/devices/d1/methods/ping", payload)
      assert.equal(payload, got)
      device:answer(rid, 207, '{"b":[2]}')
      local reply = http.read(wire)
      assert.same({ 200, '{"status":207,"payload":{"b":[2]}}' },
        { reply.status, reply.body })
      wire:close()
    end
    device:close()
  end)

  it("reaches modules", function()
    put("gate/modules/lock", { open = { status = 202, payload = 1 } })
    local status, answer = call("gate/modules/lock/methods/open")
    assert.same({ 200, { status = 202, payload = 1 } }, { status, answer })
  end)

  it("fails with the error that a service gets", function()
    for target, expected in pairs {
      ["nobody/methods/m"] = { 404, "DeviceNotFound", 404001 },
      ["d1/methods/m"] = { 404, "DeviceNotOnline", 404103 },
      ["d1/modules/x/methods/m"] = { 404, "ModuleNotFound", 404010 },
      ["d1/methods/a%20b"] = { 400, "ArgumentInvalid", 400004 },
    } do
      local status, body, reply = call(target)
      local name, code = reply.headers["iothub-errorcode"],
        dm.json.decode(body.Message).errorCode
      assert.same(expected, { status, name, code }, target)
    end
    local status, body = call("d1/methods/m", { body = "{" })
    assert.equal(400, status)
    assert.matches("not valid JSON", body.Message)
    status, body = call("d1/methods/m", { body = '"' .. ("x"):rep(131072) .. '"' })
    assert.equal(400, status)
    assert.matches("must not exceed 131072 bytes", body.Message)
  end)

  it("has the time-outs that it names, and holds nothing while it waits", function()
    fixture.finish(hub)
    with_hub { admin_port = 0, limits = { control_requests = 1 } }
    local device = fixture.device(hub, "d1")
    local wire = begin(device, "/devices/d1/methods/slow?response_timeout=200")
    dm.advance(199)
    assert.is_true(wire:stays_quiet())
    assert.equal(200, (admin.ask(hub, "GET", "/devices/d1")))
    dm.advance(2)
    local reply = http.read(wire)
    assert.same({ 504, "GatewayTimeout" },
      { reply.status, reply.headers["iothub-errorcode"] })
    wire:close()
    device:close()
  end)

  it("waits for a device that is not online", function()
    local wire = wires.connect(hub:ports().admin)
    wire:send(http.request(admin.request(hub, "POST",
      "/devices/d1/methods/m?connect_timeout=60")))
    assert(wires.turn_until(function()
      return hub:metrics().calls_under_way == 1
    end))
    local device = fixture.device(hub, "d1")
    local _, rid = device:request()
    device:answer(rid, 200)
    assert.equal(200, http.read(wire).status)
    wire:close()
    device:close()
  end)

  it("refuses time-outs that the contract does not allow", function()
    for query, message in pairs {
      ["response_timeout=4"] = RESPONSE_RULE,
      ["response_timeout=5.5"] = RESPONSE_RULE,
      ["connect_timeout=301"] = "connect_timeout must be a whole number from 0 to 300.",
      ["timeout=5"] = 'unknown parameter "timeout"',
    } do
      local status, body = call("d1/methods/m?" .. query)
      assert.same({ 400, message }, { status, body.Message })
    end
    fixture.finish(hub)
    with_hub { admin_port = 0, contract = "2017" }
    assert.equal(404, (call "d1/methods/m?response_timeout=1"))
    assert.equal(400, (call("d1/methods/m", { body = '"' .. ("x"):rep(8192) .. '"' })))
  end)

  it("meets fault rules and the tier's rates as a service does", function()
    fixture.finish(hub)
    with_hub { admin_port = 0, tier = "F1" }
    put("lamp", { on = {} })
    local fault = assert(hub:fault { stage = "http", action = "reject",
      code = 429001, times = 1 })
    assert.equal(429, (call "lamp/methods/on"))
    assert.equal(1, fault.hits)
    assert.equal(200, (call "lamp/methods/on"))
    assert.equal(2, hub:counters().messages_charged)
  end)

  it("has a record, also when its caller leaves", function()
    local device = fixture.device(hub, "d1")
    local wire = begin(device, "/devices/d1/methods/m", "[1]")
    wire:close()
    assert(wires.turn_until(function() return hub:calls()[1] end))
    local record = hub:calls()[1]
    assert.same({ "CallerGone", "[1]", "m" },
      { record.outcome, record.payload, record.method })
    device:close()
  end)

  it("is answered when the hub stops", function()
    local device = fixture.device(hub, "d1")
    local wire, rid = begin(device, "/devices/d1/methods/m")
    local stopping = dm.spawn(hub.stop, hub, 60)
    device:answer(rid, 200)
    assert.equal(200, http.read(wire).status)
    wire:close()
    device:close()
    assert(stopping:await(10))
  end)
end)
