-- E: tokens and connection strings, by the ids of the checklist. What the registry
-- does is in registry_spec.lua.

local callers = require "spec.support.callers"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local tokens = require "spec.support.tokens"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local OTHER = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
local REFUSED = 5 -- CONNACK: not authorized
local AZURE = "myhub.azure-devices.net"

describe("tokens", function()
  local hub

  setup(function()
    hub = fixture.hub()
    hub:add_device("dev1", { primary_key = KEY, secondary_key = OTHER })
    hub:add_device("dev10")
    hub:add_device("dev2")
    hub:add_device("dev1/mod1")
  end)

  teardown(function() fixture.finish(hub) end)

  local function service_fields(o)
    local fields = { key = fixture.key(hub, "service"), skn = "service" }
    for name, value in pairs(o or {}) do fields[name] = value end
    return fields
  end

  local function device_fields(o)
    local fields = { key = KEY, resource = "localhost/devices/dev1" }
    for name, value in pairs(o or {}) do fields[name] = value end
    return fields
  end

  local function service_takes(token)
    assert.equal(404, (tokens.call_status(hub, token)), token)
  end

  local function service_refuses(token)
    assert.equal(401, (tokens.call_status(hub, token)), token)
  end

  local function connects(token, identity)
    assert.equal(0, tokens.connack(hub, identity or "dev1", token), token)
  end

  local function refuses(token, identity)
    assert.equal(REFUSED, tokens.connack(hub, identity or "dev1", token), token)
  end

  it("E02 verify whatever the case of the escapes in sr", function()
    for _, sr in ipairs { "localhost%2Fdevices%2Fdev1", "localhost%2fdevices%2fdev1",
      "localhost%2fdevices%2Fdev1", "localhost/devices/dev1",
      "LocalHost%2Fdevices%2F%64ev1" } do
      connects(tokens.make(device_fields { sr = sr }))
    end
    local good = tokens.make(device_fields())
    refuses((good:gsub("%%2F", "%%2f")))
  end)

  it("E03 may have their fields in any order and case", function()
    local order = { { 1, 2, 3, 4 }, { 2, 3, 4, 1 }, { 1, 2, 4, 3 }, { 4, 3, 2, 1 } }
    for _, places in ipairs(order) do
      local list, fields = {}, tokens.fields(service_fields())
      for i, place in ipairs(places) do list[i] = fields[place] end
      service_takes(tokens.join(list))
      for _, field in ipairs(list) do field[1] = field[1]:upper() end
      service_takes(tokens.join(list))
    end
    local fields = tokens.fields(device_fields())
    for _, field in ipairs(fields) do field[1] = field[1]:upper() end
    connects(tokens.join { fields[3], fields[1], fields[2] })
  end)

  -- What is no token, made of one.
  local function broken(good)
    local rest = good:match("^SharedAccessSignature (.*)$")
    return {
      (good:gsub("sr=[^&]*&", "")),
      (good:gsub("sig=[^&]*&", "")),
      (good:gsub("&se=[^&]*", "")),
      (good:gsub("sr=[^&]*", "sr=")),
      (good:gsub("sig=[^&]*", "sig=")),
      (good:gsub("se=[^&]*", "se=")),
      "SharedAccessSignature  " .. rest,
      "SharedAccessSignature\t" .. rest,
      "SharedAccessSignature" .. rest,
      "sharedaccesssignature " .. rest,
      "SharedAccessKey " .. rest,
      "Bearer " .. rest,
      "SharedAccessSignature",
      (good:gsub("&se=", " &se=")),
      good .. "&",
      rest,
    }
  end

  it("E04 without a field, with another scheme or a second blank are none", function()
    for _, token in ipairs(broken(tokens.make(service_fields()))) do
      service_refuses(token)
    end
    for _, token in ipairs(broken(tokens.make(device_fields()))) do refuses(token) end
    refuses("")
  end)

  it("E05 may be signed with the primary and the secondary key", function()
    connects(tokens.make(device_fields { key = KEY }))
    connects(tokens.make(device_fields { key = OTHER }))
    local primary = fixture.key(hub, "service")
    hub.state.plane:policy("service", primary, OTHER, { "ServiceConnect" })
    service_takes(tokens.make(service_fields { key = primary }))
    service_takes(tokens.make(service_fields { key = OTHER }))
    service_refuses(tokens.make(service_fields { key = KEY }))
  end)

  it("E06 signed with nothing verify against no key", function()
    hub.state.plane:put_identity("bare", nil, "sas", "", "", true)
    hub.state.plane:policy("bare", "", "", { "ServiceConnect", "DeviceConnect" })
    for _, bytes in ipairs { "", ("\0"):rep(32), ("\0"):rep(64) } do
      for _, id in ipairs { "bare", "unknown" } do
        local resource = "localhost/devices/" .. id
        refuses(tokens.make { bytes = bytes, resource = resource }, id)
        refuses(tokens.make { bytes = bytes, skn = "bare" }, id)
        refuses(tokens.make { bytes = bytes, skn = "nobody" }, id)
        service_refuses(tokens.make { bytes = bytes, skn = id })
      end
    end
    hub.state.plane:remove_identity("bare")
  end)

  it("E06 keys that are not base64 are refused", function()
    for _, key in ipairs { "not base64", "MDEyMw=", "=", "MDEy MzQ1", "MDEyMw\n==" } do
      local ok, message = pcall(hub.add_device, hub, "dev3", { primary_key = key })
      assert.is_false(ok)
      assert.matches("option 'primary_key' must be base64", message)
      local reply = assert(fixture.call(hub, {
        method = "PUT", target = "/devices/dev3?api-version=" .. fixture.NEW,
        token = fixture.service_token(hub, "registryReadWrite"),
        body = dm.json.encode {
          deviceId = "dev3",
          authentication = { type = "sas", symmetricKey = { primaryKey = key } },
        },
      }))
      assert.equal(400, reply.status)
      assert.equal("ArgumentInvalid", reply.headers["iothub-errorcode"])
    end
    assert.equal(401, (tokens.call_status(hub, tokens.make(device_fields()))))
  end)

  it("E07 of a device are nothing to the service", function()
    service_refuses(tokens.make(device_fields()))
    service_refuses(tokens.make(device_fields { resource = "localhost" }))
    service_refuses(tokens.make { key = KEY, resource = "localhost/twins/dev1" })
  end)

  it("E08 of the service are nothing to a device's connection", function()
    for _, policy in ipairs { "service", "registryRead", "registryReadWrite" } do
      local key = fixture.key(hub, policy)
      refuses(tokens.make { key = key, skn = policy })
      refuses(tokens.make {
        key = key, skn = policy, resource = "localhost/devices/dev1",
      })
    end
  end)

  it("E09 of policies without ServiceConnect call no methods", function()
    for policy, status in pairs { registryRead = 401, registryReadWrite = 401,
      device = 401, service = 404, iothubowner = 404 } do
      local token = tokens.make { key = fixture.key(hub, policy), skn = policy }
      assert.equal(status, (tokens.call_status(hub, token)), policy)
    end
  end)

  local function policy_token(resource, policy)
    policy = policy or "device"
    return tokens.make {
      key = fixture.key(hub, policy), skn = policy, resource = resource,
    }
  end

  it("E10 of the device policy for one device open that one alone", function()
    local token = policy_token("localhost/devices/dev1")
    connects(token)
    connects(token, "dev1/mod1")
    refuses(token, "dev10")
    refuses(token, "dev2")
    token = policy_token("localhost/devices/dev1/modules/mod1")
    connects(token, "dev1/mod1")
    refuses(token)
  end)

  it("E11 of a policy for the whole hub open any device", function()
    for _, id in ipairs { "dev1", "dev10", "dev2", "dev1/mod1" } do
      connects(policy_token("localhost"), id)
      connects(policy_token("localhost/devices"), id)
      connects(policy_token("localhost", "iothubowner"), id)
    end
    refuses(policy_token("localhost"), "unknown")
  end)

  it("E12 of another hub are refused", function()
    for _, host in ipairs { "otherhub", "localhost.example", "local", AZURE } do
      service_refuses(tokens.make(service_fields { resource = host }))
      refuses(tokens.make(device_fields { resource = host .. "/devices/dev1" }))
      refuses(policy_token(host))
    end
  end)

  it("E13 are good until five minutes after se", function()
    service_takes(tokens.make(service_fields { se = tokens.at(-299) }))
    connects(tokens.make(device_fields { se = tokens.at(-299) }))
    service_refuses(tokens.make(service_fields { se = tokens.at(-301) }))
    refuses(tokens.make(device_fields { se = tokens.at(-301) }))
    local service = tokens.make(service_fields { se = tokens.at(60) })
    local device = tokens.make(device_fields { se = tokens.at(60) })
    dm.advance(358)
    service_takes(service)
    connects(device)
    dm.advance(4)
    service_refuses(service)
    refuses(device)
  end)

  it("E14 are compared whole, byte by byte", function()
    local good = tokens.fields(device_fields())
    local mac = core.base64_decode((good[2][2]:gsub("%%(%x%x)", function(hex)
      return string.char(tonumber(hex, 16))
    end)))
    for i = 1, 32 do
      local changed = mac:sub(1, i - 1) .. string.char(mac:byte(i) ~ (1 << i % 8))
        .. mac:sub(i + 1)
      local sig = tokens.escape(core.base64_encode(changed))
      refuses(tokens.join { good[1], { "sig", sig }, good[3] })
    end
    connects(tokens.join(good))
  end)

  it("E15 that are refused get 401 in Format E", function()
    local _, reply = tokens.call_status(hub, tokens.make(service_fields { key = KEY }))
    callers.is_error_e(reply, 401, "IotHubUnauthorizedAccess", "Unauthorized")
    assert.matches("^%x+%-%x+%-%x+%-%x+%-%x+$", reply.headers["x-ms-request-id"])
  end)

  it("E16 must be there", function()
    local _, reply = tokens.call_status(hub, false)
    callers.is_error_e(reply, 401, "IotHubUnauthorizedAccess", "Unauthorized")
    _, reply = tokens.call_status(hub, "")
    callers.is_error_e(reply, 401, "IotHubUnauthorizedAccess", "Unauthorized")
  end)
end)

