--- Devices and modules as the admin listener makes, changes and shows them.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"

local KEY = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBmaXJzdCE="
local OTHER = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBzZWNvbmQ="

describe("PUT of a device at the admin listener", function()
  local hub, service

  local function ask(...)
    return admin.ask(hub, ...)
  end

  local function put(target, body)
    local status, device = ask("PUT", target, { body = body })
    assert.equal(200, status, device and device.Message)
    return device
  end

  before_each(function()
    hub = fixture.hub { admin_port = 0 }
    service = hub:service()
  end)

  after_each(function()
    fixture.finish(hub, service)
  end)

  it("registers one, and changes nothing the second time", function()
    local device = put("/devices/plain", "{}")
    assert.same(device, put("/devices/plain", "{}"))
    assert.same(device, select(2, ask("GET", "/devices/plain")))
    assert.equal(hub:connection_string "plain", device.connection_string)
    local _, list = ask("GET", "/devices")
    assert.same({ { device_id = "plain", status = "enabled", connected = false,
      subscribed = false, modules = {} } }, list)
  end)

  it("sets keys, status, tags and desired properties", function()
    local device = put("/devices/lamp", {
      primary_key = KEY, secondary_key = OTHER, status = "disabled",
      tags = { room = 7 }, desired = { a = { b = dm.json.array { 1 } } },
    })
    assert.equal("disabled", device.status)
    assert.same({ { room = 7 }, { a = { b = { 1 } } }, {} },
      { device.tags, device.desired, device.reported })
    assert.matches("SharedAccessKey=" .. KEY, device.connection_string, 1, true)
    local owner <close> = hub:service "iothubowner"
    local record = assert(owner.registry:get "lamp")
    assert.same({ KEY, OTHER, "disabled" },
      { record.primary_key, record.secondary_key, record.status })
  end)

  it("leaves what the body does not name, and replaces what it names", function()
    put("/devices/lamp", { primary_key = KEY, status = "disabled",
      tags = { a = 1, b = 2 }, desired = { x = 1 } })
    local device = put("/devices/lamp", { tags = { b = 3 } })
    assert.same({ "disabled", { b = 3 }, { x = 1 } },
      { device.status, device.tags, device.desired })
    device = put("/devices/lamp", { status = "enabled", desired = {} })
    assert.same({ "enabled", { b = 3 }, {} },
      { device.status, device.tags, device.desired })
    assert.matches("SharedAccessKey=" .. KEY, device.connection_string, 1, true)
  end)

  it("gives canned answers, also sequences", function()
    local device = put("/devices/lamp", { methods = {
      on = { status = 201, payload = { on = true } },
      slow = { payload = 1, delay = 100 },
      weak = { { status = 503 }, { status = 200 } },
    } })
    assert.is_true(device.subscribed)
    assert.same({ { status = 503 }, { status = 200 } }, device.methods.weak)
    local reply = assert(service:invoke("lamp", "on"))
    assert.same({ 201, '{"on":true}' }, { reply.status, reply.body })
    local seen = {}
    for i = 1, 3 do seen[i] = assert(service:invoke("lamp", "weak")).status end
    assert.same({ 503, 200, 200 }, seen)
    local slow = dm.spawn(service.invoke, service, "lamp", "slow", nil,
      { response_timeout = 200 })
    dm.advance(101)
    assert.equal(200, slow:await().status)
    assert.equal(204, (ask("DELETE", "/devices/lamp")))
    assert.equal(404, (ask("GET", "/devices/lamp")))
    local _, err = service:invoke("lamp", "on")
    assert.equal("DeviceNotFound", err.name)
  end)

  it("takes canned answers away with null", function()
    put("/devices/lamp", { methods = { on = {} } })
    local device = put("/devices/lamp", { methods = dm.json.null })
    assert.same({ nil, false }, { device.methods, device.connected })
  end)

  it("has the device with canned answers follow keys and status", function()
    put("/devices/lamp", { methods = { on = {} } })
    assert.is_true(put("/devices/lamp", { primary_key = OTHER }).subscribed)
    assert.equal(200, assert(service:invoke("lamp", "on")).status)
    local device = put("/devices/lamp", { status = "disabled" })
    assert.same({ false, {} }, { device.connected, device.methods.on })
    assert.is_true(put("/devices/lamp", { status = "enabled" }).subscribed)
    assert.equal(200, assert(service:invoke("lamp", "on")).status)
  end)

  it("changes nothing when a part of it is wrong", function()
    put("/devices/lamp", { tags = { a = 1 } })
    for _, case in ipairs {
      { "primary_key", { primary_key = "x", tags = {} } },
      { "status", { status = "off", tags = {} } },
      { "'tags", { tags = 1, status = "disabled" } },
      { "'tags", { tags = { ["a.b"] = 1 }, status = "disabled" } },
      { "'on'", { methods = { on = { code = 1 } }, tags = {} } },
      { "a method name", { methods = { ["a b"] = {} }, tags = {} } },
      { "a method name", { methods = { {} }, tags = {} } },
      { "answer 2", { methods = { on = { {}, { code = 1 } } }, tags = {} } },
      { "handlers", { methods = 3, tags = {} } },
      { "unknown member", { key = KEY, tags = {} } },
      { "must be a JSON object", dm.json.array() },
      { "primary_key", { primary_key = KEY, authentication = "none", tags = {} } },
    } do
      local status, answer = ask("PUT", "/devices/lamp", { body = case[2] })
      assert.equal(400, status, case[1])
      assert.is_truthy(answer.Message:find(case[1], 1, true), answer.Message)
    end
    local _, device = ask("GET", "/devices/lamp")
    assert.same({ "enabled", { a = 1 } }, { device.status, device.tags })
  end)

  it("takes certificates", function()
    local print = ("0123ABCD"):rep(5)
    local device = put("/devices/pump", { primary_thumbprint = print })
    assert.equal("selfSigned", device.authentication)
    assert.matches("x509=true$", device.connection_string)
    device = put("/devices/pump", { authentication = "none" })
    assert.equal("none", device.authentication)
  end)

  it("makes modules, with their device", function()
    local module = put("/devices/gate/modules/lock", {
      primary_key = KEY, tags = { floor = 2 },
      methods = { open = { payload = "ok" } } })
    assert.same({ "gate", "lock", true, { floor = 2 } },
      { module.device_id, module.module_id, module.subscribed, module.tags })
    assert.equal(hub:connection_string "gate/lock", module.connection_string)
    assert.same({ "lock" }, select(2, ask("GET", "/devices/gate")).modules)
    assert.equal("ok", assert(service:invoke("gate", "open", nil,
      { module_id = "lock" })).payload)
    assert.equal(400, (ask("PUT", "/devices/gate/modules/lock",
      { body = { status = "disabled" } })))
    assert.equal(204, (ask("DELETE", "/devices/gate/modules/lock")))
    assert.equal(404, (ask("GET", "/devices/gate/modules/lock")))
    assert.equal(404, (ask("DELETE", "/devices/gate/modules/lock")))
    put("/devices/gate/modules/lock", { methods = { open = {} } })
    assert.equal(204, (ask("DELETE", "/devices/gate")))
    assert.same({}, (select(2, ask("GET", "/devices"))))
  end)
end)
