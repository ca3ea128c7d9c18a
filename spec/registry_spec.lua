-- The registry over HTTP, byte for byte as an SDK asks it; what devices see of it.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"
local wire = require "spec.support.wire"

local SPECIALS = "-.+%_#*?!(),=@$':;"

local encoded, read, refused = rest.encoded, rest.read, rest.refused

describe("registry", function()
  local hub, open

  before_each(function()
    hub, open = assert(fixture.hub()), {}
  end)

  after_each(function()
    fixture.finish(hub, table.unpack(open))
  end)

  -- A raw device "d", closed when the test ends.
  local function device_of_d(o)
    local device = fixture.device(hub, "d", o)
    table.insert(open, device)
    return device
  end

  local function ask(...)
    return rest.ask(hub, ...)
  end

  local function path_of(id, module)
    local path = "/devices/" .. encoded(id)
    return module and path .. "/modules/" .. encoded(module) or path
  end

  local function put(id, fields, o)
    local document = { deviceId = id }
    for name, value in pairs(fields or {}) do document[name] = value end
    return ask("PUT", path_of(id), dm.json.encode(document), o)
  end

  it("E18 creates without If-Match once; the second is 409", function()
    local made = read(put("d1"))
    assert.equal("d1", made.deviceId)
    assert.equal("Conflict", refused(put("d1"), 409, "DeviceAlreadyExists"))
    assert.equal(made.etag, read(ask("GET", path_of "d1")).etag)
  end)

  it("E18 changes with If-Match * and with the etag; a stale one is 412", function()
    local first = read(put("d1"))
    local second = read(put("d1", { status = "disabled" }, { if_match = '"*"' }))
    assert.equal("disabled", second.status)
    assert.not_equal(first.etag, second.etag)
    assert.truthy(second.statusUpdatedTime > first.statusUpdatedTime)
    refused(put("d1", {}, { if_match = ('"%s"'):format(first.etag) }), 412,
      "PreconditionFailed")
    local etag = ('"%s"'):format(second.etag)
    local third = put("d1", { status = "enabled" }, { if_match = etag })
    assert.equal("enabled", read(third).status)
    assert.equal(('"%s"'):format(read(third).etag), third.headers.etag)
    assert.equal(first.generationId, read(third).generationId)
    read(put("d1", {}, { if_match = "*" }))
  end)

  -- The statuses of the same PUT, sent on so many connections at once.
  local function race(count, target, body, if_match)
    local wires, statuses = {}, {}
    local headers = { "Authorization: " .. fixture.service_token(hub, "iothubowner") }
    headers[2] = if_match and "If-Match: " .. if_match
    for i = 1, count do wires[i] = wire.connect(hub:ports().https) end
    for _, w in ipairs(wires) do
      w:send(http.request {
        method = "PUT", target = target .. "?api-version=" .. fixture.NEW,
        headers = headers, body = body,
      })
    end
    for i, w in ipairs(wires) do
      statuses[i] = assert(http.read(w)).status
      w:close()
    end
    table.sort(statuses)
    return statuses
  end

  it("61 lets one of many win that change or create at once", function()
    local body = '{"deviceId":"d"}'
    assert.same({ 200, 409, 409, 409 }, race(4, "/devices/d", body))
    for _, form in ipairs { '"%s"', "%s", 'W/"%s"' } do
      local etag = read(ask("GET", path_of "d")).etag
      assert.same({ 200, 412, 412, 412 },
        race(4, "/devices/d", body, form:format(etag)), form)
    end
    assert.same({ 200, 200 }, race(2, "/devices/d", body, "*"))
    for _, wrong in ipairs { '"*', "**", "", '"', 'W/*x' } do
      local status = put("d", {}, { if_match = wrong }).status
      assert.is_true(status == 412 or status == 400, wrong)
    end
  end)

  it("shows its devices to Lua in parts", function()
    for i = 1, 5 do hub:add_device("d" .. i) end
    local function ids(...)
      local list = assert(hub:devices(...))
      for i, device in ipairs(list) do list[i] = device.device_id end
      return table.concat(list, " ")
    end
    assert.equal("d1 d2 d3 d4 d5", ids())
    assert.equal("d1 d2", ids { top = 2 })
    assert.equal("d3 d4", ids { top = 2, after = "d2" })
    assert.equal("d5", ids { top = 2, after = "d4" })
    assert.equal("", ids { top = 2, after = "d5" })
    assert.equal("d3 d4 d5", ids { after = "d29" })
    for option, rule in pairs { top = "top", after = "after", limit = "unknown" } do
      local ok, why = pcall(hub.devices, hub, { [option] = false })
      assert.is_false(ok)
      assert.matches("hub:devices: .*" .. rule, why)
    end
  end)

  it("E18 changes nothing that is not there", function()
    refused(put("d1", {}, { if_match = "*" }), 404, "DeviceNotFound")
    assert.same({}, hub:devices())
  end)

  it("E19 makes keys where they are empty, null or absent", function()
    local absent = read(put("a")).authentication
    local empty = read(put("b", { authentication = {
      type = "sas", symmetricKey = { primaryKey = "", secondaryKey = "" },
    } })).authentication
    local null = read(put("c", { authentication = {
      symmetricKey = { primaryKey = dm.null, secondaryKey = dm.null },
    } })).authentication
    for _, found in ipairs { absent, empty, null } do
      assert.equal("sas", found.type)
      assert.equal(32, #core.base64_decode(found.symmetricKey.primaryKey))
      assert.equal(32, #core.base64_decode(found.symmetricKey.secondaryKey))
    end
    assert.not_equal(absent.symmetricKey.primaryKey, empty.symmetricKey.primaryKey)
  end)

  it("E19 keeps the keys of a change that names none, and takes given ones", function()
    local key = core.base64_encode("0b7d9c2e-6c5c-4b6e-9d0a-1f1d3f2b8c11")
    local given = { authentication = { symmetricKey = { primaryKey = key } } }
    local first = read(put("d", given)).authentication.symmetricKey
    assert.equal(key, first.primaryKey)
    local second = read(put("d", {}, { if_match = "*" })).authentication.symmetricKey
    assert.same(first, second)
  end)

  it("E20 takes ids of 1 and 128 characters and every special one", function()
    for _, id in ipairs { "x", ("x"):rep(128), SPECIALS } do
      assert.equal(id, read(put(id)).deviceId)
      assert.equal(id, read(ask("GET", path_of(id))).deviceId)
    end
  end)

  it("E20 refuses longer ones, blanks, slashes and what is not ASCII", function()
    local long = ("x"):rep(129)
    for _, id in ipairs { long, "a b", "a/b", "\u{e9}", "a\0", "a\"", "a\\" } do
      refused(put(id), 400, "ArgumentInvalid")
    end
    assert.same({}, hub:devices())
  end)

  it("E20 decodes the path once", function()
    local body = '{"deviceId":"a%2Bb"}'
    assert.equal("a%2Bb", read(ask("PUT", "/devices/a%252Bb", body)).deviceId)
    assert.equal(404, ask("GET", "/devices/a%2Bb").status)
    assert.equal(400, ask("GET", "/devices/a%2").status)
    assert.equal(400, ask("GET", "/devices/%zz").status)
  end)

  it("E21 tells Dev from dev", function()
    local upper, lower = read(put("Dev")), read(put("dev"))
    assert.not_equal(upper.generationId, lower.generationId)
    assert.equal(204, ask("DELETE", path_of "Dev").status)
    assert.equal("dev", read(ask("GET", path_of "dev")).deviceId)
    refused(ask("GET", path_of "Dev"), 404, "DeviceNotFound")
  end)

  it("E22 answers 404 to GET and DELETE of what is unknown", function()
    refused(ask("GET", path_of "d"), 404, "DeviceNotFound")
    local any = { if_match = '"*"' }
    refused(ask("DELETE", path_of "d", nil, any), 404, "DeviceNotFound")
  end)

  it("E22 deletes: 204 without a body, then 404; If-Match counts", function()
    local made = read(put("d"))
    refused(ask("DELETE", path_of "d", nil, { if_match = '"stale"' }), 412,
      "PreconditionFailed")
    local etag = ('"%s"'):format(made.etag)
    local reply = ask("DELETE", path_of "d", nil, { if_match = etag })
    assert.equal(204, reply.status)
    assert.equal("", reply.body)
    refused(ask("GET", path_of "d"), 404, "DeviceNotFound")
    assert.not_equal(made.generationId, read(put("d")).generationId)
  end)

  it("shows an identity with all members", function()
    local found = read(put("d", { statusReason = "new" }))
    assert.same({
      deviceId = "d",
      generationId = found.generationId,
      etag = found.etag,
      connectionState = "Disconnected",
      status = "enabled",
      statusReason = "new",
      connectionStateUpdatedTime = "0001-01-01T00:00:00",
      statusUpdatedTime = "0001-01-01T00:00:00",
      lastActivityTime = "0001-01-01T00:00:00",
      cloudToDeviceMessageCount = 0,
      authentication = {
        symmetricKey = found.authentication.symmetricKey,
        x509Thumbprint = { primaryThumbprint = dm.null, secondaryThumbprint = dm.null },
        type = "sas",
      },
      capabilities = { iotEdge = false },
      deviceScope = dm.null,
    }, found)
    assert.truthy(found.generationId:find("^6%d+$"))
  end)

  it("says whether a device is connected", function()
    hub:add_device("d")
    local device = device_of_d()
    assert.equal("Connected", read(ask("GET", path_of "d")).connectionState)
    device:close()
    assert(dm.wait_until(function() return not hub:devices()[1].connected end))
    assert.equal("Disconnected", read(ask("GET", path_of "d")).connectionState)
  end)

  local MALFORMED = {
    ["not JSON"] = "{",
    ["empty"] = "",
    ["no object"] = "[]",
    ["another id"] = '{"deviceId":"e"}',
    ["no id"] = "{}",
    ["an id that is none"] = '{"deviceId":7}',
    ["a short key"] = '{"deviceId":"d","authentication":{"symmetricKey":'
      .. '{"primaryKey":"c2hvcnQ="}}}',
    ["a key that is not base64"] = '{"deviceId":"d","authentication":{"symmetricKey":'
      .. '{"secondaryKey":"SECRET not base64"}}}',
    ["keys that are no object"] = '{"deviceId":"d","authentication":[]'
      .. ',"status":"enabled","capabilities":1}',
    ["an unknown type"] = '{"deviceId":"d","authentication":{"type":"key"}}',
    ["selfSigned without a thumbprint"] =
      '{"deviceId":"d","authentication":{"type":"selfSigned"}}',
    ["a thumbprint of 41 digits"] = '{"deviceId":"d","authentication":{'
      .. '"x509Thumbprint":{"primaryThumbprint":"' .. ("A"):rep(41) .. '"}}}',
    ["a thumbprint that is not hexadecimal"] = '{"deviceId":"d","authentication":{'
      .. '"x509Thumbprint":{"secondaryThumbprint":"' .. ("G"):rep(64) .. '"}}}',
    ["a thumbprint of type sas"] = '{"deviceId":"d","authentication":{"type":"sas",'
      .. '"x509Thumbprint":{"primaryThumbprint":"' .. ("A"):rep(40) .. '"}}}',
    ["a key of type certificateAuthority"] = '{"deviceId":"d","authentication":{'
      .. '"type":"certificateAuthority","symmetricKey":{"primaryKey":"'
      .. 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}}}',
    ["another status"] = '{"deviceId":"d","status":"off"}',
    ["a long reason"] = '{"deviceId":"d","statusReason":"' .. ("x"):rep(129) .. '"}',
    ["an edge device that is none"] = '{"deviceId":"d","capabilities":{"iotEdge":1}}',
    ["a scope that is no text"] = '{"deviceId":"d","deviceScope":1}',
    ["a long scope"] = '{"deviceId":"d","deviceScope":"' .. ("x"):rep(513) .. '"}',
    ["parents that are no list"] = '{"deviceId":"d","parentScopes":"a"}',
    ["a parent that is no text"] = '{"deviceId":"d","parentScopes":["a",1]}',
    ["an empty parent"] = '{"deviceId":"d","parentScopes":[""]}',
    ["eleven parents"] = '{"deviceId":"d","parentScopes":["a"' .. (',"a"'):rep(10)
      .. "]}",
  }

  for what, body in pairs(MALFORMED) do
    it("refuses a body with " .. what, function()
      local text = refused(ask("PUT", "/devices/d", body), 400, "ArgumentInvalid")
      assert.falsy(text:find("SECRET", 1, true))
      assert.same({}, hub:devices())
    end)
  end

  it("says what is no object", function()
    local authentication = '{"deviceId":"x","authentication":'
    for text, rule in pairs {
      ["[1]"] = "the body must be a JSON object",
      ["[]"] = "the body must be a JSON object",
      ["5"] = "the body must be a JSON object",
      ['{"deviceId":"x","capabilities":[1]}'] = "'capabilities' must be a JSON object",
      [authentication .. "[]}"] = "'authentication' must be a JSON object",
      [authentication .. '"sas"}'] = "'authentication' must be a JSON object",
      [authentication .. '{"symmetricKey":[]}}'] =
        "'symmetricKey' must be a JSON object",
      [authentication .. '{"x509Thumbprint":1}}'] =
        "'x509Thumbprint' must be a JSON object",
    } do
      local why = refused(ask("PUT", path_of "x", text), 400, "ArgumentInvalid")
      assert.truthy(why:find(rule, 1, true), why)
    end
    refused(ask("GET", path_of "x"), 404, "DeviceNotFound")
  end)

  it("asks for RegistryRead to read, RegistryWrite to write", function()
    hub:add_device("d")
    local function get(policy)
      return ask("GET", path_of "d", nil, { policy = policy })
    end
    local function write(method, policy)
      return ask(method, path_of "d", method == "PUT" and '{"deviceId":"d"}' or nil,
        { policy = policy, if_match = "*" })
    end
    for _, policy in ipairs { "service", "device" } do
      refused(get(policy), 401, "IotHubUnauthorizedAccess")
    end
    for _, policy in ipairs { "service", "device", "registryRead" } do
      refused(write("PUT", policy), 401, "IotHubUnauthorizedAccess")
      refused(write("DELETE", policy), 401, "IotHubUnauthorizedAccess")
    end
    assert.equal(200, get("registryRead").status)
    assert.equal(200, write("PUT", "registryReadWrite").status)
    assert.equal(204, write("DELETE", "registryReadWrite").status)
  end)

  it("answers 405 to another verb and 404 to another path", function()
    local reply = ask("PATCH", path_of "d")
    assert.same({ 405, "DELETE, GET, PUT" }, { reply.status, reply.headers.allow })
    assert.equal([[{"Message":"The requested resource does not support http method ]]
      .. [['PATCH'."}]], reply.body)
    for _, path in ipairs { "/", "/device/d", "//devices/d", "/devices/d/module",
      "/devices/d/modules/m/x", "/Devices/d", "/twins", "/statistics/device" } do
      assert.equal(404, ask("GET", path).status, path)
    end
  end)

  it("takes a slash at the end", function()
    hub:add_device("d")
    assert.equal("d", read(ask("GET", "/devices/d/")).deviceId)
  end)

  describe("modules", function()
    local function put_module(device, module, o)
      local body = dm.json.encode { deviceId = device, moduleId = module }
      return ask("PUT", path_of(device, module), body, o)
    end

    it("need their device", function()
      refused(put_module("d", "m"), 404, "DeviceNotFound")
      refused(ask("GET", path_of("d", "m")), 404, "DeviceNotFound")
    end)

    it("are created, changed, listed and deleted", function()
      hub:add_device("d")
      local made = read(put_module("d", "m"))
      assert.equal("m", made.moduleId)
      assert.is_nil(made.status)
      refused(put_module("d", "m"), 409, "ModuleAlreadyExistsOnDevice")
      assert.not_equal(made.etag, read(put_module("d", "m", { if_match = "*" })).etag)
      read(put_module("d", "a"))
      local list = read(ask("GET", "/devices/d/modules"))
      assert.same({ "a", "m" }, { list[1].moduleId, list[2].moduleId })
      assert.equal(204, ask("DELETE", path_of("d", "m")).status)
      refused(ask("GET", path_of("d", "m")), 404, "ModuleNotFound")
    end)

    it("tell who manages them, as they were put", function()
      hub:add_device("d")
      local function managed_by(value)
        local body = dm.json.encode {
          deviceId = "d", moduleId = "m", managedBy = value,
        }
        local said = read(ask("PUT", path_of("d", "m"), body, { if_match = "*" }))
        assert.same(said, read(ask("GET", path_of("d", "m"))))
        return said.managedBy
      end
      read(put_module("d", "m"))
      assert.equal(dm.null, read(ask("GET", path_of("d", "m"))).managedBy)
      for _, text in ipairs {
        "iotEdge", ("\u{20ac}"):rep(128), "a \0\"$manager\"\n",
      } do
        assert.equal(text, managed_by(text))
      end
      assert.equal(dm.null, managed_by(nil))
      for _, wrong in ipairs { ("x"):rep(129), 3, { 1 } } do
        refused(ask("PUT", path_of("d", "m"), dm.json.encode {
          deviceId = "d", moduleId = "m", managedBy = wrong,
        }, { if_match = "*" }), 400, "ArgumentInvalid")
      end
    end)

    it("go with their device", function()
      hub:add_device("d/m")
      assert.equal(204, ask("DELETE", path_of "d").status)
      hub:add_device("d")
      assert.same({}, hub:devices()[1].modules)
    end)
  end)

  it("B15 closes the connection of what is deleted or disabled", function()
    for _, method in ipairs { "DELETE", "PUT" } do
      if not hub:devices()[1] then hub:add_device("d") end
      local device = device_of_d()
      ask(method, path_of "d", method == "PUT" and
        '{"deviceId":"d","status":"disabled"}' or nil, { if_match = "*" })
      assert.is_true(device.wire:wait_closed())
      local reply = fixture.call(hub, { device = "d" })
      assert.equal(404001, fixture.error_m(reply).errorCode)
    end
  end)

  it("lets in by a new key at once, and no longer by the old one", function()
    hub:add_device("d")
    local old = fixture.device_token(hub, "d")
    local keys = { primaryKey = core.base64_encode(("a"):rep(32)),
      secondaryKey = core.base64_encode(("b"):rep(32)) }
    read(put("d", { authentication = { symmetricKey = keys } }, { if_match = "*" }))
    assert.equal(5, device_of_d { password = old }.code)
    assert.equal(0, device_of_d().code)
  end)

  describe("twins", function()
    local function twin(device, what, payload)
      device:send(mqtt.publish("$iothub/twin/" .. what .. "/?$rid=1", payload or ""))
      local packet = assert(device:read())
      local status, more = packet.topic:match("^%$iothub/twin/res/(%d+)/%?%$rid=1(.*)$")
      return tonumber(status), packet.payload, more
    end

    local function connected()
      hub:add_device("d")
      local device = device_of_d()
      device:subscribe(0, "$iothub/twin/res/#")
      return device
    end

    local function get(device)
      local status, payload = twin(device, "GET")
      assert.equal(200, status)
      return assert(dm.json.decode(payload))
    end

    local PATCH = "PATCH/properties/reported"

    it("begin empty", function()
      assert.same({ desired = { ["$version"] = 1 }, reported = { ["$version"] = 1 } },
        get(connected()))
    end)

    it("merge what is reported; null removes", function()
      local device = connected()
      local status, payload, more = twin(device, PATCH, '{"a":1,"b":{"c":[],"d":2}}')
      assert.equal(204, status)
      assert.equal("", payload)
      assert.equal("&$version=2", more)
      twin(device, PATCH, '{"a":null,"b":{"d":3,"e":{"f":null}}}')
      local found = get(device).reported
      assert.same({ ["$version"] = 3, b = { c = {}, d = 3, e = {} } }, found)
      assert.equal('{"c":[]}', dm.json.encode { c = found.b.c })
    end)

    it("refuse what is no object, names a version or grows too large", function()
      local device = connected()
      for _, body in ipairs { "", "[]", "7", "{", '{"$version":9}',
        ('{"a":'):rep(64) .. "1" .. ("}"):rep(64) } do
        assert.equal(400, (twin(device, PATCH, body)), body)
      end
      local large = {}
      for i = 1, 9 do large["a" .. i] = ("x"):rep(4096) end
      assert.equal(413, (twin(device, PATCH, dm.json.encode(large))))
      assert.same({ ["$version"] = 1 }, get(device).reported)
    end)

    it("stay over a reconnect, and go with their identity", function()
      local device = connected()
      twin(device, PATCH, '{"a":1}')
      device:close()
      device = device_of_d()
      device:subscribe(0, "$iothub/twin/res/#")
      assert.equal(1, get(device).reported.a)
      ask("DELETE", path_of "d")
      assert.is_nil(get(connected()).reported.a)
    end)
  end)
end)
