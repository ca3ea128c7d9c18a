--- A hub of plain bytes for specs of our own clients: it says exactly what the spec
-- has it say, and keeps exactly what came.

local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

local M = {}

M.KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

local FakeHub = {}
FakeHub.__index = FakeHub

function M.new()
  return setmetatable({ listener = wire.listen(), wires = {} }, FakeHub)
end

function FakeHub:port()
  return self.listener.port
end

function FakeHub:close()
  for _, each in ipairs(self.wires) do each:close() end
  self.listener:close()
end

--- The wire of the next client.
function FakeHub:accept()
  local accepted = assert(self.listener:accept(), "nobody connects")
  table.insert(self.wires, accepted)
  return accepted
end

-- HTTP -----------------------------------------------------------------------

--- Read one request from a wire: its head and body.
function M.read_request(w)
  local head = assert(w:read_to("\r\n\r\n"))
  local length = tonumber(head:lower():match("\r\ncontent%-length: (%d+)") or 0)
  return head, length > 0 and assert(w:read(length)) or ""
end

--- The bytes of an answer. Fields: status, headers (lines), body.
function M.answer(o)
  local lines = { ("HTTP/1.1 %d X"):format(o.status) }
  for _, line in ipairs(o.headers or {}) do lines[#lines + 1] = line end
  lines[#lines + 1] = "Content-Length: " .. #o.body
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. o.body
end

-- MQTT -----------------------------------------------------------------------

local Peer = {}
Peer.__index = Peer

-- What a CONNECT says, as far as specs ask.
local function read_connect(packet)
  local _, level, flags, keepalive, place = string.unpack(">s2 B B I2", packet.body)
  return {
    level = level,
    clean = flags & 2 ~= 0,
    keepalive = keepalive,
    client_id = string.unpack(">s2", packet.body, place),
  }
end

--- Let the next device in, up to its SUBSCRIBE; peer:acknowledge() sends the SUBACK.
function FakeHub:device_without_suback(session_present)
  local peer = setmetatable({ wire = self:accept() }, Peer)
  local packet = assert(mqtt.read(peer.wire))
  assert(packet.type == 1, "not a CONNECT")
  peer.connect = read_connect(packet)
  peer.wire:send(string.char(0x20, 2, session_present and 1 or 0, 0))
  peer.subscribe = assert(mqtt.read(peer.wire))
  assert(peer.subscribe.type == 8, "not a SUBSCRIBE")
  return peer
end

--- Let the next device in: CONNECT, CONNACK, SUBSCRIBE, SUBACK. The peer's
-- fields: wire, connect, subscribe (the packet).
function FakeHub:device(session_present)
  local peer = self:device_without_suback(session_present)
  peer:acknowledge()
  return peer
end

function Peer:acknowledge()
  self.wire:send("\x90\x03" .. self.subscribe.body:sub(1, 2) .. "\0")
end

--- The bytes of a call of a method.
function M.call(method, rid, payload, o)
  local topic = ("$iothub/methods/POST/%s/?$rid=%s"):format(method, rid)
  return mqtt.publish(topic, payload or "", o)
end

--- Call a method of the device.
function Peer:call(...)
  self.wire:send(M.call(...))
end

--- The next packet that is no PINGREQ; those are answered and counted.
function Peer:read(patience)
  local packet, why = mqtt.read(self.wire, patience)
  while packet and packet.type == 12 do
    self.pings = (self.pings or 0) + 1
    self.wire:send(mqtt.PINGRESP)
    packet, why = mqtt.read(self.wire, patience)
  end
  return packet, why
end

return M
