-- Who a device says it is and where it connects: certificates, gateways, proxies and
-- the errors that name what is wrong with them, when the device is made.

local dm = require "directmethods"
local fake = require "spec.support.fake_connection"
local core = require "directmethods.core"
local pem = require "spec.support.pem"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local PASSWORD = "correct horse"

-- What dm.device raises, without place and name; the place must be in this file.
local function refusal(options)
  local ok, err = pcall(function()
    local device = dm.device(options)
    return device
  end)
  assert.is_false(ok)
  local message = err:match("^.*device_credentials_spec.lua:%d+: dm%.device: (.*)$")
  assert.is_truthy(message, err)
  return message
end

describe("dm.device with a certificate", function()
  local cert, key, other_key, encrypted

  setup(function()
    cert, key = pem.client("d1")
    other_key = select(2, pem.client("d1"))
    encrypted = pem.encrypt(key, PASSWORD)
  end)

  local function options_with(x509, more)
    local options = { host_name = "hub.test", device_id = "d1", x509 = x509 }
    for name, value in pairs(more or {}) do options[name] = value end
    return options
  end

  local function x509_refusal(x509, more)
    local message = refusal(options_with(x509, more))
    assert.is_nil(message:find("BEGIN", 1, true))
    assert.is_nil(message:find(PASSWORD, 1, true))
    return message
  end

  it("connects with it and without a password", function()
    local connections, restore = fake.install {}
    local function fields_of(options)
      local device <close> = dm.device(options)
      assert(device:connect(1))
      local fields = connections[#connections].fields
      assert.is_nil(fields.password)
      assert.is_true(fields.tls)
      return fields
    end
    local fields = fields_of(options_with { cert = cert, key = key })
    assert.same({ cert, key }, { fields.cert, fields.key })
    fields = fields_of(options_with { cert = cert .. key })
    assert.same({ cert .. key }, { fields.cert, fields.key })
    fields = fields_of {
      connection_string = "HostName=hub.test;DeviceId=d1;x509=true",
      x509 = { cert = cert, key = encrypted, password = PASSWORD },
    }
    assert.same({ cert, encrypted, PASSWORD },
      { fields.cert, fields.key, fields.key_password })
    pem.with_file(cert, function(path)
      fields = fields_of(options_with { cert = path, key = key })
      assert.equal(cert, fields.cert)
    end)
    dm.advance(1)
    restore()
    for _, connection in ipairs(connections) do core.free_id(connection.event_id) end
  end)

  it("says which file cannot be read", function()
    assert.equal("option 'x509.cert' cannot be read: No such file or "
      .. "directory", x509_refusal { cert = "no/file", key = key })
    assert.equal("option 'x509.key' cannot be read: No such file or "
      .. "directory", x509_refusal { cert = cert, key = "no/file" })
    assert.equal("option 'x509.key' cannot be read: Is a directory",
      x509_refusal { cert = cert, key = "spec" })
    assert.equal("option 'tls.ca' cannot be read: No such file or "
      .. "directory",
      x509_refusal({ cert = cert, key = key }, { tls = { ca = "no/file" } }))
  end)

  it("says what is not PEM", function()
    local damaged = cert:gsub("\n[^\n]+\n", "\nAAAA\n", 1)
    for _, wrong in ipairs { "Makefile", key, damaged } do
      assert.equal("option 'x509.cert' must be a certificate in PEM, or the"
        .. " path of one", x509_refusal { cert = wrong, key = key })
      assert.equal("option 'tls.ca' must be a certificate in PEM, or the path"
        .. " of one",
        x509_refusal({ cert = cert, key = key }, { tls = { ca = wrong } }))
    end
    damaged = key:gsub("\n[^\n]+\n", "\nAAAA\n", 1)
    for _, wrong in ipairs { "Makefile", cert, damaged } do
      assert.equal("option 'x509.key' must be a private key in PEM, or the"
        .. " path of one", x509_refusal { cert = cert, key = wrong })
    end
    assert.equal("option 'x509.key' must be a private key in PEM, or the path"
      .. " of one", x509_refusal { cert = cert })
  end)

  it("says that the key is another one's", function()
    assert.equal("option 'x509.key' does not belong to the certificate",
      x509_refusal { cert = cert, key = other_key })
  end)

  it("says what is wrong with the password", function()
    assert.equal("option 'x509.password' is missing: the private key is "
      .. "encrypted", x509_refusal { cert = cert, key = encrypted })
    assert.equal("option 'x509.password' does not open the private key",
      x509_refusal { cert = cert, key = encrypted, password = "wrong" })
    assert.equal("option 'x509.password' must be at least 1 bytes long",
      x509_refusal { cert = cert, key = key, password = "" })
  end)

  it("takes one credential, and TLS", function()
    local x509 = { cert = cert, key = key }
    assert.equal("option 'x509' must not be given together with a key",
      x509_refusal(x509, { key = KEY }))
    assert.equal("option 'x509' must not be given together with sas",
      x509_refusal(x509, { sas = "SharedAccessSignature sr=a&sig=b&se=1" }))
    assert.equal("option 'x509' needs TLS", x509_refusal(x509, { tls = false }))
    assert.equal("option 'x509.cert' is required", x509_refusal { key = key })
    assert.equal("unknown option 'x509.crt' (did you mean 'x509.cert'?)",
      x509_refusal { crt = cert, key = key })
    assert.equal("option 'x509' is required: connection_string has x509=true",
      refusal { connection_string = "HostName=h;DeviceId=d;x509=true" })
  end)
end)

describe("dm.device", function()
  local connections, restore

  before_each(function() connections, restore = fake.install {} end)
  after_each(function()
    dm.advance(1)
    restore()
    for _, connection in ipairs(connections) do core.free_id(connection.event_id) end
  end)

  local function where(options)
    options.connection_string = options.connection_string
      or "HostName=hub.test;DeviceId=d1;SharedAccessKey=" .. KEY
    local device <close> = dm.device(options)
    assert(device:connect(1))
    local fields = connections[#connections].fields
    return { fields.host, fields.port, fields.websocket, fields.host_name }
  end

  it("knows the port of each transport", function()
    assert.same({ "hub.test", 8883, false, "hub.test" }, where {})
    assert.same({ "hub.test", 1883, false, "hub.test" }, where { tls = false })
    assert.same({ "hub.test", 443, true, "hub.test" },
      where { transport = "websocket" })
    assert.same({ "hub.test", 80, true, "hub.test" },
      where { transport = "websocket", tls = false })
    assert.same({ "hub.test", 4, true, "hub.test" },
      where { transport = "websocket", port = 4 })
  end)

  it("connects to a gateway, and to its port", function()
    assert.same({ "gate.test", 8883, false, "hub.test" },
      where { gateway_host_name = "gate.test" })
    assert.same({ "gate.test", 8884, false, "hub.test" },
      where { gateway_host_name = "gate.test:8884" })
    assert.same({ "gate.test", 65535, false, "hub.test" }, where {
      connection_string = "HostName=hub.test;DeviceId=d1;"
        .. "GatewayHostName=gate.test:65535;SharedAccessKey=" .. KEY,
    })
  end)

  local PROXY = "option 'proxy' must be of the form http://host:port or "
    .. "http://user:password@host:port, special characters as %XX"
  local WRONG = {
    { { transport = "amqp" },
      "option 'transport' must be one of: mqtt, websocket" },
    { { gateway_host_name = "g:0" },
      "option 'gateway_host_name' must be a host name, maybe with a port" },
    { { gateway_host_name = "g:1", port = 2 },
      "option 'port' must not be given together with the port in "
        .. "gateway_host_name" },
    { { probe = 9 }, "option 'probe' must be from 10 to 86400, not 9" },
    { { probe = "60" }, "option 'probe' must be of type number, not a string" },
  }
  for _, proxy in ipairs {
    "gate:3128", "http://gate", "http://gate:0", "http://gate:65536", "https://gate:1",
    "http://a b@gate:1", "http://gate:1/path", "http://:1", "socks5://gate:1",
  } do
    table.insert(WRONG, { { proxy = proxy }, PROXY })
  end
  for i, case in ipairs(WRONG) do
    it(("refuses %d: %s"):format(i, case[2]:sub(1, 50)), function()
      case[1].host_name, case[1].device_id, case[1].key = "hub.test", "d1", KEY
      assert.equal(case[2], refusal(case[1]))
    end)
  end
end)
