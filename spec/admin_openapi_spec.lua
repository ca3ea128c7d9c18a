--- The admin listener as its users have it: by curl, route by route, held against its
-- description (GET /openapi.json) both ways.

local actions = require "directmethods.hub.admin_routes"
local dm = require "directmethods"
local errors = require "directmethods.errors"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local openapi = require "spec.support.openapi"

local RULE = '{"stage":"http","action":"drop","device":"nobody"}'
local LAMP = '{"methods":{"on":{"status":201,"payload":{"on":true}},'
  .. '"weak":[{"status":503},{"status":200}]}}'

-- As if another hub had the same database, until the hub asks once.
local function share(hub)
  hub.state.cluster = { refusal = function()
    hub.state.cluster = false
    return errors.new { name = "Conflict", message = "another hub is alive" }
  end }
end

-- operation, status; then what asks for it: the target where it is not the
-- operation's path, the body
local CASES = {
  { "GET /healthz", 200 },
  { "GET /metrics", 200 },
  { "GET /openapi.json", 200 },
  { "GET /calls", 200 },
  { "GET /calls", 200, "?device=lamp&method=on&outcome=Answered&since=0" },
  { "GET /calls", 200, "?module=m" },
  { "GET /calls", 200, "?last=1&payloads=0" },
  { "GET /calls", 400, "?since=soon" },
  { "GET /calls", 400, "?payloads=no" },
  { "GET /calls", 400, "?hubs=all" },
  { "GET /calls/{id}", 200, "/calls/1" },
  { "GET /calls/{id}", 200, "/calls/2" },
  { "GET /calls/{id}", 404, "/calls/99" },
  { "GET /calls/{id}/as/{form}", 200, "/calls/1/as/curl" },
  { "GET /calls/{id}/as/{form}", 404, "/calls/1/as/java" },
  { "GET /calls/{id}/as/{form}", 404, "/calls/99/as/curl" },
  { "GET /calls/{id}/as/{form}", 409, "/calls/3/as/curl", before = function(hub)
    assert.equal(400, fixture.call(hub, { device = "d1", body = "{}" }).status)
  end },
  { "GET /messages", 200 },
  { "GET /messages", 200, "?device=d1&since=0" },
  { "GET /messages", 200, "?module=m" },
  { "GET /messages", 400, "?since=-1" },
  { "GET /wait", 200, "?call=on&device=lamp&since=0&timeout=1" },
  { "GET /wait", 400 },
  { "GET /wait", 400, "?call=on&timeout=4000" },
  { "GET /wait", 408, "?call=never&timeout=0" },
  { "GET /wait", 200, "?device=d1&state=subscribed" },
  { "GET /wait", 404, "?device=nobody&state=subscribed" },
  { "GET /wait", 408, "?call=on&module=m&timeout=0&since=0" },
  { "POST /recordings", 200 },
  { "GET /recordings/{id}", 200, "/recordings/1" },
  { "GET /recordings/{id}", 200, "/recordings/1?timeout=0" },
  { "GET /recordings/{id}", 400, "/recordings/1?timeout=4000" },
  { "GET /recordings/{id}", 404, "/recordings/9" },
  { "DELETE /recordings/{id}", 204, "/recordings/1" },
  { "DELETE /recordings/{id}", 404, "/recordings/1" },
  { "GET /differences", 200 },
  { "GET /differences", 200, "?in_effect=true" },
  { "GET /differences", 400, "?in_effect=yes" },
  { "GET /events", 200, is_stream = true },
  { "GET /events", 200, "?kinds=calls,jobs&device=d1&payloads=1&last_event_id=x",
    is_stream = true },
  { "GET /events", 400, "?kinds=call" },
  { "GET /events", 400, "?payloads=yes" },
  { "GET /devices/{id}/history", 200, "/devices/d1/history" },
  { "GET /devices/{id}/history", 200, "/devices/nobody/history" },
  { "GET /devices/{id}/history", 400, "/devices/a%20b/history" },
  { "GET /devices/{id}/modules/{module}/history", 200,
    "/devices/d1/modules/raw/history" },
  { "GET /devices/{id}/modules/{module}/history", 400,
    "/devices/d1/modules/a%20b/history" },
  { "GET /devices", 200 },
  { "GET /devices", 200, "?top=1&after=d1" },
  { "GET /devices", 200, "?contains=LAM" },
  { "GET /devices", 400, "?top=0" },
  { "GET /devices", 400, "?top=1.5" },
  { "GET /devices/{id}", 200, "/devices/lamp" },
  { "GET /devices/{id}", 404, "/devices/nobody" },
  { "PUT /devices/{id}", 200, "/devices/new", body = "{}" },
  { "PUT /devices/{id}", 200, "/devices/lamp", body = LAMP },
  { "PUT /devices/{id}", 400, "/devices/x", body = "{" },
  { "PUT /devices/{id}", 400, "/devices/x", body = "" },
  { "PUT /devices/{id}", 400, "/devices/x", body = "[1]" },
  { "PUT /devices/{id}", 400, "/devices/x", body = '{"handlers":{}}' },
  { "PUT /devices/{id}", 400, "/devices/x", body = '{"methods":{"on":{"code":1}}}' },
  { "PUT /devices/{id}", 400, "/devices/x", body = '{"methods":{"on":[{"code":1}]}}' },
  { "PUT /devices/{id}", 400, "/devices/x", body = '{"methods":3}' },
  { "PUT /devices/{id}", 400, "/devices/x", body = '{"methods":[{}]}' },
  { "GET /devices/{id}", 404, "/devices/x" },
  { "PUT /devices/{id}", 400, "/devices/d%2fm", body = "{}" },
  { "PUT /devices/{id}", 200, "/devices/d1", body = "{}" },
  { "PUT /devices/{id}", 200, "/devices/shut", body = '{"status":"disabled",'
    .. '"tags":{"a":1},"desired":{"b":{}},"methods":{"on":{}}}' },
  { "PUT /devices/{id}", 409, "/devices/cut", body = LAMP, before = function(hub)
    hub:fault { stage = "connect", action = "reject", code = 5, device = "cut" }
  end },
  { "PUT /devices/{id}/modules/{module}", 200, "/devices/d1/modules/m",
    body = LAMP },
  { "PUT /devices/{id}/modules/{module}", 400, "/devices/d1/modules/m",
    body = '{"status":"disabled"}' },
  { "PUT /devices/{id}/modules/{module}", 409, "/devices/cut/modules/m",
    body = LAMP },
  { "GET /devices/{id}/modules/{module}", 200, "/devices/d1/modules/m" },
  { "GET /devices/{id}/modules/{module}", 404, "/devices/d1/modules/x" },
  { "POST /devices/{id}/methods/{method}", 200, "/devices/lamp/methods/on",
    body = "[1]" },
  { "POST /devices/{id}/methods/{method}", 400, "/devices/lamp/methods/a%20b" },
  { "POST /devices/{id}/methods/{method}", 404, "/devices/nobody/methods/on" },
  { "POST /devices/{id}/methods/{method}", 502, "/devices/d1/methods/raw",
    answer = "nothing, as JSON goes" },
  { "POST /devices/{id}/methods/{method}", 504,
    "/devices/d1/methods/raw?response_timeout=5", is_late = true },
  { "POST /devices/{id}/modules/{module}/methods/{method}", 200,
    "/devices/d1/modules/m/methods/on" },
  { "POST /devices/{id}/modules/{module}/methods/{method}", 404,
    "/devices/d1/modules/x/methods/on" },
  { "POST /devices/{id}/modules/{module}/methods/{method}", 400,
    "/devices/d1/modules/m/methods/a%20b" },
  { "POST /devices/{id}/modules/{module}/methods/{method}", 502,
    "/devices/d1/modules/raw/methods/on", answer = "\xFF" },
  { "POST /devices/{id}/modules/{module}/methods/{method}", 504,
    "/devices/d1/modules/raw/methods/on?response_timeout=5", is_late = true },
  { "POST /devices/{id}/disconnect", 200, "/devices/lamp/disconnect" },
  { "POST /devices/{id}/disconnect", 404, "/devices/nobody/disconnect" },
  { "POST /devices/{id}/modules/{module}/disconnect", 200,
    "/devices/d1/modules/m/disconnect" },
  { "POST /devices/{id}/modules/{module}/disconnect", 404,
    "/devices/d1/modules/x/disconnect" },
  { "GET /hub", 200 },
  { "GET /hub", 200, "?keys=1" },
  { "GET /jobs", 200, before = function(hub)
    assert(hub.state.jobs:create("j", '{"type":"scheduleDeviceMethod",'
      .. '"cloudToDeviceMethod":{"methodName":"on"},'
      .. '"queryCondition":"deviceId = \'d1\'",'
      .. '"startTime":"2099-01-01T00:00:00Z"}', "2021-04-12"))
  end },
  { "GET /jobs/{job_id}", 200, "/jobs/j" },
  { "GET /jobs/{job_id}", 404, "/jobs/x" },
  { "GET /jobs/{job_id}/devices", 200, "/jobs/j/devices" },
  { "GET /jobs/{job_id}/devices", 404, "/jobs/x/devices" },
  { "POST /jobs/{job_id}/cancel", 200, "/jobs/j/cancel" },
  { "POST /jobs/{job_id}/cancel", 404, "/jobs/x/cancel" },
  { "DELETE /devices/{id}/modules/{module}", 204, "/devices/d1/modules/m" },
  { "DELETE /devices/{id}/modules/{module}", 404, "/devices/d1/modules/m" },
  { "DELETE /devices/{id}", 204, "/devices/old" },
  { "DELETE /devices/{id}", 404, "/devices/nobody" },
  { "POST /faults", 200, body = RULE },
  { "POST /faults", 200, body = '{"stage":"response","action":"reject","method":"x",'
    .. '"module":"m","code":404001,"status":404,"body":"{}","times":1,"after":2,'
    .. '"probability":0.5,"seed":7}' },
  { "POST /faults", 400, body = '{"stage":"http"}' },
  { "POST /faults", 400, body = "nothing" },
  { "GET /faults", 200 },
  { "DELETE /faults/{id}", 204, "/faults/1" },
  { "DELETE /faults/{id}", 404, "/faults/99999" },
  { "DELETE /faults/{id}", 404, "/faults/x" },
  { "POST /faults", 409, body = RULE, before = function(hub)
    repeat until not hub:fault { stage = "http", action = "drop", device = "nobody" }
  end },
  { "DELETE /faults", 204 },
  { "GET /deadlines", 200 },
  { "GET /throttles", 200 },
  { "POST /clock/advance", 200, body = '{"seconds":0.5}' },
  { "POST /clock/advance", 400, body = '{"seconds":"1"}' },
  { "POST /clock/advance", 400, body = '{"seconds":1,"days":1}' },
  { "POST /clock/advance", 400, body = "1" },
  { "POST /clock/advance", 409, body = '{"seconds":1}', before = function(hub)
    local told
    require "directmethods.time".guard(hub, function()
      if not told then
        told = true
        return "hub b of 'lab' is in another process, where time would not move"
      end
    end)
  end },
  { "POST /clock/speed", 200, body = '{"speed":1}' },
  { "POST /clock/speed", 400, body = '{"speed":0}' },
  { "POST /clock/speed", 400, body = '{"fast":2}' },
  { "POST /snapshots/{name}", 200, "/snapshots/s" },
  { "POST /snapshots/{name}", 409, "/snapshots/more", before = function(hub)
    for i = 2, 16 do assert(hub:snapshot("s" .. i)) end
  end },
  { "GET /snapshots", 200 },
  { "POST /snapshots/{name}/restore", 204, "/snapshots/s/restore" },
  { "POST /snapshots/{name}/restore", 409, "/snapshots/s/restore", before = share },
  { "POST /snapshots/{name}/restore", 404, "/snapshots/x/restore" },
  { "DELETE /snapshots/{name}", 204, "/snapshots/s" },
  { "DELETE /snapshots/{name}", 404, "/snapshots/s" },
  { "DELETE /calls", 200, "?ids=2,3" },
  { "DELETE /calls", 400, "?ids=999" },
  { "DELETE /calls/{id}", 204, "/calls/1" },
  { "DELETE /calls/{id}", 404, "/calls/1" },
  { "DELETE /calls/{id}", 400, "/calls/999" },
  { "POST /session", 204 },
  { "DELETE /session", 204 },
  { "POST /reset", 409, before = share },
  { "POST /reset", 204 },
}

