--- Tokens for specs, independent of the C code under test, and what a hub says to
-- them.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local hmac = require "openssl.hmac"
local mqtt = require "spec.support.mqtt"

local M = {}

--- Percent-encode all but unreserved characters.
function M.escape(text)
  return (text:gsub("[^%w%-._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- The MAC of a token, as bytes: of sr and se as they stand in it. key: bytes.
function M.mac(key, sr, se, digest)
  return hmac.new(key, digest or "sha256"):final(sr .. "\n" .. se)
end

--- Unix time as text, `seconds` from now.
function M.at(seconds)
  return ("%d"):format(math.floor(dm.time()) + seconds)
end

--- The fields of a token, in order: { {name, value}, ... }. Fields: resource (plain)
-- or sr (encoded), se (text), key (base64) or bytes, skn, sig (encoded).
function M.fields(o)
  local sr = o.sr or M.escape(o.resource or fixture.HOST)
  local se = o.se or M.at(3600)
  local bytes = o.bytes or assert(core.base64_decode(o.key))
  local sig = o.sig or M.escape(core.base64_encode(M.mac(bytes, sr, se, o.digest)))
  local list = { { "sr", sr }, { "sig", sig }, { "se", se } }
  if o.skn then list[4] = { "skn", o.skn } end
  return list
end

--- The text of a token of such fields.
function M.join(list)
  local parts = {}
  for i, field in ipairs(list) do parts[i] = field[1] .. "=" .. field[2] end
  return "SharedAccessSignature " .. table.concat(parts, "&")
end

--- A token; fields as above.
function M.make(o)
  return M.join(M.fields(o))
end

--- The status of a call of the offline device "dev1": 404 when the token was good.
function M.call_status(hub, token, o)
  local fields = { device = "dev1", token = token }
  for name, value in pairs(o or {}) do fields[name] = value end
  local reply = assert(fixture.call(hub, fields))
  return reply.status, reply
end

--- The CONNACK's code for an identity and a token; nil: closed without one.
function M.connack(hub, identity, token, o)
  local fields = fixture.connect_fields(hub, identity, { password = token })
  for name, value in pairs(o or {}) do fields[name] = value end
  local code, _, w = mqtt.open(hub:ports().mqtt, fields)
  w:close()
  return code
end

return M
