--- What the conformance specs share: a plain hub, tokens, raw devices and raw
-- calls. The bytes are made here in Lua; nothing of the clients is used.

local core = require "directmethods.core"
local dm = require "directmethods"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local task = require "directmethods.task"

local M = {}

M.HOST = "localhost"
M.OLD = "2018-06-30" -- api-version of the seeds' contract
M.NEW = "2021-04-12"

-- Live handles of the loop before a hub was made.
local handles_before = setmetatable({}, { __mode = "k" })

-- Set by spec/postgres_hub_spec.lua: the folder of a server that runs.
local POSTGRES = os.getenv "SPEC_POSTGRES"

--- A plain hub on ports of the system's choice.
function M.hub(opts)
  local o = { tls = false }
  for k, v in pairs(opts or {}) do o[k] = v end
  if POSTGRES and not o.store then
    o.store = require("spec.support.postgres").at(POSTGRES):new_url()
  end
  local handles = core.handles()
  local hub = assert(dm.hub(o))
  handles_before[hub] = handles
  return hub
end

--- Close what is given, then the hub; raises when anything of it is left.
function M.finish(hub, ...)
  for _, closable in ipairs { ... } do closable:close() end
  hub:close()
  assert(hub:closed(10))
  local before = handles_before[hub]
  assert(dm.wait_until(function() return core.handles() <= before end))
  assert(dm.wait_until(function() return task.count() == 0 end), "tasks are left")
  assert(dm.wait_until(function() return core.outstanding() == 0 end),
    "operations are outstanding")
end

--- The key of a policy or device ("dev" or "dev/mod") of this hub.
function M.key(hub, name)
  return assert(core.connstr(hub:connection_string(name))).key
end

--- A token. Fields: resource (plain), key, expiry (unix), policy.
function M.token(o)
  local expiry = o.expiry or math.floor(dm.time()) + 3600
  return assert(core.sas_sign(o.resource or M.HOST, o.key, expiry, o.policy))
end

function M.service_token(hub, policy)
  policy = policy or "service"
  return M.token { key = M.key(hub, policy), policy = policy }
end

local function resource_of(identity)
  local device, module = identity:match("^([^/]+)/(.+)$")
  if not device then return M.HOST .. "/devices/" .. identity end
  return ("%s/devices/%s/modules/%s"):format(M.HOST, device, module)
end

function M.device_token(hub, identity, expiry)
  return M.token {
    resource = resource_of(identity),
    key = M.key(hub, identity),
    expiry = expiry,
  }
end

--- Fields of a CONNECT that this hub accepts; `o` overrides. o.version: false for
-- a user name without api-version.
function M.connect_fields(hub, identity, o)
  o = o or {}
  local version = o.version == nil and M.NEW or o.version
  local username = ("%s/%s/%s"):format(M.HOST, identity,
    version and "?api-version=" .. version or "")
  local fields = {
    client_id = identity,
    username = username,
    clean = true,
    keepalive = 1000, -- seconds: a raw device sends no PINGREQ
  }
  for k, v in pairs(o) do fields[k] = v end
  fields.password = fields.password or M.device_token(hub, identity)
  return fields
end

-- A raw device ---------------------------------------------------------------

local Device = {}
Device.__index = Device

--- Connect a registered identity; subscribed to methods unless o.subscribe is
-- false. Its fields: wire, code (CONNACK), session_present.
function M.device(hub, identity, o)
  o = o or {}
  local code, present, w = mqtt.open(hub:ports().mqtt,
    M.connect_fields(hub, identity, o))
  local self = { wire = w, code = code, session_present = present }
  setmetatable(self, Device)
  if code == 0 and o.subscribe ~= false then self:subscribe(o.qos) end
  return self
end

--- Subscribe to all methods; the SUBACK's code.
function Device:subscribe(qos, filter)
  filter = filter or "$iothub/methods/POST/#"
  self.wire:send(mqtt.subscribe({ { filter, qos or 0 } }, 7))
  local ack = assert(mqtt.read(self.wire))
  assert(ack.type == 9, "not a SUBACK")
  return ack.body:byte(3)
end

--- The next packet; nil, "timeout" or "closed".
function Device:read(patience)
  return mqtt.read(self.wire, patience)
end

--- The next request: its method, $rid, payload and the packet.
function Device:request(patience)
  local p, why = self:read(patience)
  if not p then return nil, why end
  assert(p.type == 3, "not a PUBLISH but type " .. p.type)
  local method, rid = p.topic:match("^%$iothub/methods/POST/([^/]+)/%?%$rid=(.+)$")
  return method, rid, p.payload, p
end

function Device:answer(rid, status, payload, o)
  local topic = ("$iothub/methods/res/%s/?$rid=%s"):format(status, rid)
  self.wire:send(mqtt.publish(topic, payload, o))
end

function Device:send(bytes)
  self.wire:send(bytes)
end

function Device:close()
  self.wire:close()
end

-- Raw calls --------------------------------------------------------------------

--- The target of a method call. Fields: device, module, version, slash.
function M.target(o)
  local path = "/twins/" .. o.device
  if o.module then path = path .. "/modules/" .. o.module end
  path = path .. "/methods" .. (o.slash and "/" or "")
  local version = o.version == nil and M.NEW or o.version
  return version and path .. "?api-version=" .. version or path
end

--- Send a method call without waiting for its reply: a wire to http.read from.
-- Fields: device, module, version, body (JSON text), token (false: none),
-- headers, wire (of an earlier call, to use again), source (address).
function M.send_call(hub, o)
  local wire = o.wire or require("spec.support.wire").connect(
    hub:ports().https, o.source)
  local headers = { "Content-Type: application/json; charset=utf-8" }
  if o.token ~= false then
    headers[#headers + 1] = "Authorization: " .. (o.token or M.service_token(hub))
  end
  for _, line in ipairs(o.headers or {}) do headers[#headers + 1] = line end
  wire:send(http.request {
    method = o.method or "POST",
    target = o.target or M.target(o),
    headers = headers,
    body = o.body or '{"methodName":"reboot"}',
  })
  return wire
end

--- A whole call: the reply of http.read.
function M.call(hub, o)
  local wire = M.send_call(hub, o)
  local reply, why = http.read(wire, o.patience)
  if not o.wire then wire:close() end
  return reply, why
end

--- The members of a Format M error: errorCode, trackingId, message, info (its
-- JSON object), timestampUtc; and the outer document.
function M.error_m(reply)
  local outer = assert(dm.json.decode(reply.body))
  return assert(dm.json.decode(outer.Message)), outer
end

--- The name and text of a Format E error; and the outer document.
function M.error_e(reply)
  local outer = assert(dm.json.decode(reply.body))
  local name, text = outer.Message:match("^ErrorCode:([^;]+);(.*)$")
  return name, text, outer
end

return M
