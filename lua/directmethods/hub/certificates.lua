--- A certificate authority of the hub's own and a server certificate by it:
-- ECDSA P-256, made anew, or as far as need be.

local M = {}

local DAY = 86400 -- seconds
local BACKDATED = DAY -- peers' clocks may be behind
local CA_LIFE = 3650 * DAY
local SERVER_LIFE = 365 * DAY
local RENEW_BEFORE = 30 * DAY -- of the end of a server's certificate
local SERIAL_BYTES = 16

local CA_NAME = "directmethods local hub CA"
local SERVER_NAME = "directmethods local hub"

local function load_luaossl()
  local ok, bignum = pcall(require, "openssl.bignum")
  if not ok then
    error("dm.hub: making certificates needs luaossl (LuaRocks: luaossl, Debian: "
      .. "lua-luaossl); without it give tls = { cert =, key = } or tls = false", 0)
  end
  return {
    bignum = bignum,
    pkey = require "openssl.pkey",
    rand = require "openssl.rand",
    x509 = require "openssl.x509",
    name = require "openssl.x509.name",
    altname = require "openssl.x509.altname",
    extension = require "openssl.x509.extension",
  }
end

local function new_key(ssl)
  return ssl.pkey.new { type = "EC", curve = "prime256v1" }
end

-- A certificate with everything but what tells a CA from a server.
local function blank(ssl, common_name, life)
  local cert = ssl.x509.new()
  local now = os.time()
  local subject = ssl.name.new()
  subject:add("CN", common_name)
  cert:setVersion(3)
  cert:setSerial(ssl.bignum.fromBinary("\1" .. ssl.rand.bytes(SERIAL_BYTES - 1)))
  cert:setSubject(subject)
  cert:setLifetime(now - BACKDATED, now + life)
  return cert
end

local function extend(ssl, cert, issuer, extensions)
  local context = { subject = cert, issuer = issuer }
  for _, entry in ipairs(extensions) do
    cert:addExtension(ssl.extension.new(entry[1], entry[2], context))
  end
end

-- Each authority has a name of its own: a client may trust several.
local function make_ca(ssl)
  local key = new_key(ssl)
  local mark = ("%08x"):format(string.unpack("I4", ssl.rand.bytes(4)))
  local cert = blank(ssl, CA_NAME .. " " .. mark, CA_LIFE)
  cert:setIssuer(cert:getSubject())
  cert:setPublicKey(key)
  extend(ssl, cert, cert, {
    { "basicConstraints", "critical,CA:TRUE,pathlen:0" },
    { "keyUsage", "critical,keyCertSign,cRLSign" },
    { "subjectKeyIdentifier", "hash" },
  })
  cert:sign(key)
  return cert, key
end

local function is_address(name)
  return name:find("^%d+%.%d+%.%d+%.%d+$") or name:find(":", 1, true)
end

local function alternatives(ssl, names)
  local list, seen = ssl.altname.new(), {}
  for _, name in ipairs(names) do
    local lower = name:lower()
    if not seen[lower] then
      seen[lower] = true
      list:add(is_address(name) and "IP" or "DNS", name)
    end
  end
  return list
end

local function make_server(ssl, names, ca, ca_key)
  local key = new_key(ssl)
  local cert = blank(ssl, SERVER_NAME, SERVER_LIFE)
  cert:setIssuer(ca:getSubject())
  cert:setPublicKey(key)
  cert:setSubjectAlt(alternatives(ssl, names))
  extend(ssl, cert, ca, {
    { "basicConstraints", "critical,CA:FALSE" },
    { "keyUsage", "critical,digitalSignature" },
    { "extendedKeyUsage", "serverAuth" },
    { "subjectKeyIdentifier", "hash" },
    { "authorityKeyIdentifier", "keyid:always" },
  })
  cert:sign(ca_key)
  return cert, key
end

---@class directmethods.HubCertificates
---@field ca string   the authority's certificate, PEM
---@field cert string the server's certificate, PEM
---@field key string  the server's private key, PEM

--- Make an authority (valid 10 years) and a server certificate (1 year) for these
-- host names and addresses; both are valid from a day ago. The authority's key is
-- forgotten at once. Raises when luaossl is not installed.
---@param names string[] host names and IP addresses
---@return directmethods.HubCertificates
function M.make(names)
  local ssl = load_luaossl()
  local ca, ca_key = make_ca(ssl)
  local cert, key = make_server(ssl, names, ca, ca_key)
  return {
    ca = ca:toPEM(),
    cert = cert:toPEM(),
    key = key:toPEM("private"),
  }
end

-- Certificates that are kept -------------------------------------------------

---@class directmethods.KeptCertificates: directmethods.HubCertificates
---@field ca_key string     the authority's private key, PEM
---@field ca_ends integer   unix time
---@field cert_ends integer unix time
---@field names string      what the server's certificate is for

local FIELDS = {
  ca = "string", ca_key = "string", ca_ends = "number", cert = "string",
  cert_ends = "number", key = "string", names = "string",
}

local function is_whole(kept)
  for name, kind in pairs(FIELDS) do
    if type(kept[name]) ~= kind then return false end
  end
  return true
end

-- The authority that was kept, or a new one in its place.
local function authority(ssl, kept, now)
  if kept and kept.ca_ends > now + SERVER_LIFE then
    return ssl.x509.new(kept.ca), ssl.pkey.new(kept.ca_key), kept.ca_ends
  end
  local ca, ca_key = make_ca(ssl)
  return ca, ca_key, now + CA_LIFE
end

local function renew(ssl, kept, names, now)
  local ca, ca_key, ca_ends = authority(ssl, kept, now)
  local cert, key = make_server(ssl, names, ca, ca_key)
  return {
    ca = ca:toPEM(),
    ca_key = ca_key:toPEM("private"),
    ca_ends = ca_ends,
    cert = cert:toPEM(),
    cert_ends = now + SERVER_LIFE,
    key = key:toPEM("private"),
    names = table.concat(names, " "),
  }
end

--- Renew what a store keeps. Without anything kept it makes a CA and a server
-- certificate; it makes the server certificate again if that ends soon or is for other
-- names. The result is to be kept. It raises if it needs luaossl and that is missing.
---@param kept directmethods.KeptCertificates|{} what this gave before, or nothing
---@param names string[] host names and IP addresses
---@return directmethods.KeptCertificates? certificates `kept` itself: nothing changed;
---  nil: what was kept cannot be read
function M.renew(kept, names)
  local now, there = os.time(), next(kept) ~= nil
  if there and not is_whole(kept) then return nil end
  if there and kept.names == table.concat(names, " ")
    and kept.cert_ends > now + RENEW_BEFORE then
    return kept
  end
  local ok, made = pcall(renew, load_luaossl(), there and kept, names, now)
  return ok and made or nil
end

return M
