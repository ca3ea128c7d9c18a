--- Bodies are read for those alone who may send them, up to what their route takes.
-- What is counted here is bytes and order, not time.

local callers = require "spec.support.callers"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

local VERSION = "?api-version=" .. fixture.NEW
local METHODS = "/twins/dev1/methods" .. VERSION
local PASS = 65536 -- bytes of an unwanted body that are read and thrown away

describe("a body", function()
  local pair, owner

  setup(function()
    pair = callers.pair()
    owner = "Authorization: " .. fixture.service_token(pair.hub, "iothubowner")
  end)

  teardown(function() pair:finish() end)

  local function connect() return wires.connect(pair.hub:ports().https) end

  -- Header fields that announce n bytes. Options: method, token, more lines.
  local function head(target, n, o)
    o = o or {}
    local lines = { "Content-Length: " .. n, table.unpack(o) }
    if o.token ~= false then lines[#lines + 1] = owner end
    local method = o.method or "POST"
    return http.request { method = method, target = target, headers = lines }
  end

  -- The connection takes another request, and nothing stood in between.
  local function stays(wire)
    wire:send(head("/nowhere" .. VERSION, 0))
    assert.equal(404, http.read(wire).status)
    assert.equal("", wire.bytes)
    wire:close()
  end

  local function ends(wire)
    assert.is_true(wire:wait_closed())
    assert.equal("", wire.bytes)
    wire:close()
  end

  it("without Authorization is refused by its header fields", function()
    local wire = connect()
    wire:send(head(METHODS, PASS + 1, { token = false }))
    local reply = http.read(wire)
    assert.same({ 401, "close" }, { reply.status, reply.headers.connection })
    ends(wire)
  end)

  it("that is refused and small is passed over", function()
    for _, n in ipairs { 1, 1000, PASS } do
      local wire = connect()
      wire:send(head(METHODS, n, { token = false }))
      local reply = http.read(wire)
      assert.equal(401, reply.status)
      assert.is_nil(reply.headers.connection)
      wire:send(("GET / HTTP/1.1\r\n\r\n"):rep(n // 18 + 1):sub(1, n))
      stays(wire)
    end
  end)

  it("that is refused does not hide what was sent behind it", function()
    local wire = connect()
    local all = {}
    for i = 1, 50 do
      all[i] = head(METHODS, i, { token = false, "Request-Id: " .. i }) .. ("x"):rep(i)
    end
    wire:send(table.concat(all))
    for i = 1, 50 do
      local reply = http.read(wire)
      assert.same({ 401, tostring(i) }, { reply.status, reply.headers["request-id"] })
    end
    stays(wire)
  end)

  it("in chunks that is refused ends the connection", function()
    local wire = connect()
    wire:send(http.request {
      target = METHODS, headers = { "Transfer-Encoding: chunked" },
    } .. "5\r\n12345\r\n0\r\n\r\n")
    local reply = http.read(wire)
    assert.same({ 401, "close" }, { reply.status, reply.headers.connection })
    ends(wire)
  end)

  it("that is refused is sent on, and the answer is not lost", function()
    local wire = connect()
    wire:send(head(METHODS, 1000000, { token = false }) .. ("x"):rep(PASS - 1000))
    assert.equal(401, http.read(wire).status)
    ends(wire)
  end)

  it("of which nothing is wanted is not waited for", function()
    for _, case in ipairs {
      { 401, METHODS, { token = false } },
      { 405, METHODS, { method = "PUT" } },
      { 400, "/twins/dev1/methods", {} },
      { 400, "/twins/%zz", {} },
      { 426, "/$iothub/websocket", { method = "GET", token = false } },
      { 417, METHODS, { "Expect: 200-ok" } },
    } do
      local wire = connect()
      wire:send(head(case[2], 1000000, case[3]))
      local reply = http.read(wire)
      assert.same({ case[1], "close" }, { reply.status, reply.headers.connection })
      ends(wire)
    end
  end)

  local LIMITS = {
    [METHODS] = 131072 + 4096,
    ["/twins/dev1/methods?api-version=" .. fixture.OLD] = 8192 + 4096,
    ["/twins/dev1" .. VERSION] = 262144,
    ["/twins/dev1/modules/m" .. VERSION] = 262144,
    ["/devices/dev1" .. VERSION] = 65536,
    ["/devices/dev1/modules/m" .. VERSION] = 65536,
    ["/jobs/v2/job1" .. VERSION] = 524288,
    ["/devices" .. VERSION] = 1048576,
    ["/devices/query" .. VERSION] = 1048576,
    ["/nowhere" .. VERSION] = 1048576,
  }

  it("has the limit of its route, by its Content-Length", function()
    for target, limit in pairs(LIMITS) do
      local wire = connect()
      wire:send(head(target, limit + PASS + 1))
      local reply = http.read(wire)
      assert.same({ 413, "close" }, { reply.status, reply.headers.connection }, target)
      ends(wire)
      wire = connect()
      wire:send(head(target, limit, { "Expect: 100-continue" }))
      assert.equal(100, http.read(wire).status, target)
      wire:close()
    end
  end)

  it("has the limit of its route, in chunks too", function()
    for target, limit in pairs(LIMITS) do
      for _, over in ipairs { 0, 1 } do
        local wire = connect()
        wire:send(http.request {
          target = target,
          headers = { "Transfer-Encoding: chunked", owner },
        } .. ("%x\r\n%s\r\n%x\r\n"):format(limit - 1, (" "):rep(limit - 1), 1 + over))
        if over == 1 then
          assert.equal(413, http.read(wire).status, target)
          ends(wire)
        else
          assert.is_true(wire:stays_quiet(), target)
          wire:close()
        end
      end
    end
  end)

  it("that no route takes is refused, whoever sends it", function()
    local wire = connect()
    wire:send(head(METHODS, 1048577, { token = false }))
    assert.equal(413, http.read(wire).status)
    ends(wire)
  end)

  it("that is a little too large is passed over", function()
    local wire = connect()
    wire:send(head("/twins/dev1/methods?api-version=" .. fixture.OLD, 20000))
    local reply = http.read(wire)
    assert.equal(413, reply.status)
    assert.is_nil(reply.headers.connection)
    wire:send(("x"):rep(20000))
    stays(wire)
  end)

  it("that is expected gets its answer by the same rules", function()
    for _, case in ipairs {
      { 100, METHODS, 10 }, { 413, METHODS, 1000000 },
      { 401, METHODS, 10, { token = false } }, { 404, "/nowhere" .. VERSION, 0 },
    } do
      local o = case[4] or {}
      o[#o + 1] = "Expect: 100-continue"
      local wire = connect()
      wire:send(head(case[2], case[3], o))
      assert.equal(case[1], http.read(wire).status)
      wire:close()
    end
    local wire = connect()
    wire:send(head(METHODS, 10, { token = false, "Expect: 100-continue" }))
    assert.equal(401, http.read(wire).status)
    wire:send(("x"):rep(10))
    stays(wire)
  end)

  it("whose caller leaves, or is slow, is no call", function()
    local before = pair.hub:counters()
    local calls = #pair.hub:calls()
    local wire = connect()
    wire:send(head(METHODS, 1000) .. "{")
    assert(dm.wait_until(function()
      return pair.hub:counters().http_requests > before.http_requests
    end))
    wire:close()
    assert(dm.wait_until(function()
      return pair.hub:counters().http_gone == before.http_gone + 1
    end))
    assert.equal(before.calls, pair.hub:counters().calls)
    assert.equal(calls, #pair.hub:calls())
  end)

  it("reaches the device at whatever byte it is split", function()
    local wire = connect()
    local bytes = http.request {
      target = METHODS, headers = { owner }, body = callers.body('"payload":[1,2]'),
    }
    for at = 1, #bytes - 1, 7 do
      wire:send(bytes:sub(1, at))
      wire:send(bytes:sub(at + 1))
      local _, rid, seen = pair.device:request()
      assert.equal("[1,2]", seen)
      pair.device:answer(rid, 200, "1")
      assert.equal(200, http.read(wire).status)
    end
    wire:close()
  end)
end)

describe("a body at the admin listener", function()
  it("is read for those alone who have the token", function()
    local hub = fixture.hub { admin_port = 0 }
    local token = "Authorization: Bearer " .. hub:admin_token()
    for _, case in ipairs {
      { 401, "/faults", "Host: localhost" },
      { 403, "/faults", "Host: [::1].evil.com", token },
      { 413, "/healthz", "Host: localhost" },
      { 400, "/faults/%zz", "Host: localhost", token },
    } do
      local wire = wires.connect(hub:ports().admin)
      wire:send(http.request {
        bare = true, target = case[2],
        headers = { "Content-Length: 1000000", table.unpack(case, 3) },
      })
      local reply = http.read(wire)
      assert.same({ case[1], "close" }, { reply.status, reply.headers.connection })
      assert.is_true(wire:wait_closed())
      wire:close()
    end
    fixture.finish(hub)
  end)
end)

describe("all bodies together", function()
  local pair, owner

  before_each(function()
    pair = callers.pair { limits = { body_bytes = 100000 } }
    owner = "Authorization: " .. fixture.service_token(pair.hub, "iothubowner")
  end)

  after_each(function() pair:finish() end)

  local function begin(n, lines, bytes)
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(http.request {
      target = "/devices" .. VERSION,
      headers = { lines or "Content-Length: " .. n, owner },
    } .. (bytes or "["))
    return wire
  end

  local function is_full(wire)
    local reply = http.read(wire)
    assert.equal(503, reply.status)
    wire:close()
  end

  local function has_room(n)
    local wire = begin(n, nil, (" "):rep(n - 2) .. "[]")
    assert.equal(200, http.read(wire).status)
    wire:close()
  end

  it("have a bound", function()
    local first = begin(60000)
    is_full(begin(60000))
    has_room(40000)
    first:send((" "):rep(59998) .. "]")
    assert.equal(200, http.read(first).status)
    first:close()
    has_room(100000)
  end)

  it("give back what a caller who left had taken", function()
    local first = begin(60000)
    assert.is_true(first:stays_quiet())
    first:close()
    assert(dm.wait_until(function() return pair.hub:counters().http_gone == 1 end))
    has_room(100000)
  end)

  it("count those in chunks as they come", function()
    local first = begin(60000)
    local wire = begin(0, "Transfer-Encoding: chunked",
      ("%x\r\n%s\r\n"):format(40000, (" "):rep(40000)))
    assert.is_true(wire:stays_quiet())
    wire:send("1\r\n \r\n")
    is_full(wire)
    first:close()
  end)

  it("count those that are not answered yet", function()
    local requests, kept = pair.hub.state.requests, {}
    function requests.add(_, connection, request)
      kept[#kept + 1] = { connection, request }
    end
    local first = begin(60000, nil, (" "):rep(59998) .. "[]")
    assert(dm.wait_until(function() return #kept == 1 end))
    is_full(begin(60000))
    requests.add = nil
    requests:add(table.unpack(kept[1]))
    assert.equal(200, http.read(first).status)
    first:close()
    has_room(100000)
  end)

  it("do not count calls that wait for their device", function()
    local body = callers.body('"payload":' .. callers.json_of(60000))
    local first = pair:pending { body = body }
    local second, rid = pair:pending { body = body }
    pair.device:answer(rid, 200)
    assert.equal(200, http.read(second).status)
    first:close()
    second:close()
  end)
end)

describe("800 connections that post 1 MB without Authorization", function()
  local function memory()
    local file <close> = assert(io.open("/proc/self/statm"))
    return tonumber(file:read("a"):match("^%d+ (%d+)")) * 4096
  end

  -- Each sends its header fields and so much of its body, and gets its answer.
  local function post(port, count, body)
    local list = {}
    local bytes = http.request {
      target = METHODS, headers = { "Content-Length: 1048576" },
    } .. body
    for i = 1, count do
      list[i] = wires.connect(port)
      list[i].socket:write(bytes)
    end
    for _, wire in ipairs(list) do
      assert.equal(401, http.read(wire).status)
      wire:close()
    end
  end

  it("get 401 each, and none of it is kept", function()
    local hub = fixture.hub()
    local port, body = hub:ports().https, ("x"):rep(60000)
    for _ = 1, 3 do post(port, 800, body) end
    collectgarbage()
    local before = memory()
    for _ = 1, 3 do post(port, 800, body) end
    collectgarbage()
    assert.is_true(memory() - before < 40e6, memory() - before)
    fixture.finish(hub)
  end)
end)
