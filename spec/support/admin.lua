--- Requests to the admin listener of a hub.

local dm = require "directmethods"
local http = require "spec.support.http"

local M = {}

local function body_of(o)
  if type(o.body) == "table" then return dm.json.encode(o.body) end
  return o.body or ""
end

--- What http.request and http.exchange take. Fields of `o`: body (text, or a table that
-- becomes JSON), host, token (false: none).
function M.request(hub, method, target, o)
  o = o or {}
  local body = body_of(o)
  local headers = {
    "Host: " .. (o.host or "127.0.0.1"),
    "Content-Length: " .. #body,
  }
  if o.token ~= false then
    headers[3] = "Authorization: Bearer " .. (o.token or hub:admin_token())
  end
  return { method = method, target = target, headers = headers, body = body,
    bare = true }
end

--- The status, the decoded body, and the whole reply.
function M.ask(hub, method, target, o)
  local reply = assert(http.exchange(hub:ports().admin,
    M.request(hub, method, target, o)))
  return reply.status, (dm.json.decode(reply.body)), reply
end

return M
