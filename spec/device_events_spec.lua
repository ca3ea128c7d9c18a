-- What the hub tells of devices: who came, went, was refused, and why.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"
local tokens = require "spec.support.tokens"
local wires = require "spec.support.wire"

local METHODS = "$iothub/methods/POST/#"

describe("the events of devices", function()
  local hub, seen

  local function start(opts)
    seen = {}
    hub = fixture.hub(opts)
    hub:add_device("dev1")
    hub:on("device", function(event) seen[#seen + 1] = event end)
  end

  after_each(function()
    fixture.finish(hub)
  end)

  -- Wait for an event of this kind, and take everything up to it away.
  local function await(kind)
    local found
    assert(dm.wait_until(function()
      while seen[1] and not found do
        local event = table.remove(seen, 1)
        if event.event == kind then found = event end
      end
      return found
    end, 5), "no event " .. kind)
    return found
  end

  local function await_reason(kind, reason, text)
    local event = await(kind)
    assert.equal(reason, event.reason)
    assert.equal(text, event.text)
    return event
  end

  -- A CONNECT of dev1 with other fields, which is refused.
  local function refused(fields, reason, text, code)
    local device = fixture.device(hub, "dev1", fields)
    local event = await_reason("refused", reason, text)
    assert.equal(code or 5, event.code)
    assert.equal(code or 5, device.code)
    device:close()
    return event
  end

  describe("tell of a connection", function()
    before_each(function() start() end)

    it("that it came, subscribed, unsubscribed and said DISCONNECT", function()
      local before = dm.time()
      local device = fixture.device(hub, "dev1")
      local came = await "connected"
      assert.equal("dev1", came.device_id)
      assert.is_nil(came.module_id)
      assert.matches("^127%.0%.0%.1:%d+$", came.address)
      assert.is_true(came.time >= before - 0.001 and came.time <= dm.time())
      assert.equal(1, came.id)
      assert.is_nil(came.reason)
      assert.equal(2, await("subscribed").id)
      device:send(mqtt.unsubscribe({ METHODS }, 8))
      await "unsubscribed"
      device:send(mqtt.DISCONNECT)
      local went = await_reason("disconnected", "client_disconnect",
        "the device sent DISCONNECT")
      assert.equal(came.address, went.address)
      device:close()
    end)

    it("once for subscribing, not for other topics", function()
      local device = fixture.device(hub, "dev1")
      device:subscribe()
      device:subscribe(0, "$iothub/twin/res/#")
      device:close()
      await "disconnected"
      local names = {}
      for i, event in ipairs(hub:device_history "dev1") do names[i] = event.event end
      assert.same({ "connected", "subscribed", "disconnected" }, names)
    end)

    it("of a module by both names", function()
      hub:add_device("dev1/mod1")
      local device = fixture.device(hub, "dev1/mod1")
      local event = await "connected"
      assert.equal("dev1", event.device_id)
      assert.equal("mod1", event.module_id)
      device:close()
      await "disconnected"
    end)

    it("that it was closed without DISCONNECT", function()
      fixture.device(hub, "dev1"):close()
      await_reason("disconnected", "network",
        "the connection was lost: closed without DISCONNECT")
    end)

    it("that it was reset, and from where it had come", function()
      local device = fixture.device(hub, "dev1")
      local came = await "connected"
      device.wire:reset()
      local went = await "disconnected"
      assert.equal("network", went.reason)
      assert.equal(came.address, went.address)
    end)

    it("that another connection took its place, and from where", function()
      local old = fixture.device(hub, "dev1")
      local old_address = await("connected").address
      local new = fixture.device(hub, "dev1")
      local taken = await "taken_over"
      local came = await "connected"
      assert.equal(old_address, taken.address)
      assert.equal("taken_over", taken.reason)
      assert.equal(("a connection from %s took its place"):format(came.address),
        taken.text)
      old:close()
      new:close()
      await "disconnected"
    end)

    it("that its token expired, and when", function()
      local expiry = math.floor(dm.time()) + 60
      local device = fixture.device(hub, "dev1", {
        password = fixture.device_token(hub, "dev1", expiry),
      })
      dm.advance(60 + 302)
      await_reason("disconnected", "token_expired",
        "the token expired at " .. os.date("!%Y-%m-%dT%H:%M:%SZ", expiry))
      device:close()
    end)

    it("that it was deleted, disabled or has a new key", function()
      local device = fixture.device(hub, "dev1")
      rest.read(rest.ask(hub, "PUT", "/devices/dev1",
        { deviceId = "dev1", status = "disabled" }, { if_match = "*" }))
      await_reason("disconnected", "disabled", "device 'dev1' is disabled")
      device:close()
      refused({}, "disabled", "device 'dev1' is disabled")
      hub:add_device("dev2")
      device = fixture.device(hub, "dev2")
      rest.ask(hub, "DELETE", "/devices/dev2", nil, { if_match = "*" })
      await_reason("disconnected", "identity_deleted", "device 'dev2' was deleted")
      device:close()
      hub:add_device("dev3")
      device = fixture.device(hub, "dev3")
      rest.read(rest.ask(hub, "PUT", "/devices/dev3", {
        deviceId = "dev3", authentication = { symmetricKey = {
          primaryKey = core.base64_encode(("k"):rep(32)),
          secondaryKey = core.base64_encode(("l"):rep(32)),
        } },
      }, { if_match = "*" }))
      await_reason("disconnected", "key_gone",
        "its key or thumbprint was changed or removed")
      device:close()
    end)

    it("that it broke the protocol, and how", function()
      local device = fixture.device(hub, "dev1")
      device:send("\0\0")
      await_reason("disconnected", "protocol_violation", "MQTT packet: reserved type")
      device:close()
      device = fixture.device(hub, "dev1")
      device:send(mqtt.publish("elsewhere", "x"))
      await_reason("disconnected", "protocol_violation",
        "PUBLISH to a topic that is not its own")
      device:close()
    end)

    it("that a fault rule or message closed it", function()
      local device = fixture.device(hub, "dev1")
      assert(hub:fault { stage = "request", action = "disconnect", times = 1 })
      local caller = fixture.send_call(hub, { device = "dev1" })
      await_reason("disconnected", "fault_rule", "a fault rule acted: disconnect")
      caller:close()
      device:close()
      device = fixture.device(hub, "dev1")
      device:send(mqtt.publish("devices/dev1/messages/events/"
        .. "AzIoTHub_FaultOperationType=KillTcp"
        .. "&AzIoTHub_FaultOperationCloseReason=boom", "x"))
      await_reason("disconnected", "fault_message", "fault message: boom")
      device:close()
    end)

    it("that the hub is stopping", function()
      local device = fixture.device(hub, "dev1")
      await "subscribed"
      hub:on("device", nil)
      local last
      hub:on("device", function(event) last = event end)
      hub:stop(1)
      assert.equal("disconnected", last.event)
      assert.equal("hub_stopping", last.reason)
      device:close()
    end)
  end)

  it("tell that no CONNECT came in time", function()
    start { limits = { connect_timeout = 0.05 } }
    local w = wires.connect(hub:ports().mqtt)
    await_reason("refused", "timeout", "no CONNECT in time")
    w:close()
  end)

  it("tell which limit was exceeded", function()
    start { limits = { packet_filters = 2, connect_size = 200 } }
    local device = fixture.device(hub, "dev1")
    device:send(mqtt.subscribe({ { "a" }, { "b" }, { "c" } }, 9))
    await_reason("disconnected", "limit_exceeded",
      "too many filters in one SUBSCRIBE")
    device:close()
    local w = wires.connect(hub:ports().mqtt)
    w:send(mqtt.connect { client_id = ("x"):rep(300) })
    assert.equal("limit_exceeded", await("refused").reason)
    w:close()
  end)

  it("tell that a device was silent for too long", function()
    start { limits = { keepalive_cap = 0.05 } }
    local device = fixture.device(hub, "dev1")
    await_reason("disconnected", "keep_alive",
      "nothing came within one and a half times its keep-alive")
    device:close()
  end)

  it("tell of a connection that hub:disconnect closed", function()
    start()
    assert.is_false(hub:disconnect "nobody")
    local device = fixture.device(hub, "dev1")
    await "subscribed"
    assert.is_true(hub:disconnect "dev1")
    await_reason("disconnected", "by_hand", "hub:disconnect was called")
    assert.is_nil(device:read())
    assert.is_false(hub:disconnect "dev1")
    assert.has_error(function() hub:disconnect(1) end)
    device:close()
  end)

  it("tell of a stored session that it is subscribed", function()
    start()
    local device = fixture.device(hub, "dev1", { clean = false })
    await "subscribed"
    device:close()
    await "disconnected"
    device = fixture.device(hub, "dev1", { clean = false, subscribe = false })
    await_reason("subscribed", "stored_session",
      "its stored session has the subscription")
    device:close()
    await "disconnected"
  end)

  describe("tell of a CONNECT that was refused", function()
    before_each(function() start() end)

    it("for its signature", function()
      refused({ password = tokens.make {
        resource = "localhost/devices/dev1", bytes = "guessed",
      } }, "wrong_signature", "the signature matches no key of 'dev1'")
    end)

    it("for a device that is not there, or a module", function()
      hub:add_device("dev2")
      local password = fixture.device_token(hub, "dev2")
      local event = refused({
        client_id = "x", username = "localhost/x/?api-version=2021-04-12",
        password = password,
      }, "not_registered", "there is no device 'x'")
      assert.equal("x", event.device_id)
      refused({
        client_id = "dev1/m", username = "localhost/dev1/m/?api-version=2021-04-12",
        password = password,
      }, "not_registered", "there is no module 'dev1/m'")
    end)

    it("for a policy that is not there or does not suffice", function()
      refused({ password = tokens.make {
        resource = "localhost/devices/dev1", bytes = "guessed", skn = "nobody",
      } }, "not_registered", "there is no policy 'nobody'")
      refused({ password = tokens.make {
        resource = "localhost/devices/dev1", bytes = "guessed", skn = "service",
      } }, "wrong_signature", "the signature matches no key of policy 'service'")
      refused({ password = fixture.service_token(hub) }, "no_right",
        "the policy does not allow it")
    end)

    it("for its token's time and resource", function()
      local expiry = math.floor(dm.time()) - 400
      refused({ password = fixture.device_token(hub, "dev1", expiry) },
        "token_expired",
        "the token expired at " .. os.date("!%Y-%m-%dT%H:%M:%SZ", expiry))
      refused({ password = fixture.token {
        resource = "localhost/devices/dev2", key = fixture.key(hub, "dev1"),
      } }, "wrong_audience", "the token's sr does not cover the resource")
    end)

    it("for what it is called and how it comes", function()
      refused({ username = "dev1" }, "bad_user_name",
        "the user name is not {host}/{device}[/{module}]/?api-version=...")
      refused({ client_id = "other" }, "bad_client_id",
        "the client id is not the identity in the user name")
      refused({ username = "elsewhere/dev1/?api-version=2021-04-12" }, "wrong_host",
        "the host in the user name is not this hub")
      refused({ password = "a token" }, "bad_token", "the token cannot be read")
      refused({ password = "" }, "no_credentials",
        "there is neither a password nor a certificate")
    end)

    it("for its model id", function()
      refused({ username = "localhost/dev1/?api-version=2021-04-12&model-id=%FF" },
        "bad_model_id", "the model id is not a text of at most 2048 bytes")
    end)

    it("for a token where only a certificate counts", function()
      hub:add_device("dev2", { primary_thumbprint = ("A"):rep(40) })
      refused({
        client_id = "dev2", username = "localhost/dev2/?api-version=2021-04-12",
        password = tokens.make { resource = "localhost/devices/dev2", bytes = "x" },
      }, "certificate_only",
        "'dev2' must show its certificate, and has no keys for tokens")
    end)

    it("because its session cannot be kept", function()
      hub.state.registry.change = function() return nil end
      refused({ clean = false }, "session_not_kept",
        "the store cannot keep its session", 3)
    end)

    it("by the MQTT server itself", function()
      local device = fixture.device(hub, "dev1", { client_id = "", clean = false })
      local event = await_reason("refused", "protocol_violation",
        "no client id [MQTT-3.1.3-8]")
      assert.equal(2, event.code)
      assert.is_string(event.address)
      device:close()
    end)

    it("for its will", function()
      local w = wires.connect(hub:ports().mqtt)
      w:send(mqtt.connect(fixture.connect_fields(hub, "dev1", {
        will_topic = "elsewhere",
      })))
      await_reason("refused", "bad_will",
        "the will's topic is not the device's own telemetry")
      w:close()
    end)

    it("by a fault rule", function()
      assert(hub:fault { stage = "connect", action = "reject", code = 3, times = 1 })
      refused({}, "fault_rule", "a fault rule acted: reject", 3)
    end)

    it("without its key, token or the bytes that it sent", function()
      local key = fixture.key(hub, "dev1")
      local token = fixture.device_token(hub, "dev1", math.floor(dm.time()) - 400)
      refused({ password = token }, "token_expired",
        "the token expired at "
          .. os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(dm.time()) - 400))
      local text = dm.json.encode(hub:device_history "dev1")
      assert.is_nil(text:find(key, 1, true))
      assert.is_nil(text:find(token:match "sig=([^&]+)", 1, true))
    end)
  end)

  it("tell that an address has failed too often", function()
    start { failed_logins = 1 }
    refused({ password = "x" }, "bad_token", "the token cannot be read")
    refused({}, "failed_logins", "too many failed log-ins", 3)
  end)

  it("tell that there were too many connections", function()
    start { tier = "F1", units = 1 }
    local devices = {}
    for i = 1, 300 do
      devices[i] = fixture.device(hub, "dev1", { subscribe = false })
      if devices[i].code ~= 0 then break end
    end
    local event = await "refused"
    assert.equal("rate_limit", event.reason)
    assert.equal(3, event.code)
    for _, device in ipairs(devices) do device:close() end
    hub:on("device", nil)
  end)

  describe("tell of a TLS handshake that failed", function()
    before_each(function() start { tls = true } end)

    local function s_client(port, ...)
      return assert(dm.exec({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port,
        "-brief", ... }, { timeout = 5 }))
    end

    for _, service in ipairs { "mqtt", "https" } do
      it("for a client that does not trust the CA, at " .. service, function()
        s_client(hub:ports()[service], "-verify_return_error")
        local event = await_reason("handshake_failed", "untrusted_ca",
          "the client does not trust this hub's CA")
        assert.matches("^127%.0%.0%.1:%d+$", event.address)
      end)

      it("for plain text, at " .. service, function()
        local w = wires.connect(hub:ports()[service])
        w:send "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await_reason("handshake_failed", "plain_text",
          "the client sent plain text to a port with TLS")
        w:close()
      end)

      it("for a client that leaves without a word, at " .. service, function()
        s_client(hub:ports()[service])
        local event = await "handshake_failed"
        assert.equal("nothing_sent", event.reason)
        assert.matches("may not trust this hub's CA$", event.text)
      end)
    end
  end)

  it("tell of a client that leaves the handshake, not of one that looks", function()
    start { tls = true }
    for _, service in ipairs { "mqtt", "https" } do
      local w = wires.connect(hub:ports()[service])
      w:close()
      w = wires.connect(hub:ports()[service])
      w:send "\x16\x03\x01\0\x40\x01\0\0\x3c\x03\x03"
      dm.loop.step(0.01)
      w:close()
      assert.equal("nothing_sent", await("handshake_failed").reason)
    end
    assert.equal(2, #hub.state.plane:device_events(nil, nil, 0, 10))
  end)

  it("tell of another reason why the handshake failed", function()
    start { tls = true }
    assert(dm.exec({ "openssl", "s_client", "-connect",
      "127.0.0.1:" .. hub:ports().mqtt, "-brief", "-tls1_1", "-cipher",
      "ALL:@SECLEVEL=0" }, { timeout = 5 }))
    local event = await "handshake_failed"
    assert.equal("tls", event.reason)
    assert.matches("^TLS handshake: unsupported protocol", event.text)
  end)

  it("tell that a client speaks TLS to a plain port", function()
    start()
    local result = assert(dm.exec({ "openssl", "s_client", "-connect",
      "127.0.0.1:" .. hub:ports().mqtt, "-brief" }, { timeout = 5 }))
    assert.equal(1, result.status)
    await_reason("refused", "protocol_violation",
      "the client speaks TLS, and this port does not")
  end)

  describe("tell of a request that was refused", function()
    before_each(function() start() end)

    local function refuses(call, code, reason, text)
      call.device = "dev1"
      assert.equal(code, fixture.call(hub, call).status)
      local event = await_reason("request_refused", reason, text)
      assert.equal(code, event.code)
      assert.equal("dev1", event.device_id)
      assert.matches("^127%.0%.0%.1:%d+$", event.address)
    end

    it("for its token", function()
      refuses({ token = false }, 401, "no_token",
        "the request must have one Authorization field")
      refuses({ token = "Bearer x" }, 401, "bad_token", "the token cannot be read")
      refuses({ token = tokens.make { bytes = "guessed" } }, 401, "no_policy",
        "the token names no policy")
      refuses({ token = tokens.make { bytes = "guessed", skn = "service" } }, 401,
        "wrong_signature", "the signature matches no key of policy 'service'")
      refuses({ token = fixture.service_token(hub, "device") }, 401, "no_right",
        "the policy does not allow it")
    end)

    it("in one line and cut, whatever it names", function()
      assert.equal(401, fixture.call(hub, {
        device = rest.encoded("\n\27[31m" .. ("x"):rep(300)), token = false,
      }).status)
      assert.equal([[\x0A\x1B[31m]] .. ("x"):rep(116),
        await("request_refused").device_id)
    end)

    it("for a member of its body, and its api-version", function()
      refuses({ body = '{"methodName":"reboot","responseTimeoutInSeconds":1}' }, 400,
        "bad_request", "responseTimeoutInSeconds must be within [5; 300].")
      refuses({ version = "x" }, 400, "bad_request",
        "api-version is missing, stands twice or is malformed")
    end)
  end)

  describe("are kept", function()
    it("for a device: the latest twenty", function()
      start()
      for _ = 1, 15 do
        local device = fixture.device(hub, "dev1", { subscribe = false })
        device:close()
        await "disconnected"
      end
      local history = hub:device_history "dev1"
      assert.equal(20, #history)
      assert.equal(30, history[20].id)
      assert.equal(11, history[1].id)
      assert.same({}, hub:device_history "dev2")
      assert(hub:reset())
      assert.same({}, hub:device_history "dev1")
    end)

    it("for a device, however many strangers are refused", function()
      start { limits = { event_bytes = 4096 } }
      local device = fixture.device(hub, "dev1", { subscribe = false })
      device:close()
      await "disconnected"
      for _ = 1, 100 do tokens.call_status(hub, "Bearer x") end
      assert.equal(2, #hub:device_history "dev1")
      assert.is_true(#hub.state.plane:device_events(nil, nil, 0, 1000) < 40)
    end)

    it("for a module and its device", function()
      start()
      hub:add_device("dev1/mod1")
      fixture.device(hub, "dev1/mod1", { subscribe = false }):close()
      await "disconnected"
      fixture.device(hub, "dev1", { subscribe = false }):close()
      await "disconnected"
      assert.equal(2, #hub:device_history "dev1/mod1")
      assert.equal(4, #hub:device_history "dev1")
      local ok, err = pcall(hub.device_history, hub, "a b")
      assert.is_false(ok)
      assert.matches("hub:device_history: device id", err)
    end)
  end)

  it("have reasons that docs/hub.md explains", function()
    start()
    local header = assert(io.open "csrc/hub/reasons.h"):read "a"
    local page = assert(io.open "docs/hub.md"):read "a"
    local count = 0
    for word in header:gmatch '%f[%w]X%([%u_]+, "([%w_]+)"' do
      count = count + 1
      assert.truthy(page:find("`" .. word .. "`", 1, true), word)
    end
    assert.is_true(count > 40)
  end)
end)
