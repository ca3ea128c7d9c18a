-- The service's HTTP side: proxies, answers that are too large, redirects, tokens.

local core = require "directmethods.core"
local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"
local http_proxy = require "spec.support.http_proxy"
local wire = require "spec.support.wire"

describe("the service through a proxy", function()
  local hub, service, proxy, device

  local function start(tls, credentials)
    hub = fixture.hub { tls = tls }
    device = assert(hub:device("d", { m = function(r) return 200, r.payload end }))
    assert(device:connect())
    proxy = http_proxy.new(credentials)
    service = hub:service("service", {
      proxy = ("http://user:s3cret@127.0.0.1:%d"):format(proxy.port),
    })
  end

  after_each(function()
    device:close()
    assert(device:closed(5))
    service:close()
    proxy:close()
    fixture.finish(hub)
  end)

  local function call(payload)
    local under_way = dm.spawn(function() return service:invoke("d", "m", payload) end)
    assert(wire.turn_until(function() return under_way:ended() end))
    return under_way:await()
  end

  for what, tls in pairs { ["plain"] = false, ["TLS"] = true } do
    it("calls in one tunnel, " .. what, function()
      start(tls, "Basic dXNlcjpzM2NyZXQ=")
      for i = 1, 3 do assert.equal(i, assert(call(i)).payload) end
      assert.equal(1, #proxy.requests)
      assert.equal("CONNECT", proxy.requests[1].method)
      assert.equal(hub:ports().https, proxy.requests[1].port)
    end)
  end

  it("says that the proxy refused, without its password", function()
    start(false, "Basic another")
    local reply, err = call()
    assert.is_nil(reply)
    assert.equal("ConnectFailed", err.name)
    assert.matches("the proxy answered HTTP status 407", err.message, 1, true)
    assert.is_nil(err.message:find("s3cret", 1, true))
    assert.is_true(err.retriable)
    assert.equal(0, hub:counters().http_requests)
  end)

  it("says that nobody is there", function()
    start(false)
    proxy:close()
    local reply, err = call()
    assert.is_nil(reply)
    assert.equal("ConnectFailed", err.name)
    assert.matches("^connect to the proxy for ", err.message)
    assert.is_nil(err.message:find("s3cret", 1, true))
    assert.is_true(err.retriable)
  end)

  it("does not repeat a call that was sent and lost", function()
    start(false)
    device:method("m", function(request) request:defer() end)
    local under_way = dm.spawn(function()
      return service:invoke("d", "m", nil, { retry = true })
    end)
    assert(wire.turn_until(function() return hub:counters().calls_under_way == 1 end))
    proxy:close()
    assert(wire.turn_until(function() return under_way:ended() end))
    local reply, err = under_way:await()
    assert.is_nil(reply)
    assert.equal("ConnectFailed", err.name)
    assert.is_false(err.retriable)
    assert.equal(1, hub:counters().http_requests)
  end)
end)

describe("the service's answers", function()
  local fake, service

  before_each(function()
    fake = fake_hub.new()
    service = assert(dm.service {
      connection_string = "HostName=localhost;SharedAccessKeyName=service;"
        .. "SharedAccessKey=" .. fake_hub.KEY,
      port = fake:port(), tls = false,
    })
  end)

  after_each(function()
    service:close()
    fake:close()
  end)

  local function answered(bytes)
    local call = dm.spawn(function() return service:invoke("d", "m") end)
    local w = fake:accept()
    fake_hub.read_request(w)
    w:send(bytes)
    assert(wire.turn_until(function() return call:ended() end))
    return call:await()
  end

  local function body_of(bytes)
    local empty = '{"status":200,"payload":""}'
    return '{"status":200,"payload":"' .. ("x"):rep(bytes - #empty) .. '"}'
  end

  local MOST = 131072 + 8192

  it("may be as large as the contract's, with their envelope", function()
    local reply = answered(fake_hub.answer { status = 200, body = body_of(MOST) })
    assert.equal(MOST - #'{"status":200,"payload":}', #reply.body)
  end)

  it("are cut off where they are larger", function()
    local bytes = fake_hub.answer { status = 200, body = body_of(MOST + 1) }
    local reply, err = answered(bytes)
    assert.is_nil(reply)
    assert.equal("LimitExceeded", err.name)
    assert.matches("the answer is over 139264 bytes", err.message, 1, true)
    assert.is_false(err.retriable)
  end)

  it("are cut off where they say no length", function()
    local reply, err = answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. ("ffff\r\n" .. ("x"):rep(65535) .. "\r\n"):rep(3))
    assert.is_nil(reply)
    assert.equal("LimitExceeded", err.name)
  end)

  it("are cut off where their header is too large", function()
    local reply, err = answered("HTTP/1.1 200 OK\r\n"
      .. ("X-Line: " .. ("x"):rep(1000) .. "\r\n"):rep(80)
      .. "Content-Length: 0\r\n\r\n")
    assert.is_nil(reply)
    assert.is_truthy(err.name)
    assert.is_false(err.retriable)
  end)

  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    it(("do not lead elsewhere (%d)"):format(status), function()
      local other = wire.listen()
      local reply, err = answered(fake_hub.answer { status = status, body = "",
        headers = { ("Location: http://127.0.0.1:%d/"):format(other.port) } })
      assert.is_nil(reply)
      assert.equal("ProtocolError", err.name)
      assert.equal(status, err.http_status)
      assert.is_nil(other:accept(0.02))
      other:close()
    end)
  end

  it("that a kept connection takes along are not asked for again", function()
    assert(answered(fake_hub.answer { status = 200, body = body_of(40) }))
    local call = dm.spawn(function() return service:invoke("d", "m") end)
    fake_hub.read_request(fake.wires[1])
    fake.wires[1]:close()
    assert(wire.turn_until(function() return call:ended() end))
    local reply, err = call:await()
    assert.is_nil(reply)
    assert.equal("ConnectFailed", err.name)
    assert.is_false(err.retriable)
    local again = fake.listener:accept(0.02) -- curl connects before it is told no
    if again then
      wire.turn_until(function() return again.closed end, 0.02)
      assert.equal("", again.bytes)
      again:close()
    end
  end)

  it("need no Expect: a large request goes out at once", function()
    local call = dm.spawn(function()
      return service:invoke("d", "m", ("x"):rep(8000))
    end)
    local w = fake:accept()
    local head, body = fake_hub.read_request(w)
    assert.is_true(#body > 8000)
    assert.is_nil(head:lower():find("expect", 1, true))
    w:send(fake_hub.answer { status = 200, body = body_of(40) })
    assert(wire.turn_until(function() return call:ended() end))
    assert.equal(200, call:await().status)
  end)
end)

describe("the service's token", function()
  it("is kept, and renewed before the hub would refuse it", function()
    local hub = fixture.hub()
    hub:add_device("d")
    local service = hub:service("service", { token_ttl = 600 })
    local function refused_for_lack_of_a_device()
      local _, err = service:invoke("d", "m")
      assert.equal("DeviceNotOnline", err.name)
    end
    for _ = 1, 8 do
      refused_for_lack_of_a_device()
      dm.advance(450)
    end
    refused_for_lack_of_a_device()
    assert.equal(0, hub:counters().http_unauthorized)
    fixture.finish(hub, service)
  end)

  it("that was given ends with a clear error", function()
    local hub = fixture.hub()
    hub:add_device("d")
    local service = assert(dm.service {
      host = "localhost", port = hub:ports().https, tls = false,
      connect_host = "127.0.0.1",
      sas = fixture.token { key = fixture.key(hub, "service"), policy = "service",
        expiry = math.floor(core.time()) + 60 },
    })
    local _, err = service:invoke("d", "m")
    assert.equal("DeviceNotOnline", err.name)
    dm.advance(60 + 301)
    _, err = service:invoke("d", "m")
    assert.equal("Unauthorized", err.name)
    assert.matches("the SAS token that was given expired at", err.message, 1, true)
    assert.equal(1, hub:counters().http_requests)
    fixture.finish(hub, service)
  end)
end)
