local dm = require "directmethods"
local server_pem = require "spec.support.server_pem"
local stores = require "spec.support.stores"
local task = require "directmethods.task"

local DAY = 86400
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
      assert.matches("^spec/hub_change_spec.lua:", tostring(why))
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
    local old = store:setting "certificates"
    local kept = dm.json.decode(old)
    kept.cert_ends = os.time() + 86400
    assert(store:put_setting("certificates", dm.json.encode(kept), old))
    assert.is_true(hub:use_certificate())
    assert.not_equal(before, shown_everywhere())
    assert.equal(ca, stores.read(hub:ca_file()))
  end)

  for _, where in ipairs { "memory", "a file" } do
    it("is renewed before it ends by the hub's clock, store in " .. where, function()
      local folder = stores.folder()
      finally(function() stores.remove(folder) end)
      start { tls = true, admin_port = 0, admin_tls = true,
        store = where == "a file" and folder .. "/hub.db" or nil }
      local before, ca = shown_everywhere(), hub:ca_file()
      local authority_before = stores.read(ca)
      dm.advance(334 * DAY)
      assert.equal(before, shown_everywhere())
      dm.advance(2 * DAY)
      assert(dm.wait_until(function() return hub.state.renewal end))
      local after = shown_everywhere()
      assert.not_equal(before, after)
      assert.equal(authority_before, stores.read(ca))
      stores.write(folder .. "/cert", after)
      -- good for clients that have the real time, and the hub's
      for _, time in ipairs { os.time(), dm.time(), dm.time() + 360 * DAY } do
        local result = assert(dm.exec { "openssl", "verify", "-attime",
          tostring(math.floor(time)), "-CAfile", ca, folder .. "/cert" })
        assert.equal(0, result.status, result.stderr)
      end
      dm.advance(336 * DAY)
      assert(dm.wait_until(function() return hub.state.renewal end))
      assert.not_equal(after, shown_everywhere())
    end)
  end

  it("is not renewed any more when another was given", function()
    start { tls = true, admin_port = 0, admin_tls = true }
    assert(hub:use_certificate {
      cert = first.cert, key = first.key, ca = authority.cert,
    })
    dm.advance(400 * DAY)
    assert.equal(first.cert, shown_everywhere())
  end)

  it("needs TLS", function()
    start { tls = false }
    assert.has_error(function() hub:use_certificate() end)
  end)
end)

describe("hub:change", function()
  local hub

  after_each(function()
    hub:close()
    assert(hub:closed(5))
    task.cancel_all()
  end)

  local function raises(opts, part)
    local ok, why = pcall(function() hub:change(opts) end)
    assert.is_false(ok)
    assert.truthy(tostring(why):find(part, 1, true), tostring(why))
    assert.matches("^spec/hub_change_spec.lua:", tostring(why))
  end

  it("gives policies other keys, and closes what the old ones let in", function()
    hub = assert(dm.hub { tls = false })
    local key = ("a"):rep(42) .. "0="
    local service <close> = hub:service()
    assert.equal(404001, select(2, service:invoke("d", "m")).code)
    assert.is_true(hub:change { policies = { service = key } })
    assert.truthy(hub:connection_string("service"):find(key, 1, true))
    assert.equal(401, select(2, service:invoke("d", "m")).http_status)
    local new <close> = hub:service()
    assert.equal(404001, select(2, new:invoke("d", "m")).code)
  end)

  it("changes limits, from the next call on", function()
    hub = assert(dm.hub { tls = false, limits = { calls_per_device = 1, calls = 50 } })
    local device <close> = hub:device("d", {
      wait = function() dm.sleep(100); return 200 end,
    })
    assert(device:connect())
    local service <close> = hub:service("service", { retry = false })
    local first = dm.spawn(service.invoke, service, "d", "wait")
    assert(dm.wait_until(function() return device:stats().calls == 1 end))
    assert.equal(403800, select(2, service:invoke("d", "wait")).code)
    assert.is_true(hub:change { limits = { calls_per_device = 2 } })
    local second = dm.spawn(service.invoke, service, "d", "wait")
    assert(dm.wait_until(function() return device:stats().calls == 2 end))
    assert.equal(403800, select(2, service:invoke("d", "wait")).code)
    first:cancel()
    second:cancel()
  end)

  it("changes the admin listener's token", function()
    hub = assert(dm.hub { tls = false, admin_port = 0 })
    local token = ("t"):rep(16)
    assert.is_true(hub:change { admin_token = token })
    assert.equal(token, hub:admin_token())
    assert.equal("200", assert(dm.exec { "curl", "-s", "-o", "/dev/null", "-w",
      "%{http_code}", "-H", "Authorization: Bearer " .. token,
      ("http://127.0.0.1:%d/devices"):format(hub:ports().admin) }).stdout)
  end)

  it("raises for what cannot change, and for wrong values", function()
    hub = assert(dm.hub { tls = false })
    raises({ hostname = "x" }, "option 'hostname' cannot change while the hub runs")
    raises({ hostnam = "x" }, "unknown option 'hostnam'")
    raises({ limits = { calls = 1 } }, "unknown option 'limits.calls'")
    raises({ limits = { filters = 0 } }, "option 'limits.filters' must be from 1")
    raises({ policies = { service = "x" } }, "option 'policies.service' must be base64")
    raises({ admin_token = ("t"):rep(16) }, "option 'admin_token' needs admin_port")
    raises("x", "hub:change")
  end)
end)
