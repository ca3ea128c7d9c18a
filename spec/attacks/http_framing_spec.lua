-- Attacks 50 to 53: requests whose bytes lie about where they end. Each gets one
-- answer, its connection is closed, and what stands behind it is never a request.

local callers = require "spec.support.callers"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

local TARGET = "/twins/dev1/methods?api-version=" .. fixture.NEW
local BODY = callers.body()

describe("the framing of requests", function()
  local pair, witness, token

  setup(function()
    pair = callers.pair()
    token = "Authorization: " .. fixture.service_token(pair.hub)
    witness = wires.connect(pair.hub:ports().https)
  end)

  after_each(function()
    assert.equal(200, pair:call({ wire = witness }).status)
  end)

  teardown(function()
    witness:close()
    pair:finish()
  end)

  -- A call in JSON with these header lines in place of Content-Length.
  local function request(lines, rest, target)
    local all = { "Host: localhost", token, "Content-Type: application/json" }
    for _, line in ipairs(lines) do all[#all + 1] = line end
    return http.request {
      bare = true,
      target = target or TARGET,
      headers = all,
      body = rest,
    }
  end

  local function good()
    return request({ "Content-Length: " .. #BODY }, BODY)
  end

  -- One answer, the end, and no call for what came behind.
  local function refused(status, bytes)
    local before = pair.hub:counters()
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(bytes .. good())
    local reply, why = http.read(wire)
    assert.truthy(reply, ("%s: %q"):format(why, bytes:sub(1, 300)))
    assert.equal(status, reply.status, bytes:sub(1, 300))
    assert.equal("close", reply.headers.connection)
    assert.is_true(wire:wait_closed())
    assert.equal("", wire.bytes)
    wire:close()
    local after = pair.hub:counters()
    assert.equal(before.http_refused + 1, after.http_refused)
    assert.equal(before.calls, after.calls)
    return reply
  end

  it("50 refuses two ways to tell the length", function()
    local chunked = ("%x\r\n%s\r\n0\r\n\r\n"):format(#BODY, BODY)
    local length = "Content-Length: " .. #BODY
    local coding = "Transfer-Encoding: chunked"
    refused(400, request({ length, coding }, chunked))
    refused(400, request({ coding, length }, chunked))
    refused(400, request({ coding, coding }, chunked))
    refused(400, request({ length, length }, BODY))
    refused(400, request({ length, "Content-Length: 5" }, BODY))
  end)

  it("50 refuses every coding but chunked", function()
    local chunked = ("%x\r\n%s\r\n0\r\n\r\n"):format(#BODY, BODY)
    for _, coding in ipairs { "chunked, identity", "identity", " chunked", "xchunked",
      "gzip, chunked", "chunked;q=1", "chunked ", "\"chunked\"", "chunked, chunked",
      "", "\vchunked", "chun\0ked" } do
      refused(400, request({ "Transfer-Encoding: " .. coding }, chunked))
    end
    refused(400, request({ "Transfer-Encoding : chunked" }, chunked))
    refused(400, request({ "Transfer-Encoding\n: chunked" }, chunked))
  end)

  it("50 refuses a length that is no number", function()
    for _, length in ipairs { "+5", "-5", "5,5", "5, 5", "0x5", "5 5", "", "5;", "5.0",
      "1e1", "\xb2", "9223372036854775808", "18446744073709551621",
      ("9"):rep(400) } do
      refused(400, request({ "Content-Length: " .. length }, "12345"))
    end
  end)

  it("50 takes no coding of HTTP/1.0", function()
    local bytes = request({ "Transfer-Encoding: chunked" }, "0\r\n\r\n")
    refused(400, (bytes:gsub("HTTP/1.1", "HTTP/1.0", 1)))
  end)

  local function chunks(text)
    return request({ "Transfer-Encoding: chunked" }, text)
  end

  it("51 refuses bad chunk sizes", function()
    for _, size in ipairs { "1000000000000005", "fffffffffffffffff", "-1", "", "0x5",
      " 5", "5 ", "g", "5\t", "5\0", "+5", "5 5" } do
      refused(400, chunks(size .. "\r\n12345\r\n0\r\n\r\n"))
    end
    refused(413, chunks("fffffffffffffff\r\n12345\r\n0\r\n\r\n"))
  end)

  it("51 refuses chunks that do not end where they say", function()
    for _, text in ipairs { "5\r\n12345X\r\n0\r\n\r\n", "5\r\n123456\r\n0\r\n\r\n",
      "5\n12345\r\n0\r\n\r\n", "5\r\n12345\n0\r\n\r\n", "5\r\n12345\r\n0\n\r\n",
      "5\r12345\r\n0\r\n\r\n", "5\r\n123450\r\n\r\n" } do
      refused(400, chunks(text))
    end
  end)

  it("51 bounds extensions and trailers", function()
    refused(400, chunks("5;" .. ("x"):rep(1048576)))
    refused(400, chunks(("1;" .. ("x"):rep(100) .. "\r\nA\r\n"):rep(20)))
    refused(400, chunks("5;a=\1\r\n12345\r\n0\r\n\r\n"))
    refused(400, chunks("0\r\n" .. ("X-T: " .. ("x"):rep(90) .. "\r\n"):rep(11000)))
    refused(400, chunks("0\r\nX T: 1\r\n\r\n"))
    refused(400, chunks("0\r\nX-T: 1\n\r\n"))
  end)

  it("51 takes no extension but names, with a token or a quoted string", function()
    for _, rest in ipairs { ";", ";;", "; a b", ";a=\"", ";\x80", ";a;", ";=b", ";a=",
      ";a=b c", ";a=\"b\"c", ";a=\"\\\"", ";a=\"\\", ";a,b", ";a ", "a;b",
      ",a" } do
      refused(400, chunks("5" .. rest .. "\r\n12345\r\n0\r\n\r\n"))
    end
  end)

  it("51 takes a body in chunks with extensions and trailers", function()
    local text = chunks("A;a=b;c=\"d;\\\"\" ; e = f\t;g\r\n"
      .. BODY:sub(1, 10) .. "\r\n"
      .. ("%x"):format(#BODY - 10) .. "\r\n" .. BODY:sub(11) .. "\r\n"
      .. "000\r\nX-Trailer: Content-Length: 3\r\n\r\n")
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(text)
    local method, rid = pair.device:request()
    assert.equal("reboot", method)
    pair.device:answer(rid, 200, "1")
    assert.equal('{"status":200,"payload":1}', http.read(wire).body)
    wire:close()
  end)

  it("52 refuses what is not a clean header line", function()
    for _, line in ipairs { "X: a\nY: b", "X: a\rY: b", "X: a\0b", "X: a\r\n folded",
      "X: a\r\n\tfolded", "X : a", "X(: a", ": a", "nothing", "X\0Y: a", "X\tY: a",
      "X: a\1b", "X: a\127b", "\xffX: a", "X\r: a" } do
      refused(400, request({ line, "Content-Length: " .. #BODY }, BODY))
    end
  end)

  it("52 refuses what is not a clean request line", function()
    local length = { "Content-Length: " .. #BODY }
    for _, bad in ipairs { "\0", "\1", "\127", "\x80", "\t", "#" } do
      refused(400, request(length, BODY, TARGET .. bad .. "x"))
    end
    for _, target in ipairs { "", " /x", "/x y", "twins/dev1/methods" } do
      refused(400, request(length, BODY, target))
    end
    local bytes = good()
    for _, version in ipairs { "HTTP/1.1 ", "http/1.1", "HTTP/11", "HTTP/1.x", "HTTP",
      " HTTP/1.1" } do
      refused(400, (bytes:gsub("HTTP/1.1", version, 1)))
    end
    for _, version in ipairs { "HTTP/1.2", "HTTP/2.0", "HTTP/0.9" } do
      refused(505, (bytes:gsub("HTTP/1.1", version, 1)))
    end
    refused(400, (bytes:gsub("\r\n", "\n", 1)))
    refused(400, " " .. bytes)
    refused(400, "PO(ST" .. bytes:sub(5))
    refused(501, "FETCH" .. bytes:sub(5))
  end)

  it("53 answers a header bomb with 431", function()
    local lines = {}
    for i = 1, 1000 do lines[i] = "X-" .. i .. ": y" end
    refused(431, request(lines, ""))
    refused(431, request({ "X: " .. ("y"):rep(65536) }, ""))
    refused(431, request({ ("X"):rep(65536) }, ""))
  end)

  it("53 takes 64 header fields and no more", function()
    local lines = { "Content-Length: " .. #BODY }
    for i = 1, 60 do lines[#lines + 1] = "X-" .. i .. ": y" end
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(request(lines, BODY))
    local _, rid = pair.device:request()
    pair.device:answer(rid, 200, "1")
    assert.equal(200, http.read(wire).status)
    wire:close()
    table.insert(lines, "X-61: y")
    refused(431, request(lines, BODY))
  end)

  it("53 answers a target over 8 KiB with 414", function()
    local length = { "Content-Length: " .. #BODY }
    local function target(n)
      return TARGET .. "&x=" .. ("y"):rep(n - #TARGET - 3)
    end
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(request(length, BODY, target(8192)))
    local _, rid = pair.device:request()
    pair.device:answer(rid, 200, "1")
    assert.equal(200, http.read(wire).status)
    wire:close()
    refused(414, request(length, BODY, target(8193)))
    refused(414, request(length, BODY, target(100000)))
    refused(414, "POST /" .. ("y"):rep(100000))
    refused(400, ("P"):rep(100000))
  end)

  it("53 answers a body over the cap before it is sent", function()
    for _, lines in ipairs { { "Content-Length: 1048577" },
      { "Content-Length: 10485760", "Expect: 100-continue" } } do
      local wire = wires.connect(pair.hub:ports().https)
      wire:send(request(lines, ""))
      assert.equal(413, http.read(wire).status)
      assert.is_true(wire:wait_closed())
      wire:close()
    end
    refused(413, chunks("100001\r\n"))
    refused(413, chunks("80000\r\n" .. ("x"):rep(0x80000) .. "\r\n80001\r\n"))
  end)

  it("53 reads a body up to the cap", function()
    local wire = wires.connect(pair.hub:ports().https)
    local registry = "Authorization: " .. fixture.service_token(pair.hub, "iothubowner")
    wire:send(http.request {
      target = "/devices?api-version=" .. fixture.NEW,
      headers = { registry },
      body = (" "):rep(1048576),
    })
    assert.equal(400, http.read(wire).status)
    wire:close()
  end)

  it("60 wants one Host, and no more", function()
    for _, hosts in ipairs { {}, { "Host: localhost", "Host: localhost" },
      { "Host: a", "host: b" } } do
      local lines = { token, "Content-Type: application/json",
        "Content-Length: " .. #BODY, table.unpack(hosts) }
      refused(400, http.request {
        bare = true, target = TARGET, headers = lines, body = BODY,
      })
    end
  end)

  it("53 answers another Expect with 417", function()
    refused(417, request({ "Expect: 200-ok", "Content-Length: 2" }, "{}"))
  end)

  it("splits at every position without a difference", function()
    local wire = wires.connect(pair.hub:ports().https)
    local payload = '"payload":{"a":[1,2,"x"]}'
    local plain = callers.body(payload)
    local forms = {
      request({ "Content-Length: " .. #plain }, plain),
      chunks(("7;x\r\n%s\r\n%x\r\n%s\r\n0\r\nT: 1\r\n\r\n"):format(
        plain:sub(1, 7), #plain - 7, plain:sub(8))),
    }
    for _, bytes in ipairs(forms) do
      for at = 1, #bytes - 1 do
        wire:send(bytes:sub(1, at))
        wire:send(bytes:sub(at + 1))
        local _, rid, seen = pair.device:request()
        assert.equal('{"a":[1,2,"x"]}', seen)
        pair.device:answer(rid, 200, tostring(at))
        assert.equal(('{"status":200,"payload":%d}'):format(at), http.read(wire).body)
      end
      wire:trickle(bytes)
      local _, rid = pair.device:request()
      pair.device:answer(rid, 200, "0")
      assert.equal('{"status":200,"payload":0}', http.read(wire).body)
    end
    wire:close()
  end)
end)
