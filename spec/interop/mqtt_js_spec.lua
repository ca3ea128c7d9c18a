--- mqtt.js, without an SDK above it, as a device: over TCP and WebSockets, with TLS and
-- without.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local stage = require "spec.interop.stage"

local PATIENCE = 60 -- seconds for a program of Node to connect

local WEBSOCKET = "$iothub/websocket"

describe("mqtt.js", function()
  local hub

  after_each(function() fixture.finish(hub) end)

  -- The program's output, a JSON document.
  local function node(config)
    if hub:ca_file() then config.ca = stage.ca(hub) end
    local result = assert(dm.exec({ "node", "spec/interop/mqtt_js.js",
      dm.json.encode(config) }, { timeout = PATIENCE }))
    assert(result.status == 0, result.stderr)
    return assert(dm.json.decode(result.stdout))
  end

  -- What the device saw, and the answer to the call it got.
  local function visit(url)
    hub:add_device "d"
    local login = fixture.connect_fields(hub, "d")
    local program = dm.spawn(node, {
      url = url, clientId = login.client_id, username = login.username,
      password = login.password,
    })
    local service <close> = hub:service()
    local reply = assert(service:invoke("d", "echo", { n = 1 },
      { connect_timeout = PATIENCE }))
    return program:await(), reply
  end

  for _, each in ipairs {
    { "mqtts", "mqtt", "", tls = true },
    { "mqtt", "mqtt", "", tls = false },
    { "wss", "https", "/" .. WEBSOCKET, tls = true },
    { "ws", "https", "/" .. WEBSOCKET, tls = false },
    { "wss", "https", "/" .. WEBSOCKET .. "?iothub-no-client-cert=true", tls = true },
  } do
    local scheme, listener, path = table.unpack(each)
    it(("answers a call over %s, path %q (C13, D01, C26)"):format(scheme, path),
      function()
        hub = fixture.hub { tls = each.tls }
        local seen, reply = visit(("%s://localhost:%d%s"):format(scheme,
          hub:ports()[listener], path))
        assert.same({ connack = 0, granted = { 0 },
          topic = "$iothub/methods/POST/echo/?$rid=1" }, seen)
        assert.same({ 201, { n = 1 } }, { reply.status, reply.payload })
        local message = hub:messages()[1]
        assert.same({ "done", { a = "b" } }, { message.body, message.properties })
      end)
  end
end)
