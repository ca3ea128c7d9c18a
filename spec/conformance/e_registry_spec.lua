-- Checklist E23 and E24: many identities in one request, twins as the service sees
-- them; and what the registry tells besides. (E18 to E22: spec/registry_spec.lua.)

local dm = require "directmethods"
local errors = require "directmethods.errors"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"

local read, refused = rest.read, rest.refused

describe("registry", function()
  local hub

  before_each(function() hub = fixture.hub() end)
  after_each(function() fixture.finish(hub) end)

  local function ask(...) return rest.ask(hub, ...) end

  local function bulk(entries, o)
    return ask("POST", "/devices", dm.json.encode(dm.json.array(entries)), o)
  end

  local function ids(from, to)
    local list = {}
    for i = from, to do list[#list + 1] = { id = ("d%03d"):format(i) } end
    return list
  end

  -- The request could not be done in full: its errors, by device id.
  local function errors_of(reply)
    assert.equal(400, reply.status, reply.body)
    local body = dm.json.decode(reply.body)
    assert.is_false(body.isSuccessful)
    assert.same({}, body.warnings)
    local found = {}
    for _, each in ipairs(body.errors) do
      assert.equal("string", type(each.errorStatus))
      found[each.deviceId] = each.errorCode
    end
    return found, #body.errors
  end

  describe("bulk requests", function()
    it("E23 take 100 devices", function()
      local reply = bulk(ids(1, 100))
      assert.equal(200, reply.status)
      assert.same({ isSuccessful = true, errors = {}, warnings = {} },
        dm.json.decode(reply.body))
      assert.truthy(reply.body:find('"errors":[]', 1, true))
      assert.equal(100, #hub:devices())
    end)

    it("E23 refuse 101 devices and do nothing", function()
      local text = refused(bulk(ids(1, 101)), 413, "TooManyDevices")
      assert.truthy(text:find("100", 1, true))
      assert.same({}, hub:devices())
    end)

    it("E23 refuse what is named twice and do nothing", function()
      local list = ids(1, 3)
      list[4] = { id = "d002", importMode = "delete" }
      local found, count = errors_of(bulk(list))
      assert.same({ d002 = 400011 }, found)
      assert.equal(1, count)
      assert.same({}, hub:devices())
    end)

    it("E23 do what can be done and tell the rest with 400", function()
      hub:add_device("d001")
      assert.same({ d001 = 409001, ["a b"] = 400004, x = 404001, y = 400004,
        z = 400004 }, (errors_of(bulk {
        { id = "d001", importMode = "create" },
        { id = "d002", importMode = "create" },
        { id = "a b", importMode = "create" },
        { id = "x", importMode = "update" },
        { id = "y", importMode = "steal" },
        { id = "z", status = "off" },
      })))
      assert.equal(2, #hub:devices())
    end)

    it("E23 refuse entries whose ids are no texts, and touch no device", function()
      hub:add_device("d001")
      for member, entries in pairs {
        id = { {}, { id = 5 }, { id = dm.null }, { id = "", importMode = "delete" } },
        moduleId = { { id = "d001", moduleId = 5, importMode = "delete" },
          { id = "d001", moduleId = { "m" }, status = "disabled" },
          { id = "d001", moduleId = false, importMode = "delete" } },
        importMode = { { id = "d001", importMode = 5 },
          { id = "d001", importMode = false, status = "disabled" } },
      } do
        for _, entry in ipairs(entries) do
          local document = dm.json.decode(bulk({ entry }).body)
          assert.same({ 1, 400004 }, { #document.errors, document.errors[1].errorCode })
          assert.truthy(document.errors[1].errorStatus:find(
            ("'%s' must be"):format(member), 1, true), document.errors[1].errorStatus)
        end
      end
      assert.same({ "d001", "enabled" },
        { hub:devices()[1].device_id, hub:devices()[1].status })
    end)

    it("know the import modes", function()
      local function mode(name, more)
        local entry = { id = "d", importMode = name }
        for k, v in pairs(more or {}) do entry[k] = v end
        return bulk { entry }
      end
      local function etag() return read(ask("GET", "/devices/d")).etag end
      assert.same({ d = 404001 }, (errors_of(mode "delete")))
      read(mode("createOrUpdate", { status = "disabled" }))
      assert.equal("disabled", hub:devices()[1].status)
      read(mode("createOrUpdate", { status = "enabled" }))
      assert.equal("enabled", hub:devices()[1].status)
      assert.same({ d = 412001 }, (errors_of(mode("updateIfMatchETag",
        { eTag = "stale", status = "disabled" }))))
      assert.same({ d = 400004 }, (errors_of(mode("updateIfMatchETag"))))
      read(mode("updateIfMatchETag", { eTag = etag(), status = "disabled" }))
      assert.equal("disabled", hub:devices()[1].status)
      read(mode("createOrUpdateIfMatchETag", { eTag = etag() }))
      read(mode("UpdateTwin", { tags = { a = 1 } }))
      assert.same({ a = 1 }, read(ask("GET", "/twins/d")).tags)
      assert.same({ d = 412001 }, (errors_of(mode("updateTwinIfMatchETag",
        { twinETag = "stale", tags = { a = 2 } }))))
      assert.same({ d = 412001 }, (errors_of(mode("deleteIfMatchETag",
        { eTag = "stale" }))))
      read(mode("deleteIfMatchETag", { eTag = etag() }))
      assert.same({}, hub:devices())
    end)

    it("bring keys, modules and twins", function()
      local key = fixture.key(hub, "service")
      read(bulk {
        { id = "d", tags = { site = "x" }, properties = { desired = { a = 1 } },
          authentication = { type = "sas", symmetricKey = { primaryKey = key } } },
        { id = "d", moduleId = "m" },
      })
      assert.equal(key, fixture.key(hub, "d"))
      assert.same({ "m" }, hub:devices()[1].modules)
      local twin = read(ask("GET", "/twins/d"))
      assert.equal("x", twin.tags.site)
      assert.equal(1, twin.properties.desired.a)
    end)

    it("need RegistryWrite and a JSON array", function()
      refused(bulk(ids(1, 1), { policy = "registryRead" }), 401,
        "IotHubUnauthorizedAccess")
      for _, body in ipairs { "", "{}", "7", '{"id":"d"}', "[" } do
        refused(ask("POST", "/devices", body), 400, "ArgumentInvalid")
      end
      assert.same({ [""] = 400004 }, (errors_of(ask("POST", "/devices", "[7]"))))
    end)
  end)

  it("lists as many devices as asked for, ordered", function()
    read(bulk(ids(1, 12)))
    assert.equal(12, #read(ask("GET", "/devices")))
    local list = read(ask("GET", "/devices/", nil, { query = "top=3" }))
    assert.same({ "d001", "d002", "d003" },
      { list[1].deviceId, list[2].deviceId, list[3].deviceId })
    assert.equal(3, #list)
    assert.truthy(list[1].authentication.symmetricKey.primaryKey)
    for _, top in ipairs { "0", "1001", "-1", "x", "1.5", "" } do
      local text = refused(ask("GET", "/devices", nil, { query = "top=" .. top }), 400,
        "DeviceInvalidResultCount")
      assert.equal("top must be within [1; 1000].", text)
    end
    refused(ask("GET", "/devices", nil, { policy = "service" }), 401,
      "IotHubUnauthorizedAccess")
  end)

  it("lists nothing as an empty array", function()
    assert.equal("[]", ask("GET", "/devices").body)
  end)

  it("counts devices", function()
    read(bulk(ids(1, 5)))
    read(bulk { { id = "d001", status = "disabled" }, { id = "d002", moduleId = "m" },
      { id = "d005", importMode = "delete" } })
    local expected = '{"totalDeviceCount":4,"enabledDeviceCount":3,'
      .. '"disabledDeviceCount":1}'
    assert.equal(expected, ask("GET", "/statistics/devices").body)
  end)

  it("tells when a device came, spoke and left", function()
    hub:add_device("d")
    local function times()
      local found = read(ask("GET", "/devices/d"))
      return found.connectionStateUpdatedTime, found.lastActivityTime,
        found.statusUpdatedTime
    end
    local NEVER = "0001-01-01T00:00:00"
    assert.same({ NEVER, NEVER, NEVER }, { times() })
    local device = fixture.device(hub, "d")
    local came, spoke = times()
    assert.truthy(came:find("^20%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%d%dZ$"))
    assert.equal(came, spoke)
    dm.advance(60)
    device:send(mqtt.publish("devices/d/messages/events/", "hello", { qos = 1 }))
    assert.equal(4, device:read().type)
    local same, later = times()
    assert.equal(came, same)
    assert.truthy(later > spoke)
    dm.advance(60)
    device:close()
    assert(dm.wait_until(function() return not hub:devices()[1].connected end))
    local left, last = times()
    assert.truthy(left > later)
    assert.equal(later, last)
  end)

  describe("with a store that fails", function()
    local db

    -- Have db:write or db:read fail from now on, or only `times` times.
    local function fail(name, why, times)
      local real = db[name]
      db[name] = function(...)
        if times == 0 then return real(...) end
        times = times and times - 1
        return nil, errors.new { name = why or "StorageFailed",
          message = "the disk is full" }
      end
    end

    local function unavailable(reply)
      assert.equal("the disk is full", refused(reply, 503, "ServiceUnavailable"))
    end

    before_each(function()
      db = hub.state.store.db
      hub:add_device("d")
    end)

    it("refuses changes with 503, and reads go on", function()
      fail "write"
      local before = ask("GET", "/devices/d").body
      unavailable(ask("PUT", "/devices/x", { deviceId = "x" }))
      unavailable(ask("PUT", "/devices/d", { deviceId = "d", status = "disabled" },
        { if_match = "*" }))
      unavailable(ask("DELETE", "/devices/d"))
      unavailable(ask("PATCH", "/twins/d", { tags = { a = 1 } }))
      unavailable(bulk { { id = "x" } })
      assert.equal(before, ask("GET", "/devices/d").body)
      assert.equal(404, ask("GET", "/devices/x").status)
      local device = fixture.device(hub, "d", { subscribe = false })
      assert.equal(0, device.code)
      device:subscribe(0, "$iothub/twin/res/#")
      device:send(mqtt.publish("$iothub/twin/PATCH/properties/reported/?$rid=1",
        '{"a":1}'))
      assert.equal("$iothub/twin/res/503/?$rid=1", device:read().topic)
      device:close()
    end)

    it("lets in nobody whom it could not keep", function()
      local key = fixture.key(hub, "service")
      local token = fixture.token { resource = "localhost/devices/x", key = key }
      local entry = { id = "x",
        authentication = { symmetricKey = { primaryKey = key } } }
      fail("write", nil, 1)
      unavailable(bulk { entry })
      local device = fixture.device(hub, "x", { password = token })
      assert.equal(5, device.code)
      device:close()
      read(bulk { entry })
      device = fixture.device(hub, "x", { password = token })
      assert.equal(0, device.code)
      device:close()
    end)

    it("tells reads that fail, too", function()
      fail "read"
      for _, path in ipairs { "/devices/d", "/devices", "/devices/d/modules",
        "/statistics/devices", "/twins/d" } do
        unavailable(ask("GET", path))
      end
    end)

    it("decides again when another was faster, and gives up in the end", function()
      fail("write", "Conflict", 4)
      read(ask("PUT", "/devices/x", { deviceId = "x" }))
      fail("write", "Conflict", 5)
      unavailable(ask("PUT", "/devices/y", { deviceId = "y" }))
      assert.equal(404, ask("GET", "/devices/y").status)
    end)

    it("judges If-Match again when it decides again", function()
      local etag = read(ask("GET", "/devices/d")).etag
      local real = db.write
      function db.write(...) -- another hub on the same database
        db.write = real
        assert(real(db, { { "UPDATE identities SET etag = 'other', "
          .. "version = version + 1 WHERE device_id = 'd'" } }))
        return real(...)
      end
      local reply = ask("PUT", "/devices/d", { deviceId = "d", status = "disabled" },
        { if_match = etag })
      refused(reply, 412, "PreconditionFailed")
      assert.equal("enabled", read(ask("GET", "/devices/d")).status)
    end)
  end)

  describe("with damaged rows", function()
    -- What the store says of a row that cannot be read, and that nothing hangs.
    local function damage(sql)
      hub:add_device("d")
      hub:add_device("d/m")
      hub:add_device("e")
      read(ask("PATCH", "/twins/d", { tags = { a = 1 } }))
      assert(hub.state.store.db:write { { sql } })
    end

    local function hits(paths)
      for _, path in ipairs(paths) do
        local text = refused(ask("GET", path), 503, "ServiceUnavailable")
        assert.truthy(text:find("the store is damaged", 1, true), text)
      end
    end

    it("an identity that is no text: 503 where it is hit, and nowhere else", function()
      damage("UPDATE identities SET generation_id = CAST(x'ff' AS TEXT) "
        .. "WHERE device_id = 'd' AND module_id = ''")
      hits { "/devices", "/devices/d", "/twins/d" }
      read(ask("GET", "/devices/e"))
    end)

    it("a version that is none", function()
      damage "UPDATE identities SET version = 1.5 WHERE device_id = 'e'"
      hits { "/devices", "/devices/e", "/twins/e" }
      refused(ask("DELETE", "/devices/e"), 503, "ServiceUnavailable")
    end)

    it("a way to log in that there is not", function()
      damage "UPDATE identities SET auth = 'x' WHERE device_id = 'e'"
      hits { "/devices", "/devices/e" }
    end)

    it("a twin that is no JSON", function()
      damage "UPDATE twins SET tags = '{' WHERE device_id = 'd'"
      hits { "/twins/d" }
      local reply = ask("PATCH", "/twins/d", { tags = { b = 1 } })
      refused(reply, 503, "ServiceUnavailable")
      for _, text in ipairs { "SELECT * FROM devices",
        "SELECT * FROM devices WHERE tags.a = 1", "SELECT tags.a FROM devices",
        "SELECT tags.a, COUNT() AS n FROM devices GROUP BY tags.a" } do
        reply = ask("POST", "/devices/query", { query = text })
        refused(reply, 503, "ServiceUnavailable")
      end
    end)
  end)

  describe("twins", function()
    local TIME = "^20%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d+Z$"

    local function twin() return read(ask("GET", "/twins/d")) end

    local function patch(document, o)
      return ask("PATCH", "/twins/d", document, o)
    end

    -- A device that is told of its desired properties.
    local function listener()
      local device = fixture.device(hub, "d", { subscribe = false })
      device:subscribe(0, "$iothub/twin/PATCH/properties/desired/#")
      device:subscribe(0, "$iothub/twin/res/#")
      return device
    end

    before_each(function() hub:add_device("d") end)

    it("begin with all members", function()
      local found = twin()
      local NEVER = { ["$lastUpdated"] = "0001-01-01T00:00:00Z" }
      local properties = { ["$metadata"] = NEVER, ["$version"] = 1 }
      assert.same({
        deviceId = "d",
        etag = "AAAAAAAAAAE=",
        deviceEtag = read(ask("GET", "/devices/d")).etag,
        status = "enabled",
        statusReason = dm.null,
        statusUpdateTime = "0001-01-01T00:00:00",
        connectionState = "Disconnected",
        lastActivityTime = "0001-01-01T00:00:00",
        cloudToDeviceMessageCount = 0,
        authenticationType = "sas",
        x509Thumbprint = { primaryThumbprint = dm.null, secondaryThumbprint = dm.null },
        modelId = "",
        version = 1,
        tags = {},
        properties = { desired = properties, reported = properties },
        capabilities = { iotEdge = false },
      }, found)
      assert.equal('"AAAAAAAAAAE="', ask("GET", "/twins/d").headers.etag)
    end)

    it("E24 merge tags and desired properties; null removes", function()
      local first = read(patch { tags = { site = "x", room = { floor = 1, nr = 2 } },
        properties = { desired = { rate = 5, list = { 1, 2, 3 } } } })
      assert.same({ site = "x", room = { floor = 1, nr = 2 } }, first.tags)
      assert.equal(2, first.properties.desired["$version"])
      local reply = patch { tags = { site = dm.null, room = { nr = dm.null } },
        properties = { desired = { list = { 9 }, big = 4503599627370495 } } }
      local second = read(reply)
      assert.same({ room = { floor = 1 } }, second.tags)
      local desired = second.properties.desired
      assert.equal(5, desired.rate)
      assert.same({ 9 }, desired.list)
      assert.equal(4503599627370495, desired.big)
      assert.equal(3, desired["$version"])
      assert.equal(3, second.version)
      assert.not_equal(first.etag, second.etag)
      assert.equal(('"%s"'):format(second.etag), reply.headers.etag)
      assert.same(second, twin())
    end)

    it("E24 are what a job selects devices by", function()
      hub:add_device("other")
      read(patch { tags = { site = "x" } })
      local job = read(ask("PUT", "/jobs/v2/j", {
        jobId = "j", type = "scheduleUpdateTwin", queryCondition = "tags.site = 'x'",
        updateTwin = { etag = "*", properties = { desired = { done = true } } },
      }))
      assert.equal("queued", job.status)
      local done
      assert(dm.advance_until(function()
        done = read(ask("GET", "/jobs/v2/j"))
        return done.status == "completed"
      end, 60))
      assert.equal(1, done.deviceJobStatistics.deviceCount)
      assert.is_true(twin().properties.desired.done)
      assert.is_nil(read(ask("GET", "/twins/other")).properties.desired.done)
    end)

    it("say when each property was changed", function()
      read(patch { properties = { desired = { a = 1, b = { c = 2 } } } })
      dm.advance(10)
      read(patch { properties = { desired = { b = { c = 3 } } } })
      local data = twin().properties.desired["$metadata"]
      assert.truthy(data.a["$lastUpdated"]:find(TIME))
      assert.equal(2, data.a["$lastUpdatedVersion"])
      assert.equal(3, data.b.c["$lastUpdatedVersion"])
      assert.equal(data["$lastUpdated"], data.b.c["$lastUpdated"])
      assert.truthy(data.b.c["$lastUpdated"] > data.a["$lastUpdated"])
      read(patch { properties = { desired = { b = dm.null } } })
      assert.is_nil(twin().properties.desired["$metadata"].b)
    end)

    it("change if the etag is theirs, or *", function()
      local old = twin().etag
      local tags = { tags = { a = 1 } }
      read(patch(tags, { if_match = ('"%s"'):format(old) }))
      refused(patch(tags, { if_match = ('"%s"'):format(old) }), 412,
        "PreconditionFailed")
      read(patch(tags, { if_match = '"*"' }))
      read(patch(tags, { if_match = twin().etag }))
    end)

    it("are replaced by PUT", function()
      read(patch { tags = { a = 1, b = { c = 1 } },
        properties = { desired = { x = 1, y = { z = 1, w = 1 } } } })
      local device = listener()
      local found = read(ask("PUT", "/twins/d", { tags = { b = { d = 1 } },
        properties = { desired = { y = { z = 2 } } } }))
      assert.same({ b = { d = 1 } }, found.tags)
      found.properties.desired["$metadata"] = nil
      assert.same({ y = { z = 2 }, ["$version"] = 3 }, found.properties.desired)
      local told = assert(device:read())
      assert.same({ x = dm.null, y = { z = 2, w = dm.null }, ["$version"] = 3 },
        dm.json.decode(told.payload))
      device:close()
    end)

    it("tell the device of desired properties, in order", function()
      local device = listener()
      read(patch { properties = { desired = { a = 1, b = dm.null } } })
      read(patch { properties = { desired = { a = { c = {} } } } })
      local first, second = device:read(), device:read()
      assert.equal("$iothub/twin/PATCH/properties/desired/?$version=2", first.topic)
      assert.same({ a = 1, b = dm.null, ["$version"] = 2 },
        dm.json.decode(first.payload))
      assert.equal("$iothub/twin/PATCH/properties/desired/?$version=3", second.topic)
      device:send(mqtt.publish("$iothub/twin/GET/?$rid=1", ""))
      local all = device:read()
      assert.equal("$iothub/twin/res/200/?$rid=1", all.topic)
      assert.same({ desired = { a = { c = {} }, ["$version"] = 3 },
        reported = { ["$version"] = 1 } }, dm.json.decode(all.payload))
      device:close()
    end)

    it("tell nothing of tags, nor to who did not ask", function()
      local device = listener()
      read(patch { tags = { a = 1 } })
      read(patch { tags = { a = 1 }, properties = { desired = {} } })
      assert.is_true(device.wire:stays_quiet())
      device:close()
      local other = fixture.device(hub, "d")
      read(patch { properties = { desired = { a = 1 } } })
      assert.is_true(other.wire:stays_quiet())
      other:close()
    end)

    it("show what the device reported", function()
      local before = twin()
      local device = listener()
      device:send(mqtt.publish("$iothub/twin/PATCH/properties/reported/?$rid=7",
        '{"state":{"up":true}}'))
      assert.equal("$iothub/twin/res/204/?$rid=7&$version=2", device:read().topic)
      local found = twin()
      assert.equal("Connected", found.connectionState)
      local reported = found.properties.reported
      assert.is_true(reported.state.up)
      assert.equal(2, reported["$version"])
      assert.truthy(reported["$metadata"].state.up["$lastUpdated"]:find(TIME))
      assert.is_nil(reported["$metadata"]["$lastUpdatedVersion"])
      assert.equal(before.version + 1, found.version)
      assert.equal(before.etag, found.etag)
      device:close()
    end)

    it("take back what they gave", function()
      read(patch { tags = { a = 1 }, properties = { desired = { b = 1 } } })
      local document = twin()
      local again = read(patch(document))
      assert.equal(1, again.properties.desired.b)
      assert.equal(document.properties.desired["$version"] + 1,
        again.properties.desired["$version"])
    end)

    local function nested(depth)
      return '{"tags":' .. ('{"a":'):rep(depth) .. "1" .. ("}"):rep(depth) .. "}"
    end

    it("refuse what breaks a rule and keep what they had", function()
      local large = {}
      for i = 1, 3 do large["a" .. i] = ("x"):rep(4000) end
      refused(patch { tags = large }, 413, "MessageTooLarge")
      for _, body in ipairs { "", "[]", "{", "7", '{"tags":[]}', '{"tags":7}',
        '{"properties":7}', '{"properties":{"desired":[1]}}', '{"tags":{"a.b":1}}',
        '{"tags":{"$a":1}}', '{"tags":{"a b":1}}', '{"tags":{"":1}}',
        '{"tags":{"a\\u0085":1}}', '{"tags":{"a":{"b\\n":1}}}',
        '{"tags":{"a":"' .. ("x"):rep(4097) .. '"}}',
        '{"tags":{"' .. ("x"):rep(1025) .. '":1}}', nested(12) } do
        refused(patch(body), 400, "ArgumentInvalid")
      end
      assert.equal(1, twin().version)
      assert.equal(200, patch(nested(11)).status)
    end)

    it("need ServiceConnect and their identity", function()
      refused(ask("GET", "/twins/d", nil, { policy = "registryReadWrite" }), 401,
        "IotHubUnauthorizedAccess")
      assert.equal(200, ask("GET", "/twins/d", nil, { policy = "service" }).status)
      refused(ask("GET", "/twins/x"), 404, "DeviceNotFound")
      refused(ask("PATCH", "/twins/x", "{}"), 404, "DeviceNotFound")
      refused(ask("GET", "/twins/d/modules/m"), 404, "ModuleNotFound")
      assert.equal(405, ask("DELETE", "/twins/d").status)
    end)

    it("are a module's, too", function()
      hub:add_device("d/m")
      local found = read(ask("PATCH", "/twins/d/modules/m", { tags = { a = 1 } }))
      assert.equal("m", found.moduleId)
      assert.same({ a = 1 }, found.tags)
      assert.same({}, twin().tags)
    end)
  end)
end)
