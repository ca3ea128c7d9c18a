-- B: who can be called, and what a call gets in time, by the ids of the checklist.

local uv = require "luv"
local callers = require "spec.support.callers"
local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

local is_error = callers.is_error

local NOT_ONLINE = "The operation failed because the requested device isn't online or "
  .. "hasn't registered the direct method callback. To learn more, see "
  .. "https://aka.ms/iothub404103"
local TIMED_OUT = "Timed out waiting for the response from device."
local CLOSED = "The device closed its connection before it answered."
local METHODS = "$iothub/methods/POST/#"

local function is_offline(reply, clock)
  is_error(reply, 404103, "DeviceNotOnline", NOT_ONLINE,
    { timeout = clock or "00:00:00" })
end

local function is_unknown(reply)
  is_error(reply, 404001, "DeviceNotFound", "NotFound", {})
end

local function body(connect, response)
  local more = ('"connectTimeoutInSeconds":%d'):format(connect)
  if response then
    more = more .. (',"responseTimeoutInSeconds":%d'):format(response)
  end
  return callers.body(more)
end

describe("a call", function()
  local hub, open

  before_each(function()
    open = {}
    hub = fixture.hub()
    hub:add_device("dev1")
  end)

  after_each(function()
    fixture.finish(hub, table.unpack(open))
  end)

  local function keep(closable)
    table.insert(open, closable)
    return closable
  end

  local function connect(identity, o)
    local device = keep(fixture.device(hub, identity or "dev1", o))
    assert.equal(0, device.code)
    return device
  end

  local function call(o)
    o = o or {}
    o.device = o.device or "dev1"
    return assert(fixture.call(hub, o))
  end

  -- A call that the hub has taken.
  local function send(o)
    o = o or {}
    o.device = o.device or "dev1"
    local before = hub:counters().calls
    local sent = keep(fixture.send_call(hub, o))
    assert(wire.turn_until(function() return hub:counters().calls > before end))
    return sent
  end

  local function connected(id)
    for _, entry in ipairs(hub:devices()) do
      if entry.device_id == id then return entry.connected end
    end
  end

  local function answered(device, reply_wire)
    local method, rid = device:request()
    assert.equal("reboot", method)
    device:answer(rid, 201, '{"a":1}')
    local reply = assert(http.read(reply_wire))
    assert.equal(200, reply.status)
    assert.equal('{"status":201,"payload":{"a":1}}', reply.body)
  end

  local function takes_calls(device, o)
    answered(device, send(o))
  end

  it("B01 of an unregistered device is 404001", function()
    is_unknown(call { device = "dev2" })
    is_unknown(call { device = "Dev1" })
    is_unknown(call { device = "dev2", module = "mod1" })
    is_unknown(call { device = "dev2", version = fixture.OLD })
  end)

  it("B02 of a missing module is 404010", function()
    hub:add_device("dev1/mod1")
    is_error(call { module = "mod2" }, 404010, "ModuleNotFound", "NotFound", {})
    is_error(call { module = "Mod1" }, 404010, "ModuleNotFound", "NotFound", {})
  end)

  it("B03 of a disabled device or its module is 404001", function()
    hub:add_device("off", { status = "disabled" })
    hub:add_device("off/mod1")
    is_unknown(call { device = "off" })
    is_unknown(call { device = "off", module = "mod1" })
    is_unknown(call { device = "off", body = body(10) })
  end)

  it("B04 of an offline device is 404103 at once", function()
    is_offline(call())
    is_offline(call { body = body(0) })
    is_offline(call { body = callers.body('"connectTimeoutInSeconds":null') })
    is_offline(call { version = fixture.OLD })
    assert.equal(0, hub:counters().calls_timed_out)
  end)

  for seconds, clock in pairs { [1] = "00:00:01", [60] = "00:01:00",
    [300] = "00:05:00" } do
    it(("B05 of an offline device ends after a connectTimeout of %d s"):format(seconds),
      function()
        local began = dm.now()
        local waiting = send { body = body(seconds) }
        dm.advance(seconds - 0.1)
        assert.is_true(waiting:quiet_until(began + seconds))
        dm.advance(0.1)
        is_offline(assert(http.read(waiting)), clock)
        assert.equal(1, hub:counters().calls_timed_out)
      end)
  end

  it("B06 of a device that is not subscribed is 404103", function()
    local device = connect("dev1", { subscribe = false })
    is_offline(call())
    assert.equal(0, device:subscribe(0, "$iothub/twin/res/#"))
    assert.equal(0, device:subscribe(0, "$iothub/methods/POST/other/#"))
    is_offline(call())
    local waiting = send { body = body(5) }
    dm.advance(5)
    is_offline(assert(http.read(waiting)), "00:00:05")
    assert.is_true(device.wire:stays_quiet())
  end)

  it("B07 reaches a device that connects and subscribes in time", function()
    local waiting = send { body = callers.body(
      '"connectTimeoutInSeconds":100,"payload":{"kept": [1]}') }
    dm.advance(90)
    local device = connect("dev1", { subscribe = false })
    assert.is_true(waiting:stays_quiet())
    device:subscribe()
    local method, rid, payload = device:request()
    assert.same({ "reboot", "1", '{"kept": [1]}' }, { method, rid, payload })
    device:answer(rid, 200, "7")
    assert.equal('{"status":200,"payload":7}', assert(http.read(waiting)).body)
  end)

  it("B07 reaches a device whose stored session comes back", function()
    local device = connect("dev1", { clean = false })
    device:close()
    assert(wire.turn_until(function() return not connected("dev1") end))
    local waiting = send { body = body(10) }
    answered(connect("dev1", { clean = false, subscribe = false }), waiting)
  end)

  it("B08 ends when the device subscribes too late", function()
    local waiting = send { body = body(10) }
    local device = connect("dev1", { subscribe = false })
    dm.advance(10)
    is_offline(assert(http.read(waiting)), "00:00:10")
    device:subscribe()
    assert.is_true(device.wire:stays_quiet())
    takes_calls(device)
  end)

  it("B09 after UNSUBSCRIBE is 404103", function()
    local device = connect()
    takes_calls(device)
    device:send(mqtt.unsubscribe({ METHODS }, 0x1234))
    assert.equal("\xb0\x02\x12\x34", device.wire:read(4))
    is_offline(call())
    device:subscribe()
    takes_calls(device)
  end)

  it("B10 without an answer is 504101 after its responseTimeout", function()
    local device = connect()
    for seconds, clock in pairs { [5] = "00:00:05", [90] = "00:01:30" } do
      local began = dm.now()
      local waiting = send {
        body = callers.body(('"responseTimeoutInSeconds":%d'):format(seconds)),
      }
      assert.truthy(device:request())
      dm.advance(seconds - 0.1)
      assert.is_true(waiting:quiet_until(began + seconds))
      dm.advance(0.1)
      is_error(assert(http.read(waiting)), 504101, "GatewayTimeout", TIMED_OUT,
        { timeout = clock })
    end
  end)

  it("B10 waits 300 s in no time when the clock is moved", function()
    local device <close> = hub:device("dev1", {
      silent = function(request) request:defer() end,
    })
    assert(device:connect(10))
    local service <close> = hub:service("service", { api_version = fixture.NEW })
    local waiting = dm.spawn(service.invoke, service, "dev1", "silent", nil,
      { response_timeout = 300 })
    local from, clock = uv.hrtime(), dm.now()
    dm.advance(299)
    assert.equal("waiting", waiting.status)
    dm.advance(1)
    local reply, err = waiting:await(0)
    assert.is_nil(reply)
    assert.equal(504101, err.code)
    assert.same({ timeout = "00:05:00" }, err.info)
    assert.is_true(dm.now() - clock >= 300)
    assert.is_true(uv.hrtime() - from < 60e9) -- on the clock it was 300 s
    device:close()
    assert(device:closed(10))
  end)

  it("B11 drops an answer after the 504, and the next call works", function()
    local device = connect()
    local waiting = send { body = callers.body('"responseTimeoutInSeconds":5') }
    local _, rid = device:request()
    dm.advance(5)
    is_error(assert(http.read(waiting)), 504101, "GatewayTimeout", TIMED_OUT,
      { timeout = "00:00:05" })
    device:answer(rid, 200, '"late"')
    assert(wire.turn_until(function()
      return hub:counters().response_unknown_rid == 1
    end))
    takes_calls(device, { wire = waiting })
    assert.is_true(waiting:stays_quiet())
  end)

  it("B12 waits for the connection, and then anew for the answer", function()
    local waiting = send { body = body(300, 100) }
    dm.advance(290)
    local device = connect()
    assert.truthy(device:request())
    dm.advance(90)
    assert.is_true(waiting:stays_quiet())
    dm.advance(10)
    is_error(assert(http.read(waiting)), 504101, "GatewayTimeout", TIMED_OUT,
      { timeout = "00:01:40" })
  end)

  local ENDS = {
    ["is reset"] = function(device) device.wire:reset() end,
    ["is closed"] = function(device) device:close() end,
    ["ends with DISCONNECT"] = function(device) device:send(mqtt.DISCONNECT) end,
  }

  for name, leave in pairs(ENDS) do
    it("B13 ends at once when the device's connection " .. name, function()
      local device = connect("dev1", { clean = false })
      local waiting = send()
      assert.truthy(device:request())
      leave(device)
      is_error(assert(http.read(waiting)), 404104, "DeviceConnectionClosedRemotely",
        CLOSED, {})
      local again = connect("dev1", { clean = false, subscribe = false })
      assert.is_true(again.wire:stays_quiet())
      takes_calls(again)
    end)
  end

  it("B14 is 400027 when the same id connects anew", function()
    local device = connect()
    local first, second = send(), send()
    assert.truthy(device:request())
    assert.truthy(device:request())
    local newer = connect()
    for _, waiting in ipairs { first, second } do
      is_error(assert(http.read(waiting)), 400027,
        "ConnectionForcefullyClosedOnNewConnection", "BadRequest", {})
    end
    assert.is_true(device.wire:wait_closed())
    assert.is_true(device.wire:is_heard())
    takes_calls(newer)
  end)

  -- A request of the registry for dev1.
  local function registry(method, text)
    local reply = assert(fixture.call(hub, {
      method = method, target = "/devices/dev1?api-version=" .. fixture.NEW,
      headers = { 'If-Match: "*"' }, body = text or "",
      token = fixture.service_token(hub, "registryReadWrite"),
    }))
    assert.equal(text and 200 or 204, reply.status)
  end

  for name, act in pairs {
    deleted = function() registry("DELETE") end,
    disabled = function()
      registry("PUT", '{"deviceId":"dev1","status":"disabled"}')
    end,
  } do
    it("B15 is 404001 for a device that was " .. name .. " while connected", function()
      local device = connect()
      local waiting = send()
      assert.truthy(device:request())
      act()
      is_error(assert(http.read(waiting)), 404104, "DeviceConnectionClosedRemotely",
        CLOSED, {})
      assert.is_true(device.wire:wait_closed())
      assert.is_true(device.wire:is_heard())
      is_unknown(call())
      assert.equal(1, hub:counters().identity_closed)
    end)
  end

  it("B15 that waits for such a device ends with it", function()
    local waiting = send { body = body(300) }
    registry("DELETE")
    is_unknown(assert(http.read(waiting)))
  end)

  it("B16 has errors of Format M to the letter", function()
    dm.advance(86400 * 40)
    local reply = call()
    local seconds = math.floor(dm.time())
    local inner = '^{\\"errorCode\\":404103,\\"trackingId\\":\\"'
      .. ("[0-9a-f]"):rep(32)
      .. '%-TimeStamp:(%d%d/%d%d/%d%d%d%d %d%d:%d%d:%d%d)\\",\\"message\\":\\"'
      .. NOT_ONLINE:gsub("%p", "%%%0") .. '\\",\\"info\\":{\\"timeout\\":'
      .. '\\"00:00:00\\"},\\"timestampUtc\\":'
      .. '\\"(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d)%.%d%d%d%d%d%d%dZ\\"}$'
    local message = reply.body:match('^{"Message":"(.*)","ExceptionMessage":""}$')
    local stamp, date = message:match(inner)
    local function of_this_time(format, text)
      return text == os.date(format, seconds) or text == os.date(format, seconds - 1)
    end
    assert.is_true(of_this_time("!%m/%d/%Y %H:%M:%S", stamp))
    assert.is_true(of_this_time("!%Y-%m-%dT%H:%M:%S", date))
  end)

  it("B16 has another tracking id in each error", function()
    local first = fixture.error_m(call()).trackingId
    assert.not_equal(first, fixture.error_m(call()).trackingId)
  end)

  it("B18 to a module reaches its connection alone", function()
    hub:add_device("dev1/mod1")
    local device = connect()
    is_offline(call { module = "mod1" })
    local module = connect("dev1/mod1")
    takes_calls(module, { module = "mod1" })
    assert.is_true(device.wire:stays_quiet())
    takes_calls(device)
    assert.is_true(module.wire:stays_quiet())
    device:close()
    assert(wire.turn_until(function() return not connected("dev1") end))
    is_offline(call())
    takes_calls(module, { module = "mod1" })
  end)
end)