describe("the known tokens", function()
  local PREFIX = "SharedAccessSignature sr="
  local VECTORS = {
    AZURE .. "%2Fdevices%2Fdevice1"
      .. "&sig=8jRyipukAgLfcE66p6QSqJ3MuTTehFrBzGbRiXO56X8%3D&se=2000000000",
    AZURE .. "%2fdevices%2fdevice1"
      .. "&sig=nmuDqqqCc%2B0G7iIKmRfR4tYLXbodbdIZFstZbepRZbc%3D&se=2000000000",
    AZURE .. "&sig=EUboRaKH3FCIMEMiPVcU%2Fn%2BXoTq2swthtvjKqOrEEsk%3D&se=2000000000"
      .. "&skn=service",
    AZURE .. "%2Fdevices%2Fd%2Bev%281%29%2Fmodules%2Fm%3A1"
      .. "&sig=lG6vqN0sUyD5qhtg8ZKp2u5YzOcaEo%2F0RxXLie%2FaJYk%3D&se=2000000000",
  }

  it("E01 are what is signed", function()
    for i, o in pairs {
      [1] = { AZURE .. "/devices/device1" },
      [3] = { AZURE, "service" },
      [4] = { AZURE .. "/devices/d+ev(1)/modules/m:1" },
    } do
      assert.equal(PREFIX .. VECTORS[i], core.sas_sign(o[1], KEY, 2000000000, o[2]))
    end
  end)

  it("E01 are verified", function()
    local hub = fixture.hub { hostname = AZURE }
    hub:add_device("device1", { primary_key = KEY })
    hub:add_device("d+ev(1)/m:1", { primary_key = KEY })
    hub.state.plane:policy("service", KEY, OTHER, { "ServiceConnect" })
    local function connack(identity, vector)
      return tokens.connack(hub, identity, PREFIX .. VECTORS[vector], {
        username = ("%s/%s/?api-version=2021-04-12"):format(AZURE, identity),
      })
    end
    assert.equal(0, connack("device1", 1))
    assert.equal(0, connack("device1", 2))
    assert.equal(0, connack("d+ev(1)/m:1", 4))
    assert.equal(REFUSED, connack("device1", 4))
    assert.equal(404, (tokens.call_status(hub, PREFIX .. VECTORS[3])))
    assert.equal(401, (tokens.call_status(hub, PREFIX .. VECTORS[1])))
    fixture.finish(hub)
  end)

  it("E01 are what our clients send", function()
    local seen = core.sas_sign("h/devices/d/modules/m", KEY, 1, "p@q.r")
    assert.equal(tokens.make {
      key = KEY, resource = "h/devices/d/modules/m", se = "1", skn = "p%40q.r",
    }, seen)
  end)
end)

