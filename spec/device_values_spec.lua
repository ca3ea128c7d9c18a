-- What dm.device and its methods make of wrong values; no hub is needed.

local dm = require "directmethods"
local requests = require "directmethods.device.request"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local CONNECTION_STRING = "HostName=hub.test;DeviceId=d1;SharedAccessKey=" .. KEY

local function with(options)
  options.connection_string = options.connection_string or CONNECTION_STRING
  return options
end

-- The message that f raises; it must not hold the key.
local function message_of(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_nil(tostring(err):find(KEY, 1, true), "the key is in the message")
  return tostring(err)
end

local function assert_raises(part, f, ...)
  local message = message_of(f, ...)
  assert.is_truthy(message:find(part, 1, true),
    ("%q is not in %q"):format(part, message))
end

describe("dm.device", function()
  it("takes a connection string", function()
    local device <close> = dm.device(with {})
    assert.equal("idle", device.state)
    assert.equal("d1", device.device_id)
    assert.is_nil(device.module_id)
    assert.equal("device d1 (idle)", tostring(device))
  end)

  it("takes the fields one by one", function()
    local device <close> = dm.device {
      host_name = "hub.test", device_id = "d;1", module_id = "m", key = KEY,
      tls = false,
    }
    assert.equal("d;1", device.device_id)
    assert.equal("m", device.module_id)
  end)

  it("takes a given token", function()
    local sas = "SharedAccessSignature sr=hub.test%2Fdevices%2Fd1&sig=x"
      .. "&se=2000000000"
    local device <close> = dm.device {
      host_name = "hub.test", device_id = "d1", sas = sas,
    }
    assert.equal("idle", device.state)
    assert_raises("'sas' must be a SharedAccessSignature", dm.device,
      { host_name = "hub.test", device_id = "d1", sas = "x" })
    assert_raises("'sas' must not be given together with a key", dm.device,
      with { sas = sas })
  end)

  it("raises at its caller", function()
    local message = message_of(function() return (dm.device(with { prot = 1 })) end)
    assert.is_truthy(message:find("device_values_spec.lua:%d+: dm.device: "))
  end)

  local WRONG = {
    { "unknown option 'handler' (did you mean 'handlers'?)", { handler = {} } },
    { "option 'port' must be from 1 to 65535", { port = 0 } },
    { "option 'engine' must be one of: paho, uv", { engine = "mqtt" } },
    { "option 'port' must be of type integer", { port = "8883" } },
    { "option 'api_version' must be a date", { api_version = "2018" } },
    { "option 'tls' must be of type table or boolean", { tls = "no" } },
    { "unknown option 'tls.verfy' (did you mean 'tls.verify'?)",
      { tls = { verfy = 1 } } },
    { "option 'tls.ca' cannot be read", { tls = { ca = "no/such/file.pem" } } },
    { "option 'tls.ca' must be a certificate", { tls = { ca = "Makefile" } } },
    { "option 'keepalive' must be from 1 to 1177", { keepalive = 1178 } },
    { "option 'token_ttl' must be from 1", { token_ttl = 0 } },
    { "option 'token_ttl' must be of type number", { token_ttl = 0 / 0 } },
    { "option 'token_renew' must be less than token_ttl",
      { token_ttl = 60, token_renew = 60 } },
    { "option 'reconnect.min' must not be more", { reconnect = { min = 61 } } },
    { "unknown option 'reconnect.mx'", { reconnect = { mx = 61 } } },
    { "option 'max_concurrent' must be from 1", { max_concurrent = 0 } },
    { "option 'open_timeout' must be from", { open_timeout = -1 } },
    { "option 'handlers' must be of type table", { handlers = print } },
    { "option 'handlers.reboot' must be a function, not a boolean",
      { handlers = { reboot = true } } },
    { "option 'handlers': a method name must be 1 to 100 printable ASCII characters",
      { handlers = { ["a/b"] = print } } },
    { "option 'handlers': a method name must be a string", { handlers = { print } } },
    { "option 'fallback' must be of type function", { fallback = 1 } },
    { "option 'device_id' must not be given together", { device_id = "d2" } },
    { "connection_string' is wrong", { connection_string = "HostName" } },
    { "connection_string' is wrong",
      { connection_string = "HostName=h;DeviceId=d;SharedAccessKey=" .. KEY .. "!" } },
    { "option 'x509' is required: connection_string has x509=true",
      { connection_string = "HostName=h;DeviceId=d;x509=true" } },
    { "option 'device_id' is required", {
      connection_string = "HostName=h;SharedAccessKeyName=p;SharedAccessKey=" .. KEY,
    } },
    { "option 'key' or 'sas' or 'x509' is required",
      { connection_string = "HostName=h;DeviceId=d" } },
  }
  for _, case in ipairs(WRONG) do
    it("raises: " .. case[1], function()
      assert_raises(case[1], dm.device, with(case[2]))
    end)
  end

  it("refuses ids and hosts that are none", function()
    local function make(fields)
      local options = { host_name = "h", device_id = "d", key = KEY }
      for name, value in pairs(fields) do options[name] = value end
      return dm.device(options)
    end
    for _, id in ipairs { "a/b", "a\nb", "a\0b", "", ("x"):rep(129), "é" } do
      assert_raises("option 'device_id' must be 1 to 128", make, { device_id = id })
      assert_raises("option 'module_id' must be 1 to 128", make, { module_id = id })
    end
    assert_raises("option 'host_name' must be a host name without a port", make,
      { host_name = "h:8883" })
    assert_raises("option 'gateway_host_name' must be a host name", make,
      { gateway_host_name = "a b" })
    make { device_id = ("x"):rep(128) }:close()
    make { device_id = "aZ09-.+%_#*?!(),=@$':;" }:close()
    assert_raises("option 'key' must be base64", make, { key = "not base64" })
  end)
end)

describe("a device that was never connected", function()
  local device
  before_each(function() device = dm.device(with {}) end)
  after_each(function() device:close() end)

  it("checks what it is given", function()
    assert_raises("device:method: name must be a string", device.method, device, 1)
    assert_raises("device:method: name must be 1 to 100", device.method, device, "")
    assert_raises("device:method: name must be 1 to 100", device.method, device,
      ("m"):rep(101), print)
    assert_raises("device:method: handler must be a function or nil, not a string",
      device.method, device, "m", "print")
    assert_raises("device:fallback: handler must be", device.fallback, device, 1)
    assert_raises("device:on: event must be \"state\"", device.on, device, "stat")
    assert_raises("device:on: fn must be", device.on, device, "state", {})
    assert_raises("device:connect: timeout must be", device.connect, device, "1")
    assert_raises("device:connect: timeout must be", device.connect, device, -1)
    assert_raises("device:closed: timeout must be", device.closed, device, 0 / 0)
    assert_raises("is it device:connect(...) with a colon", device.connect, 3)
  end)

  it("takes every method name of the contract", function()
    for byte = 0, 255 do
      local name = string.char(byte)
      local ok = pcall(device.method, device, name, print)
      local allowed = byte > 32 and byte < 127
        and not ('$()<>@,;:\\"/[]?={}#+%'):find(name, 1, true)
      assert.equal(allowed, ok, "byte " .. byte)
    end
    device:method("comp*cmd", print)
    device:method(("m"):rep(100), print)
    device:method("comp*cmd", nil)
    assert.is_nil(device.handlers["comp*cmd"])
  end)

  it("does not change the caller's table of handlers", function()
    local handlers = { a = print }
    local other <close> = dm.device(with { handlers = handlers })
    other:method("b", print)
    other:method("a", nil)
    assert.same({ a = print }, handlers)
  end)

  it("does nothing on reconnect", function()
    device:reconnect()
    assert.equal("idle", device.state)
  end)

  it("counts nothing", function()
    local stats = device:stats()
    for _, name in ipairs { "calls", "errors", "rejected", "dropped", "late",
      "reconnects", "running", "queued" } do
      assert.equal(0, stats[name], name)
    end
    assert.equal("idle", stats.state)
  end)

  it("is closed once and for all", function()
    local news = {}
    device:on("state", function(...) table.insert(news, { ... }) end)
    device:close()
    device:close()
    assert.equal("closed", device.state)
    assert.is_true(device:closed(1))
    dm.wait_until(function() return #news > 0 end, 1)
    assert.same({ { "closed", "idle", "the device was closed" } }, news)
    for _, name in ipairs { "method", "fallback", "connect", "on", "reconnect" } do
      assert_raises(("device:%s: attempt to use a closed device"):format(name),
        device[name], device)
    end
    assert.equal("closed", device:stats().state)
  end)

  it("waits for its end no longer than asked", function()
    local gone, err = device:closed(0.01)
    assert.is_nil(gone)
    assert.equal("Timeout", err.name)
    assert.equal("idle", device.state)
  end)
end)

describe("dm.reject", function()
  it("checks the status", function()
    assert_raises("dm.reject: status must be an integer of 32 bits, not a string",
      dm.reject, "400")
    assert_raises("dm.reject: status must be", dm.reject, 2 ^ 31)
    assert_raises("dm.reject: status must be", dm.reject, 1.5)
    assert_raises("dm.reject(400) outside of a method's handler", dm.reject, 400)
  end)
end)

-- A request on a connection that notes what it is told to send.
local function fake_request(body, api_version)
  local sent = {}
  local device = dm.device(with { api_version = api_version })
  local link = { live = true, open = 0, device = device }
  function link:reply(rid, status, text)
    table.insert(sent, { rid, status, text })
    return true
  end
  function link:close_request(request)
    self.open, request._open = self.open - 1, false
  end
  return requests.new(link, print, "m", "1f", body or "", 0), sent, link, device
end

describe("a request", function()
  it("decodes its payload when it is first read", function()
    local request = fake_request('{"a":[1,null]}')
    assert.is_nil(rawget(request, "payload"))
    assert.same({ a = { 1, dm.null } }, request.payload)
    assert.equal(request.payload, request.payload)
    assert.equal('{"a":[1,null]}', request.body)
  end)

  it("tells an absent payload from null", function()
    assert.is_nil(fake_request("").payload)
    assert.equal(dm.null, fake_request("null").payload)
    assert.is_false(fake_request("false").payload)
  end)

  it("raises on a payload that is no JSON", function()
    local request = fake_request("{")
    assert_raises("request.payload cannot be decoded", function()
      return request.payload
    end)
    assert.equal("{", request.body)
  end)

  it("is called with a colon", function()
    local request, sent = fake_request()
    assert_raises("request:reply: called on a number (is it request:reply(",
      request.reply, 200, {})
    assert_raises("request:defer: called on a nil", request.defer)
    assert.same({}, sent)
  end)

  it("is answered once", function()
    local request, sent, link = fake_request()
    assert.equal(1, link.open)
    assert.is_true(request:reply(200, "x"))
    assert.equal(0, link.open)
    assert.is_true(request.answered)
    local again, err = request:reply(200, "y")
    assert.is_nil(again)
    assert.is_truthy(err.message:find("answered before", 1, true))
    assert.same({ { "1f", 200, '"x"' } }, sent)
  end)

  local BODIES = {
    { "nil", nil, "" }, { "null", dm.null, "null" }, { "false", false, "false" },
    { "an empty string", "", '""' }, { "an empty table", {}, "{}" },
    { "an empty array", dm.json.array {}, "[]" },
    { "raw text", dm.json.raw("[1.0, 2]"), "[1.0, 2]" },
    { "2^53+1", 9007199254740993, "9007199254740993" },
  }
  for _, case in ipairs(BODIES) do
    it("sends " .. case[1], function()
      local request, sent = fake_request()
      assert.is_true(request:reply(-1, case[2]))
      assert.same({ { "1f", -1, case[3] } }, sent)
    end)
  end

  it("refuses wrong statuses and payloads and can still be answered", function()
    local request, sent = fake_request()
    for _, status in ipairs { "200", 200.5, 2 ^ 31, 0 / 0, {} } do
      assert_raises("request:reply: status must be an integer", request.reply, request,
        status)
    end
    assert_raises("request:reply: payload", request.reply, request, 200, print)
    assert.same({}, sent)
    assert.is_true(request:reply(200.0))
    assert.equal("integer", math.type(sent[1][2]))
  end)

  it("holds the contract of the api-version", function()
    local request, sent = fake_request()
    local ok, err = request:reply(200, ("x"):rep(8191))
    assert.is_nil(ok)
    assert.equal("LimitExceeded", err.name)
    assert.is_truthy(err.message:find("2019-01-01 and later 131072", 1, true))
    assert.same({}, sent)
    assert.is_true(request:reply(200, ("x"):rep(8190)))
    request = fake_request("", "2021-04-12")
    assert.is_nil(request:reply(200, ("x"):rep(131071)))
    assert.is_true(request:reply(200, ("x"):rep(131070)))
  end)

  it("knows when its answer is late", function()
    local request, sent, link, device = fake_request()
    link.live = false
    local ok, err = request:reply(200)
    assert.is_nil(ok)
    assert.equal("Closed", err.name)
    assert.same({}, sent)
    assert.equal(1, device:stats().late)
  end)
end)