describe("a service client", function()
  -- What the client makes of an answer of these bytes.
  local function error_from(o)
    local hub = fake_hub.new()
    local service <close> = dm.service {
      connection_string = "HostName=127.0.0.1;SharedAccessKeyName=service;"
        .. "SharedAccessKey=" .. fake_hub.KEY,
      port = hub:port(),
      tls = false,
    }
    local calling = dm.spawn(service.invoke, service, "dev1", "reboot")
    local peer = hub:accept()
    fake_hub.read_request(peer)
    peer:send(fake_hub.answer(o))
    assert(wire.turn_until(function() return calling:ended() end))
    local reply, err = calling:await(0)
    hub:close()
    assert.is_nil(reply)
    return err
  end

  local CAPTURED = [[{"Message":"{\"errorCode\":404103,\"trackingId\":]]
    .. [[\"aa761f96e9174d0e849c96a8b2e10a8c-TimeStamp:03/14/2024 09:54:49\",]]
    .. [[\"message\":\"]] .. NOT_ONLINE .. [[\",\"info\":{\"timeout\":\"00:00:00\"},]]
    .. [[\"timestampUtc\":\"2024-03-14T09:54:49.6536567Z\"}","ExceptionMessage":""}]]

  it("B17 reads errors of Format M", function()
    local err = error_from {
      status = 404, body = CAPTURED, headers = { "iothub-errorcode: DeviceNotOnline" },
    }
    assert.same({ "DeviceNotOnline", 404103, 404, NOT_ONLINE,
      "aa761f96e9174d0e849c96a8b2e10a8c-TimeStamp:03/14/2024 09:54:49", true },
      { err.name, err.code, err.http_status, err.message, err.tracking_id,
        err.retriable })
    assert.same({ timeout = "00:00:00" }, err.info)
    assert.equal("DeviceNotOnline (404103): " .. NOT_ONLINE, tostring(err))
  end)

  it("B17 reads errors of Format E", function()
    local err = error_from {
      status = 404,
      body = '{"Message":"ErrorCode:DeviceNotOnline;Timed out waiting for device to '
        .. 'connect.","ExceptionMessage":"Tracking ID:0b6d0d9c0a4a4d3c8f2b7a6c5d4e3f2a'
        .. '-G:9-TimeStamp:05/17/2017 09:54:49"}',
    }
    assert.same({ "DeviceNotOnline", 404103, 404,
      "Timed out waiting for device to connect.",
      "0b6d0d9c0a4a4d3c8f2b7a6c5d4e3f2a-G:9-TimeStamp:05/17/2017 09:54:49" },
      { err.name, err.code, err.http_status, err.message, err.tracking_id })
  end)

  it("B17 reads a 401, which says nothing but the name", function()
    local err = error_from {
      status = 401,
      headers = { "iothub-errorcode: IotHubUnauthorizedAccess" },
      body = '{"Message":"ErrorCode:IotHubUnauthorizedAccess;Unauthorized",'
        .. '"ExceptionMessage":"Tracking ID:0b6d0d9c0a4a4d3c8f2b7a6c5d4e3f2a'
        .. '-TimeStamp:07/03/2018 16:29:58"}',
    }
    assert.same({ "IotHubUnauthorizedAccess", 401, false },
      { err.name, err.http_status, err.retriable })
  end)
end)
