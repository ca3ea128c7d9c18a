--- The hub's certificate authority and the server certificate that it signs, both
-- ECDSA P-256: made at the first start, and made again before they end.
--
-- They must be valid for clients that have the real time, and for those that have the
-- hub's, which may be ahead of it: they begin by the first and end by the second.

local core = require "directmethods.core"

local M = {}

local DAY = 86400 -- seconds
local BACKDATED = DAY -- peers' clocks may be behind
local CA_LIFE = 3650 * DAY
local SERVER_LIFE = 365 * DAY -- an authority that ends sooner is replaced, too
local RENEW_BEFORE = 30 * DAY -- of the end of a server's certificate
local LAST = 253402300799 -- 9999-12-31T23:59:59Z, the latest end that X.509 knows
local SERIAL_BYTES = 16

local CA_NAME = "directmethods local hub CA"
local SERVER_NAME = "directmethods local hub"

-- The hub's time, or the real one, whichever is later.
local function latest()
  return math.max(os.time(), math.floor(core.time()))
end

-- When an authority that is made now ends: ten years of real time, at this speed.
local function ca_end(now)
  return math.min(LAST, now + math.floor(CA_LIFE * core.speed()))
end

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
local function blank(ssl, common_name, ends)
  local cert = ssl.x509.new()
  local subject = ssl.name.new()
  subject:add("CN", common_name)
  cert:setVersion(3)
  cert:setSerial(ssl.bignum.fromBinary("\1" .. ssl.rand.bytes(SERIAL_BYTES - 1)))
  cert:setSubject(subject)
  cert:setLifetime(os.time() - BACKDATED, ends)
  return cert
end

local function extend(ssl, cert, issuer, extensions)
  local context = { subject = cert, issuer = issuer }
  for _, entry in ipairs(extensions) do
    cert:addExtension(ssl.extension.new(entry[1], entry[2], context))
  end
end

-- Each authority has a name of its own: a client may trust several.
local function make_ca(ssl, ends)
  local key = new_key(ssl)
  local mark = ("%08x"):format(string.unpack("I4", ssl.rand.bytes(4)))
  local cert = blank(ssl, CA_NAME .. " " .. mark, ends)
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

local function make_server(ssl, names, ca, ca_key, ends)
  local key = new_key(ssl)
  local cert = blank(ssl, SERVER_NAME, ends)
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
  local ends = ca_end(now)
  local ca, ca_key = make_ca(ssl, ends)
  return ca, ca_key, ends
end

local function renew(ssl, kept, names, now)
  local ca, ca_key, ca_ends = authority(ssl, kept, now)
  local cert_ends = now + SERVER_LIFE
  local cert, key = make_server(ssl, names, ca, ca_key, cert_ends)
  return {
    ca = ca:toPEM(),
    ca_key = ca_key:toPEM("private"),
    ca_ends = ca_ends,
    cert = cert:toPEM(),
    cert_ends = cert_ends,
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
  local now, there = latest(), next(kept) ~= nil
  if there and not is_whole(kept) then return nil end
  if there and kept.names == table.concat(names, " ")
    and kept.cert_ends > now + RENEW_BEFORE then
    return kept
  end
  local ok, made = pcall(renew, load_luaossl(), there and kept, names, now)
  return ok and made or nil
end

--- Seconds of the hub's clock until certificates are to be renewed.
---@param kept directmethods.KeptCertificates
---@return number
function M.due(kept)
  return math.max(0, kept.cert_ends - RENEW_BEFORE - core.time())
end

return M
