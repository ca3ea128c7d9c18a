local dm = require "directmethods"
local server_pem = require "spec.support.server_pem"
local stores = require "spec.support.stores"
local task = require "directmethods.task"

local NAMES = "DNS:localhost, IP:127.0.0.1"

describe("hub:use_certificate", function()
  local hub, authority, first

  before_each(function()
    authority = server_pem.authority "one"
    first = server_pem.server(authority, NAMES)
  end)

  after_each(function()
    if hub then
      hub:close()
      assert(hub:closed(5))
      hub = nil
    end
    task.cancel_all()
  end)

  local function start(opts)
    opts = opts or {}
    opts.tls = opts.tls == nil
      and { cert = first.cert, key = first.key, ca = authority.cert } or opts.tls
    hub = assert(dm.hub(opts))
    return hub
  end

  -- The certificate that a new connection to a port is shown, PEM.
  local function shown(port)
    local result = assert(dm.exec({ "openssl", "s_client", "-connect",
      "127.0.0.1:" .. port, "-servername", "localhost" }, { stdin = "", timeout = 20 }))
    return result.stdout:match("%-+BEGIN CERTIFICATE.-END CERTIFICATE%-+\n")
  end

  local function shown_everywhere()
    local ports = hub:ports()
    local pem = shown(ports.mqtt)
    assert.equal(pem, shown(ports.https))
    assert.equal(pem, shown(ports.admin))
    return pem
  end

  it("is for new connections; old ones go on with theirs", function()
    start { admin_port = 0, admin_tls = true }
    local device <close> = hub:device("d", { m = function() return 200, "pong" end })
    assert(device:connect())
    local old <close> = hub:service()
    assert.equal("pong", assert(old:invoke("d", "m")).payload)
    local path = assert(hub:ca_file())
    local other = server_pem.authority "two"
    local second = server_pem.server(other, NAMES)
    assert.equal(first.cert, shown_everywhere())
    assert.is_true(hub:use_certificate {
      cert = second.cert, key = second.key, ca = other.cert,
    })
    assert.equal(second.cert, shown_everywhere())
    assert.equal(other.cert, stores.read(path))
    assert.equal("pong", assert(old:invoke("d", "m")).payload) -- both as they were
    local new <close> = hub:service()
    assert.equal("pong", assert(new:invoke("d", "m")).payload)
    local stranger <close> = dm.service {
      connection_string = hub:connection_string "service",
      port = hub:ports().https, tls = { ca = authority.cert },
    }
    assert.equal("TlsFailed", select(2, stranger:invoke("d", "m")).name)
    assert.equal(0, hub:counters().disconnected)
  end)

  it("leaves everything as it is if the certificate cannot be used", function()
    start { admin_port = 0, admin_tls = true }
    local other = server_pem.server(authority, NAMES)
    local done, err = hub:use_certificate { cert = other.cert, key = first.key }
    assert.is_nil(done)
    assert.equal("TlsFailed", err.name)
    assert.equal(first.cert, shown_everywhere())
    for _, case in ipairs {
      { { key = "k" }, "option 'cert' is required" },
      { { cert = "/no/such", key = first.key }, "'tls.cert' cannot be read" },
      { { cert = "c", key = "k", chain = "x" }, "unknown option 'chain'" },
    } do
      local ok, why = pcall(function() hub:use_certificate(case[1]) end)
      assert.is_false(ok)
      assert.truthy(tostring(why):find(case[2], 1, true), tostring(why))
      assert.matches("^spec/certify_spec.lua:", tostring(why))
    end
  end)

  it("renews the own one of a hub with a store, as far as need be", function()
    local folder = stores.folder()
    finally(function() stores.remove(folder) end)
    start { tls = true, store = folder .. "/hub.db", admin_port = 0, admin_tls = true }
    local before, ca = shown_everywhere(), stores.read(hub:ca_file())
    assert.is_true(hub:use_certificate())
    assert.equal(before, shown_everywhere()) -- it is good for a year
    local store = hub.state.store
    local kept = dm.json.decode((store:setting "certificates"))
    kept.cert_ends = os.time() + 86400
    assert(store:put_setting("certificates", dm.json.encode(kept)))
    assert.is_true(hub:use_certificate())
    assert.not_equal(before, shown_everywhere())
    assert.equal(ca, stores.read(hub:ca_file()))
  end)

  it("needs TLS, and a store for the own one", function()
    start { tls = true }
    assert.equal("SystemError", select(2, hub:use_certificate()).name)
    hub:close()
    start { tls = false }
    assert.has_error(function() hub:use_certificate() end)
  end)
end)
