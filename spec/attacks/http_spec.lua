-- Attacks 47 and 55 to 59: well-framed requests that want more than they may.

local callers = require "spec.support.callers"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

local VERSION = "?api-version=" .. fixture.NEW
local TARGET = "/twins/dev1/methods" .. VERSION
local body = callers.body

describe("the service's HTTP side under attack", function()
  local pair

  setup(function() pair = callers.pair() end)

  after_each(function() assert.equal(200, pair:call().status) end)

  teardown(function() pair:finish() end)

  local function unauthorized(o)
    local before = pair.hub:counters().http_unauthorized
    local reply = pair:refused(o)
    callers.is_error_e(reply, 401, "IotHubUnauthorizedAccess", "Unauthorized")
    assert.equal(before + 1, pair.hub:counters().http_unauthorized)
  end

  it("47 refuses what is no token", function()
    local token = fixture.service_token(pair.hub)
    for _, text in ipairs { "", "x", "Bearer x", "SharedAccessSignature",
      "SharedAccessSignature ", token:lower(), token:gsub("^S", "s"),
      (token:gsub(" ", "  ", 1)), (token:gsub(" ", "\t\t", 1)), token .. "&x=y z",
      token:sub(1, -2), token .. token, token .. ", " .. token,
      "SharedAccessSignature " .. ("x"):rep(9000),
      token .. "&x=" .. ("y"):rep(9000) } do
      unauthorized { token = text }
    end
  end)

  it("47 refuses two Authorization fields", function()
    local token = "Authorization: " .. fixture.service_token(pair.hub)
    unauthorized { headers = { token } }
    unauthorized { headers = { "Authorization: x" } }
    unauthorized { token = "x", headers = { token } }
    unauthorized { headers = { token, token } }
    unauthorized { token = false }
  end)

  it("47 answers a header block over the cap with 431", function()
    local reply = pair:refused { token = "SharedAccessSignature " .. ("x"):rep(16384) }
    assert.equal(431, reply.status)
  end)

  it("47 knows that blanks around a value are not part of it", function()
    local token = fixture.service_token(pair.hub)
    assert.equal(200, pair:call({ token = " \t" .. token .. " \t" }).status)
  end)

  -- The reply to a request of these bytes, on a connection of its own.
  local function raw(text)
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(text)
    local reply = assert(http.read(wire))
    wire:close()
    return reply
  end

  local function status_of(method, target)
    return raw(http.request { method = method, target = target }).status
  end

  it("55 takes no form of target but the origin's", function()
    assert.equal(400, status_of("POST", "http://localhost" .. TARGET))
    assert.equal(400, status_of("POST", "https://localhost" .. TARGET))
    assert.equal(400, status_of("POST", "*"))
    assert.equal(400, status_of("OPTIONS", "*"))
    assert.equal(400, status_of("CONNECT", "localhost:443"))
    assert.equal(400, status_of("CONNECT", TARGET))
    assert.equal(405, status_of("TRACE", TARGET))
    assert.equal(405, status_of("TRACE", "/twins/%0d%0aX-Evil:1/methods"))
    assert.equal(505, raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status)
  end)

  local function missing(target)
    callers.is_error(pair:refused { target = target .. VERSION }, 404001,
      "DeviceNotFound", nil, {})
  end

  it("56 decodes ids once and takes them as they are", function()
    for _, id in ipairs { "dev%2f1", "dev%252f1", "dev1%00", "%64ev1%20", "DEV1",
      "%2e%2e", "..", "dev1;x=y", "dev1%2fmethods", "%2e%2e%2fdev1",
      "dev1%0d%0aX-Evil:%201", "%ff", "*", "dev%31%2531" } do
      missing("/twins/" .. id .. "/methods")
    end
    local reply = pair:call { target = "/%74wins/%64ev%31/method%73/" .. VERSION }
    assert.equal(200, reply.status)
  end)

  it("56 refuses escapes that are none", function()
    for _, id in ipairs { "dev1%", "dev1%2", "dev%zz1", "%%31" } do
      local target = "/twins/" .. id .. "/methods" .. VERSION
      callers.is_error_e(pair:refused { target = target }, 400, "ArgumentInvalid",
        "BadRequest")
    end
  end)

  it("56 knows no other spelling of the path", function()
    for _, path in ipairs { "//twins/dev1/methods", "/twins//dev1/methods",
      "/twins/dev1//methods", "/twins/dev1/methods/x", "/twins/dev1/methods;x",
      "/twins/./dev1/methods", "/x/../twins/dev1/methods", "/a/b/c/d/e/f/g/h/i/j",
      "/", "/twins" } do
      local reply = pair:refused { target = path .. VERSION }
      assert.equal(404, reply.status, path)
    end
    for _, path in ipairs { "/twins/dev1/methods//", "/twins//methods" } do
      assert.equal(404, pair:refused({ target = path .. VERSION }).status, path)
    end
  end)

  it("56 refuses an api-version that is there twice", function()
    for _, query in ipairs { VERSION .. "&api-version=" .. fixture.NEW,
      VERSION .. "&api-version=", "?api-version=&api-version=" .. fixture.NEW,
      "?api%2Dversion=" .. fixture.NEW, "?;api-version=" .. fixture.NEW } do
      callers.is_error_e(pair:refused { target = "/twins/dev1/methods" .. query }, 400,
        "InvalidProtocolVersion", "BadRequest")
    end
    local target = TARGET .. "&x=1&x=2&&=&api-versio=1"
    assert.equal(200, pair:call({ target = target }).status)
  end)

  -- The names of the header fields of a reply, ordered.
  local function field_names(reply)
    local names = {}
    for name in pairs(reply.headers) do names[#names + 1] = name end
    table.sort(names)
    return names
  end

  it("57 echoes a request's id as it is, or not at all", function()
    local plain = pair:call { headers = { "Request-Id: x" } }
    local reply = pair:call { headers = { "Request-Id: a%0d%0aX-Evil: 1" } }
    assert.equal("a%0d%0aX-Evil: 1", reply.headers["request-id"])
    assert.same(field_names(plain), field_names(reply))
    local long = ("x"):rep(257)
    reply = pair:call { headers = { "Request-Id: " .. long } }
    assert.is_nil(reply.headers["request-id"])
    assert.equal(200, reply.status)
    for _, id in ipairs { "a\rX-Evil: 1", "a\nX-Evil: 1", "a\0b" } do
      reply = pair:refused { headers = { "Request-Id: " .. id } }
      assert.equal(400, reply.status)
      assert.is_nil(reply.headers["x-evil"])
      assert.is_nil(reply.headers["request-id"])
    end
  end)

  it("57 puts nothing of a path into the header block", function()
    local token = fixture.service_token(pair.hub, "iothubowner")
    local plain = pair:refused { target = "/devices/none" .. VERSION, method = "GET",
      token = token, body = "" }
    for _, method in ipairs { "GET", "PUT", "DELETE" } do
      for _, id in ipairs { "a%0d%0aX-Evil:%201", "a%0aX-Evil:%201" } do
        local reply = pair:refused {
          target = "/devices/" .. id .. VERSION, method = method, token = token,
          body = "{}",
        }
        assert.is_true(reply.status == 400 or reply.status == 404)
        assert.same(field_names(plain), field_names(reply))
      end
    end
  end)

  it("58 takes JSON in UTF-8 alone", function()
    local wire = wires.connect(pair.hub:ports().https)
    for kind, status in pairs {
      ["application/json"] = 400, -- it was read, and is no object
      ["Application/JSON; Charset=\"UTF-8\""] = 400,
      ["application/json ; x=y ;charset=utf-8"] = 400,
      ["application/json; charset=utf-16"] = 415,
      ["application/json; charset=iso-8859-1"] = 415,
      ["application/json; charset=utf-8; charset=utf-16"] = 415,
      ["application/jsonx"] = 415,
      ["text/plain"] = 415,
      ["application/x-www-form-urlencoded"] = 415,
      ["multipart/form-data; boundary=x"] = 415,
      [""] = 415,
    } do
      wire:send(http.request {
        target = TARGET,
        headers = {
          "Authorization: " .. fixture.service_token(pair.hub),
          "Content-Type: " .. kind,
        },
        body = "[]",
      })
      assert.equal(status, http.read(wire).status, kind)
    end
    wire:close()
  end)

  it("58 takes no body without a type", function()
    for text, status in pairs { ['{"methodName":"m"}'] = 415, [""] = 400 } do
      local reply = http.exchange(pair.hub:ports().https, {
        target = TARGET, body = text, untyped = true,
        headers = { "Authorization: " .. fixture.service_token(pair.hub) },
      })
      assert.equal(status, reply.status, text)
    end
  end)

  it("58 inflates nothing", function()
    local bomb = "\x1f\x8b\x08\0\0\0\0\0\0\xff" .. ("\0"):rep(1000)
    callers.is_error(pair:refused {
      headers = { "Content-Encoding: gzip" }, body = bomb,
    }, 415000, "GenericUnsupportedMediaType")
    callers.is_argument_error(pair:refused { body = bomb })
  end)

  it("59 refuses what is not JSON", function()
    local bad = { "NaN", "Infinity", "-", "01", "1.", ".5", "+1", "0x1", "1e", "[1,]",
      '{"a":1,}', "[1 2]", "/* */ 1", "1 // x", "'x'", '"\1"', '"\t"', '"\n"',
      '"\\x"', '"\\u12g4"', '"\\u12"', '"\xff"', '"\xc0\x80"', '"\xed\xa0\x80"',
      '"\xf4\x90\x80\x80"', '"\xe2\x82"', "tru", "nulll", '{"a"}', "{1:2}", "\0" }
    for _, payload in ipairs(bad) do
      callers.is_argument_error(pair:refused { body = body('"payload":' .. payload) })
    end
    for _, text in ipairs { "\xef\xbb\xbf" .. body(), body() .. "x", body() .. body(),
      body() .. "\0", "\xff\xfe{\0}\0" } do
      callers.is_argument_error(pair:refused { body = text })
    end
  end)

  it("59 takes a payload 64 deep and not deeper", function()
    local function deep(n)
      return body('"payload":' .. ("["):rep(n) .. ("]"):rep(n))
    end
    assert.equal(200, pair:call({ body = deep(64) }).status)
    for _, n in ipairs { 65, 66, 1000, 60000 } do
      callers.is_argument_error(pair:refused { body = deep(n) })
    end
    callers.is_argument_error(pair:refused { body = ("["):rep(130000) })
    callers.is_argument_error(pair:refused {
      body = body(('"x":{"a":'):rep(100) .. "1" .. ("}"):rep(100)),
    })
  end)

  it("59 refuses a member of its own that is there twice", function()
    for _, more in ipairs { '"methodName":"reboot"', [["method\u004eame":"x"]],
      '"payload":1,"payload":1', [["payload":1,"p\u0061yload":2]],
      '"responseTimeoutInSeconds":30,"responseTimeoutInSeconds":30',
      '"connectTimeoutInSeconds":null,"connectTimeoutInSeconds":0' } do
      callers.is_argument_error(pair:refused { body = body(more) })
    end
  end)

  it("59 does not read 10 MB", function()
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(http.request {
      target = TARGET,
      bare = true,
      headers = { "Host: localhost", "Content-Length: 10485760" },
    })
    assert.equal(413, http.read(wire).status)
    wire:close()
  end)

  it("59 answers in JSON whatever was sent", function()
    local reply = pair:refused { body = '{"methodName":"a\\"}\xff' }
    local inner = fixture.error_m(reply)
    assert.equal(400004, inner.errorCode)
    assert.truthy(dm.json.decode(pair:refused({ method = "GET" }).body))
  end)
end)
