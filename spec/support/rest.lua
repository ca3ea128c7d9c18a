--- The hub's registry and twins over raw HTTP, as specs ask them.

local assert = require "luassert"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"

local M = {}

--- An id as a segment of a path.
function M.encoded(id)
  return (id:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- Ask a hub. Fields of `o`: policy, if_match, version, query ("top=1"), headers
-- (lines).
function M.ask(hub, method, path, body, o)
  o = o or {}
  local headers = {
    "Authorization: " .. fixture.service_token(hub, o.policy or "iothubowner"),
  }
  if o.if_match then headers[2] = "If-Match: " .. o.if_match end
  for _, line in ipairs(o.headers or {}) do headers[#headers + 1] = line end
  return assert(http.exchange(hub:ports().https, {
    method = method,
    target = ("%s?api-version=%s%s"):format(path, o.version or fixture.NEW,
      o.query and "&" .. o.query or ""),
    headers = headers,
    body = type(body) == "table" and dm.json.encode(body) or body,
  }))
end

--- The document of a reply with status 200.
function M.read(reply)
  assert.equal(200, reply.status, reply.body)
  return assert(dm.json.decode(reply.body))
end

--- The reply is this error in Format E; its text.
function M.refused(reply, status, name)
  assert.equal(status, reply.status, reply.body)
  local found, text, outer = fixture.error_e(reply)
  assert.equal(name, found)
  assert.equal(name, reply.headers["iothub-errorcode"])
  assert.truthy(outer.ExceptionMessage:find(
    "^Tracking ID:%x+%-TimeStamp:%d%d/%d%d/%d%d%d%d %d%d:%d%d:%d%d$"))
  return text
end

return M
