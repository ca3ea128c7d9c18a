--- WebSocket frames (RFC 6455) over a raw wire for specs: a client whose bytes are
-- made here, independent of the C code under test.

local core = require "directmethods.core"
local digest = require "openssl.digest"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

local M = {}

M.CONTINUATION, M.TEXT, M.BINARY = 0, 1, 2
M.CLOSE, M.PING, M.PONG = 8, 9, 10

M.PATH = "/$iothub/websocket"
M.KEY = "dGhlIHNhbXBsZSBub25jZQ==" -- of RFC 6455, 1.3
M.ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" -- what it is answered with

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

--- What a key is answered with.
function M.accept_of(key)
  return core.base64_encode(digest.new("sha1"):final(key .. GUID))
end

local MASK = "\x37\xfa\x21\x3d"

local function masked(payload)
  local key = { MASK:byte(1, 4) }
  local i = 0
  return (payload:gsub(".", function(c)
    i = i % 4 + 1
    return string.char(c:byte() ~ key[i])
  end))
end

local function length_of(payload, mask_bit)
  local n = #payload
  if n < 126 then return string.char(mask_bit | n) end
  if n < 65536 then return string.pack(">BI2", mask_bit | 126, n) end
  return string.pack(">BI8", mask_bit | 127, n)
end

--- A frame. Options: fin (default true), rsv (0 to 7), mask (default true).
function M.frame(opcode, payload, o)
  o = o or {}
  local first = (o.fin == false and 0 or 0x80) | (o.rsv or 0) << 4 | opcode
  local head = string.char(first)
  if o.mask == false then return head .. length_of(payload, 0) .. payload end
  return head .. length_of(payload, 0x80) .. MASK .. masked(payload)
end

--- Header lines of a good request; `changes` replaces or (false) takes away.
function M.headers(changes)
  local fields = {
    Upgrade = "websocket",
    Connection = "Upgrade",
    ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = M.KEY,
    ["Sec-WebSocket-Protocol"] = "mqtt",
  }
  for name, value in pairs(changes or {}) do fields[name] = value end
  local lines = {}
  for name, value in pairs(fields) do
    if value then lines[#lines + 1] = name .. ": " .. value end
  end
  return lines
end

local Client = {}
Client.__index = Client

--- Ask for a WebSocket: the reply and the client. Options: path, method, headers
-- (changes), behind (bytes sent right behind the request), wire.
function M.open(port, o)
  o = o or {}
  local wire = o.wire or wires.connect(port)
  wire:send(http.request {
    method = o.method or "GET",
    target = o.path or M.PATH,
    headers = M.headers(o.headers),
  } .. (o.behind or ""))
  local reply = assert(http.read(wire))
  return reply, setmetatable({ wire = wire, payload = "" }, Client)
end

function Client:send(opcode, payload, o)
  self.wire:send(M.frame(opcode, payload, o))
end

--- The next frame from the hub: { fin, rsv, opcode, masked, payload, head }, head
-- its bytes before the payload; nil, "timeout" or "closed".
function Client:frame(patience)
  local head, why = self.wire:read(2, patience)
  if not head then return nil, why end
  local first, second = head:byte(1, 2)
  local n = second & 0x7f
  if n == 126 then
    head = head .. assert(self.wire:read(2))
    n = string.unpack(">I2", head, 3)
  elseif n == 127 then
    head = head .. assert(self.wire:read(8))
    n = string.unpack(">I8", head, 3)
  end
  return {
    fin = first & 0x80 ~= 0,
    rsv = first >> 4 & 7,
    opcode = first & 15,
    masked = second & 0x80 ~= 0,
    payload = n > 0 and assert(self.wire:read(n)) or "",
    head = head,
  }
end

--- The payload of the next frame, a whole binary message.
function Client:message(patience)
  local f, why = self:frame(patience)
  if not f then return nil, why end
  assert(f.fin and f.rsv == 0 and f.opcode == M.BINARY and not f.masked,
    "not a whole binary message but opcode " .. f.opcode)
  return f.payload
end

--- Take part in the place of a wire: what `mqtt.read` and fixtures ask of one.
function Client:read(n, patience)
  while #self.payload < n do
    local message, why = self:message(patience)
    if not message then return nil, why end
    self.payload = self.payload .. message
  end
  local head = self.payload:sub(1, n)
  self.payload = self.payload:sub(n + 1)
  return head
end

--- The code of the Close frame that comes next, and whether TCP ends behind it.
function Client:closed(patience)
  local f, why = self:frame(patience)
  if not f then return nil, why end
  assert(f.opcode == M.CLOSE, "not a Close frame but opcode " .. f.opcode)
  local code = #f.payload >= 2 and string.unpack(">I2", f.payload) or 0
  return code, self.wire:wait_closed(patience) and self.wire.bytes == ""
end

function Client:close()
  self.wire:close()
end

return M
