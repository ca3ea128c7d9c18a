--- Ed25519 keys and JWTs as NATS servers read them, in place of nsc, which Debian does
-- not have; the keys and signatures are openssl's.

local core = require "directmethods.core"
local dm = require "directmethods"

local M = {}

-- The kinds of keys: the bits that decide the first letter of a key's name.
local OPERATOR, ACCOUNT, USER, SEED = 14 << 3, 0, 20 << 3, 18 << 3

local BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

local function base32(bytes)
  local letters, bits, count = {}, 0, 0
  for i = 1, #bytes do
    bits, count = bits << 8 | bytes:byte(i), count + 8
    while count >= 5 do
      count = count - 5
      local at = (bits >> count & 31) + 1
      letters[#letters + 1] = BASE32:sub(at, at)
    end
  end
  if count > 0 then
    local at = (bits << 5 - count & 31) + 1
    letters[#letters + 1] = BASE32:sub(at, at)
  end
  return table.concat(letters)
end

-- CRC-16/XMODEM, the low byte first.
local function checksum(bytes)
  local crc = 0
  for i = 1, #bytes do
    crc = crc ~ bytes:byte(i) << 8
    for _ = 1, 8 do
      crc = crc << 1
      if crc & 0x10000 ~= 0 then crc = crc ~ 0x11021 end
    end
  end
  return string.pack("<I2", crc)
end

local function encode(bytes)
  return base32(bytes .. checksum(bytes))
end

local function base64url(bytes)
  return (core.base64_encode(bytes):gsub("[+/=]", { ["+"] = "-", ["/"] = "_",
    ["="] = "" }))
end

local function openssl(...)
  local result = assert(dm.exec { "openssl", ... })
  assert(result.status == 0, result.stderr)
  return result.stdout
end

---@class spec.Nkey
---@field path string PEM
---@field name string the public key
---@field seed string
local Key = {}
Key.__index = Key

-- DER of both ends with the 32 bytes of the key.
local function new_key(folder, file, kind)
  local path = folder:write(file, openssl("genpkey", "-algorithm", "ED25519"))
  local public = openssl("pkey", "-in", path, "-pubout", "-outform", "DER"):sub(-32)
  local secret = openssl("pkey", "-in", path, "-outform", "DER"):sub(-32)
  return setmetatable({
    folder = folder,
    path = path,
    name = encode(string.char(kind) .. public),
    seed = encode(string.char(SEED | kind >> 5, kind << 3 & 0xff) .. secret),
  }, Key)
end

-- A JWT about the key `subject`, with these members of its `nats`.
function Key:sign(subject, facts, expires)
  local head = base64url '{"typ":"JWT","alg":"ed25519-nkey"}'
  local claims = { jti = "spec", iat = os.time(), exp = expires, iss = self.name,
    sub = subject.name, name = "spec", nats = facts }
  facts.version = 2
  local text = head .. "." .. base64url(dm.json.encode(claims))
  local signature = openssl("pkeyutl", "-sign", "-inkey", self.path, "-rawin", "-in",
    self.folder:write("signed", text))
  return text .. "." .. base64url(signature)
end

local UNLIMITED = { subs = -1, data = -1, payload = -1 }

---@class spec.NatsOperator
---@field config string lines of a server's configuration
local Operator = {}
Operator.__index = Operator

--- The operator of a server, with one account.
---@param folder spec.Folder for files of keys
---@param name string of these files
---@return spec.NatsOperator
function M.operator(folder, name)
  local operator = new_key(folder, name .. ".operator.pem", OPERATOR)
  local account = new_key(folder, name .. ".account.pem", ACCOUNT)
  local limits = { imports = -1, exports = -1, wildcards = true, conn = -1, leaf = -1 }
  for limit, value in pairs(UNLIMITED) do limits[limit] = value end
  local config = ("operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s }\n")
    :format(operator:sign(operator, { type = "operator" }), account.name,
      operator:sign(account, { type = "account", limits = limits }))
  return setmetatable({ folder = folder, account = account, config = config },
    Operator)
end

local CREDENTIALS = [[
-----BEGIN NATS USER JWT-----
%s
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
%s
------END USER NKEY SEED------
]]

--- A file as nsc makes it, of a new user who may use these subjects.
---@param file string its name
---@param subjects string
---@param more { expires: integer?, seed: string? }? unix seconds; another user's seed
---@return string path
---@return string seed
function Operator:credentials(file, subjects, more)
  more = more or {}
  local user = new_key(self.folder, file .. ".pem", USER)
  local facts = { type = "user", pub = { allow = { subjects } },
    sub = { allow = { subjects } } }
  for name, value in pairs(UNLIMITED) do facts[name] = value end
  local jwt = self.account:sign(user, facts, more.expires)
  return self.folder:write(file, CREDENTIALS:format(jwt, more.seed or user.seed)),
    user.seed
end

return M
