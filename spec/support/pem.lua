--- Certificates and keys for specs: PEM texts, made anew with each call.

local dm = require "directmethods"
local certificate = require "openssl.x509"
local digest = require "openssl.digest"
local distinguished = require "openssl.x509.name"
local extension = require "openssl.x509.extension"
local pkey = require "openssl.pkey"

local M = {}

--- A self-signed client certificate: cert, key (PEM).
---@param common_name string
---@param life number? seconds from now; default an hour
function M.client(common_name, life)
  local key = pkey.new { type = "EC", curve = "prime256v1" }
  local cert, subject = certificate.new(), distinguished.new()
  subject:add("CN", common_name)
  cert:setVersion(3)
  cert:setSubject(subject)
  cert:setIssuer(subject)
  cert:setLifetime(os.time() - 3600, os.time() + (life or 3600))
  cert:setPublicKey(key)
  cert:sign(key)
  return cert:toPEM(), key:toPEM("private")
end

-- A certificate by `issuer` (nil: by itself) with the common names and extensions,
-- valid for an hour or from `life[1]` to `life[2]` seconds from now.
local function make(names, extensions, issuer, life)
  local key = pkey.new { type = "EC", curve = "prime256v1" }
  local cert, subject = certificate.new(), distinguished.new()
  for _, name in ipairs(names) do subject:add("CN", name) end
  cert:setVersion(3)
  cert:setSubject(subject)
  cert:setIssuer(issuer and issuer.x509:getSubject() or subject)
  cert:setLifetime(os.time() + (life and life[1] or -3600),
    os.time() + (life and life[2] or 3600))
  cert:setPublicKey(key)
  for name, value in pairs(extensions) do
    cert:addExtension(extension.new(name, value))
  end
  cert:sign(issuer and issuer.pkey or key)
  return { x509 = cert, pkey = key, cert = cert:toPEM(), key = key:toPEM("private") }
end

--- An authority: cert, key (PEM), and what M.issue needs.
---@param name string
---@param issuer table? an authority; nil: by itself
function M.authority(name, issuer)
  return make({ name }, { basicConstraints = "critical,CA:TRUE" }, issuer)
end

--- A client's certificate by an authority: cert, key (PEM).
---@param issuer table
---@param names string|string[] common names
---@param o { usage: string?, life: number[]? }?
function M.issue(issuer, names, o)
  o = o or {}
  return make(type(names) == "table" and names or { names },
    { extendedKeyUsage = o.usage or "clientAuth" }, issuer, o.life)
end

--- A self-signed client certificate: cert, key (PEM).
---@param common_name string
---@param life number[] from when to when, seconds from now
function M.self_signed(common_name, life)
  return make({ common_name }, {}, nil, life)
end

--- The thumbprint of a certificate: hexadecimal, upper case.
---@param cert string PEM
---@param kind "sha1"|"sha256"
function M.thumbprint(cert, kind)
  local bytes = digest.new(kind):final(certificate.new(cert):tostring("DER"))
  return (bytes:gsub(".", function(c) return ("%02X"):format(c:byte()) end))
end

--- The same key, encrypted.
function M.encrypt(key, password)
  local done = assert(dm.exec({ "openssl", "pkcs8", "-topk8", "-v2", "aes-128-cbc",
    "-passout", "pass:" .. password }, { stdin = key }))
  assert(done.status == 0, done.stderr)
  return done.stdout
end

--- Write a text to a file that is gone after `fn(path)`.
function M.with_file(text, fn)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local ok, err = pcall(fn, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

return M
