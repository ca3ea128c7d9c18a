-- Checklist J: requests as clients send them, and what is wrong with their bodies.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local rest = require "spec.support.rest"

local read, refused = rest.read, rest.refused

describe("a request", function()
  local hub

  before_each(function()
    hub = fixture.hub()
    assert(hub:add_device "dev1")
  end)

  after_each(function() fixture.finish(hub) end)

  local function ask(...) return rest.ask(hub, ...) end

  -- It is refused for its argument, and the reason names this.
  local function names(part, ...)
    local why = refused(ask(...), 400, "ArgumentInvalid")
    assert.truthy(why:find(part, 1, true), why)
  end

  -- Bodies ------------------------------------------------------------------

  describe("with a member that stands twice", function()
    it("J01 is refused: identities", function()
      local authentication = '{"deviceId":"x","authentication":'
      for member, text in pairs {
        deviceId = '{"deviceId":"x","deviceId":"x"}',
        status = '{"deviceId":"x","status":"enabled","status":"disabled"}',
        statusReason = '{"deviceId":"x","statusReason":"a","statusReason":"b"}',
        capabilities = '{"deviceId":"x","capabilities":{},"capabilities":{}}',
        ["capabilities.iotEdge"] =
          '{"deviceId":"x","capabilities":{"iotEdge":false,"iotEdge":false}}',
        authentication = authentication .. '{},"authentication":{}}',
        ["authentication.type"] = authentication .. '{"type":"sas","type":"sas"}}',
        ["authentication.symmetricKey.primaryKey"] = authentication
          .. '{"symmetricKey":{"primaryKey":null,"primaryKey":null}}}',
        ["authentication.x509Thumbprint.secondaryThumbprint"] = authentication
          .. '{"x509Thumbprint":{"secondaryThumbprint":"","secondaryThumbprint":""}}}',
      } do
        names(("'%s' stands twice"):format(member), "PUT", "/devices/x", text)
      end
      names("'managedBy' stands twice", "PUT", "/devices/dev1/modules/m",
        '{"deviceId":"dev1","moduleId":"m","managedBy":"a","managedBy":"b"}')
      assert.equal(1, #hub:devices())
    end)

    it("J01 is refused: twins", function()
      for member, text in pairs {
        tags = '{"tags":{"a":1},"tags":{"b":1}}',
        properties = '{"properties":{},"properties":{"desired":{"a":1}}}',
        ["properties.desired"] = '{"properties":{"desired":{"a":1},"desired":{}}}',
      } do
        for _, verb in ipairs { "PATCH", "PUT" } do
          names(("'%s' stands twice"):format(member), verb, "/twins/dev1", text)
        end
      end
      assert.equal(1, read(ask("GET", "/twins/dev1")).version)
    end)

    it("J01 is refused: entries of a bulk request", function()
      for member, text in pairs {
        id = '"id":"y"',
        importMode = '"importMode":"create","importMode":"delete"',
        eTag = '"eTag":"a","etag":"b"',
        tags = '"tags":{},"tags":{"a":1}',
        ["authentication.type"] = '"authentication":{"type":"sas","Type":"none"}',
        ["properties.desired"] = '"properties":{"desired":{},"desired":{}}',
      } do
        names(("'[1].%s' stands twice"):format(member), "POST", "/devices",
          ('[{"id":"z"},{"id":"x",%s}]'):format(text))
      end
      assert.equal(1, #hub:devices())
    end)

    it("J01 is refused: jobs and queries", function()
      local job = '{"type":"scheduleDeviceMethod","queryCondition":"*",'
        .. '"cloudToDeviceMethod":{"methodName":"m"%s}%s}'
      names("'queryCondition' stands twice", "PUT", "/jobs/v2/j",
        job:format("", ',"queryCondition":"*"'))
      names("'cloudToDeviceMethod.payload' stands twice", "PUT", "/jobs/v2/j",
        job:format(',"payload":1,"payload":2', ""))
      names("'tags' stands twice", "PUT", "/jobs/v2/j",
        '{"type":"scheduleUpdateTwin","queryCondition":"*",'
        .. '"updateTwin":{"tags":{},"tags":{"a":1}}}')
      names("'query' stands twice", "POST", "/devices/query",
        '{"query":"SELECT * FROM devices","query":"SELECT * FROM devices"}')
    end)

    it("J01 is taken where nobody reads the member", function()
      read(ask("PUT", "/devices/x", '{"deviceId":"x","etag":"a","etag":"b","q":1}'))
      read(ask("PATCH", "/twins/dev1", '{"etag":1,"etag":2,"tags":{"a":1,"a":2}}'))
      assert.equal(2, read(ask("GET", "/twins/dev1")).tags.a)
    end)
  end)

  it("J02 has names of members in any case, but for twins", function()
    local device = read(ask("PUT", "/devices/x", '{"DeviceId":"x","STATUS":"Disabled",'
      .. '"Authentication":{"Type":"selfSigned","X509Thumbprint":{"primarythumbprint":"'
      .. ("A"):rep(40) .. '"}}}'))
    local authentication = device.authentication
    assert.same({ "disabled", "selfSigned", ("A"):rep(40) }, { device.status,
      authentication.type, authentication.x509Thumbprint.primaryThumbprint })
    read(ask("POST", "/devices", '[{"Id":"y","ImportMode":"Create","Tags":{"Aa":1}}]'))
    assert.equal(1, read(ask("GET", "/twins/y")).tags.Aa)
    read(ask("PUT", "/jobs/v2/j", '{"Type":"ScheduleDeviceMethod","QueryCondition":"*",'
      .. '"CloudToDeviceMethod":{"MethodName":"m","ResponseTimeoutInSeconds":5}}'))
    assert.equal("scheduleDeviceMethod", read(ask("GET", "/jobs/v2/j")).type)
    assert.equal(3, #read(ask("POST", "/devices/query",
      '{"Query":"SELECT * FROM devices"}')))
    read(ask("PATCH", "/twins/dev1",
      '{"Tags":{"a":1},"Properties":{"desired":{"a":1}}}'))
    local twin = read(ask("GET", "/twins/dev1"))
    assert.same({ {}, nil }, { twin.tags, twin.properties.desired.a })
  end)

  it("J03 with one member in two cases is refused", function()
    names("'query' stands twice", "POST", "/devices/query",
      '{"query":"SELECT * FROM devices","Query":"SELECT * FROM devices"}')
    names("'status' stands twice", "PUT", "/devices/x",
      '{"deviceId":"x","status":"enabled","Status":"disabled"}')
    names("'type' stands twice", "PUT", "/jobs/v2/j",
      '{"type":"scheduleUpdateTwin","TYPE":"scheduleDeviceMethod"}')
    names("'[0].id' stands twice", "POST", "/devices", '[{"id":"x","ID":"y"}]')
  end)

  it("J04 for a job of an unknown type is a generic bad request", function()
    for _, kind in ipairs { "scheduleDirectMethod", "export", "" } do
      refused(ask("PUT", "/jobs/v2/j", { type = kind, queryCondition = "*" }), 400,
        "GenericBadRequest")
    end
    names("'type'", "PUT", "/jobs/v2/j", { type = 1, queryCondition = "*" })
  end)

  it("J05 may have seconds as text, also in a job", function()
    local function put(id, response, max)
      return ask("PUT", "/jobs/v2/" .. id, {
        type = "scheduleDeviceMethod", queryCondition = "*",
        cloudToDeviceMethod = { methodName = "m", responseTimeoutInSeconds = response },
        maxExecutionTimeInSeconds = max,
      })
    end
    read(put("j", "30", "120"))
    local job = read(ask("GET", "/jobs/v2/j"))
    assert.same({ 30, 120 }, { job.cloudToDeviceMethod.responseTimeoutInSeconds,
      job.maxExecutionTimeInSeconds })
    for text, part in pairs { x = "no whole number", ["5.0"] = "no whole number",
      [""] = "no whole number", ["0"] = "must be within" } do
      for _, reply in ipairs { put("k", text, 10), put("k", 30, text) } do
        local why = refused(reply, 400, "ArgumentInvalid")
        assert.truthy(why:find(part, 1, true), why)
      end
    end
  end)

  it("J06 says what is wrong with a body that cannot be read", function()
    local deep = ("["):rep(70) .. ("]"):rep(70)
    local paths = { { "PUT", "/devices/x", '{"deviceId":"x","statusReason":%s}' },
      { "POST", "/devices", '[{"id":"x","tags":{"a":%s}}]' },
      { "PATCH", "/twins/dev1", '{"properties":{"desired":{"a":%s}}}' },
      { "PUT", "/jobs/v2/j",
        '{"type":"scheduleUpdateTwin","queryCondition":"*","updateTwin":{"tags":%s}}' },
      { "POST", "/devices/query", '{"query":%s}' } }
    for _, each in ipairs(paths) do
      local verb, path, text = table.unpack(each)
      names("nested deeper than 64", verb, path, text:format(deep))
      names("64 bits", verb, path, text:format "18446744073709551616")
      names("64 bits", verb, path, text:format "1e400")
      names("at byte", verb, path, text:format "")
      names("at byte 0", verb, path, "")
    end
    names("'[0].tags'", "POST", "/devices", '[{"id":"x","tags":{"a":1e400}}]')
    names("'properties.desired'", "PATCH", "/twins/dev1",
      '{"properties":{"desired":{"a":1e400}}}')
  end)

  -- Methods and paths ---------------------------------------------------------

  local PATCH = { headers = { "X-HTTP-Method-Override: PATCH" } }

  it("J07 may name its method in X-HTTP-Method-Override", function()
    local twin = read(ask("POST", "/twins/dev1", { tags = { a = 1 } }, PATCH))
    assert.equal(1, twin.tags.a)
    read(ask("POST", "/devices/dev2", { deviceId = "dev2" },
      { headers = { "x-http-method-override: PUT" } }))
    local reply = ask("POST", "/devices/dev2", nil,
      { headers = { "X-HTTP-Method-Override: DELETE" } })
    assert.equal(204, reply.status)
    assert.equal(405, ask("POST", "/twins/dev1", {}).status)
    assert.equal(405, ask("POST", "/twins/dev1/methods", { methodName = "m" },
      PATCH).status)
  end)

  it("J07 has the method that it is sent with, if it is no POST", function()
    assert.is_nil(read(ask("GET", "/twins/dev1", nil, PATCH)).tags.a)
    assert.equal(405, ask("POST", "/twins/dev1", {},
      { headers = { "X-HTTP-Method-Override: \"}" } }).status)
  end)

  it("J07 may name it in any case", function()
    for _, name in ipairs { "patch", "Patch" } do
      read(ask("POST", "/twins/dev1", { tags = { [name] = 1 } },
        { headers = { "X-HTTP-Method-Override: " .. name } }))
    end
    assert.same({ Patch = 1, patch = 1 }, read(ask("GET", "/twins/dev1")).tags)
  end)

  it("J15 has no route with an empty id", function()
    assert(hub:add_device "dev1/mod1")
    local body = '{"methodName":"m","tags":{"a":1},"deviceId":"dev1","query":""}'
    for verb, paths in pairs {
      GET = { "/twins//", "/devices//", "/twins/dev1/modules//", "/jobs/v2//",
        "/devices/dev1/modules//", "/digitaltwins//" },
      PATCH = { "/twins/dev1/modules//" },
      PUT = { "/devices/dev1/modules//" },
      DELETE = { "/devices/dev1/modules//" },
      POST = { "/twins/dev1/modules//methods", "/twins//methods",
        "/digitaltwins//commands/m", "/digitaltwins/dev1/components//commands/m" },
    } do
      for _, path in ipairs(paths) do
        local reply = ask(verb, path, verb ~= "GET" and body or nil)
        assert.equal(404, reply.status, verb .. " " .. path)
        assert.truthy(reply.body:find("No route", 1, true), reply.body)
      end
    end
    assert.same({}, read(ask("GET", "/twins/dev1")).tags)
  end)

  it("J13 has parameters in any case, once, and percent-encoded", function()
    assert(hub:add_device "dev2")
    assert.equal(1, #read(ask("GET", "/devices", nil, { query = "Top=1" })))
    assert.equal(1, #read(ask("GET", "/devices", nil, { query = "top=%31" })))
    refused(ask("GET", "/devices", nil, { query = "top=1&TOP=1" }), 400,
      "ArgumentInvalid")
    assert.equal(2, #read(ask("GET", "/devices", nil, { query = "x=1&x=1" })))
    assert.same({}, read(ask("GET", "/jobs/v2/query", nil,
      { query = "jobtype=scheduledevicemethod&JobStatus=Completed" })))
    local token = fixture.service_token(hub, "iothubowner")
    local function get(version)
      return assert(http.exchange(hub:ports().https, { method = "GET",
        target = "/devices?" .. version, headers = { "Authorization: " .. token } }))
    end
    assert.equal(200, get("API-Version=2021%2D04%2d12").status)
    assert.equal(400, get("API-Version=2021-04-12&api-version=2021-04-12").status)
    assert.equal(400, get("api-version=2021%2D04%2").status)
    assert.equal(400, get("api-version=" .. ("%32"):rep(100)).status)
  end)

  it("J14 has names of authentication types in any case", function()
    for name, right in pairs { SAS = "sas", SelfSigned = "selfSigned",
      certificateauthority = "certificateAuthority", NONE = "none" } do
      local thumbprints = { primaryThumbprint = ("A"):rep(40) }
      assert.equal(right, read(ask("PUT", "/devices/" .. name, {
        deviceId = name,
        authentication = { type = name,
          x509Thumbprint = right == "selfSigned" and thumbprints or nil },
      })).authentication.type)
    end
    refused(ask("PUT", "/devices/x", { deviceId = "x",
      authentication = { type = "x" } }), 400, "ArgumentInvalid")
  end)

  it("J08 may have its whole path encoded", function()
    assert.equal("dev1", read(ask("GET", "/twins%2Fdev1")).deviceId)
    assert.equal("dev1", read(ask("GET", "/devices%2fdev1/")).deviceId)
    assert.equal(1, #read(ask("POST", "/devices%2Fquery",
      { query = "SELECT * FROM devices" })))
    local called = ask("POST", "/twins%2Fdev1%2Fmethods", { methodName = "m" })
    assert.equal(404103, fixture.error_m(called).errorCode)
    assert.equal(404, ask("GET", "/twins%252Fdev1").status)
    refused(ask("GET", "/devices/dev1%2Fmodules"), 404, "DeviceNotFound")
  end)

  it("J08 has words of its path in any case, and ids as they are", function()
    assert.equal("dev1", read(ask("GET", "/Twins/dev1")).deviceId)
    local called = ask("POST", "/TWINS/dev1/Methods", { methodName = "m" })
    assert.equal(404103, fixture.error_m(called).errorCode)
    refused(ask("GET", "/twins/Dev1"), 404, "DeviceNotFound")
  end)

  it("J09 counts the devices that are connected", function()
    local function connected()
      return read(ask("GET", "/statistics/service")).connectedDeviceCount
    end
    assert.equal(0, connected())
    assert(hub:add_device "dev1/m")
    local device = fixture.device(hub, "dev1")
    local module = fixture.device(hub, "dev1/m")
    assert.equal(1, connected())
    device:close()
    module:close()
    dm.wait_until(function() return connected() == 0 end, 5)
    refused(ask("GET", "/statistics/service", nil, { policy = "service" }), 401,
      "IotHubUnauthorizedAccess")
  end)

  local MISSING = {
    ["automatic configurations"] = { "GET /configurations", "PUT /configurations/c",
      "POST /configurations/testQueries", "DELETE /Configurations/c" },
    ["configurations of edge devices"] = {
      "POST /devices/dev1/applyConfigurationContent" },
    ["import and export jobs"] = { "POST /jobs/create", "GET /jobs", "GET /jobs/j",
      "DELETE /jobs/j" },
    ["feedback and file upload notifications"] = {
      "GET /messages/serviceBound/feedback",
      "GET /messages/servicebound/filenotifications",
      "DELETE /messages/serviceBound/feedback/token" },
    ["regeneration of keys"] = { "POST /devices/keys/regenerate" },
    ["queues of cloud-to-device messages"] = { "DELETE /devices/dev1/commands" },
    ["cloud-to-device messages"] = { "GET /devices/dev1/messages/devicebound",
      "POST /devices/dev1/messages/deviceBound",
      "DELETE /devices/dev1/messages/devicebound/etag",
      "POST /devices/dev1/messages/devicebound/etag/abandon",
      "GET /devices/dev1/modules/m/messages/deviceBound" },
    ["telemetry over HTTPS"] = { "POST /devices/dev1/messages/events",
      "POST /devices/dev1/modules/m/messages/events" },
    ["file uploads"] = { "POST /devices/dev1/files",
      "POST /devices/dev1/files/notifications" },
  }

  it("J10 for what this hub has not is answered so, whatever its token", function()
    local token = fixture.device_token(hub, "dev1")
    for what, requests in pairs(MISSING) do
      for _, each in ipairs(requests) do
        local verb, path = each:match "^(%u+) (.+)$"
        for _, authorization in ipairs { token, "SharedAccessSignature x", "" } do
          local reply = http.exchange(hub:ports().https, {
            method = verb, target = path .. "?api-version=2020-09-30",
            headers = { "Authorization: " .. authorization }, body = "{}",
          })
          assert.equal(("This hub has no %s; IoT Hub has."):format(what),
            refused(reply, 501, "NotImplemented"))
        end
      end
    end
  end)

  it("J10 leaves devices and jobs their names", function()
    for _, id in ipairs { "keys", "messages", "files", "configurations" } do
      read(ask("PUT", "/devices/" .. id, { deviceId = id }))
      assert.equal(id, read(ask("GET", "/twins/" .. id)).deviceId)
      read(ask("PUT", ("/devices/%s/modules/commands"):format(id),
        { deviceId = id, moduleId = "commands" }))
    end
    refused(ask("GET", "/jobs/v2/create"), 404, "JobNotFound")
    local reply = ask("GET", "/nothing/at/all")
    assert.equal(404, reply.status)
    assert.truthy(reply.body:find("No route", 1, true))
  end)

  -- As clients send them ------------------------------------------------------

  -- What it comes from, the request, its body, header lines, the status.
  local SENT = {
    { "Go: create", "PUT /devices/go1", '{"deviceId":"go1","authentication":'
      .. '{"symmetricKey":{},"x509Thumbprint":{},"type":""},"capabilities":{}}', 200 },
    { "Go: update", "PUT /devices/go1", '{"deviceId":"go1","status":"disabled"}', 200,
      "If-Match: *" },
    { "Go: delete", "DELETE /devices/go1", nil, 204, "If-Match: *" },
    { "Go: call", "POST /twins/dev1/methods", '{"methodName":"echo",'
      .. '"connectTimeoutInSeconds":0,"responseTimeoutInSeconds":30}', 404 },
    { ".NET: create", "PUT /devices/n2", '{"deviceId":"n2","generationId":null,'
      .. '"connectionState":"Disconnected","status":"enabled","statusReason":null,'
      .. '"connectionStateUpdatedTime":"0001-01-01T00:00:00",'
      .. '"cloudToDeviceMessageCount":0,"authentication":{"symmetricKey":'
      .. '{"primaryKey":null,"secondaryKey":null},"type":"sas"},'
      .. '"capabilities":{"iotEdge":false},"parentScopes":[]}', 200 },
    { ".NET: with twin", "POST /devices/", '[{"id":"n3","importMode":"create",'
      .. '"status":"enabled","authentication":{"type":"sas"},"tags":{"x":1},'
      .. '"properties":{"desired":{"d":2},"reported":{}}}]', 200 },
    { ".NET: twin", "PATCH /twins/n2", '{"deviceId":"n2","etag":"*","version":null,'
      .. '"tags":{"a":1},"properties":{"desired":{"x":1},"reported":{}}}', 200,
      'If-Match: "*"' },
    { ".NET: list", "GET /devices/?top=10&", nil, 200 },
    { ".NET: job", "PUT /jobs/v2/n1", '{"jobId":"n1","type":"scheduleUpdateTwin",'
      .. '"updateTwin":{"deviceId":null,"etag":"*","tags":{"b":1},'
      .. '"properties":{"desired":{},"reported":{}}},'
      .. '"queryCondition":"deviceId=\'n2\'",'
      .. '"startTime":"2026-11-01T00:00:00.0Z","maxExecutionTimeInSeconds":120}',
      200 },
    { ".NET: jobs", "GET /jobs/v2/query?jobType=ScheduleUpdateTwin&", nil, 200,
      "x-ms-max-item-count: 1" },
    { "Explorer: twin", "GET /twins%2Fdev1", nil, 200 },
    { "Explorer: etag", "PUT /devices%2Fn2",
      '{"deviceId":"n2","etag":"xx","status":"enabled"}', 412, 'If-Match: "xx"' },
    { "Explorer: delete", "POST /devices",
      '[{"etag":"*","id":"n3","importMode":"deleteIfMatchEtag"}]', 200 },
    { "az: scopes", "POST /devices/query",
      '{"query":"SELECT deviceId, deviceScope FROM devices"}', 200 },
    { "az: edge devices", "GET /devices?top=5&edge=true&", nil, 200 },
    { "C: create", "PUT /devices/c1?api-version=2019-10-01", '{"deviceId":"c1",'
      .. '"status":"enabled","authentication":{"type":"sas","symmetricKey":'
      .. '{"primaryKey":"","secondaryKey":""}},"capabilities":{"iotEdge":false}}',
      200, "Request-Id: 1001" },
    { "C: module", "PUT /devices/c1/modules/m?api-version=2019-10-01",
      '{"deviceId":"c1","moduleId":"m","managedBy":"x","status":"enabled",'
      .. '"authentication":{"type":"sas","symmetricKey":{"primaryKey":"",'
      .. '"secondaryKey":""}}}', 200, "Request-Id: 1001" },
    { "C: thumbprints", "PUT /devices/c2?api-version=2019-10-01", '{"deviceId":"c2",'
      .. '"status":"enabled","authentication":{"type":"selfSigned","x509Thumbprint":'
      .. '{"primaryThumbprint":"' .. ("A"):rep(40) .. '","secondaryThumbprint":"'
      .. ("b"):rep(64) .. '"}},"capabilities":{"iotEdge":true}}', 200 },
    { "C: list", "GET /devices/?top=10&api-version=2019-10-01", nil, 200 },
    { "C: statistics", "GET /statistics/devices?api-version=2019-10-01", nil, 200 },
    { "Python: create", "PUT /devices/p1", '{"deviceId":"p1","status":"enabled",'
      .. '"authentication":{"symmetricKey":{},"type":"sas"},'
      .. '"capabilities":{"iotEdge":false}}', 200 },
    { "Python: twin", "PATCH /twins/p1", '{"properties":{"desired":{"x":1}}}', 200,
      'If-Match: "*"' },
    { "Python: query", "POST /devices/query",
      '{"query":"SELECT * FROM devices"}', 200, "x-ms-max-item-count: 1" },
    { "Python: delete", "DELETE /devices/p1", nil, 204, 'If-Match: "*"' },
    { "Java: twin", "POST /twins/c1", '{"deviceId":"c1","tags":{"a":1},'
      .. '"properties":{"desired":{"x":1}}}', 200, "X-HTTP-Method-Override: PATCH" },
    { "a preview", "GET /devices/dev1?api-version=2020-05-31-preview", nil, 200 },
  }

  it("J11 is taken as C, Go, Java, .NET, Python, Explorer and az send it", function()
    for _, each in ipairs(SENT) do
      local from, request, body, status, line = table.unpack(each, 1, 5)
      local verb, target = request:match "^(%u+) (.+)$"
      if not target:find("api-version", 1, true) then
        target = target .. (target:find("?", 1, true) and "" or "?")
          .. "api-version=2021-04-12"
      end
      local reply = http.exchange(hub:ports().https, {
        method = verb, target = target, body = body,
        headers = { "Authorization: " .. fixture.service_token(hub, "iothubowner"),
          line },
      })
      assert.equal(status, reply.status, from .. ": " .. reply.body)
    end
    assert.same({ a = 1, b = 1 }, read(ask("GET", "/twins/n2")).tags)
  end)

  it("J12 may have a condition without a change, in a bulk request", function()
    local function bulk(etag)
      return dm.json.decode(ask("POST", "/devices", ('[{"id":"dev1","importMode":'
        .. '"updateTwinIfMatchETag","twinETag":"%s"}]'):format(etag)).body)
    end
    local etag = read(ask("GET", "/twins/dev1")).etag
    assert.is_true(bulk(etag).isSuccessful)
    assert.is_true(bulk("*").isSuccessful)
    assert.equal(412001, bulk("AAAAAAAAAAk=").errors[1].errorCode)
  end)
end)
