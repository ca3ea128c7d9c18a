local certificates = require "directmethods.hub.certificates"
local dm = require "directmethods"

local NAMES = { "localhost", "LOCALHOST", "hub.example.test", "127.0.0.1", "::1" }

local function file_of(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

describe("the hub's certificates", function()
  local made, ca, cert, key

  setup(function()
    made = certificates.renew({}, NAMES)
    ca, cert, key = file_of(made.ca), file_of(made.cert), file_of(made.key)
  end)

  teardown(function()
    for _, path in ipairs { ca, cert, key } do os.remove(path) end
  end)

  local function openssl(...)
    local result = assert(dm.exec({ "openssl", ... }, { timeout = 20 }))
    return result.status, result.stdout .. result.stderr
  end

  local function verify(...)
    return openssl("verify", "-x509_strict", "-purpose", "sslserver", ...)
  end

  it("stand OpenSSL's strict rules for a server", function()
    local status, text = verify("-CAfile", ca, cert)
    assert.equal(0, status, text)
  end)

  it("are for every name and address, and for no other", function()
    for _, name in ipairs { "localhost", "hub.example.test" } do
      local status, text = verify("-CAfile", ca, "-verify_hostname", name, cert)
      assert.equal(0, status, text)
    end
    for _, address in ipairs { "127.0.0.1", "::1" } do
      local status, text = verify("-CAfile", ca, "-verify_ip", address, cert)
      assert.equal(0, status, text)
    end
    local other = verify("-CAfile", ca, "-verify_hostname", "example.test", cert)
    assert.not_equal(0, other)
    other = verify("-CAfile", ca, "-verify_ip", "127.0.0.2", cert)
    assert.not_equal(0, other)
  end)

  it("name each host once", function()
    local _, text = openssl("x509", "-in", cert, "-noout", "-ext", "subjectAltName")
    local _, count = text:lower():gsub("dns:localhost", "")
    assert.equal(1, count)
  end)

  it("are valid from a day ago for a year, the authority for ten", function()
    local function ends_after(path, days)
      local seconds = tostring(days * 86400)
      return (openssl("x509", "-in", path, "-noout", "-checkend", seconds))
    end
    assert.equal(0, ends_after(cert, 364))
    assert.equal(1, ends_after(cert, 366))
    assert.equal(0, ends_after(ca, 3649))
    assert.equal(1, ends_after(ca, 3651))
    local yesterday = tostring(os.time() - 86000)
    assert.equal(0, (verify("-attime", yesterday, "-CAfile", ca, cert)))
    local before = tostring(os.time() - 2 * 86400)
    assert.not_equal(0, (verify("-attime", before, "-CAfile", ca, cert)))
  end)

  it("have an authority for ten years of real time, however fast time runs", function()
    finally(function() dm.speed(1) end)
    dm.speed(600)
    local fast = certificates.renew({}, NAMES)
    assert.is_true(fast.ca_ends >= os.time() + 600 * 3649 * 86400)
    dm.speed(1000000)
    fast = certificates.renew({}, NAMES)
    dm.speed(1)
    local authority, server = file_of(fast.ca), file_of(fast.cert)
    finally(function()
      dm.speed(1)
      os.remove(authority)
      os.remove(server)
    end)
    local _, text = openssl("x509", "-in", authority, "-noout", "-enddate")
    assert.equal("notAfter=Dec 31 23:59:59 9999 GMT\n", text)
    assert.equal(0, (verify("-CAfile", authority, server)))
  end)

  it("have keys on P-256, and the key fits the certificate", function()
    local _, of_key = openssl("pkey", "-in", key, "-pubout")
    local _, of_cert = openssl("x509", "-in", cert, "-noout", "-pubkey")
    assert.equal(of_cert, of_key)
    local _, text = openssl("x509", "-in", cert, "-noout", "-text")
    assert.truthy(text:find("prime256v1", 1, true))
  end)

  it("are new ones each time: another hub's authority does not vouch", function()
    local other = certificates.renew({}, NAMES)
    assert.not_equal(made.key, other.key)
    local path = file_of(other.ca)
    finally(function() os.remove(path) end)
    assert.not_equal(0, (verify("-CAfile", path, cert)))
  end)

  it("hold the private key in one place", function()
    assert.falsy(made.ca:find("PRIVATE", 1, true))
    assert.falsy(made.cert:find("PRIVATE", 1, true))
    assert.truthy(made.key:find("^-----BEGIN PRIVATE KEY-----"))
  end)

  it("need luaossl, and say what does without it", function()
    local saved = package.loaded["openssl.bignum"]
    finally(function()
      package.loaded["openssl.bignum"] = saved
      package.preload["openssl.bignum"] = nil
    end)
    package.loaded["openssl.bignum"] = nil
    package.preload["openssl.bignum"] = function() error("not here") end
    local ok, err = pcall(certificates.renew, {}, NAMES)
    assert.is_false(ok)
    assert.truthy(err:find("luaossl", 1, true))
    assert.truthy(err:find("tls = { cert =, key = }", 1, true))
  end)

  describe("that were kept", function()
    local DAY = 86400

    -- As if the server's certificate ended in so many days.
    local function ending(kept, days)
      local copy = {}
      for name, value in pairs(kept) do copy[name] = value end
      copy.cert_ends = os.time() + days * DAY
      return copy
    end

    it("are used again while they last and fit", function()
      local kept = certificates.renew({}, NAMES)
      assert.equal(kept, certificates.renew(kept, NAMES))
      local late = ending(kept, 31)
      assert.equal(late, certificates.renew(late, NAMES))
    end)

    it("end when they say", function()
      local kept = certificates.renew({}, NAMES)
      for _, name in ipairs { "ca", "cert" } do
        local _, expires = require("openssl.x509").new(kept[name]):getLifetime()
        assert.is_true(math.abs(expires - kept[name .. "_ends"]) < 60)
      end
    end)

    local function is_renewed(old, names)
      local renewed = certificates.renew(old, names)
      assert.equal(old.ca, renewed.ca)
      assert.equal(old.ca_key, renewed.ca_key)
      assert.equal(old.ca_ends, renewed.ca_ends)
      assert.not_equal(old.cert, renewed.cert)
      assert.equal(renewed, certificates.renew(renewed, names))
      local authority, server = file_of(renewed.ca), file_of(renewed.cert)
      local status, text = verify("-CAfile", authority, "-verify_hostname", names[1],
        server)
      os.remove(authority)
      os.remove(server)
      assert.equal(0, status, text)
    end

    it("are renewed by the same authority for other names, and before they end",
      function()
        local kept = certificates.renew({}, { "localhost" })
        is_renewed(kept, { "hub.example.test", "localhost" })
        is_renewed(ending(kept, 29), { "localhost" })
      end)

    it("get a new authority when the old one ends before them", function()
      local kept = certificates.renew({}, NAMES)
      kept.ca_ends = os.time() + 364 * DAY
      kept.cert_ends = os.time()
      assert.not_equal(kept.ca, certificates.renew(kept, NAMES).ca)
    end)

    it("are told from what cannot be read", function()
      local kept = certificates.renew({}, NAMES)
      kept.ca_key = nil
      assert.is_nil(certificates.renew(kept, NAMES))
    end)
  end)
end)
