-- Devices that show a certificate: by thumbprint and by authority, on the TLS ports
-- of devices that show a token.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local pem = require "spec.support.pem"
local rest = require "spec.support.rest"

local AUTHORITY = pem.authority "test authority"
local CERT, KEY = pem.client "dev"
local SHA1, SHA256 = pem.thumbprint(CERT, "sha1"), pem.thumbprint(CERT, "sha256")
local OTHER_SHA1 = ("0"):rep(40)

describe("X.509", function()
  local hub

  local function start(opts)
    if hub then fixture.finish(hub) end
    opts = opts or {}
    opts.tls = opts.tls == nil or opts.tls
    opts.x509_ca = opts.tls and AUTHORITY.cert or nil
    hub = fixture.hub(opts)
  end

  before_each(function() start() end)

  after_each(function()
    fixture.finish(hub)
    hub = nil
  end)

  -- CONNECT over TLS: the CONNACK's code, and what openssl says. Fields of `o`: cert,
  -- key, chain (PEM), identity, password, arguments (of s_client).
  local function connect(o)
    local identity = o.identity or "dev"
    local arguments = { "openssl", "s_client", "-quiet", "-connect",
      "127.0.0.1:" .. hub:ports().mqtt, table.unpack(o.arguments or {}) }
    local packets = mqtt.connect {
      client_id = identity,
      username = ("localhost/%s/?api-version=2021-04-12"):format(identity),
      password = o.password,
    } .. mqtt.PINGREQ .. mqtt.DISCONNECT
    local function add(option, text)
      if not text then return nil end
      local path = os.tmpname()
      local file <close> = assert(io.open(path, "w"))
      file:write(text)
      table.insert(arguments, option)
      table.insert(arguments, path)
      return path
    end
    local paths = {
      add("-cert", o.cert), add("-key", o.key), add("-cert_chain", o.chain),
    }
    local result = assert(dm.exec(arguments, { stdin = packets, timeout = 10 }))
    for _, path in pairs(paths) do os.remove(path) end
    if result.stdout == "\x20\x02\0\0" .. mqtt.PINGRESP then return 0, result.stderr end
    local code = result.stdout:match("^\x20\x02\0(.)$")
    return code and code:byte() or result.stdout, result.stderr
  end

  local function show(certificate, identity)
    return (connect {
      cert = certificate.cert, key = certificate.key, identity = identity,
    })
  end

  -- Of a policy that lets devices connect.
  local function policy_token()
    return fixture.token { key = fixture.key(hub, "device"), policy = "device" }
  end

  local SELF = { cert = CERT, key = KEY }

  describe("by thumbprint", function()
    for what, fields in pairs {
      ["SHA-1, primary"] = { primary_thumbprint = SHA1 },
      ["SHA-1, secondary"] = { secondary_thumbprint = SHA1 },
      ["SHA-256, primary"] = { primary_thumbprint = SHA256 },
      ["SHA-256, in lower case, secondary"] = {
        primary_thumbprint = OTHER_SHA1, secondary_thumbprint = SHA256:lower(),
      },
    } do
      it("C09 takes the certificate: " .. what, function()
        hub:add_device("dev", fields)
        assert.equal(0, show(SELF))
      end)
    end

    it("C09 answers 5 to another certificate", function()
      hub:add_device("dev", { primary_thumbprint = SHA1 })
      local cert, key = pem.client "dev"
      assert.equal(5, show { cert = cert, key = key })
      assert.equal(1, hub:counters().connect_refused)
      local event = hub:device_history("dev")[1]
      assert.same({ "refused", "wrong_certificate",
        "the certificate is not that of 'dev'" },
        { event.event, event.reason, event.text })
    end)

    for what, life in pairs {
      ["has expired"] = { -7200, -3600, "certificate_expired" },
      ["is not valid yet"] = { 3600, 7200, "certificate_early" },
    } do
      it("K05 answers 5 to a certificate that " .. what, function()
        local certificate = pem.self_signed("dev", life)
        hub:add_device("dev", {
          primary_thumbprint = pem.thumbprint(certificate.cert, "sha256"),
        })
        assert.equal(5, show(certificate))
        assert.equal(1, hub:counters().connect_unauthorized)
        assert.equal(life[3], hub:device_history("dev")[1].reason)
      end)
    end

    it("K05 goes by real time, as TLS does", function()
      hub:add_device("dev", { primary_thumbprint = SHA1 })
      dm.advance(3700)
      assert.equal(0, show(SELF))
    end)

    it("C09 answers 5 to the certificate of another device", function()
      hub:add_device("dev", { primary_thumbprint = SHA1 })
      hub:add_device("dev2", { primary_thumbprint = OTHER_SHA1 })
      assert.equal(5, show(SELF, "dev2"))
    end)

    it("C10 answers 5 without a certificate and a password", function()
      hub:add_device("dev", { primary_thumbprint = SHA1 })
      assert.equal(5, (connect {}))
      assert.equal(5, (connect { password = "" }))
    end)

    it("answers 5 to a certificate for a device with keys, without telling it from an "
      .. "unknown one", function()
      hub:add_device("dev")
      assert.equal(5, show(SELF))
      assert.equal(5, show(SELF, "nobody"))
    end)

    it("answers 5 to a disabled device", function()
      hub:add_device("dev", { primary_thumbprint = SHA1, status = "disabled" })
      assert.equal(5, show(SELF))
    end)

    it("answers 5 to a token signed with the thumbprint as a key", function()
      hub:add_device("dev", { primary_thumbprint = SHA1 })
      local token = fixture.token { resource = "localhost/devices/dev", key = SHA1 }
      assert.equal(5, (connect { password = token }))
    end)

    it("takes a token of a device with keys beside any certificate", function()
      hub:add_device("dev")
      assert.equal(0, (connect {
        cert = CERT, key = KEY, password = fixture.device_token(hub, "dev"),
      }))
    end)

    it("takes a policy's token for a device with a certificate", function()
      hub:add_device("dev", { primary_thumbprint = SHA1 })
      assert.equal(0, (connect { password = policy_token() }))
    end)

    it("takes it over TLS 1.2, and from a resumed session of 1.3", function()
      hub:add_device("dev", { primary_thumbprint = SHA1 })
      assert.equal(0, (connect { cert = CERT, key = KEY, arguments = { "-tls1_2" } }))
      local session = os.tmpname()
      assert.equal(0, (connect {
        cert = CERT, key = KEY, arguments = { "-tls1_3", "-sess_out", session },
      }))
      assert.equal(0, (connect { arguments = { "-tls1_3", "-sess_in", session } }))
      os.remove(session)
    end)

    it("never takes one over plain TCP", function()
      start { tls = false }
      hub:add_device("dev", { primary_thumbprint = SHA1 })
      local code, _, wire = mqtt.open(hub:ports().mqtt, {
        client_id = "dev", username = "localhost/dev/?api-version=2021-04-12",
      })
      assert.equal(5, code)
      wire:close()
    end)
  end)

  describe("by authority", function()
    before_each(function()
      hub:add_device("dev", { authentication = "certificateAuthority" })
    end)

    it("C09 takes a certificate in the device's name", function()
      assert.equal(0, show(pem.issue(AUTHORITY, "dev")))
    end)

    it("takes one with its chain, and none without it", function()
      local middle = pem.authority("between", AUTHORITY)
      local leaf = pem.issue(middle, "dev")
      assert.equal(0, (connect {
        cert = leaf.cert, key = leaf.key, chain = middle.cert,
      }))
      assert.equal(5, show(leaf))
    end)

    it("takes {device}/{module} for a module", function()
      hub:add_device("dev/mod", { authentication = "certificateAuthority" })
      assert.equal(0, show(pem.issue(AUTHORITY, "dev/mod"), "dev/mod"))
      assert.equal(5, show(pem.issue(AUTHORITY, "dev"), "dev/mod"))
      assert.equal(5, show(pem.issue(AUTHORITY, "dev/mod"), "dev"))
    end)

    for what, make in pairs {
      ["in another name"] = function() return pem.issue(AUTHORITY, "dev2") end,
      ["in a name of which its own is a part"] = function()
        return pem.issue(AUTHORITY, "dev\0x")
      end,
      ["in its name but for the case"] = function()
        return pem.issue(AUTHORITY, "Dev")
      end,
      ["in two names"] = function() return pem.issue(AUTHORITY, { "dev", "dev2" }) end,
      ["that has expired"] = function()
        return pem.issue(AUTHORITY, "dev", { life = { -7200, -3600 } })
      end,
      ["that is not valid yet"] = function()
        return pem.issue(AUTHORITY, "dev", { life = { 3600, 7200 } })
      end,
      ["of a server"] = function()
        return pem.issue(AUTHORITY, "dev", { usage = "serverAuth" })
      end,
      ["by another authority of the same name"] = function()
        return pem.issue(pem.authority "test authority", "dev")
      end,
      ["signed by a device's"] = function()
        return pem.issue(pem.issue(AUTHORITY, "dev2"), "dev")
      end,
      ["signed by itself"] = function() return SELF end,
    } do
      it("C09 answers 5 to a certificate " .. what, function()
        assert.equal(5, show(make()))
      end)
    end

    it("takes several authorities", function()
      local second = pem.authority "second"
      fixture.finish(hub)
      hub = fixture.hub { tls = true, x509_ca = AUTHORITY.cert .. second.cert }
      hub:add_device("dev", { authentication = "certificateAuthority" })
      assert.equal(0, show(pem.issue(AUTHORITY, "dev")))
      assert.equal(0, show(pem.issue(second, "dev")))
    end)

    it("takes a file", function()
      pem.with_file(AUTHORITY.cert, function(path)
        fixture.finish(hub)
        hub = fixture.hub { tls = true, x509_ca = path }
      end)
      hub:add_device("dev", { authentication = "certificateAuthority" })
      assert.equal(0, show(pem.issue(AUTHORITY, "dev")))
    end)

    it("trusts nobody without x509_ca, not even the hub's own authority", function()
      fixture.finish(hub)
      hub = fixture.hub { tls = true }
      hub:add_device("dev", { authentication = "certificateAuthority" })
      assert.equal(5, show(pem.issue(AUTHORITY, "dev")))
    end)
  end)

  it("lets a device of authentication none in by a policy's token alone", function()
    hub:add_device("dev", { authentication = "none" })
    assert.equal(5, show(SELF))
    assert.equal(0, (connect { password = policy_token() }))
  end)

  -- Our device client ---------------------------------------------------------------

  local function echo(request) return 200, request.payload end

  local function connected(id)
    for _, device in ipairs(hub:devices()) do
      if device.device_id == id then return device.connected end
    end
  end

  for _, transport in ipairs { "mqtt", "websocket" } do
    it("C09 serves our device over " .. transport, function()
      hub:add_device("dev", { primary_thumbprint = SHA256 })
      local device <close> = assert(hub:device("dev", { echo = echo }, {
        x509 = SELF, transport = transport,
      }))
      local service <close> = hub:service()
      assert(device:connect())
      assert.equal("hello", assert(service:invoke("dev", "echo", "hello")).payload)
      device:close()
      assert.is_true(device:closed(10))
    end)
  end

  describe("a live connection", function()
    local device

    local function online(fields, certificate)
      hub:add_device("dev", fields)
      certificate = certificate or SELF
      device = assert(hub:device("dev", {}, {
        x509 = { cert = certificate.cert, key = certificate.key },
        reconnect = { min = 60 },
      }))
      assert(device:connect())
    end

    local function update(fields)
      assert(hub.state.registry:update("dev", nil, fields))
    end

    local function closed()
      return dm.wait_until(function() return not connected "dev" end)
        and hub:counters().identity_closed == 1
    end

    after_each(function()
      device:close()
      assert.is_true(device:closed(10))
    end)

    it("is closed when its thumbprint is gone", function()
      online { primary_thumbprint = SHA1 }
      update { primary_thumbprint = OTHER_SHA1 }
      assert.is_true(closed())
    end)

    it("stays while its thumbprint stands in one of the two places", function()
      online { primary_thumbprint = SHA1 }
      update { primary_thumbprint = SHA1, secondary_thumbprint = OTHER_SHA1 }
      update { primary_thumbprint = OTHER_SHA1, secondary_thumbprint = SHA1 }
      assert.is_true(connected "dev")
      update { secondary_thumbprint = OTHER_SHA1 }
      assert.is_true(closed())
    end)

    it("is closed when the device is to show a token", function()
      online { primary_thumbprint = SHA1 }
      update { auth = "sas" }
      assert.is_true(closed())
      assert.equal(5, show(SELF))
    end)

    it("by authority is closed when the device is to show another kind", function()
      online({ authentication = "certificateAuthority" }, pem.issue(AUTHORITY, "dev"))
      update { enabled = true }
      assert.is_true(connected "dev")
      update { auth = "selfSigned", primary_thumbprint = SHA1 }
      assert.is_true(closed())
    end)

    it("is closed with its device", function()
      online { primary_thumbprint = SHA1 }
      update { enabled = false }
      assert.is_true(closed())
    end)

    it("lives longer than any token", function()
      online { primary_thumbprint = SHA1 }
      dm.advance(86400 * 30)
      assert.is_true(connected "dev")
    end)
  end)

  -- Registry ------------------------------------------------------------------------

  describe("in the registry", function()
    local NONE = { primaryKey = dm.null, secondaryKey = dm.null }
    local NO_THUMBPRINTS = {
      primaryThumbprint = dm.null, secondaryThumbprint = dm.null,
    }

    before_each(function() start { tls = false } end)

    local function put(authentication, if_match)
      return rest.ask(hub, "PUT", "/devices/dev", {
        deviceId = "dev", authentication = authentication,
      }, { if_match = if_match })
    end

    local function shown(reply)
      local told = rest.read(reply).authentication
      local found = rest.read(rest.ask(hub, "GET", "/devices/dev")).authentication
      assert.same(told, found)
      return found
    end

    it("stands as it was put, and in the twin", function()
      local thumbprints = {
        primaryThumbprint = SHA1, secondaryThumbprint = SHA256:lower(),
      }
      assert.same({
        type = "selfSigned", symmetricKey = NONE, x509Thumbprint = thumbprints,
      }, shown(put { type = "selfSigned", x509Thumbprint = thumbprints }))
      local twin = rest.read(rest.ask(hub, "GET", "/twins/dev"))
      assert.equal("selfSigned", twin.authenticationType)
      assert.same(thumbprints, twin.x509Thumbprint)
    end)

    it("follows from a thumbprint when no type is told", function()
      assert.equal("selfSigned", shown(put {
        x509Thumbprint = { primaryThumbprint = SHA1 },
      }).type)
    end)

    for _, kind in ipairs { "certificateAuthority", "none" } do
      it("may be " .. kind, function()
        assert.same({
          type = kind, symmetricKey = NONE, x509Thumbprint = NO_THUMBPRINTS,
        }, shown(put {
          type = kind, symmetricKey = { primaryKey = "", secondaryKey = "" },
        }))
        assert.equal(kind,
          rest.read(rest.ask(hub, "GET", "/twins/dev")).authenticationType)
      end)
    end

    it("keeps what an update does not tell, and makes keys for a token", function()
      put { type = "selfSigned", x509Thumbprint = { primaryThumbprint = SHA1 } }
      assert.equal(SHA1, shown(put(nil, "*")).x509Thumbprint.primaryThumbprint)
      local sas = shown(put({ type = "sas" }, "*"))
      assert.same(NO_THUMBPRINTS, sas.x509Thumbprint)
      assert.equal(44, #sas.symmetricKey.primaryKey)
      rest.refused(put({ type = "selfSigned" }, "*"), 400, "ArgumentInvalid")
      assert.same(sas, shown(put(nil, "*")))
    end)

    it("replaces both thumbprints when one is told", function()
      put {
        x509Thumbprint = { primaryThumbprint = SHA1, secondaryThumbprint = SHA256 },
      }
      assert.same({ primaryThumbprint = SHA256, secondaryThumbprint = dm.null },
        shown(put({ x509Thumbprint = { primaryThumbprint = SHA256 } }, "*"))
          .x509Thumbprint)
    end)

    it("is what hub:add_device returns, and the connection string tells", function()
      local identity = assert(hub:add_device("self", { secondary_thumbprint = SHA256 }))
      assert.equal("selfSigned", identity.authentication)
      assert.equal(SHA256, identity.secondary_thumbprint)
      assert.is_nil(identity.primary_key)
      assert.equal("HostName=localhost;DeviceId=self;x509=true",
        hub:connection_string "self")
      assert.equal("sas", assert(hub:add_device "token").authentication)
      hub:add_device("nothing", { authentication = "none" })
      assert.equal("HostName=localhost;DeviceId=nothing",
        hub:connection_string "nothing")
    end)

    it("raises on options that do not go together", function()
      local key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
      for rule, opts in pairs {
        ["option 'primary_thumbprint' must be 40 (SHA-1) or 64 (SHA-256) hexadecimal "
          .. "digits"] = { primary_thumbprint = SHA1:gsub("..", "%0:") },
        ["option 'primary_thumbprint' is for authentication = 'selfSigned'"] =
          { authentication = "sas", secondary_thumbprint = SHA1 },
        ["option 'primary_thumbprint' is required by authentication = 'selfSigned'"] =
          { authentication = "selfSigned" },
        ["option 'primary_key' is for authentication = 'sas'"] =
          { authentication = "none", secondary_key = key },
      } do
        local ok, message = pcall(hub.add_device, hub, "dev", opts)
        assert.is_false(ok)
        assert.truthy(message:find("hub:add_device: " .. rule, 1, true), message)
      end
      assert.same({}, hub:devices())
    end)
  end)

  describe("option x509_ca", function()
    local function raises(opts)
      local ok, message = pcall(function() dm.hub(opts) end)
      assert.is_false(ok)
      return message
    end

    it("needs tls", function()
      assert.matches("spec/x509_spec.lua:%d+: dm.hub: option 'x509_ca' needs tls",
        raises { tls = false, x509_ca = AUTHORITY.cert })
    end)

    it("must be PEM or its path", function()
      assert.matches("dm.hub: option 'x509_ca' cannot be read: No such file",
        raises { x509_ca = "no/file" })
      assert.matches("dm.hub: option 'x509_ca' must be PEM text or the path of",
        raises { x509_ca = "Makefile" })
    end)

    it("is nil, err when the certificate cannot be read", function()
      local made, err = dm.hub {
        x509_ca = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
      }
      assert.is_nil(made)
      assert.equal("TlsFailed", err.name)
      assert.matches("authority of the clients' certificates", err.message)
    end)
  end)

  describe("option dev_keys", function()
    local PRIMARY = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBmaXJzdCE="
    local SECONDARY = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBzZWNvbmQ="

    it("gives the published keys to policies and to devices that are given none",
      function()
        start { tls = false, dev_keys = true }
        assert.equal("HostName=localhost;SharedAccessKeyName=service;SharedAccessKey="
          .. PRIMARY, hub:connection_string "service")
        local identity = assert(hub:add_device "dev")
        assert.equal(PRIMARY, identity.primary_key)
        assert.equal(SECONDARY, identity.secondary_key)
        local own = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
        assert.equal(own, hub:add_device("own", { primary_key = own }).primary_key)
        local resource = "localhost/devices/dev"
        local device = fixture.device(hub, "dev", {
          password = fixture.token { resource = resource, key = SECONDARY },
        })
        assert.equal(0, device.code)
        local caller = fixture.send_call(hub, {
          device = "dev",
          token = fixture.token { key = SECONDARY, policy = "service" },
        })
        assert.truthy(device:request())
        caller:close()
        device:close()
      end)

    it("is refused beyond loopback", function()
      for _, tls in ipairs { true, false } do
        local ok, message = pcall(function()
          dm.hub { host = "0.0.0.0", dev_keys = true, tls = tls, insecure = true }
        end)
        assert.is_false(ok)
        assert.matches("spec/x509_spec.lua:%d+: dm.hub: option 'dev_keys' must not be"
          .. " set when host is not a loopback address", message)
      end
    end)

    it("is off by default", function()
      assert.not_equal(PRIMARY, fixture.key(hub, "service"))
      assert.not_equal(PRIMARY, assert(hub:add_device "dev").primary_key)
    end)
  end)
end)
