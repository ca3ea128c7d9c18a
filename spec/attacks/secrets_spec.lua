-- Cases 75 and 76 of README.md: what comes from outside cannot write a line of the log
-- of its own, and keys, tokens and payloads are in no log, error or text of an object.

local callers = require "spec.support.callers"
local core = require "directmethods.core"
local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local task = require "directmethods.task"
local tokens = require "spec.support.tokens"
local wire = require "spec.support.wire"

local LINE_MAX = 511

-- All lines from now on, as they come.
local function watch()
  local lines = {}
  dm.log { level = "debug", sink = function(_, line) lines[#lines + 1] = line end }
  return lines
end

local function unwatch()
  dm.log { level = "warn" }
end

-- Let lines that wait for the loop and their sinks run.
local function drain()
  dm.loop.step(0)
  assert(dm.wait_until(function() return task.count() == 0 end))
end

-- Each event is one printable line of bounded length.
local function all_are_lines(lines)
  for _, line in ipairs(lines) do
    assert.is_nil(line:find("[%c\x7f]"), line)
    assert.truthy(utf8.len(line), line)
    assert.is_true(#line <= LINE_MAX, #line)
  end
end

local function one_has(lines, text)
  for _, line in ipairs(lines) do
    if line:find(text, 1, true) then return end
  end
  error(("no line has %q in\n%s"):format(text, table.concat(lines, "\n")))
end

describe("a line of the log", function()
  local lines

  before_each(function() lines = watch() end)
  after_each(unwatch)

  it("75 escapes what would be another line or an order to a terminal", function()
    core.log("warn", "a\nb\r\27[31m\127\u{85}\u{9b}2J\xff\xc3\u{e4}\t")
    drain()
    assert.same({ [[a\x0Ab\x0D\x1B[31m\x7F\xC2\x85\xC2\x9B2J\xFF\xC3ä\x09]] }, lines)
    core.log("warn", ("x"):rep(1 << 20))
    core.log("warn", ("\n"):rep(1 << 20))
    core.log("warn", ("\u{20ac}"):rep(1 << 18))
    drain()
    assert.equal(4, #lines)
    all_are_lines(lines)
  end)

  it("75 that names a device of a request is one", function()
    for _, id in ipairs { "d%0Aerror:%20all%20is%20lost", "d%1B[2J%07",
      "d%FF%C2%85", "d%0D%0A" .. ("x"):rep(6000) } do
      local hub = fixture.hub()
      local before = #lines
      local reply = assert(fixture.call(hub, { device = id, token = "Bearer x" }))
      assert.equal(401, reply.status, id)
      drain()
      assert.equal(before + 1, #lines)
      fixture.finish(hub)
    end
    all_are_lines(lines)
    one_has(lines, [['d\x0Aerror: all is lost']])
    one_has(lines, [['d\x1B[2J\x07']])
  end)

  it("75 that tells of a CONNECT is one", function()
    for _, username in ipairs { "localhost/d\nx/?api-version=2021-04-12",
      "localhost/dev1/?api-version=2021-04-12&DeviceClientType=%0A%1B[2J",
      "a\nb/dev1/?api-version=2021-04-12", ("x"):rep(4000) } do
      local hub = fixture.hub()
      local before = #lines
      assert.equal(5, tokens.connack(hub, "dev1", "no token\n\27[2J",
        { username = username }))
      drain()
      assert.equal(before + 1, #lines)
      fixture.finish(hub)
    end
    all_are_lines(lines)
  end)

  it("75 that tells of a handler's failure is one", function()
    local hub = fake_hub.new()
    local device = dm.device {
      host_name = "127.0.0.1", device_id = "dev1", key = fake_hub.KEY,
      port = hub:port(), tls = false,
      fallback = function(request) error("no\nerror: " .. request.method) end,
    }
    local connecting = dm.spawn(device.connect, device, 10)
    local peer = hub:device(false)
    assert(wire.turn_until(function() return connecting:ended() end))
    for _, method in ipairs { "a\nb", "\27[2J", ("m"):rep(30000), "\u{85}" } do
      peer:call(method, "1")
      assert.equal("$iothub/methods/res/500/?$rid=1", assert(peer:read()).topic)
    end
    device:close()
    assert(wire.turn_until(function() return device:closed(0) end, 10))
    hub:close()
    drain()
    all_are_lines(lines)
    for _, line in ipairs(lines) do
      assert.truthy(line:find("^device dev1: ") or line:find("^  | "), line)
    end
    one_has(lines, [[method '\x1B[2J': the handler failed]])
    one_has(lines, "  | error: a")
  end)

  it("75 of a text of very many lines is cut", function()
    local failing = dm.spawn(function() error(("line\n"):rep(100000)) end)
    assert(dm.wait_until(function() return failing:ended() end))
    drain()
    assert.equal(41, #lines)
    assert.matches("^task failed: ", lines[1])
    assert.equal("  | ...", lines[41])
  end)

  it("75 is one a second for what a hub refuses, the rest is counted", function()
    local hub = fixture.hub()
    local began = dm.now()
    for _ = 1, 50 do tokens.call_status(hub, "Bearer x") end
    local most = dm.now() - began + 1 -- the first is logged at once
    drain()
    local refused = 0
    for _, line in ipairs(lines) do
      if line:find("request refused", 1, true) then refused = refused + 1 end
    end
    assert.is_true(refused >= 1 and refused <= most, refused)
    assert.equal(50 - refused, hub:counters().log_suppressed)
    fixture.finish(hub)
  end)
end)

-- Keys and payloads that are looked for afterwards.
local SECRET = "MARKERkeyMARKERkeyMARKERkeyMARKERkeyMARKERk="
local SECOND = "SECONDkeySECONDkeySECONDkeySECONDkeySECONDk="
local PAYLOAD = "PAYLOADmarker"
local MARKERS = { "MARKER", "SECONDkey", "PAYLOADm", "sig=[%w%%]", "sr=[%w%%]" }

local function is_clean(text, what)
  text = tostring(text)
  for _, marker in ipairs(MARKERS) do
    assert.is_nil(text:find(marker), what .. ": " .. text)
  end
end

describe("a secret", function()
  local lines

  before_each(function() lines = watch() end)

  after_each(function()
    unwatch()
    is_clean(table.concat(lines, "\n"), "log")
  end)

  -- The error of a call that must raise, or return nil, err.
  local function failure(fn, ...)
    local ok, value, err = pcall(fn, ...)
    if ok then
      assert.is_nil(value)
      value = err
      for name, field in pairs(err) do is_clean(field, "field " .. name) end
    end
    is_clean(value, "error")
    return tostring(value)
  end

  it("76 is in no error of wrong options", function()
    local token = tokens.make { key = SECRET, se = "x" }
    for _, opts in ipairs {
      { connection_string = "HostName=h;DeviceId=d;SharedAccessKey=!" .. SECRET },
      { connection_string = SECRET }, { connection_string = SECRET .. "=x;" },
      { connection_string = "HostName=h;DeviceId=d;SharedAccessKey=" .. SECRET,
        key = SECOND },
      { connection_string = "HostName=" .. SECRET },
      { host_name = "h", device_id = "d", key = "!" .. SECRET },
      { host_name = "h", device_id = "d", key = SECRET, sas = token },
      { host_name = "h", device_id = "d", sas = token },
      { host_name = "h", device_id = "d", sas = SECRET },
      { host_name = SECRET, device_id = SECRET, key = SECRET },
      { host_name = "h", device_id = "d",
        x509 = { cert = "-----BEGIN x", key = SECRET, password = SECOND } },
      { host_name = "h", device_id = "d", x509 = { cert = SECRET } },
      { host_name = "h", device_id = "d", x509 = {
        cert = "-----BEGIN x", key = "-----BEGIN PRIVATE KEY-----" .. SECRET,
        password = SECOND,
      } },
      { host_name = "h", device_id = "d", key = SECRET,
        tls = { ca = "-----BEGIN " .. SECRET } },
      { host_name = "h", device_id = "d", key = SECRET, api_version = SECRET },
    } do
      failure(dm.device, opts)
    end
    for _, opts in ipairs {
      { connection_string = "HostName=h;SharedAccessKeyName=s;SharedAccessKey=!"
        .. SECRET },
      { connection_string = "HostName=h;SharedAccessKey=" .. SECRET },
      { connection_string = "HostName=h;DeviceId=d;SharedAccessKey=" .. SECRET },
      { host = "h", sas = SECRET }, { host = "h", sas = token },
      { host = SECRET, sas = token }, { proxy = "http:/user:" .. SECRET .. "@h" },
    } do
      failure(dm.service, opts)
    end
    for _, opts in ipairs {
      { tls = {
        cert = "-----BEGIN x", key = "-----BEGIN PRIVATE KEY-----" .. SECRET,
      } },
      { tls = { cert = "-----BEGIN x", key = SECRET .. "\n" } },
    } do
      failure(dm.hub, opts)
    end
  end)

  it("76 is in no registry error", function()
    local hub = fixture.hub()
    failure(hub.add_device, hub, "dev1", { primary_key = "!" .. SECRET })
    assert(hub:add_device("dev1", { primary_key = SECRET, secondary_key = SECOND }))
    failure(hub.add_device, hub, "dev1", { primary_key = SECRET })
    for _, key in ipairs { "!" .. SECRET, SECRET } do
      local reply = assert(fixture.call(hub, {
        method = "PUT", target = "/devices/dev1?api-version=" .. fixture.NEW,
        token = fixture.service_token(hub, "iothubowner"),
        body = dm.json.encode { deviceId = "dev1", authentication = {
          type = "sas", symmetricKey = { primaryKey = key },
        } },
      }))
      assert.is_true(reply.status >= 400)
      is_clean(reply.body, "registry")
    end
    is_clean(hub, "hub")
    is_clean(hub.state.plane, "plane")
    fixture.finish(hub)
  end)

  it("76 is in no error, log or text of calls that fail", function()
    local hub = fixture.hub()
    hub:add_device("dev1", { primary_key = SECRET, secondary_key = SECOND })
    for _, policy in ipairs { "service", "device" } do
      hub.state.plane:policy(policy, SECRET, SECOND,
        { policy == "service" and "ServiceConnect" or "DeviceConnect" })
      hub.state.policies[policy] = SECRET
    end
    local requests = {}
    local device = hub:device("dev1", {
      ok = function(request) return 200, request.payload end,
      fail = function(request)
        requests[#requests + 1] = tostring(request)
        error("it failed")
      end,
      fail_in_decode = function(request) return request.payload end,
      bad = function(request) return request.payload end,
      large = function() return 200, PAYLOAD:rep(1000) end,
      not_json = function(request) return 200, { PAYLOAD, request.reply } end,
    })
    assert(device:connect(10))
    local service = hub:service()
    for _, method in ipairs { "ok", "fail", "bad", "large", "not_json", "missing" } do
      is_clean(assert(service:invoke("dev1", method, PAYLOAD)), method)
    end
    service:invoke("dev1", "fail_in_decode", dm.json.raw("123456789012345678901234"))
    failure(service.invoke, service, "dev2", "ok", PAYLOAD)
    failure(service.invoke, service, "dev1", "ok", PAYLOAD:rep(10000))
    failure(service.invoke, service, "dev1", "ok", { a = { b = device.connect } })
    failure(service.invoke, service, "dev1", PAYLOAD .. "/", nil)
    is_clean(table.concat(requests), "request")
    for _, object in ipairs { device, service, hub, device.calls, device.config,
      device.link, device.link.conn, service._connection.client } do
      is_clean(object, "object")
    end
    for name, value in pairs(device:stats()) do is_clean(value, name) end
    for name in pairs(hub:counters()) do is_clean(name, "counter") end
    device:close()
    service:close()
    assert(device:closed(10))
    drain()
    fixture.finish(hub)
    one_has(lines, "it failed")
  end)

  it("76 is in no error, log or text of those who are refused", function()
    local hub = fixture.hub()
    hub:add_device("dev1")
    local device = dm.device {
      connection_string = "HostName=localhost;DeviceId=dev1;SharedAccessKey=" .. SECRET,
      port = hub:ports().mqtt, tls = false,
    }
    local said = failure(device.connect, device, 10)
    assert.matches("Unauthorized", said)
    is_clean(device:stats().why, "why")
    is_clean(device, "device")
    local service = dm.service {
      connection_string = "HostName=localhost;SharedAccessKeyName=service;"
        .. "SharedAccessKey=" .. SECRET,
      port = hub:ports().https, tls = false,
    }
    said = failure(service.invoke, service, "dev1", "x", PAYLOAD)
    assert.matches("Unauthorized", said)
    service:close()
    assert.equal(5, tokens.connack(hub, "dev1",
      tokens.make { key = SECRET, resource = "localhost/devices/dev1" }))
    device:close()
    assert(device:closed(10))
    drain()
    fixture.finish(hub)
    one_has(lines, "CONNECT refused")
  end)

  it("76 is in no error of an address where nobody listens", function()
    for _, proxy in ipairs { "http://user:MARKER@127.0.0.1:1",
      "http://MARKER:x@no-such-host.invalid:1" } do
      local service <close> = dm.service {
        connection_string = "HostName=127.0.0.1;SharedAccessKeyName=service;"
          .. "SharedAccessKey=" .. SECRET,
        port = 1, proxy = proxy,
      }
      failure(service.invoke, service, "dev1", "x", PAYLOAD)
      is_clean(service, "service")
    end
    local device = dm.device {
      host_name = "127.0.0.1", device_id = "dev1", key = SECRET, port = 1,
      tls = false, reconnect = { min = 0.01, max = 0.01 },
    }
    failure(device.connect, device, 0.05)
    is_clean(device:stats().why, "why")
    device:close()
    assert(device:closed(10))
  end)

  it("76 is in no error that quotes an answer or a document", function()
    local text = '{"a":' .. PAYLOAD .. "}"
    local value, err = dm.json.decode(text)
    assert.is_nil(value)
    is_clean(err, "decode")
    for _, broken in ipairs { PAYLOAD, '"' .. PAYLOAD, "[" .. PAYLOAD, text .. PAYLOAD,
      '{"' .. PAYLOAD .. '":1,}', '{"' .. PAYLOAD .. '" 1}' } do
      is_clean(select(2, dm.json.decode(broken)), "decode")
    end
  end)

  it("76 and 77 is in no refusal that the hub sends, nor is how it works", function()
    local pair = callers.pair()
    for _, body in ipairs { PAYLOAD, '{"methodName":"' .. PAYLOAD .. '/"}',
      '{"methodName":"x","payload":' .. PAYLOAD .. "}",
      '{"methodName":"x","responseTimeoutInSeconds":"' .. PAYLOAD .. '"}',
      '{"methodName":"x","payload":"' .. PAYLOAD:rep(20000) .. '"}' } do
      local reply = pair:refused { body = body }
      assert.is_true(reply.status >= 400)
      is_clean(reply.body, "refusal")
      for _, word in ipairs { "%.lua", "%.c:", "stack", "SELECT", "/usr", "OpenSSL",
        "libuv", "llhttp" } do
        assert.falsy(reply.body:find(word), reply.body)
      end
    end
    is_clean(pair:call({ answer = PAYLOAD }).body, "502")
    pair.device:send(mqtt.publish("$iothub/" .. PAYLOAD, PAYLOAD))
    assert.is_true(pair.device.wire:wait_closed())
    drain()
    pair:finish()
    one_has(lines, "PUBLISH to a topic that is not its own")
  end)
end)
