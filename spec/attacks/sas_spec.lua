-- Cases 38 to 48 of README.md: tokens and connection strings that must open nothing.
-- 47, the Authorization field, is in http_spec.lua.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local tokens = require "spec.support.tokens"
local wire = require "spec.support.wire"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local OTHER = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
local NEW = "bmV3IGtleSBuZXcga2V5IG5ldyBrZXkgbmV3IGtleSE="
local REFUSED = 5 -- CONNACK: not authorized

describe("a token", function()
  local hub, open

  before_each(function()
    open = {}
    hub = fixture.hub()
    hub:add_device("dev1", { primary_key = KEY, secondary_key = OTHER })
  end)

  after_each(function() fixture.finish(hub, table.unpack(open)) end)

  local function service_token(o)
    local fields = { key = fixture.key(hub, "service"), skn = "service" }
    for name, value in pairs(o or {}) do fields[name] = value end
    return tokens.make(fields)
  end

  local function device_token(o)
    local fields = { key = KEY, resource = "localhost/devices/dev1" }
    for name, value in pairs(o or {}) do fields[name] = value end
    return tokens.make(fields)
  end

  local function service_status(token)
    return (tokens.call_status(hub, token))
  end

  -- What a token of these fields opens: neither door.
  local function opens_nothing(o)
    assert.equal(401, service_status(service_token(o)), o.se or o.sig)
    assert.equal(REFUSED, tokens.connack(hub, "dev1", device_token(o)), o.se or o.sig)
  end

  it("38 with an se that is no time is refused", function()
    for _, se in ipairs {
      "", "0", "-1", "-2000000000", "9223372036854775808", "18446744073709551616",
      "1e9", "2e9", "2000000000.0", " 2000000000", "2000000000 ", "+2000000000",
      "2000000000abc", "0x77359400", "20000000%30%30", "never", "%00", ("9"):rep(100),
    } do
      opens_nothing { se = se }
    end
    assert.equal(404, service_status(service_token { se = "9223372036854775807" }))
    assert.equal(0, tokens.connack(hub, "dev1",
      device_token { se = "9223372036854775807" }))
    assert.equal(404, service_status(service_token { se = "0002000000000" }))
  end)

  it("38 is refused when the clock is later by more than five minutes", function()
    local service, device = service_token { se = tokens.at(0) },
      device_token { se = tokens.at(0) }
    for _, step in ipairs { { 0, 404, 0 }, { 298, 404, 0 }, { 4, 401, REFUSED },
      { 86400, 401, REFUSED } } do
      dm.advance(step[1])
      assert.equal(step[2], service_status(service))
      assert.equal(step[3], tokens.connack(hub, "dev1", device))
    end
  end)

  it("39 with a sig that is none is refused", function()
    local good = tokens.fields { key = KEY, resource = "localhost/devices/dev1",
      se = "2000000000" }
    local sig = good[2][2]
    local plain = core.base64_encode(
      tokens.mac(core.base64_decode(KEY), good[1][2], "2000000000"))
    local function connack(text)
      return tokens.connack(hub, "dev1",
        tokens.join { good[1], { "sig", text }, good[3] })
    end
    assert.equal(0, connack(sig))
    assert.equal(0, connack((sig:gsub("%%%x%x", string.lower))))
    for _, text in ipairs {
      "x", "%", "%3", "%zz", "%%", "%3D", sig:sub(1, -4), sig .. "%3D", sig .. "A",
      sig .. "%", "%00" .. sig, sig .. "%00", sig:sub(2), sig .. sig, sig:upper(),
      "A" .. sig, tokens.escape(sig), "%41%41%41%41", ("A"):rep(43) .. "%3D",
      tokens.escape(core.base64_encode(("\0"):rep(31))),
      tokens.escape(core.base64_encode(("\0"):rep(33))),
      tokens.escape(plain:gsub("=", "\n=")), tokens.escape(" " .. plain),
      ("A"):rep(3000),
    } do
      assert.equal(REFUSED, connack(text), text)
    end
  end)

  it("39 has no blank for a '+' in its sig", function()
    for i = 1, 200 do
      local se = tostring(2000000000 + i)
      local fields = tokens.fields {
        key = KEY, resource = "localhost/devices/dev1", se = se,
      }
      if fields[2][2]:find("%2B", 1, true) then
        assert.equal(0, tokens.connack(hub, "dev1", tokens.join(fields)))
        local sig = fields[2][2]
        fields[2][2] = sig:gsub("%%2B", "%%20")
        assert.equal(REFUSED, tokens.connack(hub, "dev1", tokens.join(fields)))
        fields[2][2] = sig:gsub("%%2B", " ")
        assert.equal(REFUSED, tokens.connack(hub, "dev1", tokens.join(fields)))
        return
      end
    end
    error("no signature with a '+'")
  end)

  it("40 with a field twice, none or an unknown one is refused", function()
    local good = service_token()
    local fields = good:match(" (.*)$")
    for name, value in fields:gmatch("(%w+)=([^&]*)") do
      for _, token in ipairs {
        good .. "&" .. name .. "=" .. value,
        good .. "&" .. name:upper() .. "=" .. value,
        good .. "&" .. name .. "=",
        "SharedAccessSignature " .. name .. "=x&" .. fields,
      } do
        assert.equal(401, service_status(token), token)
      end
    end
    for _, token in ipairs { good .. "&x=1", good .. "&alg=none", good .. "&&",
      good:gsub("&", ";"), good:gsub("sr=", "sr"), good .. "&skn" } do
      assert.equal(401, service_status(token), token)
    end
    assert.equal(401, service_status(service_token { sr = "" }))
    assert.equal(404, service_status(good))
  end)

  it("41 for one path opens no other that begins alike", function()
    for _, id in ipairs { "dev10", "dev", "DEV1", "dev1%2f", "dev1%", "dev1.", "de" } do
      hub:add_device(id, { primary_key = KEY })
      assert.equal(REFUSED, tokens.connack(hub, id, device_token()), id)
    end
    for _, resource in ipairs {
      "localhost/devices/dev", "localhost/devices/dev10", "localhost/devices/DEV1",
      "localhost/Devices/dev1", "localhost/devices/dev1/", "localhost/devices//dev1",
      "localhost//devices/dev1", "localhost/devices/", "localhost/",
      "localhost/devices/dev1/../dev1", "localhost/devices/./dev1",
      "localhost/devices/dev1%2F", "localhost/devices/dev%31",
      "localhost/devices/dev1/modules/mod1", "localhost/devices/dev1\0",
      "localhost/devices/*", "localhost/*", "*", "/devices/dev1", "devices/dev1", "/",
      "https://localhost/devices/dev1", "localhost/devices/dev1?x",
      "localhost/devices/dev1/api-version=2016-11-14", "localhost%2Fdevices%2Fdev1",
    } do
      assert.equal(REFUSED,
        tokens.connack(hub, "dev1", device_token { resource = resource }), resource)
    end
    for _, sr in ipairs { "localhost%2Fdevices%2Fdev1%", "localhost%2Fdevices%2Fdev1%2",
      "localhost%2Fdevices%2Fdev1%zz", "localhost%2Fdevices%2Fdev1%00" } do
      assert.equal(REFUSED, tokens.connack(hub, "dev1", device_token { sr = sr }), sr)
    end
  end)

  it("41 for one path opens no other at the service", function()
    local function status(resource)
      return service_status(service_token { resource = resource })
    end
    for resource, expected in pairs {
      ["localhost"] = 404, ["localhost/twins"] = 404, ["localhost/twins/dev1"] = 404,
      ["localhost/twins/dev1/methods"] = 404, ["localhost/twins/dev"] = 401,
      ["localhost/twins/dev10"] = 401, ["localhost/devices"] = 401,
      ["localhost/twins/dev1/methods/x"] = 401, ["localhost/twins/dev1/modules"] = 401,
      ["localhost/TWINS"] = 401, ["localhost/twins/DEV1"] = 401,
    } do
      assert.equal(expected, status(resource), resource)
    end
  end)

  it("42 of another host opens nothing", function()
    for _, host in ipairs { "localhost.evil.example", "evil.localhost", "localhost.",
      "localhost:443", "local", "localhostx", "", " localhost", "localhost\0",
      "127.0.0.1", "localhost@evil" } do
      assert.equal(401, service_status(service_token { resource = host }), host)
      assert.equal(REFUSED, tokens.connack(hub, "dev1",
        device_token { resource = host .. "/devices/dev1" }), host)
    end
    assert.equal(404, service_status(service_token { resource = "LOCALHOST" }))
  end)

  -- What each policy's token opens: a call, and a device's connection.
  local RIGHTS = {
    iothubowner = { 404, 0 }, service = { 404, REFUSED }, device = { 401, 0 },
    registryRead = { 401, REFUSED }, registryReadWrite = { 401, REFUSED },
  }

  it("43 opens exactly what its policy may", function()
    for policy, expected in pairs(RIGHTS) do
      local token = tokens.make { key = fixture.key(hub, policy), skn = policy }
      assert.same(expected,
        { service_status(token), tokens.connack(hub, "dev1", token) }, policy)
    end
    assert.equal(401, service_status(device_token()))
  end)

  it("44 signed with another key than its skn says is refused", function()
    local service = fixture.key(hub, "service")
    for _, o in ipairs {
      { key = KEY, skn = "service" }, { key = KEY, skn = "device" },
      { key = KEY, skn = "dev1" }, { key = service, skn = "iothubowner" },
      { key = service, skn = "Service" }, { key = service, skn = "service%00" },
      { key = service, skn = "servic" }, { key = service, skn = "service%20" },
      { key = service, skn = "%" }, { key = service, skn = ("x"):rep(1000) },
      { key = service, skn = "nobody" }, { key = service },
    } do
      opens_nothing {
        key = o.key, skn = o.skn or "", resource = "localhost", sr = "localhost",
      }
    end
    assert.equal(REFUSED, tokens.connack(hub, "dev1", device_token { skn = "dev1" }))
    assert.equal(0, tokens.connack(hub, "dev1", device_token { skn = "" }))
    assert.equal(404, service_status(service_token { skn = "%73ervice" }))
  end)

  it("44 signed by other means is refused", function()
    for _, digest in ipairs { "sha1", "sha512", "md5", "sha384" } do
      opens_nothing { digest = digest }
    end
    local se = tokens.at(3600)
    local plain = core.base64_decode(KEY)
    for _, bytes in ipairs { KEY, "", plain .. "\0x", plain:sub(1, -2), "\0" } do
      opens_nothing { bytes = bytes, se = se }
    end
  end)

  it("44 opens nothing without a key in the registry", function()
    hub.state.plane:put_identity("bare", nil, "sas", "", "", true)
    for _, bytes in ipairs { "", ("\0"):rep(32) } do
      local token = tokens.make { bytes = bytes, resource = "localhost/devices/bare" }
      assert.equal(REFUSED, tokens.connack(hub, "bare", token))
    end
  end)

  -- The bytes of a refusal but for what is random in it.
  local function without_ids(reply)
    local body = reply.body:gsub("%x+%-TimeStamp:[%d/: ]+", "ID")
    return reply.status .. reply.headers["iothub-errorcode"] .. body
  end

  it("45 and 77 that is refused does not tell whether the device is there", function()
    hub:add_device("off", { status = "disabled", primary_key = KEY })
    local seen = {}
    for _, id in ipairs { "dev1", "unknown", "off" } do
      local w = wire.connect(hub:ports().mqtt)
      w:send(mqtt.connect(fixture.connect_fields(hub, id, {
        password = tokens.make { key = NEW, resource = "localhost/devices/" .. id },
      })))
      assert.is_true(w:wait_closed())
      seen[w.bytes] = true
      w:close()
      for _, token in ipairs { service_token { key = NEW }, device_token(),
        service_token { skn = "nobody" }, service_token { se = "1" } } do
        local _, reply = tokens.call_status(hub, token, { device = id })
        seen[without_ids(reply)] = true
      end
    end
    assert.is_true(seen["\x20\x02\0\5"])
    seen["\x20\x02\0\5"] = nil
    assert.equal('401IotHubUnauthorizedAccess{"Message":"ErrorCode:'
      .. 'IotHubUnauthorizedAccess;Unauthorized","ExceptionMessage":"Tracking ID:ID"}',
      next(seen))
    assert.is_nil(next(seen, (next(seen))))
  end)

  it("45 that is refused takes the connection of no one", function()
    local device = fixture.device(hub, "dev1", { password = device_token() })
    open[1] = device
    assert.equal(REFUSED, tokens.connack(hub, "dev1", device_token { key = NEW }))
    device:send(mqtt.PINGREQ)
    assert.equal(mqtt.PINGRESP, device.wire:read(2))
  end)

  it("46 may be used again, as whoever holds it may", function()
    local token = device_token()
    for i = 1, 3 do
      open[i] = fixture.device(hub, "dev1", { password = token })
      assert.equal(0, open[i].code)
    end
    assert.is_true(open[2].wire:wait_closed())
    assert.is_true(open[3].wire:stays_quiet())
  end)

  -- Give dev1 other keys by the registry.
  local function rekey(primary, secondary)
    local reply = assert(fixture.call(hub, {
      method = "PUT", target = "/devices/dev1?api-version=" .. fixture.NEW,
      headers = { 'If-Match: "*"' },
      token = fixture.service_token(hub, "iothubowner"),
      body = ([[{"deviceId":"dev1","authentication":{"type":"sas","symmetricKey":{]]
        .. [["primaryKey":"%s","secondaryKey":"%s"}}}]]):format(primary, secondary),
    }))
    assert.equal(200, reply.status)
  end

  it("46 of an old key fails at once, and its connection is closed", function()
    local first, second = device_token(), device_token { key = OTHER }
    local device = fixture.device(hub, "dev1", { password = first, clean = false })
    open[1] = device
    rekey(NEW, OTHER)
    assert.is_true(device.wire:wait_closed())
    assert.equal(REFUSED, tokens.connack(hub, "dev1", first))
    assert.equal(0, tokens.connack(hub, "dev1", device_token { key = NEW }))
    device = fixture.device(hub, "dev1", { password = second })
    open[2] = device
    assert.is_false(device.session_present)
    rekey(KEY, OTHER)
    assert.is_true(device.wire:stays_quiet())
    rekey(OTHER, NEW)
    assert.is_true(device.wire:stays_quiet())
    rekey(KEY, NEW)
    assert.is_true(device.wire:wait_closed())
    assert.equal(REFUSED, tokens.connack(hub, "dev1", second))
  end)

  it("46 of an old key of a policy fails at once, too", function()
    local key = fixture.key(hub, "device")
    local old = tokens.make { key = key, skn = "device" }
    local device = fixture.device(hub, "dev1", { password = old })
    open[1] = device
    hub.state.plane:policy("device", NEW, key, { "DeviceConnect" })
    assert.is_true(device.wire:stays_quiet())
    hub.state.plane:policy("device", NEW, OTHER, { "DeviceConnect" })
    assert.is_true(device.wire:wait_closed())
    assert.equal(REFUSED, tokens.connack(hub, "dev1", old))
    assert.equal(0, tokens.connack(hub, "dev1",
      tokens.make { key = OTHER, skn = "device" }))
  end)

  it("46 that ends closes its connection", function()
    local device = fixture.device(hub, "dev1",
      { password = device_token { se = tokens.at(60) } })
    open[1] = device
    dm.advance(358)
    assert.is_true(device.wire:stays_quiet())
    dm.advance(4)
    assert.is_true(device.wire:wait_closed())
    assert.equal(1, hub:counters().expired)
  end)
end)

