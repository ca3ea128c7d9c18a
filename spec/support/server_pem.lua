--- Authorities and certificates of servers for specs, also such as nobody should
-- trust.

local certificate = require "openssl.x509"
local distinguished = require "openssl.x509.name"
local extension = require "openssl.x509.extension"
local pkey = require "openssl.pkey"

local M = {}

-- A certificate by `issuer` (nil: by itself).
local function make(name, issuer, life, extensions)
  local key = pkey.new { type = "EC", curve = "prime256v1" }
  local cert, subject = certificate.new(), distinguished.new()
  subject:add("CN", name)
  cert:setVersion(3)
  cert:setSubject(subject)
  cert:setIssuer(issuer and issuer.x509:getSubject() or subject)
  cert:setLifetime(os.time() + life[1], os.time() + life[2])
  cert:setPublicKey(key)
  for kind, value in pairs(extensions) do
    cert:addExtension(extension.new(kind, value))
  end
  cert:sign(issuer and issuer.pkey or key)
  return { x509 = cert, pkey = key, cert = cert:toPEM(), key = key:toPEM("private") }
end

local HOUR = { -3600, 3600 }

--- An authority: cert (PEM), and what M.server needs.
function M.authority(name)
  return make(name, nil, HOUR, { basicConstraints = "critical,CA:TRUE" })
end

--- A server's certificate: cert, key (PEM).
---@param issuer table? an authority; nil: by itself
---@param names string "DNS:localhost, IP:127.0.0.1"
---@param o { usage: string?, life: number[]? }? life: from and to, seconds from now
function M.server(issuer, names, o)
  o = o or {}
  return make("server", issuer, o.life or HOUR, {
    subjectAltName = names,
    extendedKeyUsage = o.usage or "serverAuth",
  })
end

return M
