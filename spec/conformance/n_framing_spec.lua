-- Checklist N: bytes that other tools refuse, too (docs/protocol.md 13.1, 13.6).

local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"

describe("framing", function()
  local hub

  before_each(function()
    hub = fixture.hub { admin_port = 0 }
    hub:add_device "d"
  end)

  after_each(function() fixture.finish(hub) end)

  -- The answer to a query whose one chunk has this behind its size.
  local function query(rest)
    local body = '{"query":"SELECT * FROM devices"}'
    return assert(http.exchange(hub:ports().https, {
      bare = true,
      target = "/devices/query?api-version=" .. fixture.NEW,
      headers = {
        "Host: localhost", "Content-Type: application/json",
        "Authorization: " .. fixture.service_token(hub),
        "Transfer-Encoding: chunked",
      },
      body = ("%x%s\r\n%s\r\n0\r\n\r\n"):format(#body, rest, body),
    }))
  end

  it("N01 of chunks has extensions with names", function()
    for _, rest in ipairs { "", ";a", ";a=b", ';a="b;c"', " ; a = b;c" } do
      assert.equal(200, query(rest).status, rest)
    end
    for _, rest in ipairs { ";", ";;", "; a b", ';a="', ";\x80", ";a;", ";=b" } do
      local reply = query(rest)
      assert.equal(400, reply.status, rest)
      assert.equal("close", reply.headers.connection)
    end
  end)

  it("N02 of filters has no control characters", function()
    local function answer(packet)
      local device = fixture.device(hub, "d", { subscribe = false })
      device:send(packet)
      local found, why = device:read()
      device:close()
      return found and found.type or why
    end
    local function filter(text) return "$iothub/methods/POST/" .. text end
    for _, bad in ipairs { "\1", "\t", "\x1f", "\x7f", "\u{80}", "\u{9f}" } do
      assert.equal("closed", answer(mqtt.subscribe({ { filter(bad), 0 } }, 1)))
      assert.equal("closed", answer(mqtt.unsubscribe({ filter(bad) }, 1)))
    end
    assert.equal(9, answer(mqtt.subscribe({ { filter "\u{a0}", 0 } }, 1)))
    assert.equal(11, answer(mqtt.unsubscribe({ filter "\u{a0}" }, 1)))
  end)

  it("N03 of Host names this machine to the end", function()
    local function status(host)
      return http.exchange(hub:ports().admin, {
        bare = true, method = "GET", target = "/healthz",
        headers = { "Host: " .. host },
      }).status
    end
    assert.equal(200, status "[::1]")
    assert.equal(200, status "localhost:80")
    for _, host in ipairs { "[::1].evil.com", "localhost.evil.com",
      "127.0.0.1.evil.com", "[::1]:80.evil.com", "evil.com" } do
      assert.equal(403, status(host), host)
    end
  end)
end)