describe("a connection string", function()
  local GOOD = "HostName=h;DeviceId=d;SharedAccessKey=" .. KEY
  local SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQ="

  local function refusal(text, make)
    local ok, message = pcall(make or dm.device, { connection_string = text })
    assert.is_false(ok)
    assert.is_nil(message:find(KEY:sub(5, 20), 1, true))
    assert.is_nil(message:find(SECRET:sub(3, 12), 1, true))
    assert.is_nil(message:find("[%c\x80-\xff]"))
    assert.is_true(#message < 300)
    return message
  end

  it("48 that is wrong is refused by its field's name, never with a key", function()
    for text, name in pairs {
      [GOOD .. ";SharedAccessKey=" .. SECRET] = "SharedAccessKey appears twice",
      [GOOD .. ";HostName=" .. SECRET] = "HostName appears twice",
      ["HostName=h;DeviceId=d;SharedAccessKey"] = "SharedAccessKey has no '='",
      ["HostName=h;DeviceId=d;SharedAccessKey=!" .. SECRET] =
        "SharedAccessKey is not a key in base64",
      ["HostName=" .. SECRET .. ";DeviceId=d;SharedAccessKey=" .. KEY] =
        "HostName must be",
      ["HostName=h;DeviceId=d e" .. SECRET .. ";SharedAccessKey=" .. KEY] =
        "DeviceId is not a valid id",
      ["HostName=h;DeviceId=d;" .. SECRET] = "a field has an unknown name",
      ["HostName=h;DeviceId=d;sharedaccesskey=" .. SECRET] =
        "a field has an unknown name",
      [GOOD .. "\r\n"] = "line break",
      [GOOD .. "\n;ModuleId=m"] = "line break",
      ["\0" .. GOOD] = "control byte",
      ["\u{feff}" .. GOOD] = "byte order mark",
      [GOOD .. ";ModuleId=" .. ("m"):rep(1 << 20)] = "too long",
      [("x"):rep(1 << 20)] = "too long",
      [SECRET] = "a field has an unknown name",
      [""] = "a field has an unknown name",
    } do
      assert.matches(name, refusal(text), 1, true)
      assert.matches("'connection_string'", refusal(text, dm.service), 1, true)
    end
  end)

  it("48 with '==' in its key and ';' at its end is taken", function()
    local text = "HostName=h;DeviceId=d;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==;"
    assert.equal("MDEyMzQ1Njc4OWFiY2RlZg==", (core.connstr(text)).key)
    local device <close> = dm.device { connection_string = text }
    assert.equal("d", device.device_id)
  end)
end)
