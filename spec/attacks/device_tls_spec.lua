-- Case 64 of README.md for the device: it connects to no hub that cannot show who it
-- is, and a token never reaches one, unless the user asked for that; over MQTT and
-- WebSockets.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local pem = require "spec.support.pem"
local proxy = require "spec.support.proxy"
local server_pem = require "spec.support.server_pem"
local wire = require "spec.support.wire"

local DAY = 86400

for _, way in ipairs { { "mqtt" }, { "websocket" }, { "mqtt", "uv" } } do
  local transport, engine = way[1], way[2]
  describe("64 the device over " .. table.concat(way, ", engine "), function()
    local authority = server_pem.authority "one"
    local other = server_pem.authority "another"
    local hub

    local function serve(certificate, opts)
      local o = { tls = { cert = certificate.cert, key = certificate.key,
        ca = authority.cert } }
      for k, v in pairs(opts or {}) do o[k] = v end
      hub = fixture.hub(o)
      assert(hub:add_device("dev1"))
    end

    after_each(function() fixture.finish(hub) end)

    local function connect(tls, host, gateway)
      local device = dm.device {
        host_name = host or "localhost", gateway_host_name = gateway,
        device_id = "dev1", key = fixture.key(hub, "dev1"), transport = transport,
        engine = engine,
        port = transport == "mqtt" and hub:ports().mqtt or hub:ports().https, tls = tls,
        reconnect = { min = 60, jitter = 0 },
      }
      local task = dm.spawn(device.connect, device, 20)
      assert(dm.wait_until(function()
        return task:ended() or device.state == "backoff"
      end, 10))
      local state, last = device.state, device.last_error
      device:close()
      task:await(5)
      assert.is_true(device:closed(10))
      return state, last
    end

    local function trusted(tls, host, gateway)
      assert.equal("online", (connect(tls, host, gateway)))
    end

    -- It gave up at once, or it goes on ("backoff") where time may mend it.
    local function refused(why, tls, host, gateway, expected)
      local before = hub:counters().connects
      local state, err = connect(tls, host, gateway)
      assert.equal(expected or "idle", state)
      assert.equal("TlsFailed", err.name, err.message)
      if not expected then why = "certificate verify failed: .*" .. why end
      assert.matches("^connect to %S+: TLS handshake: " .. why, err.message)
      assert.equal(before, hub:counters().connects)
    end

    local OURS = { ca = authority.cert }
    local ANY = { verify = false }

    it("trusts a certificate of its authority for its host name", function()
      serve(server_pem.server(authority, "DNS:localhost"))
      trusted(OURS)
      trusted { ca = authority.cert .. other.cert }
      trusted { ca = other.cert .. authority.cert }
    end)

    local function for_localhost(life)
      return server_pem.server(authority, "DNS:localhost", { life = life })
    end

    local WRONG = {
      ["of another authority"] = { "issuer", function()
        return server_pem.server(other, "DNS:localhost")
      end },
      ["that has expired"] = { "expired", function()
        return for_localhost { -2 * DAY, -60 }
      end },
      -- this machine's clock may be behind
      ["that is not valid yet"] = { "the server's certificate begins at ", function()
        return for_localhost { DAY, 2 * DAY }
      end, "backoff" },
      ["signed by itself"] = { "self%-signed", function()
        return server_pem.server(nil, "DNS:localhost")
      end },
      ["for clients"] = { "purpose", function()
        return server_pem.server(authority, "DNS:localhost", { usage = "clientAuth" })
      end },
    }

    for what, case in pairs(WRONG) do
      local why, make, state = table.unpack(case)
      it("refuses a certificate " .. what .. ", unless verify is false", function()
        serve(make())
        refused(why, OURS, nil, nil, state)
        refused(why, { ca = authority.cert, verify = true }, nil, nil, state)
        trusted(ANY)
      end)
    end

    it("refuses what the system does not know", function()
      serve(server_pem.server(authority, "DNS:localhost"))
      refused("issuer", true)
      refused("issuer", nil)
      refused("issuer", { ca = other.cert })
      trusted { ca = other.cert, verify = false }
    end)

    it("refuses a certificate for another host name, unless verify is false", function()
      serve(server_pem.server(authority,
        "DNS:localhost.example, DNS:ocalhost, DNS:*.localhost, IP:127.0.0.1"))
      refused("hostname mismatch", OURS)
      trusted(ANY)
    end)

    it("wants an address in the certificate when it connects to one", function()
      serve(server_pem.server(authority, "DNS:localhost, IP:127.0.0.2"),
        { hostname = "127.0.0.1" })
      refused("IP address mismatch", OURS, "127.0.0.1")
      fixture.finish(hub)
      serve(server_pem.server(authority, "IP:127.0.0.1"), { hostname = "127.0.0.1" })
      trusted(OURS, "127.0.0.1")
    end)

    it("wants the gateway's name when it connects to one, not the hub's", function()
      serve(server_pem.server(authority, "DNS:hub.test"), { hostname = "hub.test" })
      refused("hostname mismatch", OURS, "hub.test", "localhost")
      fixture.finish(hub)
      serve(server_pem.server(authority, "DNS:localhost"), { hostname = "hub.test" })
      trusted(OURS, "hub.test", "localhost")
    end)

    it("is closed, or gives up, while it asks for a certificate", function()
      serve(server_pem.server(authority, "DNS:elsewhere"))
      for _, how in ipairs { "close", "time" } do
        local line = proxy.new(transport == "mqtt" and hub:ports().mqtt
          or hub:ports().https)
        local device = dm.device {
          host_name = "localhost", device_id = "dev1", key = fixture.key(hub, "dev1"),
          transport = transport, port = line.port, tls = OURS,
        }
        local connecting = dm.spawn(device.connect, device, how == "time" and 2 or 20)
        assert.is_true(wire.turn_until(function() return line.accepted == 2 end))
        line:stall()
        if how == "close" then device:close() end
        local ok, err = proxy.await(connecting)
        assert.is_nil(ok)
        assert.equal(how == "close" and "Closed" or "Timeout", err.name)
        device:close()
        assert.is_true(device:closed(10))
        line:close()
      end
    end)

    it("reads its authorities from a file, too", function()
      serve(server_pem.server(authority, "DNS:localhost"))
      pem.with_file(authority.cert, function(path) trusted { ca = path } end)
      pem.with_file(other.cert, function(path) refused("issuer", { ca = path }) end)
    end)

    it("does not fall back to plain, nor from plain to TLS", function()
      serve(server_pem.server(authority, "DNS:localhost"))
      assert.not_equal("online", (connect(false)))
      local plain = fixture.hub()
      local line = proxy.new(plain:ports().mqtt)
      local device = dm.device {
        host_name = "localhost", device_id = "dev1", key = fixture.key(hub, "dev1"),
        transport = transport, port = line.port, tls = OURS,
      }
      local ok, err = proxy.await(dm.spawn(device.connect, device, 2))
      assert.is_nil(ok)
      assert.is_truthy(err.name == "TlsFailed" or err.name == "ConnectFailed", err.name)
      device:close()
      assert.is_true(device:closed(10))
      line:close()
      assert.equal(0, plain:counters().connects + plain:counters().connect_refused)
      fixture.finish(plain)
    end)
  end)
end