describe("the admin listener by curl", function()
  local description = openapi.read "lua/directmethods/hub/admin/openapi.json"
  local operations = description:operations()
  local hub, peer, module_peer

  -- Status, header fields (lower-case names), body. Fields of `o`: body, token
  -- (false: none), host.
  local function curl(method, target, o)
    o = o or {}
    local words = { "curl", "-sS", "-i", "--max-time", "20", "-X", method }
    local function add(...)
      for _, word in ipairs { ... } do words[#words + 1] = word end
    end
    if o.token ~= false then
      add("-H", "Authorization: Bearer " .. (o.token or hub:admin_token()))
    end
    if o.host then add("-H", "Host: " .. o.host) end
    if o.body then add("-H", "Content-Type: application/json", "-d", o.body) end
    add(("http://127.0.0.1:%d%s"):format(hub:ports().admin, target))
    local result = assert(dm.exec(words, { timeout = 30 }))
    assert.equal("", result.stderr)
    local head, body = result.stdout:match("^(.-\r\n)\r\n(.*)$")
    local fields = {}
    for name, value in head:gmatch("([^:\r\n]+): ([^\r\n]*)\r\n") do
      fields[name:lower()] = value
    end
    return tonumber(head:match("^HTTP/1.1 (%d+)")), fields, body
  end

  -- A request of an operation, and nothing that the description does not say.
  local function ask(operation, target, o)
    local method, path = operation:match("^(%u+) (.+)$")
    if not target or target:sub(1, 1) == "?" then target = path .. (target or "") end
    local status, fields, body = curl(method, target, o)
    local described = operations[operation].responses[tostring(status)]
    assert(described, ("%s: %d is not described\n%s"):format(operation, status, body))
    described = description:resolve(described)
    if not described.content then
      assert.equal("", body)
      return status, fields, nil
    end
    local kind = fields["content-type"]:match("^[^;]+")
    local schema = assert(described.content[kind], operation .. ": " .. kind).schema
    if kind == "application/json" then body = assert(dm.json.decode(body)) end
    assert.is_nil(description:wrong(body, schema))
    return status, fields, body
  end

  -- Ask as a case says; the raw device answers a call that reaches it, or is late.
  local function ask_case(case, operation, target)
    if case.is_stream then
      local asking, streams = dm.spawn(ask, operation, target), hub.state.streams
      assert(dm.wait_until(function() return streams.list[1] end))
      hub.state.plane:stream_end(streams.list[1].request)
      assert(dm.wait_until(function() return not streams.list[1] end))
      return asking:await()
    end
    if not case.answer and not case.is_late then
      return ask(operation, target, { body = case.body })
    end
    local asking = dm.spawn(ask, operation, target)
    local called = target:find "/modules/" and module_peer or peer
    local _, rid = called:request()
    if case.answer then called:answer(rid, 200, case.answer) else dm.advance(6) end
    return asking:await()
  end

  before_each(function()
    hub = fixture.hub { admin_port = 0 }
    for _, id in ipairs { "d1", "old" } do hub:add_device(id) end
    assert.equal(200, (curl("PUT", "/devices/lamp", { body = LAMP })))
    hub:add_device "d1/raw"
    peer, module_peer = fixture.device(hub, "d1"), fixture.device(hub, "d1/raw")
    peer:send(mqtt.publish("devices/d1/messages/events/a=b", "21.5", { qos = 1 }))
    assert(peer:read())
    assert.equal(200, fixture.call(hub, {
      device = "lamp", body = '{"methodName":"on","payload":[1]}',
    }).status)
    assert.equal(404, fixture.call(hub, { device = "old" }).status)
  end)

  after_each(function()
    peer:close()
    module_peer:close()
    fixture.finish(hub)
  end)

  it("answers as is described, and is described as it answers", function()
    local seen = {}
    local function note(operation, status)
      seen[operation] = seen[operation] or {}
      seen[operation][tostring(status)] = true
    end
    for operation in pairs(operations) do
      local target = operation:match(" (.+)$"):gsub("{%a+}", "1")
      assert.equal(400, (ask(operation, target .. "?no=1", { body = "{}" })), operation)
      note(operation, 400)
      assert.equal(403, (ask(operation, target, { host = "evil.example" })))
      note(operation, 403)
      if operation ~= "GET /healthz" then
        local status, fields = ask(operation, target, { token = "wrong" })
        assert.same({ 401, "Bearer" }, { status, fields["www-authenticate"] })
        assert.equal(401, (ask(operation, target, { token = false })))
        note(operation, 401)
      end
    end
    for _, case in ipairs(CASES) do
      local operation, status, target = table.unpack(case, 1, 3)
      if case.before then case.before(hub) end
      local place = ("%s %s %s"):format(operation, target, case.body)
      assert.equal(status, (ask_case(case, operation, target)), place)
      note(operation, status)
    end
    assert.same({}, hub:devices())
    local described = {}
    for operation, each in pairs(operations) do
      described[operation] = {}
      for status in pairs(each.responses) do described[operation][status] = true end
      assert.is_truthy(each.responses.default, operation) -- 500, 503
      described[operation].default = nil
    end
    assert.same(described, seen)
  end)

  it("serves its description", function()
    local _, _, served = ask "GET /openapi.json"
    assert.same(description.paths, served.paths)
  end)

  it("has the paths, verbs and parameters that are described", function()
    local described, served = {}, {}
    for operation, each in pairs(operations) do
      described[operation] = {}
      for _, parameter in ipairs(each.parameters or {}) do
        described[operation][parameter.name] = parameter["in"]
      end
    end
    for _, route in ipairs(actions.ROUTES) do
      for verb, action in pairs(route) do
        if type(action) == "table" and not route.is_page then
          local parameters = {}
          for name in route.path:gmatch("{(.-)}") do parameters[name] = "path" end
          for name in pairs(action) do
            if name ~= 1 then parameters[name] = "query" end
          end
          served[verb .. " " .. route.path] = parameters
        end
      end
    end
    assert.same(served, described)
  end)

  it("tells what was wrong: another path, another verb", function()
    local status, _, body = curl("GET", "/nothing")
    assert.same({ 404, '{"Message":"No route has the path."}' }, { status, body })
    for target, allowed in pairs {
      ["/calls"] = "DELETE, GET", ["/devices/lamp"] = "DELETE, GET, PUT",
      ["/devices/lamp/methods/on"] = "POST",
      ["/faults"] = "DELETE, GET, POST", ["/reset"] = "POST",
    } do
      local fields
      status, fields, body = curl("PATCH", target)
      assert.same({ 405, allowed }, { status, fields.allow }, target)
      assert.equal('{"Message":"The path does not support http method \'PATCH\'."}',
        body)
    end
  end)

  it("waits for a call that is under way already", function()
    local call = fixture.send_call(hub, { device = "d1" })
    local _, rid = peer:request()
    local waiting = dm.spawn(curl, "GET", "/wait?call=reboot&timeout=60")
    local before = hub:counters().http_requests
    assert(dm.wait_until(function() return hub:counters().http_requests > before end))
    peer:answer(rid, 299, "1")
    local status, _, body = waiting:await()
    assert.same({ 200, 299 }, { status, assert(dm.json.decode(body)).status })
    call:close()
  end)

  it("waits for the call that was asked for alone, until the hub is closed", function()
    local function begin(query)
      local before = hub:counters().http_requests
      local waiting = dm.spawn(dm.exec, { "curl", "-s", "-H",
        "Authorization: Bearer " .. hub:admin_token(),
        ("http://127.0.0.1:%d/wait?timeout=3000&%s"):format(hub:ports().admin, query) })
      assert(dm.wait_until(function() return hub:counters().http_requests > before end))
      return waiting
    end
    local told = {}
    hub:on("call", function(call) told[#told + 1] = call.method end)
    local first, second = begin "call=on&device=lamp", begin "call=on&module=m"
    fixture.call(hub, { device = "old", body = '{"methodName":"on"}' })
    fixture.call(hub, { device = "lamp", body = '{"methodName":"off"}' })
    assert.is_false(first:ended())
    fixture.call(hub, { device = "lamp", body = '{"methodName":"on"}' })
    assert.equal(201, assert(dm.json.decode(first:await().stdout)).status)
    assert.same({ "on", "off", "on" }, told)
    assert.is_false(second:ended())
    hub:close()
    assert.not_equal(0, second:await().status)
  end)

  it("tells of names and bodies that are no UTF-8", function()
    assert.equal(404, fixture.call(hub, { device = "%FFx" }).status)
    local call = fixture.send_call(hub, { device = "d1" })
    local _, rid = peer:request()
    peer:answer(rid, 200, "\xFE\xFF")
    assert.equal(502, require("spec.support.http").read(call).status)
    call:close()
    peer:send(mqtt.publish("devices/d1/messages/events/", "\0\xFF", { qos = 1 }))
    assert(peer:read())
    local _, _, calls = ask("GET /calls")
    assert.equal("\\xffx", calls[#calls - 1].device_id)
    assert.same({ nil, "\\xfe\\xff" },
      { calls[#calls].response, calls[#calls].response_text })
    local _, _, messages = ask("GET /messages")
    assert.same({ nil, "AP8=" }, { messages[2].body, messages[2].body_base64 })
  end)

  it("says 503 when the store fails", function()
    local stores = require "spec.support.stores"
    local folder = stores.folder()
    peer:close()
    fixture.finish(hub)
    hub = fixture.hub { admin_port = 0, store = folder .. "/hub.db" }
    hub:add_device("d")
    local lines = {}
    dm.log { level = "warn", sink = function(_, line) lines[#lines + 1] = line end }
    finally(function()
      stores.remove(folder)
      dm.log { level = "warn" }
    end)
    local other = stores.connect(folder .. "/hub.db")
    other.sql("BEGIN IMMEDIATE")
    for _, case in ipairs {
      { "PUT", "/devices/e", "{}" }, { "DELETE", "/devices/d" }, { "POST", "/reset" },
    } do
      local status, _, body = curl(case[1], case[2], { body = case[3] })
      assert.equal(503, status, case[2])
      assert.matches("database is locked", body)
    end
    assert.equal(200, (curl("GET", "/devices/d")))
    assert.equal(1, #lines, table.concat(lines, "\n"))
    other.close()
  end)
end)

describe("a description", function()
  it("tells what is not as it says", function()
    local description = openapi.read "lua/directmethods/hub/admin/openapi.json"
    description.components.schemas.Case = {
      type = "object", required = { "id", "hits" }, additionalProperties = false,
      properties = { id = { type = "integer" }, hits = { type = "integer" } },
    }
    local schema = { ["$ref"] = "#/components/schemas/Case" }
    assert.is_nil(description:wrong({ id = 1, hits = 0 }, schema))
    assert.equal("it.hits is missing", description:wrong({ id = 1 }, schema))
    assert.equal("it.id is no integer",
      description:wrong({ id = 1.5, hits = 0 }, schema))
    assert.equal("it.more is not described",
      description:wrong({ id = 1, hits = 0, more = 1 }, schema))
  end)
end)
