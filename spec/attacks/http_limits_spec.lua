-- Attacks 54 and 55: slow and greedy callers, and many requests on one
-- connection. Whoever else calls must not notice.

local callers = require "spec.support.callers"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

local TARGET = "/twins/dev1/methods?api-version=" .. fixture.NEW

local function bytes_of(pair, o)
  local headers = { "Authorization: " .. fixture.service_token(pair.hub) }
  for _, line in ipairs(o.headers or {}) do headers[#headers + 1] = line end
  return http.request {
    method = o.method,
    target = TARGET,
    headers = headers,
    body = o.body or callers.body(),
  }
end

local function connect(pair)
  return wires.connect(pair.hub:ports().https)
end

-- Send byte after byte until the hub closes; false: it never does.
local function trickle_until_closed(wire, bytes)
  local at = 0
  return wires.turn_until(function()
    at = at % #bytes + 1
    wire:send(bytes:sub(at, at))
    return wire.closed
  end)
end

describe("slow callers", function()
  local pair, witness

  setup(function()
    pair = callers.pair {
      limits = {
        header_timeout = 0.2,
        body_timeout = 0.2,
        write_timeout = 0.1,
        http_output = 16777216,
      },
    }
    witness = connect(pair)
    assert.equal(200, pair:call({ wire = witness }).status)
  end)

  after_each(function()
    assert.equal(200, pair:call({ wire = witness }).status)
  end)

  teardown(function()
    witness:close()
    pair:finish()
  end)

  it("54 closes who sends nothing", function()
    local wire = connect(pair)
    assert.is_true(wire:wait_closed())
    assert.equal("", wire.bytes)
    wire:close()
  end)

  local function timed_out(wire)
    local reply = assert(http.read(wire))
    assert.equal(408, reply.status)
    assert.equal("close", reply.headers.connection)
    assert.equal("", wire.bytes)
    wire:close()
  end

  it("54 gives a header block its time, however it trickles", function()
    local wire = connect(pair)
    wire:send("POST " .. TARGET .. " HTTP/1.1\r\n")
    assert.is_true(trickle_until_closed(wire, "X: y\r\n"))
    timed_out(wire)
  end)

  it("54 gives a later header block its time, too", function()
    local wire = connect(pair)
    assert.equal(200, pair:call({ wire = wire }).status)
    wire:send("POST " .. TARGET .. " HTTP/1.1\r\n")
    assert.is_true(wire:wait_closed())
    timed_out(wire)
  end)

  it("54 gives a body its time, however it trickles", function()
    local bytes = bytes_of(pair, { body = (" "):rep(100000) })
    local length, coding = "Content-Length: 100000", "Transfer-Encoding: chunked"
    for _, line in ipairs { length, coding } do
      local wire = connect(pair)
      local head = bytes:gsub("\r\n\r\n.*", "\r\n\r\n", 1)
      wire:send((head:gsub("Content%-Length: 100000", line, 1)))
      assert.is_true(trickle_until_closed(wire, "1\r\n \r\n"))
      timed_out(wire)
    end
  end)

  it("54 counts neither the wait for a device nor that between requests", function()
    local wire, rid = pair:pending()
    local quiet = dm.now() + 0.3
    assert(dm.wait_until(function() return dm.now() >= quiet end))
    pair.device:answer(rid, 200, "1")
    assert.equal(200, http.read(wire).status)
    quiet = dm.now() + 0.3
    assert(dm.wait_until(function() return dm.now() >= quiet end))
    assert.equal(200, pair:call({ wire = wire }).status)
    wire:close()
  end)

  it("54 drops who does not read", function()
    local wire = connect(pair)
    wire.socket:read_stop()
    local bytes = http.request({ method = "GET", target = TARGET }):rep(1000)
    local failure
    for _ = 1, 150 do -- 50 MB of answers
      wire.socket:write(bytes, function(err) failure = failure or err end)
    end
    assert.is_true(wires.turn_until(function() return failure end))
    wire:close()
  end)
end)

describe("an idle caller", function()
  it("54 is closed without a word", function()
    local pair = callers.pair { limits = { idle_timeout = 0.05 } }
    local wire = connect(pair)
    assert.equal(200, pair:call({ wire = wire }).status)
    assert.is_true(wire:wait_closed())
    assert.equal("", wire.bytes)
    wire:close()
    pair:finish()
  end)
end)

describe("many requests on one connection", function()
  local pair

  setup(function() pair = callers.pair() end)

  teardown(function() pair:finish() end)

  it("54 are served while many others dawdle", function()
    local slow, wire = {}, connect(pair)
    for i = 1, 300 do
      slow[i] = connect(pair)
      local bytes = bytes_of(pair, {})
      slow[i].socket:write(bytes:sub(1, i % #bytes))
    end
    for _ = 1, 20 do assert.equal(200, pair:call({ wire = wire }).status) end
    for _, dawdler in ipairs(slow) do
      assert.is_false(dawdler.closed)
      dawdler:close()
    end
    wire:close()
  end)

  it("55 are answered in order, 1,000 at once", function()
    local wire, all = connect(pair), {}
    local forms = {
      { method = "GET", body = "", status = 405 },
      { body = "[]", status = 400 },
      { status = 404 },
    }
    for i = 1, 1000 do
      local form = forms[i % 3 + 1]
      form.headers = { "Request-Id: " .. i }
      all[i] = bytes_of(pair, form):gsub("/dev1/", "/nobody/", 1)
    end
    wire:send(table.concat(all))
    for i = 1, 1000 do
      local reply = assert(http.read(wire))
      assert.equal(tostring(i), reply.headers["request-id"])
      assert.equal(forms[i % 3 + 1].status, reply.status)
    end
    assert.is_true(wire:stays_quiet())
    wire:close()
  end)

  it("55 reach the device one after another", function()
    local wire, all = connect(pair), {}
    for i = 1, 200 do
      all[i] = bytes_of(pair, { body = callers.body('"payload":' .. i) })
    end
    wire:send(table.concat(all))
    for i = 1, 200 do
      local _, rid, payload = pair.device:request()
      assert.equal(tostring(i), payload)
      if i % 50 == 0 then assert.is_nil((pair.device:read(0.01))) end
      pair.device:answer(rid, 200, payload)
    end
    for i = 1, 200 do
      assert.equal(('{"status":200,"payload":%d}'):format(i), http.read(wire).body)
    end
    wire:close()
  end)

  it("55 do not hold up other connections", function()
    local first, rid = pair:pending()
    local second = connect(pair)
    first:send(bytes_of(pair, { method = "GET", body = "" }))
    second:send(bytes_of(pair, { method = "GET", body = "" }))
    assert.equal(405, http.read(second).status)
    assert.equal(200, pair:call({ wire = second }).status)
    assert.is_true(first:stays_quiet())
    pair.device:answer(rid, 200, "1")
    assert.equal(200, http.read(first).status)
    assert.equal(405, http.read(first).status)
    first:close()
    second:close()
  end)

  it("55 are not read on behind a waiting one", function()
    local wire, rid = pair:pending()
    local socket = wire.socket
    for _ = 1, 32 do socket:write(("\r\n"):rep(524288)) end
    wires.turn_until(function() return false end, 0.2)
    assert.is_true(socket:get_write_queue_size() > 0)
    pair.device:answer(rid, 200, "1")
    assert.equal(200, http.read(wire).status)
    assert.equal(431, http.read(wire).status)
    wire:close()
  end)

  it("55 end with 'Connection: close'", function()
    for _, value in ipairs { "close", "Close", "foo, close" } do
      local wire, before = connect(pair), pair.hub:counters()
      local last = bytes_of(pair, {
        method = "GET", body = "", headers = { "Connection: " .. value },
      })
      wire:send(last .. bytes_of(pair, {}))
      local reply = http.read(wire)
      assert.same({ 405, "close" }, { reply.status, reply.headers.connection })
      assert.is_true(wire:wait_closed())
      assert.equal("", wire.bytes)
      assert.equal(before.http_requests + 1, pair.hub:counters().http_requests)
      wire:close()
    end
  end)

  it("55 end after one of HTTP/1.0", function()
    for _, lines in ipairs { {}, { "Connection: keep-alive" } } do
      local wire = connect(pair)
      local old = bytes_of(pair, { headers = lines }):gsub("HTTP/1.1", "HTTP/1.0", 1)
      wire:send(old .. bytes_of(pair, {}))
      local _, rid = pair.device:request()
      pair.device:answer(rid, 200, "1")
      local reply = http.read(wire)
      assert.same({ 200, "close" }, { reply.status, reply.headers.connection })
      assert.is_true(wire:wait_closed())
      assert.equal("", wire.bytes)
      wire:close()
    end
  end)
end)
