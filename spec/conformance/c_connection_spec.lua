-- C: how a device gets its MQTT connection, by the ids of the checklist. What it
-- does with it is in c_session_spec.lua.

local uv = require "luv"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

local ACCEPTED = "\x20\x02\x00\x00" -- CONNACK
local LEVEL_REFUSED = "\x20\x02\x00\x01"
local NOT_AUTHORIZED = "\x20\x02\x00\x05"

describe("MQTT CONNECT", function()
  local hub

  local function start(opts)
    hub = assert(fixture.hub(opts))
    hub:add_device("dev1")
    return hub
  end

  after_each(function()
    fixture.finish(hub)
  end)

  local function counts(name, n)
    dm.wait_until(function() return hub:counters()[name] == n end, 2)
    assert.equal(n, hub:counters()[name], name)
  end

  -- The bytes of the CONNACK, and the wire.
  local function answer(fields)
    local w = wire.connect(hub:ports().mqtt)
    w:send(mqtt.connect(fields))
    return w:read(4), w
  end

  local function accepts(fields)
    local bytes, w = answer(fields)
    assert.equal(ACCEPTED, bytes, fields.username)
    w:send(mqtt.PINGREQ)
    assert.equal(mqtt.PINGRESP, w:read(2))
    w:close()
  end

  local function refuses(fields, connack)
    local bytes, w = answer(fields)
    assert.equal(connack or NOT_AUTHORIZED, bytes, fields.username)
    assert.is_true(w:wait_closed())
    assert.equal("", w.bytes)
    w:close()
  end

  local function closes(bytes)
    local w = wire.connect(hub:ports().mqtt):send(bytes)
    assert.is_true(w:wait_closed(), ("%q"):format(bytes))
    assert.equal("", w.bytes)
    w:close()
  end

  local function named(username, identity)
    return fixture.connect_fields(hub, identity or "dev1", { username = username })
  end

  it("C01 accepts the user names that the SDKs build", function()
    start()
    hub:add_device("dev1/mod1")
    accepts(named("localhost/dev1/?api-version=2021-04-12&DeviceClientType="
      .. "azure-iot-device%2F1.18.3%20(node%20v18.19.0%3B%20Linux)"))
    accepts(named("localhost/dev1/?api-version=2021-04-12&model-id=dtmi:com:a;1"
      .. "&DeviceClientType=azure-iot-device%2F1.18.3"))
    accepts(named("localhost/dev1/?api-version=2019-10-01&DeviceClientType="
      .. "azure-iot-device-iothub-py%2F2.14.0%283.11.2%3BLinux%3Bx86_64%29"))
    accepts(named("localhost/dev1/?api-version=2020-09-30&DeviceClientType="
      .. "iothubclient%2f1.14.0%20(native%3b%20Linux%3b%20x86_64)&model-id=dtmi:a;1"))
    accepts(named("localhost/dev1/?api-version=2020-09-30&DeviceClientType="
      .. "com.microsoft.azure.sdk.iot.iot-device-client%2F2.5.0"))
    accepts(named("localhost/dev1/?api-version=2021-04-12&DeviceClientType="
      .. ".NET%2F1.42.0%20%28.NET%208.0.0%3B%20Linux%3B%20X64%29"))
    accepts(named("localhost/dev1/mod1/?api-version=2020-09-30&DeviceClientType="
      .. "iothubclient%2f1.14.0", "dev1/mod1"))
  end)

  it("C02 accepts what edgeHub's parser accepts", function()
    start()
    hub:add_device("dev1/mod1")
    accepts(named("localhost/dev1/api-version=2010-01-01&DeviceClientType=x"))
    accepts(named("localhost/dev1/mod1/api-version=2010-01-01", "dev1/mod1"))
    accepts(named("localhost/dev1/?api-version=2010-01-01"))
    accepts(named("localhost/dev1/?api-version=2010-01-01&DeviceClientType=x"
      .. "&model-id=m"))
    accepts(named("localhost/dev1/?api-version=2010-01-01&"))
    accepts(named("localhost/dev1/?api-version=2010-01-01&unknown=x"))
    accepts(named("localhost/dev1/?DeviceClientType=x&api-version=2010-01-01"))
    accepts(named("LocalHost/dev1/?api-version=2010-01-01"))
    accepts(named("localhost/dev1/api-version=2017-06-30/DeviceClientType="
      .. "Microsoft.Azure.Devices.Client/1.5.1-preview-003"))
    accepts(named("localhost/dev1/mod1/api-version=2017-06-30/DeviceClientType="
      .. "Microsoft.Azure.Devices.Client/1.5.1-preview-003", "dev1/mod1"))
  end)

  it("C03 refuses what edgeHub's parser refuses", function()
    start()
    hub:add_device("dev1/mod1")
    refuses(named("missingEverythingAfterHostname"))
    refuses(named(""))
    refuses(named("/dev1/?api-version=2021-04-12"))
    refuses(named("localhost//?api-version=2021-04-12"))
    refuses(named("localhost/dev1/missingApiVersionProperty"))
    refuses(named("localhost/dev1/?api-version="))
    refuses(named("localhost/dev1/?api-version= "))
    refuses(named("localhost/dev1/mod1/DeviceClientType=x", "dev1/mod1"))
    refuses(named("localhost/dev1/mod1/api-version=x/tooManySegments", "dev1/mod1"))
    refuses(named("otherhub/dev1/?api-version=2021-04-12"))
    counts("connect_refused", 10)
  end)

  -- The status of a call that such a device answers with so many bytes.
  local function status_of_answer(device, bytes)
    local call = fixture.send_call(hub, { device = "dev1" })
    local _, rid = device:request()
    device:answer(rid, 200, '"' .. ("x"):rep(bytes - 2) .. '"')
    local reply = assert(http.read(call))
    call:close()
    return reply.status
  end

  for _, case in ipairs { { "C04", "localhost/dev1" }, { "C35", "localhost/dev1/" } } do
    local id, username = table.unpack(case)
    it(id .. " takes a user name without api-version: the seeds' contract", function()
      start()
      local device = fixture.device(hub, "dev1", { username = username })
      assert.equal(0, device.code)
      assert.equal(200, status_of_answer(device, 8192))
      assert.equal(502, status_of_answer(device, 8193))
      device:close()
      device = fixture.device(hub, "dev1", { version = fixture.OLD })
      assert.equal(502, status_of_answer(device, 8193))
      device:close()
      device = fixture.device(hub, "dev1", { version = fixture.NEW })
      assert.equal(200, status_of_answer(device, 8193))
      device:close()
    end)
  end

  it("C05 refuses a client id that is not the identity in the user name", function()
    start()
    hub:add_device("dev1/mod1")
    hub:add_device("dev2")
    for _, client_id in ipairs { "dev2", "dev", "dev11", "dev1/", "dev1/mod1", "" } do
      refuses(fixture.connect_fields(hub, "dev1", { client_id = client_id }))
    end
    for _, client_id in ipairs {
      "dev1", "dev1/mod", "dev1/mod11", "mod1", "dev1mod1",
    } do
      refuses(fixture.connect_fields(hub, "dev1/mod1", { client_id = client_id }))
    end
  end)

  it("C06 tells ids apart by their case", function()
    start()
    local password = fixture.device_token(hub, "dev1")
    refuses { client_id = "Dev1", username = "localhost/dev1/?api-version=2021-04-12",
      password = password }
    refuses { client_id = "Dev1", username = "localhost/Dev1/?api-version=2021-04-12",
      password = password }
  end)

  it("C07 refuses a bad signature, an unknown and a disabled device alike", function()
    start()
    hub:add_device("off", { status = "disabled" })
    hub:add_device("dev2")
    local foreign = fixture.token {
      resource = "localhost/devices/dev1", key = fixture.key(hub, "dev2"),
    }
    refuses(fixture.connect_fields(hub, "dev1", { password = foreign }))
    refuses(fixture.connect_fields(hub, "off"))
    refuses(fixture.connect_fields(hub, "ghost", { password = fixture.token {
      resource = "localhost/devices/ghost", key = fixture.key(hub, "dev1"),
    } }))
    refuses(fixture.connect_fields(hub, "ghost", { password = fixture.token {
      resource = "localhost", key = fixture.key(hub, "device"), policy = "device",
    } }))
    counts("connect_refused", 4)
    counts("connects", 0)
  end)

  it("C08 takes a token until five minutes after its end", function()
    start()
    local now = math.floor(dm.time())
    accepts(fixture.connect_fields(hub, "dev1", {
      password = fixture.device_token(hub, "dev1", now - 298),
    }))
    refuses(fixture.connect_fields(hub, "dev1", {
      password = fixture.device_token(hub, "dev1", now - 301),
    }))
  end)

  it("C10 refuses a CONNECT without password", function()
    start()
    local fields = fixture.connect_fields(hub, "dev1")
    fields.password = nil
    refuses(fields)
    fields.password = ""
    refuses(fields)
    fields.username, fields.password = nil, nil
    refuses(fields)
  end)

  it("C11 refuses other protocol levels with CONNACK 1", function()
    start()
    for _, other in ipairs {
      { protocol = "MQIsdp", level = 3 }, { level = 3 }, { level = 5 },
      { level = 0x84 }, { protocol = "MQTT5" }, { protocol = "mqtt" },
    } do
      refuses(fixture.connect_fields(hub, "dev1", other), LEVEL_REFUSED)
    end
    counts("connect_refused", 6)
  end)

  it("C14 closes when the first packet is not CONNECT, or another one comes", function()
    start()
    closes(mqtt.PINGREQ)
    closes(mqtt.publish("devices/dev1/messages/events/", "x"))
    closes(mqtt.subscribe { { "$iothub/methods/POST/#", 0 } })
    local bytes, w = answer(fixture.connect_fields(hub, "dev1"))
    assert.equal(ACCEPTED, bytes)
    w:send(mqtt.connect(fixture.connect_fields(hub, "dev1")))
    assert.is_true(w:wait_closed())
    assert.equal("", w.bytes)
    w:close()
  end)

  it("C15 closes when no CONNECT comes in time", function()
    start { limits = { connect_timeout = 0.1 } }
    local began = uv.hrtime()
    local w = wire.connect(hub:ports().mqtt)
    assert.is_true(w:wait_closed())
    assert.is_true(uv.hrtime() - began >= 0.09e9)
    w:close()
    w = wire.connect(hub:ports().mqtt)
    w:send(mqtt.connect(fixture.connect_fields(hub, "dev1")):sub(1, 20))
    assert.is_true(w:wait_closed())
    assert.equal("", w.bytes)
    w:close()
  end)

  it("C18 closes the first connection for a second one of the same id", function()
    start()
    local old = fixture.device(hub, "dev1")
    local new = fixture.device(hub, "dev1")
    assert.is_true(old.wire:wait_closed())
    assert.equal("", old.wire.bytes)
    assert.equal(0, new.code)
    assert.equal(200, status_of_answer(new, 10))
    counts("taken_over", 1)
    old:close()
    new:close()
  end)

  it("C19 closes five minutes after the end of the token", function()
    start()
    local device = fixture.device(hub, "dev1", {
      password = fixture.device_token(hub, "dev1", math.floor(dm.time()) + 60),
    })
    dm.advance(60 + 300 - 2)
    device:send(mqtt.PINGREQ)
    assert.equal(mqtt.PINGRESP, device.wire:read(2))
    dm.advance(4)
    assert.is_true(device.wire:wait_closed())
    counts("expired", 1)
    device:close()
  end)

  it("C33 lets a module in by its own key or a policy's token", function()
    start()
    hub:add_device("dev1/mod1")
    accepts(fixture.connect_fields(hub, "dev1/mod1"))
    for _, resource in ipairs {
      "localhost", "localhost/devices", "localhost/devices/dev1",
      "localhost/devices/dev1/modules/mod1",
    } do
      accepts(fixture.connect_fields(hub, "dev1/mod1", { password = fixture.token {
        resource = resource, key = fixture.key(hub, "device"), policy = "device",
      } }))
    end
    refuses(fixture.connect_fields(hub, "dev1/mod1", {
      password = fixture.device_token(hub, "dev1"),
    }))
    refuses(fixture.connect_fields(hub, "dev1/mod1", { password = fixture.token {
      resource = "localhost/devices/dev1/modules/mod2",
      key = fixture.key(hub, "device"), policy = "device",
    } }))
  end)
end)
