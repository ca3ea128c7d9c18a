--- Certificates and keys for specs: PEM texts, made anew with each call.

local dm = require "directmethods"
local certificate = require "openssl.x509"
local distinguished = require "openssl.x509.name"
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
