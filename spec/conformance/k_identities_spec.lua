-- Checklist K: identities, what they may be and who may change them.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local rest = require "spec.support.rest"
local stores = require "spec.support.stores"

local read, refused = rest.read, rest.refused

describe("an identity", function()
  local hub

  before_each(function() hub = fixture.hub() end)
  after_each(function() fixture.finish(hub) end)

  local function ask(...) return rest.ask(hub, ...) end

  local function put(id, fields, o)
    local body = { deviceId = id }
    for name, value in pairs(fields or {}) do body[name] = value end
    return ask("PUT", "/devices/" .. id, body, o)
  end

  -- Modules -------------------------------------------------------------------

  local function module_path(i)
    return ("/devices/dev1/modules/m%d"):format(i)
  end

  local function put_module(i)
    return ask("PUT", module_path(i), { deviceId = "dev1", moduleId = "m" .. i })
  end

  local function entry(i, mode)
    return { id = "dev1", moduleId = "m" .. i, importMode = mode or "create" }
  end

  local function bulk(first, last, mode)
    local list = dm.json.array {}
    for i = first, last do list[#list + 1] = entry(i, mode) end
    return ask("POST", "/devices", dm.json.encode(list))
  end

  it("K01 has at most 50 modules, by whatever way they come", function()
    hub:add_device "dev1"
    hub:add_device "dev2/m"
    read(bulk(1, 49))
    read(put_module(50))
    refused(put_module(51), 413, "TooManyModulesOnDevice")
    local errors = dm.json.decode(bulk(51, 52).body).errors
    assert.same({ 413003, 413003 }, { errors[1].errorCode, errors[2].errorCode })
    local made, err = hub:add_device "dev1/m51"
    assert.is_nil(made)
    assert.equal(413003, err.code)
    local device, why = hub:device("dev1/m51", {})
    assert.is_nil(device)
    assert.equal("TooManyModulesOnDevice", why.name)
    assert.equal(50, #read(ask("GET", "/devices/dev1/modules")))
    -- those that are there can be changed, and others have their own 50
    read(ask("PUT", module_path(50), { deviceId = "dev1", moduleId = "m50" },
      { if_match = "*" }))
    assert(hub:add_device "dev2/m2")
    assert.equal(204, ask("DELETE", module_path(7)).status)
    read(put_module(51))
  end)

  it("K01 counts modules of one bulk request, and of requests at a time", function()
    hub:add_device "dev1"
    local failed = dm.json.decode(bulk(1, 55).body).errors
    assert.equal(5, #failed)
    read(ask("POST", "/devices", dm.json.encode(dm.json.array {
      entry(1, "delete"), entry(60), entry(2, "delete"), entry(61),
    })))
    assert.equal(204, ask("DELETE", module_path(60)).status)
    local tasks, made = {}, 0
    for i = 1, 8 do
      tasks[i] = dm.spawn(function()
        if hub:add_device("dev1/at-a-time" .. i) then made = made + 1 end
      end)
    end
    for _, each in ipairs(tasks) do each:await() end
    assert.equal(1, made)
    assert.equal(50, #read(ask("GET", "/devices/dev1/modules")))
  end)

  it("K01 of a removed device makes no difference to the next one", function()
    hub:add_device "dev1"
    read(bulk(1, 50))
    assert.equal(204, ask("DELETE", "/devices/dev1").status)
    hub:add_device "dev1"
    read(put_module(51))
  end)

  -- Edge devices ---------------------------------------------------------------

  it("K02 may be an edge device, with a scope of its own", function()
    local edge = read(put("edge", { capabilities = { iotEdge = true } }))
    assert.is_true(edge.capabilities.iotEdge)
    assert.equal("ms-azure-iot-edge://edge-" .. edge.generationId, edge.deviceScope)
    assert.same(edge, read(ask("GET", "/devices/edge")))
    local twin = read(ask("GET", "/twins/edge"))
    assert.is_true(twin.capabilities.iotEdge)
    assert.equal(edge.deviceScope, twin.deviceScope)
    -- what is not told stays
    local later = read(put("edge", { status = "disabled" }, { if_match = "*" }))
    assert.is_true(later.capabilities.iotEdge)
    assert.equal(edge.deviceScope, later.deviceScope)
    later = read(put("edge", { capabilities = { iotEdge = false } },
      { if_match = "*" }))
    assert.same({ false, dm.null }, { later.capabilities.iotEdge, later.deviceScope })
  end)

  it("K02 keeps deviceScope and parentScopes", function()
    local scope = read(put("edge", { capabilities = { iotEdge = true } })).deviceScope
    local leaf = read(put("leaf", { deviceScope = scope,
      parentScopes = dm.json.array {} }))
    assert.same({ scope, { scope } }, { leaf.deviceScope, leaf.parentScopes })
    local child = read(put("child", { capabilities = { iotEdge = true },
      parentScopes = { scope } }))
    assert.same({ scope }, child.parentScopes)
    assert.equal("ms-azure-iot-edge://child-" .. child.generationId, child.deviceScope)
    leaf = read(put("leaf", { statusReason = "x" }, { if_match = "*" }))
    assert.same({ scope, { scope } }, { leaf.deviceScope, leaf.parentScopes })
    leaf = read(put("leaf", { deviceScope = "", parentScopes = dm.json.array {} },
      { if_match = "*" }))
    assert.same({ dm.null, nil }, { leaf.deviceScope, leaf.parentScopes })
    local _ = read(ask("POST", "/devices", dm.json.encode(dm.json.array {
      { id = "bulk", importMode = "create", deviceScope = scope },
      { id = "edge2", importMode = "create", capabilities = { iotEdge = true } },
    })))
    assert.same({ scope }, read(ask("GET", "/devices/bulk")).parentScopes)
    assert.is_true(read(ask("GET", "/twins/edge2")).capabilities.iotEdge)
  end)

  it("K03 is found by edge=true and by queries", function()
    local scope = read(put("edge", { capabilities = { iotEdge = true } })).deviceScope
    read(put "plain")
    local found = read(ask("GET", "/devices", nil, { query = "edge=true" }))
    assert.same({ 1, "edge" }, { #found, found[1].deviceId })
    local function rows(text)
      return read(ask("POST", "/devices/query", { query = text }))
    end
    assert.same({ { deviceId = "edge", deviceScope = scope } },
      rows("SELECT deviceId, deviceScope FROM devices "
        .. "WHERE capabilities.iotEdge = true"))
    assert.equal("plain", rows(
      "SELECT * FROM devices WHERE capabilities.iotEdge = false")[1].deviceId)
  end)

  it("K03 keeps all that in the store", function()
    local folder = stores.folder()
    finally(function() stores.remove(folder) end)
    local function restart()
      fixture.finish(hub)
      hub = fixture.hub { store = folder .. "/hub.db" }
    end
    restart()
    local edge = read(put("edge", { capabilities = { iotEdge = true },
      parentScopes = { "p" } }))
    restart()
    assert.same(edge, read(ask("GET", "/devices/edge")))
  end)

  -- A device's own modules -----------------------------------------------------

  local function as(identity, verb, path, body)
    return assert(http.exchange(hub:ports().https, {
      method = verb, target = path .. "?api-version=2021-04-12",
      headers = { "Authorization: " .. fixture.device_token(hub, identity) },
      body = body and dm.json.encode(body),
    }))
  end

  it("K04 may create, read, list and delete modules of its own", function()
    hub:add_device "dev1"
    local path, body = "/devices/dev1/modules/m", { deviceId = "dev1", moduleId = "m" }
    local made = read(as("dev1", "PUT", path, body))
    assert.equal(44, #made.authentication.symmetricKey.primaryKey)
    assert.same(made, read(as("dev1", "GET", path)))
    assert.equal(1, #read(as("dev1", "GET", "/devices/dev1/modules")))
    assert.equal(204, as("dev1", "DELETE", path).status)
  end)

  it("K04 may do nothing else, and no other identity may do it", function()
    hub:add_device "dev1/m"
    hub:add_device "dev2"
    local body = { deviceId = "dev1", moduleId = "n" }
    for _, each in ipairs {
      { "dev2", "PUT", "/devices/dev1/modules/n", body },
      { "dev2", "GET", "/devices/dev1/modules" },
      { "dev1/m", "GET", "/devices/dev1/modules/m" },
      { "dev1/m", "GET", "/devices/dev1/modules" },
      { "dev1", "GET", "/devices/dev1" },
      { "dev1", "DELETE", "/devices/dev1" },
      { "dev1", "GET", "/devices" },
      { "dev1", "GET", "/twins/dev1/modules/m" },
      { "dev1", "POST", "/twins/dev1/modules/m/methods", { methodName = "x" } },
    } do
      refused(as(table.unpack(each)), 401, "IotHubUnauthorizedAccess")
    end
    put("dev1", { status = "disabled" }, { if_match = "*" })
    refused(as("dev1", "GET", "/devices/dev1/modules"), 401, "IotHubUnauthorizedAccess")
    assert.equal(1, #read(ask("GET", "/devices/dev1/modules")))
  end)
end)

describe("an id with ';'", function()
  it("K06 connects: a device, a module, a fleet", function()
    local hub = fixture.hub()
    local service = hub:service()
    local function echo(request) return 200, request.payload end
    for _, id in ipairs { "a;b", "a;b/m;%3B", "c/m;n", "p%3Bq" } do
      local device = assert(hub:device(id, { echo = echo }))
      assert(device:connect(10))
      local device_id, module_id = id:match "^([^/]+)/?(.*)$"
      local reply = assert(service:invoke(device_id, "echo", id,
        { module_id = module_id ~= "" and module_id or nil }))
      assert.equal(id, reply.payload)
      device:close()
      assert(device:closed(10))
    end
    local text = hub:connection_string "a;b/m;%3B"
    assert.truthy(text:find(";EncodedDeviceId=a%3Bb;EncodedModuleId=m%3B%253B;", 1,
      true))
    local fields = assert(core.connstr(text))
    assert.same({ "a;b", "m;%3B" }, { fields.device_id, fields.module_id })
    local fleet = assert(dm.fleet { hub = hub, count = 2, id = "f;%d" })
    assert(fleet:connect(10))
    assert.same({ "f;1", "f;2" }, fleet:ids())
    fleet:close()
    assert(fleet:closed(10))
    -- others stay as they are
    assert.truthy(hub:connection_string("p%3Bq"):find(";DeviceId=p%3Bq;", 1, true))
    fixture.finish(hub, service)
  end)
end)

describe("a hub with two names", function()
  it("K07 has them in its connection strings, and answers to both", function()
    local hub = fixture.hub {
      tls = true, hostname = "hub.test", device_hostname = "hub.device.test",
      service_hostname = "hub.service.test",
    }
    assert.truthy(hub:connection_string("service"):find(
      "HostName=hub.test;ServiceHostName=hub.service.test;SharedAccessKeyName=", 1,
      true))
    local device = assert(hub:device("d", { echo = function() return 200 end }))
    assert.truthy(hub:connection_string("d"):find(
      "HostName=hub.test;DeviceHostName=hub.device.test;DeviceId=d;", 1, true))
    assert(device:connect(10))
    local service = hub:service()
    assert.equal("hub.service.test", service.host)
    assert(service:invoke("d", "echo"))
    device:close()
    assert(device:closed(10))
    fixture.finish(hub, service)
  end)

  it("K07 refuses names that are none", function()
    for _, name in ipairs { "device_hostname", "service_hostname" } do
      local ok, why = pcall(dm.hub, { [name] = "a:1" })
      assert.is_false(ok)
      assert.matches(name, why, 1, true)
    end
  end)
end)