describe("connection strings", function()
  -- What dm.device or dm.service says of one; never its key.
  local function refusal(make, text)
    local ok, message = pcall(make, { connection_string = text })
    assert.is_false(ok, text)
    assert.is_nil(message:find(KEY, 1, true))
    return message
  end

  local DEVICE = "HostName=h;DeviceId=d;SharedAccessKey=" .. KEY
  local SERVICE = "HostName=h;SharedAccessKeyName=s;SharedAccessKey=" .. KEY

  it("E17 are understood in any order, with '=' in key and id", function()
    assert.same({ host_name = "h", device_id = "a=b", module_id = "$m", key = KEY,
      gateway_host_name = "gw" }, (core.connstr("SharedAccessKey=" .. KEY
      .. ";ModuleId=$m;GatewayHostName=gw;DeviceId=a=b;HostName=h")))
    assert.same({ host_name = "h", key_name = "s", key = KEY }, (core.connstr(SERVICE)))
    assert.same({ host_name = "h", device_id = "d", x509 = true },
      (core.connstr("HostName=h;DeviceId=d;x509=true")))
    local device <close> = dm.device { connection_string = DEVICE .. ";" }
    assert.equal("d", device.device_id)
    local service <close> = dm.service { connection_string = SERVICE .. ";" }
    assert.equal("h", service.host)
  end)

  for _, case in ipairs {
    { "a field has an unknown name", DEVICE .. ";Colour=red" },
    { "a field has an unknown name", DEVICE .. ";" .. KEY },
    { "a field has an unknown name", DEVICE:gsub("HostName", "hostname") },
    { "a field has an unknown name", DEVICE .. ";;" },
    { "DeviceId appears twice", DEVICE .. ";DeviceId=e" },
    { "SharedAccessKey appears twice", DEVICE .. ";SharedAccessKey=" .. KEY },
    { "HostName is missing", "DeviceId=d;SharedAccessKey=" .. KEY },
    { "HostName is empty", DEVICE:gsub("=h;", "=;") },
    { "HostName has no '='", DEVICE:gsub("=h;", ";") },
    { "HostName must be a host name without a port", DEVICE:gsub("=h;", "=h:1;") },
    { "DeviceId is not a valid id", DEVICE:gsub("=d;", "=d/e;") },
    { "exclude each other", DEVICE .. ";x509=true" },
    { "exclude each other", DEVICE
      .. ";SharedAccessSignature=SharedAccessSignature sr=h&sig=a&se=1" },
    { "x509 must be true", "HostName=h;DeviceId=d;x509=yes" },
    { "SharedAccessKey is not a key in base64", "HostName=h;DeviceId=d;"
      .. "SharedAccessKey=?" .. KEY },
  } do
    it("E17 of a device are refused: " .. case[1], function()
      local message = refusal(dm.device, case[2])
      assert.matches("dm.device: option 'connection_string'", message, 1, true)
      assert.matches(case[1], message, 1, true)
    end)
  end

  it("E17 of a device with x509=true need a certificate", function()
    local message = refusal(dm.device, "HostName=h;DeviceId=d;x509=true")
    assert.matches("option 'x509' is required", message, 1, true)
  end)

  for _, case in ipairs {
    { "is a device's", DEVICE },
    { "has no SharedAccessKeyName", "HostName=h;SharedAccessKey=" .. KEY },
    { "needs SharedAccessKeyName and SharedAccessKey", "HostName=h" },
    { "a field has an unknown name", SERVICE .. ";Colour=red" },
    { "SharedAccessKeyName appears twice", SERVICE .. ";SharedAccessKeyName=t" },
    { "SharedAccessKeyName is not a policy name", SERVICE:gsub("=s;", "=s t;") },
    { "HostName is missing", SERVICE:gsub("HostName=h;", "") },
  } do
    it("E17 of a service are refused: " .. case[1], function()
      local message = refusal(dm.service, case[2])
      assert.matches("dm.service: option 'connection_string'", message, 1, true)
      assert.matches(case[1], message, 1, true)
    end)
  end
end)
