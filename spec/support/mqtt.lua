--- MQTT 3.1.1 packets in Lua for specs, independent of the C code under test.

local wire = require "spec.support.wire"

local M = {}

local function remaining_length(n)
  local out = {}
  repeat
    local digit = n % 128
    n = n // 128
    out[#out + 1] = string.char(n > 0 and digit + 128 or digit)
  until n == 0
  return table.concat(out)
end

--- A packet of a first byte and a body.
function M.packet(first, body)
  return string.char(first) .. remaining_length(#body) .. body
end

--- A string with its two bytes of length.
function M.text(s)
  return string.pack(">s2", s)
end

local function flags_of(o)
  local flags = (o.clean == false and 0 or 2) + (o.flags or 0)
  if o.username then flags = flags | 0x80 end
  if o.password then flags = flags | 0x40 end
  if o.will_topic then flags = flags | 0x04 end
  return flags
end

--- CONNECT. Fields: client_id, username, password, clean, keepalive, level,
-- protocol, flags (added), will_topic, will_message.
function M.connect(o)
  local parts = {
    M.text(o.protocol or "MQTT"),
    string.char(o.level or 4, flags_of(o)),
    string.pack(">I2", o.keepalive or 60),
    M.text(o.client_id or ""),
  }
  local function add(s)
    if s then parts[#parts + 1] = M.text(s) end
  end
  add(o.will_topic)
  add(o.will_topic and (o.will_message or ""))
  add(o.username)
  add(o.password)
  return M.packet(0x10, table.concat(parts))
end

--- PUBLISH: options qos, packet_id, retain, dup.
function M.publish(topic, payload, o)
  o = o or {}
  local qos = o.qos or 0
  local first = 0x30 | qos << 1 | (o.retain and 1 or 0) | (o.dup and 8 or 0)
  local id = qos > 0 and string.pack(">I2", o.packet_id or 1) or ""
  return M.packet(first, M.text(topic) .. id .. (payload or ""))
end

--- SUBSCRIBE to { {filter, qos}, ... }.
function M.subscribe(filters, packet_id)
  local body = string.pack(">I2", packet_id or 1)
  for _, f in ipairs(filters) do
    body = body .. M.text(f[1]) .. string.char(f[2] or 0)
  end
  return M.packet(0x82, body)
end

function M.unsubscribe(filters, packet_id)
  local body = string.pack(">I2", packet_id or 1)
  for _, f in ipairs(filters) do
    body = body .. M.text(f)
  end
  return M.packet(0xa2, body)
end

M.PINGREQ = "\xc0\x00"
M.PINGRESP = "\xd0\x00"
M.DISCONNECT = "\xe0\x00"

--- Read one packet from a wire: { type, flags, body, ... }; for PUBLISH also
-- topic, payload, qos, retain, dup, packet_id. nil, why: none came.
function M.read(w, patience)
  local first, why = w:read(1, patience)
  if not first then return nil, why end
  local length, shift = 0, 0
  repeat
    local byte = assert(w:read(1, patience)):byte()
    length = length + (byte & 127) * (1 << shift)
    shift = shift + 7
  until byte < 128
  local body = length > 0 and assert(w:read(length, patience)) or ""
  local p = { type = first:byte() >> 4, flags = first:byte() & 15, body = body }
  if p.type == 3 then
    p.qos, p.retain, p.dup = p.flags >> 1 & 3, p.flags & 1 == 1, p.flags & 8 == 8
    local place
    p.topic, place = string.unpack(">s2", body)
    if p.qos > 0 then p.packet_id, place = string.unpack(">I2", body, place) end
    p.payload = body:sub(place)
  end
  return p
end

--- A connection to a hub's plain MQTT port, from o.source, that has sent CONNECT;
-- the CONNACK's code (nil: closed without one), session present, and the wire.
function M.open(port, o)
  local w = wire.connect(port, o.source)
  w:send(M.connect(o))
  local ack = M.read(w)
  if not ack then return nil, nil, w end
  assert(ack.type == 2, "not a CONNACK")
  return ack.body:byte(2), ack.body:byte(1) == 1, w
end

return M
