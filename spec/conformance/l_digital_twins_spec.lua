-- Checklist L: digital twins. Commands are method calls; properties are those of twins.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local rest = require "spec.support.rest"
local wire = require "spec.support.wire"

local refused = rest.refused

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
end)
