--- HTTP/1.1 over a raw wire for specs.

local wire = require "spec.support.wire"

local M = {}

local function has_type(lines)
  for _, line in ipairs(lines or {}) do
    if line:lower():find("^content%-type:") then return true end
  end
end

--- The bytes of a request. Fields: method, target, headers (list of "Name: v"),
-- body. Host, Content-Length and the type of JSON are added unless `bare`; the type
-- not if it stands among the headers, or `untyped`.
function M.request(o)
  local lines = { ("%s %s HTTP/1.1"):format(o.method or "POST", o.target) }
  if not o.bare then
    lines[#lines + 1] = "Host: localhost"
    if o.body then lines[#lines + 1] = "Content-Length: " .. #o.body end
    if o.body and not o.untyped and not has_type(o.headers) then
      lines[#lines + 1] = "Content-Type: application/json"
    end
  end
  for _, line in ipairs(o.headers or {}) do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (o.body or "")
end

--- Read one reply: { status, headers (lower-case names), body }; nil, why.
function M.read(w, patience)
  local head, why = w:read_to("\r\n\r\n", patience)
  if not head then return nil, why end
  local reply = { status = tonumber(head:match("^HTTP/1%.1 (%d%d%d)")), headers = {} }
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    reply.headers[name:lower()] = value
  end
  local length = tonumber(reply.headers["content-length"] or 0)
  reply.body = length > 0 and assert(w:read(length, patience)) or ""
  return reply
end

--- One request on a connection of its own (or `o.wire`).
function M.exchange(port, o)
  local w = o.wire or wire.connect(port)
  w:send(M.request(o))
  local reply, why = M.read(w, o.patience)
  if not o.wire then w:close() end
  return reply, why
end

return M
