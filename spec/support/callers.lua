--- One device and those who call it, over raw wires: what the specs of the service's
-- HTTP side share.

local assert = require "luassert"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"

local M = {}

local LONG = 10 * 365 * 86400 -- seconds that tokens of the devices last

M.GUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

local Pair = {}
Pair.__index = Pair

--- A hub, and a device "dev1" of `version` that is connected and takes calls.
---@param opts table? options of the hub
---@param version string? default: the new contract
function M.pair(opts, version)
  local self = setmetatable({ hub = fixture.hub(opts) }, Pair)
  self.device = self:add("dev1", version)
  return self
end

--- One more device that is connected and takes calls.
function Pair:add(id, version)
  assert(self.hub:add_device(id))
  local expiry = math.floor(dm.time()) + LONG
  local device = fixture.device(self.hub, id, {
    version = version or fixture.NEW,
    password = fixture.device_token(self.hub, id, expiry),
  })
  assert.equal(0, device.code)
  return device
end

function Pair:finish()
  fixture.finish(self.hub, self.device)
end

local function with_device(o)
  local fields = { device = "dev1" }
  for k, v in pairs(o or {}) do fields[k] = v end
  return fields
end

--- Send a call of dev1; the wire to read the reply from. Fields: as fixture's.
function Pair:send(o)
  return fixture.send_call(self.hub, with_device(o))
end

--- A call that the hub has to answer by itself.
function Pair:refused(o)
  return assert(fixture.call(self.hub, with_device(o)))
end

--- A call that dev1 answers with `o.status` and `o.answer`: the reply, and the
-- payload and method that the device was given.
function Pair:call(o)
  o = with_device(o)
  local wire = self:send(o)
  local device = o.at or self.device
  local method, rid, payload = device:request()
  assert.truthy(method, rid)
  device:answer(rid, o.status or 200, o.answer or "{}")
  local reply = assert(http.read(wire))
  if not o.wire then wire:close() end
  return reply, payload, method
end

--- A call of dev1 that has reached it and is not answered.
function Pair:pending(o)
  local wire = self:send(o)
  local method, rid = self.device:request()
  assert.truthy(method, rid)
  return wire, rid
end

--- The same of another device, by its id.
function Pair:pending_at(device, id)
  local wire = self:send { device = id }
  local method, rid = device:request()
  assert.truthy(method, rid)
  return wire, rid
end

--- A call that the device does not answer ends after `seconds`, and not before.
function Pair:runs_out_after(seconds, o)
  local began = dm.now()
  local wire = self:pending(o)
  dm.advance(seconds - 0.5)
  assert.is_true(wire:quiet_until(began + seconds))
  dm.advance(0.5)
  local reply = assert(http.read(wire))
  wire:close()
  local clock = ("%02d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60,
    seconds % 60)
  M.is_error(reply, 504101, "GatewayTimeout",
    "Timed out waiting for the response from device.", { timeout = clock })
end

--- The reply is this error in Format M; `info` nil: it has no such member.
function M.is_error(reply, code, name, message, info)
  assert.equal(code // 1000, reply.status)
  assert.equal(name, reply.headers["iothub-errorcode"])
  assert.equal("application/json; charset=utf-8", reply.headers["content-type"])
  local inner, outer = fixture.error_m(reply)
  assert.equal("", outer.ExceptionMessage)
  assert.equal(code, inner.errorCode)
  if message then assert.equal(message, inner.message) end
  assert.same(info, inner.info)
end

--- The reply is 400 400004 without `info`.
function M.is_argument_error(reply, message)
  M.is_error(reply, 400004, "ArgumentInvalid", message)
end

local TRACKING = "Tracking ID:" .. ("%x"):rep(32)
  .. "%-TimeStamp:%d%d/%d%d/%d%d%d%d %d%d:%d%d:%d%d"

--- The reply is this error in Format E, byte for byte but for the tracking id.
function M.is_error_e(reply, status, name, text)
  assert.equal(status, reply.status)
  assert.equal(name, reply.headers["iothub-errorcode"])
  assert.equal("application/json; charset=utf-8", reply.headers["content-type"])
  local head = ('{"Message":"ErrorCode:%s;%s","ExceptionMessage":"'):format(name, text)
  assert.equal(head, reply.body:sub(1, #head))
  assert.matches("^" .. TRACKING .. '"}$', reply.body:sub(#head + 1))
end

--- JSON text of exactly n bytes.
function M.json_of(n)
  return '"' .. ("x"):rep(n - 2) .. '"'
end

--- The body of a call: its name and more members as JSON text.
function M.body(more, name)
  return ('{"methodName":"%s"%s}'):format(name or "reboot", more and "," .. more or "")
end

return M
