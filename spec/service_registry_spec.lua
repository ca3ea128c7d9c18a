-- service.registry and service.twins against the hub, and what they ask of any other.

local checks = require "spec.support.checks"
local core = require "directmethods.core"
local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"
local wire = require "spec.support.wire"

local failure = checks.failure
local KEY = core.base64_encode(("k"):rep(32))

describe("service.registry", function()
  local hub, service, registry

  before_each(function()
    hub = fixture.hub()
    service = hub:service("iothubowner")
    registry = service.registry
  end)

  after_each(function() fixture.finish(hub, service) end)

  local function refused(code, name, value, err)
    assert.is_nil(value)
    assert.equal(name, err.name)
    assert.equal(code, err.code)
    assert.equal(code // 1000, err.http_status)
    assert.matches("^%x+%-TimeStamp:", err.tracking_id)
  end

  it("creates with keys of the hub's or of one's own", function()
    local made = assert(registry:create("dev1"))
    assert.equal("dev1", made.device_id)
    assert.equal("enabled", made.status)
    assert.is_false(made.connected)
    assert.equal(32, #core.base64_decode(made.primary_key))
    assert.equal(fixture.key(hub, "dev1"), made.primary_key)
    assert.is_nil(made.status_reason)
    assert.equal(made.etag, made.document.etag)
    local own = assert(registry:create("dev2", { primary_key = KEY,
      secondary_key = KEY, status = "disabled", status_reason = "new" }))
    assert.equal(KEY, own.primary_key)
    assert.equal("disabled", own.status)
    assert.equal("new", own.status_reason)
    refused(409001, "DeviceAlreadyExists", registry:create("dev1"))
  end)

  it("gets what is there", function()
    local made = assert(registry:create("a+b#%c"))
    assert.same(made, registry:get("a+b#%c"))
    refused(404001, "DeviceNotFound", registry:get("dev2"))
  end)

  it("changes what is named and keeps the rest", function()
    local made = assert(registry:create("dev1", { primary_key = KEY }))
    local changed = assert(registry:update("dev1", { status = "disabled" }))
    assert.equal("disabled", changed.status)
    assert.equal(KEY, changed.primary_key)
    assert.equal(made.secondary_key, changed.secondary_key)
    assert.not_equal(made.etag, changed.etag)
    refused(412001, "PreconditionFailed",
      registry:update("dev1", { status = "enabled", etag = made.etag }))
    assert(registry:update("dev1", { status = "enabled", etag = changed.etag }))
    assert(registry:update("dev1", { secondary_key = KEY, etag = "*" }))
    assert.equal(KEY, registry:get("dev1").secondary_key)
    refused(404001, "DeviceNotFound", registry:update("dev2", { status = "enabled" }))
  end)

  it("has certificates instead of keys", function()
    local sha1, sha256 = ("A"):rep(40), ("B"):rep(64)
    local made = assert(registry:create("dev1", { primary_thumbprint = sha1 }))
    assert.equal("selfSigned", made.authentication)
    assert.equal(sha1, made.primary_thumbprint)
    assert.is_nil(made.primary_key)
    local twin = assert(service.twins:get("dev1"))
    assert.equal("selfSigned", twin.authenticationType)
    assert.equal(sha1, twin.x509Thumbprint.primaryThumbprint)
    local changed = assert(registry:update("dev1", { secondary_thumbprint = sha256 }))
    assert.equal(sha1, changed.primary_thumbprint)
    assert.equal(sha256, changed.secondary_thumbprint)
    changed = assert(registry:update("dev1", { status = "disabled" }))
    assert.equal(sha256, changed.secondary_thumbprint)
    changed = assert(registry:update("dev1", { primary_key = KEY }))
    assert.equal("sas", changed.authentication)
    assert.equal(KEY, changed.primary_key)
    assert.is_nil(changed.primary_thumbprint)
    local authority = { authentication = "certificateAuthority" }
    assert.equal("certificateAuthority",
      registry:create("dev2", authority).authentication)
    assert.is_true(registry:bulk { { id = "dev3", primary_thumbprint = sha1 },
      { id = "dev4", authentication = "certificateAuthority", mode = "create" } }.ok)
    assert.equal(sha1, registry:get("dev3").primary_thumbprint)
    assert.equal("certificateAuthority", registry:get("dev4").authentication)
    refused(400004, "ArgumentInvalid", registry:create("dev5",
      { authentication = "selfSigned", primary_key = KEY }))
  end)

  it("deletes, one version or any", function()
    local made = assert(registry:create("dev1"))
    refused(412001, "PreconditionFailed", registry:delete("dev1", { etag = "x" }))
    assert.is_true(registry:delete("dev1", { etag = made.etag }))
    refused(404001, "DeviceNotFound", registry:delete("dev1"))
  end)

  it("has modules", function()
    assert(registry:create("dev1"))
    local made = assert(registry:create("dev1", { module_id = "mod1" }))
    assert.equal("mod1", made.module_id)
    assert.is_nil(made.status)
    refused(409301, "ModuleAlreadyExistsOnDevice",
      registry:create("dev1", { module_id = "mod1" }))
    assert.equal(made.etag, registry:get("dev1", { module_id = "mod1" }).etag)
    local changed = assert(registry:update("dev1",
      { module_id = "mod1", primary_key = KEY }))
    assert.equal(KEY, changed.primary_key)
    local list = assert(registry:modules("dev1"))
    assert.equal(1, #list)
    assert.equal("mod1", list[1].module_id)
    assert.is_true(registry:delete("dev1", { module_id = "mod1" }))
    refused(404010, "ModuleNotFound", registry:get("dev1", { module_id = "mod1" }))
  end)

  it("lists and counts", function()
    assert.same({}, registry:list())
    assert(registry:bulk { "c", "a", { id = "b", status = "disabled" } })
    local ids = {}
    for i, each in ipairs(registry:list()) do ids[i] = each.device_id end
    assert.same({ "a", "b", "c" }, ids)
    assert.equal(2, #registry:list { top = 2 })
    assert.same({ total = 3, enabled = 2, disabled = 1 }, registry:statistics())
  end)

  it("does many things, 100 in a request", function()
    local entries = {}
    for i = 1, 250 do entries[i] = ("dev%03d"):format(i) end
    assert.same({ ok = true, errors = {} }, registry:bulk(entries))
    assert.equal(250, registry:statistics().total)
    local result = assert(registry:bulk {
      { id = "dev001", mode = "create" },
      { id = "dev002", mode = "delete" },
      { id = "dev003", mode = "update", etag = "old", status = "disabled" },
      { id = "dev004", mode = "update", status = "disabled", primary_key = KEY },
      { id = "dev005", tags = { a = 1 }, desired = { b = 2 } },
    })
    assert.is_false(result.ok)
    assert.same({
      { device_id = "dev001", code = 409001, name = "DeviceAlreadyExists",
        message = "DeviceAlreadyExists;Conflict" },
      { device_id = "dev003", code = 412001, name = "PreconditionFailed",
        message = result.errors[2].message },
    }, result.errors)
    refused(404001, "DeviceNotFound", registry:get("dev002"))
    local changed = registry:get("dev004")
    assert.equal("disabled", changed.status)
    assert.equal(KEY, changed.primary_key)
    local twin = service.twins:get("dev005")
    assert.same({ a = 1 }, twin.tags)
    assert.equal(2, twin.properties.desired.b)
    assert.same({ ok = true, errors = {} }, registry:bulk {})
  end)

  it("says that the policy is not enough", function()
    assert(registry:create("dev1"))
    local reader <close> = hub:service("registryRead")
    assert.equal("dev1", reader.registry:get("dev1").device_id)
    refused(401002, "IotHubUnauthorizedAccess", reader.registry:create("dev2"))
    refused(401002, "IotHubUnauthorizedAccess", reader.registry:bulk { "dev2" })
    refused(401002, "IotHubUnauthorizedAccess", reader.twins:get("dev1"))
    local caller <close> = hub:service("service")
    refused(401002, "IotHubUnauthorizedAccess", caller.registry:list())
  end)

  it("refuses wrong use, naming method and field, at the user's line", function()
    for _, case in ipairs {
      { "registry:create: id must be 1 to 128", registry.create, registry, "a/b" },
      { "registry:create: id must be a string, not a nil", registry.create, registry },
      { "registry:create: option 'primary_key' must be base64 of 16 to 64 bytes",
        registry.create, registry, "d", { primary_key = "no" } },
      { "registry:create: option 'primary_thumbprint' must be 40 (SHA-1) or 64",
        registry.create, registry, "d", { primary_thumbprint = "AB" } },
      { "registry:create: option 'status' must be one of: enabled, disabled",
        registry.create, registry, "d", { status = "off" } },
      { "registry:get: unknown option 'modul_id' (did you mean 'module_id'?)",
        registry.get, registry, "d", { modul_id = "m" } },
      { "registry:update: unknown option 'state'", registry.update, registry, "d",
        { state = 1 } },
      { "registry:delete: option 'etag' must be 1 to 128 printable", registry.delete,
        registry, "d", { etag = "a\r\nb: c" } },
      { "registry:list: option 'top' must be from 1 to 1000, not 0", registry.list,
        registry, { top = 0 } },
      { "registry:bulk: entries must be a list, not a nil", registry.bulk, registry },
      { "registry:bulk: entries[2]: option 'id' is required", registry.bulk, registry,
        { "a", {} } },
      { "registry:bulk: entries[1]: option 'mode' must be one of:", registry.bulk,
        registry, { { id = "a", mode = "steal" } } },
      { "registry:bulk: entries[1].tags.a: a function has no JSON form",
        registry.bulk, registry, { { id = "a", tags = { a = print } } } },
      { "registry:get: called on a string", registry.get, "dev1" },
      { "registry:statistics: called on a nil", registry.statistics },
      { "twins:get: id must be a string, not a table", service.twins.get,
        service.twins, {} },
      { "twins:patch: unknown option 'desired'", service.twins.patch, service.twins,
        "d", { desired = {} } },
      { "twins:patch: patch must be a table, not a nil", service.twins.patch,
        service.twins, "d" },
      { "twins:patch: patch.tags.a: a function has no JSON form", service.twins.patch,
        service.twins, "d", { tags = { a = print } } },
      { "twins:replace: twin must be a table, not a nil", service.twins.replace,
        service.twins, "d" },
      { "twins:query: text must be a string, not a nil", service.twins.query,
        service.twins },
    } do
      local line = debug.getinfo(1, "l").currentline + 2
      local message = failure(function()
        local _ = case[2](table.unpack(case, 3, 6))
      end)
      assert.is_truthy(message:find(("service_registry_spec.lua:%d: %s"):format(line,
        case[1]), 1, true), message)
    end
    assert.same({}, hub:devices())
  end)

  it("ends with its service", function()
    service:close()
    assert.matches("registry:get: attempt to use a closed service",
      failure(registry.get, registry, "d"))
    assert.matches("twins:get: attempt to use a closed service",
      failure(service.twins.get, service.twins, "d"))
  end)

  describe("twins", function()
    local twins

    before_each(function()
      twins = service.twins
      assert(registry:create("dev1"))
    end)

    it("are read and changed", function()
      local first = assert(twins:get("dev1"))
      assert.same({}, first.tags)
      local second = assert(twins:patch("dev1", { tags = { a = 1, b = 2 },
        properties = { desired = { rate = 4503599627370495 } } }))
      assert.same({ a = 1, b = 2 }, second.tags)
      assert.equal(4503599627370495, second.properties.desired.rate)
      assert.not_equal(first.etag, second.etag)
      local third = assert(twins:patch("dev1", { tags = { a = dm.null } },
        { etag = second.etag }))
      assert.same({ b = 2 }, third.tags)
      refused(412001, "PreconditionFailed",
        twins:patch("dev1", { tags = { a = 3 } }, { etag = second.etag }))
      local last = assert(twins:replace("dev1", { tags = { c = 3 } }))
      assert.same({ c = 3 }, last.tags)
      assert.is_nil(last.properties.desired.rate)
      assert.same(last, twins:get("dev1"))
    end)

    it("are a module's, too", function()
      assert(registry:create("dev1", { module_id = "mod1" }))
      assert(twins:patch("dev1", { tags = { a = 1 } }, { module_id = "mod1" }))
      assert.same({ a = 1 }, twins:get("dev1", { module_id = "mod1" }).tags)
      assert.same({}, twins:get("dev1").tags)
    end)

    it("say why not", function()
      refused(404001, "DeviceNotFound", twins:get("dev2"))
      local twin, err = twins:patch("dev1", { tags = { ["a.b"] = 1 } })
      refused(400004, "ArgumentInvalid", twin, err)
      assert.matches("a name must not contain", err.message)
    end)
  end)
end)

describe("registry and twins of another hub", function()
  local fake, service

  before_each(function() fake = fake_hub.new() end)
  after_each(function()
    service:close()
    fake:close()
  end)

  local function connect(opts)
    local o = {
      connection_string = "HostName=localhost;SharedAccessKeyName=owner;"
        .. "SharedAccessKey=" .. fake_hub.KEY,
      port = fake:port(), tls = false,
    }
    for k, v in pairs(opts or {}) do o[k] = v end
    service = assert(dm.service(o))
  end

  -- Run fn as a task and answer its request: head, body, and the task.
  local function answered(answer, fn)
    local call = dm.spawn(fn)
    local w = fake.wires[1] or fake:accept()
    local head, body = fake_hub.read_request(w)
    w:send(fake_hub.answer(answer))
    assert(wire.turn_until(function() return call:ended() end))
    return head, body, call
  end

  it("are asked as Azure IoT Hub's are", function()
    connect()
    local head, body, call = answered({ status = 200, body = '{"deviceId":"d"}' },
      function() return service.registry:create("d") end)
    assert.matches("^PUT /devices/d%?api%-version=2021%-04%-12 HTTP/1.1\r\n", head)
    assert.is_nil(head:lower():find("if-match", 1, true))
    assert.matches("\r\nContent-Type: application/json; charset=utf-8\r\n", head, 1,
      true)
    assert.same({ deviceId = "d", authentication = { type = "sas",
      symmetricKey = { primaryKey = "", secondaryKey = "" } } },
      dm.json.decode(body))
    local identity = call:await()
    assert.equal("d", identity.device_id)
    assert.is_nil(identity.primary_key)
    head = answered({ status = 204, body = "" }, function()
      return service.registry:delete("d")
    end)
    assert.matches('^DELETE /devices/d%?', head)
    assert.matches('\r\nIf-Match: "*"\r\n', head, 1, true)
    assert.is_nil(head:lower():find("content-length: [1-9]"))
    head, body = answered({ status = 200, body = "{}" }, function()
      return service.twins:patch("d", { tags = {} }, { etag = '"abc"' })
    end)
    assert.matches("^PATCH /twins/d%?", head)
    assert.matches('\r\nIf-Match: "abc"\r\n', head, 1, true)
    assert.equal('{"tags":{}}', body)
  end)

  it("are asked with the api-version that was given", function()
    connect { api_version = "2024-03-31" }
    local head = answered({ status = 200, body = "[]" }, function()
      return service.registry:list()
    end)
    assert.matches("^GET /devices%?api%-version=2024%-03%-31&top=1000 ", head)
  end)

  it("give pages of a query", function()
    connect()
    local head, body, call = answered({ status = 200, body = '[{"deviceId":"a"}]',
      headers = { "x-ms-continuation: abc==" } }, function()
        return service.twins:query("SELECT * FROM devices", { page_size = 1 })
      end)
    assert.matches("^POST /devices/query%?", head)
    assert.matches("\r\nx-ms-max-item-count: 1\r\n", head, 1, true)
    assert.equal('{"query":"SELECT * FROM devices"}', body)
    local page, more = call:await()
    assert.equal("a", page[1].deviceId)
    assert.equal("abc==", more)
    local again
    head, body, again = answered({ status = 200, body = "[]" }, function()
      return service.twins:query("SELECT * FROM devices", { continuation = more })
    end)
    assert.equal('{"query":"SELECT * FROM devices"}', body)
    assert.matches("\r\nx-ms-continuation: abc==\r\n", head, 1, true)
    page, more = again:await()
    assert.same({}, page)
    assert.is_nil(more)
  end)

  it("may answer what is no document", function()
    connect()
    for _, body in ipairs { "", "<html>", "7", "null", "{" } do
      local _, _, call = answered({ status = 200, body = body }, function()
        return service.registry:get("d")
      end)
      local identity, err = call:await()
      assert.is_nil(identity)
      assert.equal("ProtocolError", err.name)
      assert.equal(200, err.http_status)
    end
  end)

  it("may refuse bulk requests as a whole", function()
    connect()
    local _, _, call = answered({ status = 400, body = "{}" }, function()
      return service.registry:bulk { "d" }
    end)
    local result, err = call:await()
    assert.is_nil(result)
    assert.equal("GenericBadRequest", err.name)
    call = select(3, answered({ status = 200, body = '{"isSuccessful":false,"errors":'
      .. '[{"deviceId":"d","errorCode":409001,"errorStatus":null},7]}' }, function()
        return service.registry:bulk { "d" }
      end))
    result = call:await()
    assert.is_false(result.ok)
    assert.equal("A device of this id exists already.", result.errors[1].message)
    assert.equal("ProtocolError", result.errors[2].name)
  end)
end)
