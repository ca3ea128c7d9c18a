-- Checklist L: digital twins. Commands are method calls; properties are those of twins.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"
local wire = require "spec.support.wire"

local read, refused = rest.read, rest.refused

describe("a digital twin", function()
  local hub

  before_each(function()
    hub = fixture.hub()
    hub:add_device "dev1"
  end)

  after_each(function() fixture.finish(hub) end)

  local function ask(...) return rest.ask(hub, ...) end

  local COMMAND = "/digitaltwins/dev1/commands/reboot"

  -- Send a command; the wire that its answer comes on.
  local function send(path, query, body)
    local w = wire.connect(hub:ports().https)
    w:send(http.request {
      target = ("%s?%sapi-version=2020-09-30"):format(path, query or ""),
      headers = { "Authorization: " .. fixture.service_token(hub) },
      body = body,
    })
    return w
  end

  describe("has commands", function()
    it("L01 that are methods: the payload alone, status in a header", function()
      local device = fixture.device(hub, "dev1")
      local w = send(COMMAND, "connectTimeoutInSeconds=10&responseTimeoutInSeconds=10&",
        '{"a": 1.50}')
      local method, rid, payload = device:request()
      assert.same({ "reboot", '{"a": 1.50}' }, { method, payload })
      device:answer(rid, 299, '{"done":[1, 2]}')
      local reply = http.read(w)
      assert.same({ 200, "299", '{"done":[1, 2]}' },
        { reply.status, reply.headers["x-ms-command-statuscode"], reply.body })
      assert.equal("application/json; charset=utf-8", reply.headers["content-type"])
      assert.matches("^%x+%-", reply.headers["x-ms-request-id"])
      w:close()
      device:close()
    end)

    it("L01 of components: component*command", function()
      local device = fixture.device(hub, "dev1")
      local w = send("/digitalTwins/dev1/components/thermostat1/commands/report")
      local method, rid, payload = device:request()
      assert.same({ "thermostat1*report", "" }, { method, payload })
      device:answer(rid, -1, "")
      local reply = http.read(w)
      assert.same({ 200, "-1", "null" },
        { reply.status, reply.headers["x-ms-command-statuscode"], reply.body })
      w:close()
      device:close()
    end)

    it("L01 with any JSON as the payload", function()
      local device = fixture.device(hub, "dev1")
      for _, text in ipairs { "null", "1", '"x"', "[]", "{}" } do
        local w = send(COMMAND, "", text)
        local _, rid, payload = device:request()
        assert.equal(text, payload)
        device:answer(rid, 200, text)
        assert.equal(text, http.read(w).body)
        w:close()
      end
      device:close()
    end)

    it("L02 whose errors are those of methods", function()
      local function code(...)
        local w = send(...)
        local reply = http.read(w)
        w:close()
        return fixture.error_m(reply).errorCode
      end
      assert.equal(404103, code(COMMAND))
      assert.equal(404001, code "/digitaltwins/nobody/commands/reboot")
      assert.equal(400004, code(COMMAND, "responseTimeoutInSeconds=4&"))
      assert.equal(400004, code(COMMAND, "responseTimeoutInSeconds=x&"))
      assert.equal(400004, code(COMMAND, "connectTimeoutInSeconds=301&"))
      assert.equal(400004, code(COMMAND, "", "{"))
      assert.equal(400004, code(COMMAND, "", '"' .. ("x"):rep(131071) .. '"'))
      assert.equal(400004, code("/digitaltwins/dev1/commands/" .. ("x"):rep(101)))
      assert.equal(400004, code("/digitaltwins/dev1/components/"
        .. ("x"):rep(50) .. "/commands/" .. ("y"):rep(50)))
      assert.equal(405, ask("GET", COMMAND).status)
      refused(ask("POST", COMMAND, {}, { policy = "registryRead" }), 401,
        "IotHubUnauthorizedAccess")
    end)

    it("L02 with a parameter twice, in any case, or of no component", function()
      local reply = ask("POST", COMMAND, "1",
        { query = "responseTimeoutInSeconds=10&ResponseTimeoutInSeconds=10" })
      assert.equal(400, reply.status)
      assert.equal(400004, fixture.error_m(reply).errorCode)
      assert.equal(400, ask("POST", COMMAND, "1",
        { query = "RESPONSETIMEOUTINSECONDS=4" }).status)
      assert.equal(404, ask("POST", "/digitaltwins/dev1/components//commands/m",
        "1").status)
    end)

    it("L07 marked as refused by Azure at a version before digital twins", function()
      local device = fixture.device(hub, "dev1")
      local function call(version)
        local w = wire.connect(hub:ports().https)
        w:send(http.request {
          target = COMMAND .. "?api-version=" .. version, body = "1",
          headers = { "Authorization: " .. fixture.service_token(hub) },
        })
        local _, rid = device:request()
        device:answer(rid, 200, "2")
        assert.equal(200, http.read(w).status)
        w:close()
        local calls = hub:calls()
        return calls[#calls].azure_refuses
      end
      assert.equal("IoT Hub has no such api-version", call "2018-06-30")
      assert.is_nil(call "2020-05-31-preview")
      assert.is_nil(call "2020-09-30")
      device:close()
    end)

    it("L02 whose device is waited for", function()
      local w = send(COMMAND, "connectTimeoutInSeconds=20&responseTimeoutInSeconds=5&")
      dm.wait_until(function() return hub:metrics().calls_under_way == 1 end, 5)
      local device = fixture.device(hub, "dev1")
      assert.equal("reboot", (device:request()))
      dm.advance(5)
      assert.equal(504101, fixture.error_m(http.read(w)).errorCode)
      w:close()
      device:close()
    end)

    it("L03 that our client calls", function()
      local service = hub:service()
      local device = hub:device("dev1", {
        reboot = function(request) return 201, { got = request.payload } end,
        ["thermostat1*report"] = function(request)
          return 404, request.payload == nil and "none" or "some"
        end,
      })
      assert(device:connect(10))
      local reply = assert(service:command("dev1", "reboot", { a = 1 },
        { response_timeout = 10, connect_timeout = 5, request_id = "r" }))
      assert.same({ 201, true, { got = { a = 1 } } },
        { reply.status, reply.ok, reply.payload })
      assert.equal("string", type(reply.request_id))
      reply = assert(service:command("dev1", "report", nil,
        { component = "thermostat1" }))
      assert.same({ 404, false, "none" }, { reply.status, reply.ok, reply.payload })
      local _, err = service:command("nobody", "reboot")
      assert.equal(404001, err.code)
      _, err = service:command("dev1", "reboot", ("x"):rep(131071))
      assert.equal("LimitExceeded", err.name)
      for _, wrong in ipairs {
        function() service:command(1, "reboot") end,
        function() service:command("dev1", "a b") end,
        function() service:command("dev1", "reboot", print) end,
        function() service:command("dev1", "reboot", nil, { response_timeout = 4 }) end,
        function() service:command("dev1", "reboot", nil, { module_id = "m" }) end,
      } do
        local ok, message = pcall(wrong)
        assert.is_false(ok)
        assert.matches("l_digital_twins_spec.lua:%d+: service:command: ", message)
      end
      device:close()
      assert(device:closed(10))
      service:close()
    end)
  end)

  -- Properties ------------------------------------------------------------------

  local function twin_of()
    return read(ask("GET", "/digitaltwins/dev1"))
  end

  local function patch(operations, o)
    return ask("PATCH", "/digitaltwins/dev1",
      dm.json.encode(dm.json.array(operations)), o)
  end

  local function desired()
    local properties = read(ask("GET", "/twins/dev1")).properties.desired
    properties["$metadata"], properties["$version"] = nil, nil
    return properties
  end

  -- Report as the device, which names its model.
  local function report(properties)
    local device = fixture.device(hub, "dev1", {
      subscribe = false,
      username = "localhost/dev1/?api-version=2020-09-30&model-id=dtmi%3Aa%3BA%3B1",
    })
    device.wire:send(mqtt.subscribe({ { "$iothub/twin/res/#", 0 } }, 7))
    assert(device:read())
    device.wire:send(mqtt.publish("$iothub/twin/PATCH/properties/reported/?$rid=1",
      dm.json.encode(properties)))
    assert.matches("/res/204/", assert(device:read()).topic, 1, true)
    device:close()
  end

  it("L04 shows properties, components, and when they were reported", function()
    report {
      serialNumber = "x1",
      speed = { value = 3.5, ac = 200, av = 1, ad = "done" },
      thermostat1 = {
        __t = "c", max = 25.5, target = { value = 21, ac = 203, av = 4 },
      },
      plain = { value = 1 },
    }
    read(ask("PATCH", "/twins/dev1", { properties = { desired = {
      speed = 2, thermostat1 = { __t = "c", target = 22 }, unknown = true,
    } } }))
    local twin = twin_of()
    local metadata = twin["$metadata"]
    assert.same({ "dev1", "dtmi:a;A;1", "x1", 3.5, { value = 1 } }, { twin["$dtId"],
      metadata["$model"], twin.serialNumber, twin.speed, twin.plain })
    assert.matches("^20%d%d%-%d%d%-%d%dT", metadata.serialNumber.lastUpdateTime)
    metadata.speed.lastUpdateTime = nil
    assert.same({ ackCode = 200, ackVersion = 1, ackDescription = "done",
      desiredValue = 2, desiredVersion = 2 }, metadata.speed)
    assert.same({ desiredValue = true, desiredVersion = 2 }, metadata.unknown)
    assert.is_nil(twin.unknown)
    local component = twin.thermostat1
    assert.same({ 25.5, 21 }, { component.max, component.target })
    assert.is_nil(component.__t)
    assert.equal("string", type(component["$metadata"].max.lastUpdateTime))
    component["$metadata"].target.lastUpdateTime = nil
    assert.same({ ackCode = 203, ackVersion = 4, desiredValue = 22,
      desiredVersion = 2 }, component["$metadata"].target)
  end)

  it("L04 of a device that was never there is empty", function()
    assert.same({ ["$dtId"] = "dev1", ["$metadata"] = { ["$model"] = "" } }, twin_of())
    refused(ask("GET", "/digitaltwins/nobody"), 404, "DeviceNotFound")
    refused(ask("GET", "/digitaltwins/dev1", nil, { policy = "registryRead" }), 401,
      "IotHubUnauthorizedAccess")
  end)

  it("L05 is changed by JSON Patch: 202, and the device is told", function()
    local device = fixture.device(hub, "dev1", { subscribe = false })
    device:subscribe(0, "$iothub/twin/PATCH/properties/desired/#")
    local reply = patch {
      { op = "add", path = "/speed", value = 1 },
      { op = "add", path = "/thermostat1/target", value = 21.5 },
    }
    assert.same({ 202, "" }, { reply.status, reply.body })
    assert.equal("string", type(reply.headers.etag))
    local told = assert(device:read())
    assert.same({ speed = 1, thermostat1 = { __t = "c", target = 21.5 },
      ["$version"] = 2 }, dm.json.decode(told.payload))
    assert.equal(202, patch({
      { op = "replace", path = "/thermostat1/target", value = 22 },
      { op = "remove", path = "/speed" }, { op = "remove", path = "/none" },
    }, { if_match = reply.headers.etag }).status)
    told = dm.json.decode(assert(device:read()).payload)
    assert.same({ speed = dm.null, none = dm.null,
      thermostat1 = { __t = "c", target = 22 }, ["$version"] = 3 }, told)
    assert.same({ thermostat1 = { __t = "c", target = 22 } }, desired())
    refused(patch({ { op = "remove", path = "/x" } },
      { if_match = reply.headers.etag }), 412, "PreconditionFailed")
    device:close()
  end)

  it("L05 has components that are put and removed whole", function()
    patch { { op = "add", path = "/t", value = { a = 1, b = 2, ["$metadata"] = {} } } }
    assert.same({ t = { __t = "c", a = 1, b = 2 } }, desired())
    patch { { op = "replace", path = "/t", value = { b = 3, ["$metadata"] = {} } },
      { op = "add", path = "/u/x", value = { deep = { y = 1 } } } }
    assert.same({ t = { __t = "c", b = 3 },
      u = { __t = "c", x = { deep = { y = 1 } } } }, desired())
    -- an object replaces the one before; the last property takes its component along
    patch { { op = "replace", path = "/u/x", value = { z = 1 } },
      { op = "remove", path = "/t/b" } }
    assert.same({ u = { __t = "c", x = { z = 1 } } }, desired())
    patch { { op = "remove", path = "/u" } }
    assert.same({}, desired())
  end)

  it("L06 refuses what is no change of a digital twin", function()
    patch { { op = "add", path = "/p", value = 1 },
      { op = "add", path = "/c/x", value = 1 } }
    for why, operation in pairs {
      ["'op' must be"] = { op = "test", path = "/p", value = 1 },
      ["'path' must be a string"] = { op = "add", path = 1, value = 1 },
      ["'path' must be a string that begins"] = { op = "add", path = "p", value = 1 },
      ["'path' must name"] = { op = "add", path = "/a/b/c", value = 1 },
      ["a name of a component"] = { op = "add", path = "/$model", value = 1 },
      ["and begin with a letter"] = { op = "add", path = "/", value = 1 },
      ["must have a value"] = { op = "add", path = "/p" },
      ["not null"] = { op = "replace", path = "/p", value = dm.null },
      ["an array"] = { op = "add", path = "/p", value = { a = dm.json.array {} } },
      ["5 levels"] = { op = "add", path = "/p",
        value = { a = { a = { a = { a = { a = 1 } } } } } },
      ["'c' is a component"] = { op = "add", path = "/c", value = { x = 1 } },
      ["'p' is no component"] = { op = "add", path = "/p/x", value = 1 },
    } do
      local text = refused(patch { operation }, 400, "ArgumentInvalid")
      assert.truthy(text:find(why, 1, true), text)
    end
    for body, why in pairs {
      ["{}"] = "JSON array", ["[1]"] = "JSON object", ["["] = "at byte",
      ['[{"op":"add","op":"remove","path":"/p"}]'] = "'[0].op' stands twice",
      ['[{"op":"add","path":"/p","value":4503599627370496}]'] = "whole number",
    } do
      local text = refused(ask("PATCH", "/digitaltwins/dev1", body), 400,
        "ArgumentInvalid")
      assert.truthy(text:find(why, 1, true), text)
    end
    assert.same({ p = 1, c = { __t = "c", x = 1 } }, desired())
  end)
end)
