-- The ports of a hub: shared with other hubs, and how many connections they take.

local core = require "directmethods.core"
local dm = require "directmethods"

local LUA = os.getenv("LUA") or "lua5.4"

local function hub(options)
  options.tls = false
  return dm.hub(options)
end

describe("reuse_port", function()
  it("lets hubs share the ports of MQTT and HTTPS", function()
    local first <close> = assert(hub { reuse_port = true })
    local ports = first:ports()
    local second <close> = assert(hub { reuse_port = true, mqtt_port = ports.mqtt,
      https_port = ports.https })
    assert.same(ports, second:ports())
  end)

  it("gives each connection to one of the hubs", function()
    local first <close> = assert(hub { reuse_port = true })
    local ports = first:ports()
    local second <close> = assert(hub { reuse_port = true, mqtt_port = ports.mqtt,
      https_port = ports.https })
    first:stop(0)
    local device <close> = second:device("dev1", {
      hello = function() return 200, "hi" end,
    })
    assert(device:connect())
    local service <close> = second:service()
    assert.equal("hi", assert(service:invoke("dev1", "hello")).payload)
  end)

  it("must be set at both hubs", function()
    local first <close> = assert(hub { reuse_port = true })
    local none, err = hub { mqtt_port = first:ports().mqtt }
    assert.is_nil(none)
    assert.matches("^mqtt_port: listen on 127.0.0.1:%d+: address already in use",
      err.message)
  end)

  it("does not share the admin listener", function()
    local first <close> = assert(hub { reuse_port = true, admin_port = 0 })
    local none, err = hub { reuse_port = true, admin_port = first:ports().admin }
    assert.is_nil(none)
    assert.matches("^admin_port: .*address already in use", err.message)
  end)
end)

describe("the limit of connections", function()
  local MOST = 200000

  local function limit_of(a_hub)
    return a_hub.state.plane:limits().connections
  end

  it("is what `ulimit -n` allows, at most 200,000", function()
    local here <close> = hub {}
    assert.equal(math.min(core.descriptors(), MOST), limit_of(here))
    local run = assert(dm.exec { "sh", "-c", 'ulimit -n 300 && exec "$@"', "sh", LUA,
      "-e",
      "local hub <close> = require('directmethods').hub { tls = false } "
        .. "print(hub.state.plane:limits().connections)" })
    assert.equal("300\n", run.stdout, run.stderr)
  end)

  it("is limits.connections where that is given", function()
    local few <close> = hub { limits = { connections = 7 } }
    assert.equal(7, limit_of(few))
  end)
end)
