-- Checklist A, the service's HTTP side: paths, versions, headers and connections.
-- a_service_call_spec.lua has what stands in the body of a call.

local callers = require "spec.support.callers"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

local PATH = "/twins/dev1/methods"

describe("the service's HTTP side", function()
  local pair

  setup(function() pair = callers.pair() end)

  teardown(function() pair:finish() end)

  it("A01 answers a call with what the device answered", function()
    local reply, payload, method = pair:call { answer = '{"a":1}' }
    assert.equal(200, reply.status)
    assert.equal('{"status":200,"payload":{"a":1}}', reply.body)
    assert.equal("application/json; charset=utf-8", reply.headers["content-type"])
    assert.equal(tostring(#reply.body), reply.headers["content-length"])
    assert.same({ "reboot", "" }, { method, payload })
  end)

  it("A02 takes the path with a slash at its end", function()
    local reply = pair:call { slash = true, answer = '{"a":1}' }
    assert.equal(200, reply.status)
    assert.equal('{"status":200,"payload":{"a":1}}', reply.body)
  end)

  it("A03 is 200 whatever the device's status is", function()
    for _, status in ipairs { 404, 299, 400, 1001 } do
      local reply = pair:call { status = status, answer = '"x"' }
      assert.equal(200, reply.status)
      assert.equal(('{"status":%d,"payload":"x"}'):format(status), reply.body)
      assert.is_nil(reply.headers["iothub-errorcode"])
    end
  end)

  it("A04 refuses a request without api-version", function()
    for _, target in ipairs { PATH, PATH .. "?", PATH .. "?api-version",
      PATH .. "?api-version=", PATH .. "?version=2021-04-12" } do
      callers.is_error_e(pair:refused { target = target }, 400,
        "InvalidProtocolVersion", "BadRequest")
    end
  end)

  it("A04 judges the version before the token", function()
    callers.is_error_e(pair:refused { target = PATH, token = false }, 400,
      "InvalidProtocolVersion", "BadRequest")
  end)

  it("A05 refuses an api-version that is no date", function()
    for _, version in ipairs { "2018-06", "2018-06-3", "2018-06-300", "2018/06/30",
      "20180630", "2018-06-30-Preview", "2018-06-30-preview2", "2018-06-30%20",
      "x018-06-30", "latest", "2018-13-30", "2018-06-00", "2018-06-32" } do
      callers.is_error_e(pair:refused { version = version }, 400,
        "InvalidProtocolVersion", "BadRequest")
    end
  end)

  it("A06 accepts the versions that clients send", function()
    for _, version in ipairs { "2016-09-30-preview", "2016-11-14", "2017-06-30",
      "2018-06-30", "2019-10-01", "2020-09-30", "2021-04-12", "2024-03-31" } do
      assert.equal(200, pair:call({ version = version }).status)
    end
  end)

  it("A07 takes POST alone on a method path", function()
    for _, method in ipairs { "GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS" } do
      local reply = pair:refused { method = method }
      assert.equal(405, reply.status)
      assert.equal(('{"Message":"The requested resource does not support http '
        .. "method '%s'.\"}"):format(method), reply.body)
      assert.equal("POST", reply.headers.allow)
    end
  end)

  it("A07 sends the head alone for HEAD", function()
    local wire = pair:send { method = "HEAD", body = "" }
    local head = assert(wire:read_to("\r\n\r\n"))
    assert.matches("^HTTP/1%.1 405 ", head)
    assert.is_true(wire:stays_quiet())
    assert.equal(200, pair:call({ wire = wire }).status)
    wire:close()
  end)

  it("A08 decodes the ids of the path once", function()
    local device, other = pair:add("a+b#c%d"), pair:add("a%2Bb")
    local reply = pair:call { device = "a%2Bb%23c%25d", at = device, answer = "1" }
    assert.equal('{"status":200,"payload":1}', reply.body)
    reply = pair:call { device = "a%252Bb", at = other, answer = "2" }
    assert.equal('{"status":200,"payload":2}', reply.body)
    callers.is_error(pair:refused { device = "a%2Bb" }, 404001, "DeviceNotFound",
      nil, {})
    device:close()
    other:close()
  end)

  it("A28 echoes the ids of a request and gives it one of its own", function()
    local reply = pair:call {
      headers = { "Request-Id: my-1", "x-ms-client-request-id: {my 2}" },
    }
    assert.equal("my-1", reply.headers["request-id"])
    assert.equal("{my 2}", reply.headers["x-ms-client-request-id"])
    assert.matches(callers.GUID, reply.headers["x-ms-request-id"])
    local plain = pair:call()
    assert.is_nil(plain.headers["request-id"])
    assert.is_nil(plain.headers["x-ms-client-request-id"])
    assert.matches(callers.GUID, plain.headers["x-ms-request-id"])
    assert.not_equal(reply.headers["x-ms-request-id"], plain.headers["x-ms-request-id"])
  end)

  it("A28 echoes them in errors too", function()
    local reply = pair:refused { token = false, headers = { "Request-Id: my-1" } }
    assert.equal(401, reply.status)
    assert.equal("my-1", reply.headers["request-id"])
    assert.matches(callers.GUID, reply.headers["x-ms-request-id"])
  end)

  it("A29 says 100 before a large body is sent", function()
    local payload = callers.json_of(100000)
    local body = callers.body('"payload":' .. payload)
    local bytes = http.request {
      target = PATH .. "?api-version=" .. fixture.NEW,
      headers = {
        "Authorization: " .. fixture.service_token(pair.hub),
        "Expect: 100-continue",
      },
      body = body,
    }
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(bytes:sub(1, -#body - 1))
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", wire:read_to("\r\n\r\n"))
    assert.is_true(wire:stays_quiet())
    wire:send(body)
    local _, rid, seen = pair.device:request()
    assert.is_true(seen == payload)
    pair.device:answer(rid, 200, "{}")
    assert.equal(200, http.read(wire).status)
    wire:close()
  end)

  it("A30 gives each of many callers its own answer", function()
    local waiting, rids = {}, {}
    for i = 1, 50 do
      local body = callers.body('"payload":' .. i)
      waiting[i], rids[i] = pair:pending { body = body }
    end
    for i = 50, 1, -1 do pair.device:answer(rids[i], 200 + i, tostring(i)) end
    for i = 1, 50 do
      assert.equal(('{"status":%d,"payload":%d}'):format(200 + i, i),
        http.read(waiting[i]).body)
      waiting[i]:close()
    end
  end)

  it("A31 forgets a call whose caller went away", function()
    local before = pair.hub:counters()
    local wire, rid = pair:pending()
    wire:close()
    assert.is_true(wires.turn_until(function()
      return pair.hub:counters().http_gone == before.http_gone + 1
    end))
    pair.device:answer(rid, 200, "1")
    assert.is_true(wires.turn_until(function()
      return pair.hub:counters().response_unknown_rid == before.response_unknown_rid + 1
    end))
    assert.equal('{"status":200,"payload":2}', pair:call({ answer = "2" }).body)
  end)

  it("A32 keeps a connection over calls and errors", function()
    local wire = wires.connect(pair.hub:ports().https)
    local function status(o)
      o.wire = wire
      return pair:refused(o).status
    end
    for _ = 1, 3 do
      assert.equal(200, pair:call({ wire = wire }).status)
      assert.equal(400, status { version = "x" })
      assert.equal(400, status { body = "[]" })
      assert.equal(401, status { token = false })
      assert.equal(404, status { device = "nobody" })
      assert.equal(404, status { target = "/no/route?api-version=" .. fixture.NEW })
      assert.equal(405, status { method = "GET" })
      assert.equal(415, status { headers = { "Content-Encoding: gzip" } })
    end
    assert.is_true(wire:stays_quiet())
    wire:close()
  end)

  it("A35 takes a body without a coding only", function()
    for _, coding in ipairs { "identity", "utf-8", "UTF-8", "Identity" } do
      local o = { headers = { "Content-Encoding: " .. coding } }
      assert.equal(200, pair:call(o).status)
    end
    for _, coding in ipairs { "gzip", "deflate", "br", "identity, gzip", "utf-16" } do
      callers.is_error(pair:refused { headers = { "Content-Encoding: " .. coding } },
        415000, "GenericUnsupportedMediaType")
    end
  end)

  it("A36 names and types each answer", function()
    local seen = {}
    for _ = 1, 2 do
      local reply = pair:call()
      assert.matches('^"[%x%-]+"$', reply.headers.etag)
      assert.matches(callers.GUID, reply.headers["x-ms-request-id"])
      assert.equal("application/json; charset=utf-8", reply.headers["content-type"])
      assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$",
        reply.headers.date)
      assert.is_nil(reply.headers["retry-after"])
      assert.is_nil(reply.headers.connection)
      table.insert(seen, reply.headers.etag)
    end
    assert.not_equal(seen[1], seen[2])
  end)
end)
