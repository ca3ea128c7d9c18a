-- Case 64 of README.md for the service: it talks to no hub that cannot show who it is,
-- and a token never reaches one, unless the user asked for that.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local pem = require "spec.support.pem"
local server_pem = require "spec.support.server_pem"

local DAY = 86400

describe("64 the service", function()
  local authority = server_pem.authority "one"
  local other = server_pem.authority "another"
  local hub

  local function serve(certificate, opts)
    local o = { tls = { cert = certificate.cert, key = certificate.key,
      ca = authority.cert } }
    for k, v in pairs(opts or {}) do o[k] = v end
    hub = fixture.hub(o)
  end

  after_each(function() fixture.finish(hub) end)

  -- One call; the error's name: the hub's own once it is trusted.
  local function call(tls, host)
    local key = fixture.key(hub, "service")
    local service <close> = assert(dm.service {
      connection_string = ("HostName=%s;SharedAccessKeyName=service;"
        .. "SharedAccessKey=%s"):format(host or "localhost", key),
      connect_host = "127.0.0.1", port = hub:ports().https, tls = tls,
    })
    local reply, err = service:invoke("nobody", "m", nil, { retry = true })
    assert.is_nil(reply)
    return err
  end

  local function trusted(tls, host)
    assert.equal("DeviceNotFound", call(tls, host).name)
  end

  local function refused(tls, host)
    local before = hub:counters().http_requests
    local err = call(tls, host)
    assert.equal("TlsFailed", err.name, err.message)
    assert.matches("^connect to .+: TLS: ", err.message)
    assert.is_false(err.retriable)
    assert.equal(before, hub:counters().http_requests)
  end

  local OURS = { ca = authority.cert }
  local ANY = { verify = false }

  it("trusts a certificate of its authority for its host name", function()
    serve(server_pem.server(authority, "DNS:localhost"))
    trusted(OURS)
    trusted { ca = authority.cert .. other.cert }
    trusted { ca = other.cert .. authority.cert }
  end)

  local WRONG = {
    ["of another authority"] = function()
      return server_pem.server(other, "DNS:localhost")
    end,
    ["for another host name"] = function()
      return server_pem.server(authority,
        "DNS:localhost.example, DNS:ocalhost, DNS:*.localhost")
    end,
    ["for its address alone"] = function()
      return server_pem.server(authority, "IP:127.0.0.1")
    end,
    ["that has expired"] = function()
      return server_pem.server(authority, "DNS:localhost", { life = { -2 * DAY, -60 } })
    end,
    ["that is not valid yet"] = function()
      return server_pem.server(authority, "DNS:localhost", { life = { DAY, 2 * DAY } })
    end,
    ["signed by itself"] = function()
      return server_pem.server(nil, "DNS:localhost")
    end,
    ["for clients"] = function()
      return server_pem.server(authority, "DNS:localhost", { usage = "clientAuth" })
    end,
  }

  for what, make in pairs(WRONG) do
    it("refuses a certificate " .. what .. ", unless verify is false", function()
      serve(make())
      refused(OURS)
      refused { ca = authority.cert, verify = true }
      trusted(ANY)
    end)
  end

  it("refuses what the system does not know", function()
    serve(server_pem.server(authority, "DNS:localhost"))
    refused(true)
    refused(nil)
    refused { ca = other.cert }
    trusted { ca = other.cert, verify = false }
  end)

  it("wants an address in the certificate when it connects to one", function()
    serve(server_pem.server(authority, "DNS:localhost, DNS:127.0.0.1"),
      { hostname = "127.0.0.1" })
    refused(OURS, "127.0.0.1")
    hub:close()
    assert(hub:closed(5))
    serve(server_pem.server(authority, "IP:127.0.0.1"), { hostname = "127.0.0.1" })
    trusted(OURS, "127.0.0.1")
  end)

  it("reads its authorities from a file, too", function()
    serve(server_pem.server(authority, "DNS:localhost"))
    pem.with_file(authority.cert, function(path) trusted { ca = path } end)
    pem.with_file(other.cert, function(path) refused { ca = path } end)
  end)

  it("speaks no plain HTTP to a hub over TLS, and no TLS to a plain one", function()
    serve(server_pem.server(authority, "DNS:localhost"))
    local err = call(false)
    assert.equal("ConnectFailed", err.name)
    assert.is_false(err.retriable)
    hub:close()
    assert(hub:closed(5))
    hub = fixture.hub()
    refused(OURS)
    refused(ANY)
  end)
end)
