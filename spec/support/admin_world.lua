--- The hub that the examples of openapi.json are about, and how each is asked for.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local errors = require "directmethods.errors"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local time = require "directmethods.time"
local wires = require "spec.support.wire"

local M = {}

local World = {}
World.__index = World

local function schedule(hub)
  local service <close> = hub:service()
  assert(service.jobs:schedule { id = "night", method = "on",
    query = "deviceId = 'lamp'", delay = 3600 })
end

-- As if another hub of the name were in another process, until it is asked once.
local function hold_time(hub)
  local told
  time.guard(hub, function()
    if told then return nil end
    told = true
    return "hub 0011223344556677 of 'lab' is in another process, where time would "
      .. "not move"
  end)
end

-- As if another hub had the same database, until the hub asks once.
local function share(what)
  return function(hub)
    hub.state.cluster = { refusal = function()
      hub.state.cluster = false
      return errors.new { name = "Conflict", message = what .. ": hub 0011223344556677 "
        .. "of 'lab' is alive and has the same devices and jobs: end the other hubs "
        .. "first" }
    end }
  end
end

-- Options of the hub of these examples.
local OPTIONS = { ["GET /throttles"] = { tier = "F1" } }

-- What must be done before these examples.
local BEFORE = {
  ["DELETE /calls/{id} 404"] = function(hub) assert(hub:delete_calls { 2 } == 1) end,
  ["POST /clock/advance 409"] = hold_time,
  ["GET /jobs 200"] = schedule,
  ["GET /jobs/{job_id} 200"] = schedule,
  ["GET /jobs/{job_id}/devices 200"] = schedule,
  ["POST /jobs/{job_id}/cancel 200"] = schedule,
  ["POST /faults 409"] = function(hub)
    repeat until not hub:fault { stage = "http", action = "drop", method = "never" }
  end,
  ["DELETE /recordings/{id} 204"] = function(hub)
    assert(select(2, admin.ask(hub, "POST", "/recordings")).id == 1)
  end,
  ["POST /reset 409"] = share "hub:reset",
  ["POST /snapshots/{name}/restore 409"] = share "hub:restore",
  ["POST /snapshots/{name} 409"] = function(hub)
    for i = 1, 15 do assert(hub:snapshot("s" .. i)) end
  end,
}

local function put(hub, target, body)
  assert(admin.ask(hub, "PUT", target, { body = body }) == 200)
end

--- The hub for the examples of an operation, such as "GET /calls" (nil: of any):
-- devices lamp, gate with its module lock, and refused, which may not connect; silent
-- and broken, which do not answer and answer what is no JSON, each with a module of its
-- name; two calls, a message, fault rules, a snapshot.
---@param operation string?
function M.new(operation)
  local options = { dev_keys = true, admin_port = 0 }
  for name, value in pairs(OPTIONS[operation] or {}) do options[name] = value end
  local hub = fixture.hub(options)
  local world = setmetatable({ hub = hub, peers = {} }, World)
  put(hub, "/devices/lamp", {
    tags = { room = "hall" }, desired = { interval = 60 },
    methods = { on = { payload = { on = true } }, weak = { { status = 503 }, {} } },
  })
  put(hub, "/devices/gate/modules/lock", { methods = { open = { status = 202 } } })
  for _, name in ipairs { "silent", "broken", "silent/silent", "broken/broken" } do
    hub:add_device(name)
    world.peers[name] = fixture.device(hub, name)
  end
  local silent = world.peers.silent
  silent:send(mqtt.publish("devices/silent/messages/events/a=b", "21.5", { qos = 1 }))
  assert(silent:read())
  admin.ask(hub, "POST", "/devices/lamp/methods/on", { body = '{"level":40}' })
  admin.ask(hub, "POST", "/devices/lamp/methods/no%20name")
  assert(hub:fault { stage = "response", action = "delay", delay = 2, device = "lamp",
    method = "weak" })
  assert(hub:fault { stage = "connect", action = "reject", code = 5,
    device = "refused" })
  assert(hub:snapshot "ready")
  return world
end

function World:close()
  for _, peer in pairs(self.peers) do peer:close() end
  fixture.finish(self.hub)
end

-- The raw device that a call reaches; nil: another one answers.
local function peer_of(world, target)
  local device, module = target:match "^/devices/([^/]+)/modules/([^/]+)/methods/"
  device = device or target:match "^/devices/([^/]+)/methods/"
  return world.peers[module and device .. "/" .. module or device], device
end

--- The status, the decoded body or the text, and the whole reply.
---@param operation string "GET /calls"
---@param status integer that is expected
---@param target string
---@param body any?
function World:ask(operation, status, target, body)
  local before = BEFORE[("%s %d"):format(operation, status)]
  if before then before(self.hub) end
  local method = operation:match "^%u+"
  local text = body ~= nil and dm.json.encode(body) or nil
  local peer, name = peer_of(self, target)
  if not peer then return admin.ask(self.hub, method, target, { body = text }) end
  local wire = wires.connect(self.hub:ports().admin)
  wire:send(http.request(admin.request(self.hub, method, target, { body = text })))
  local _, rid = peer:request()
  if name == "broken" then
    peer:answer(rid, 200, "this is no JSON")
  else
    dm.advance(31)
  end
  local reply = assert(http.read(wire))
  wire:close()
  return reply.status, (dm.json.decode(reply.body)), reply
end

-- What differs from run to run.
local VARIES = { time = true, seconds = true, elapsed = true, bytes = true }

local function plain_text(text)
  return (text:gsub("%x+%-TimeStamp:[%d/]+ [%d:]+", "ID"):gsub("%d+%-%d+%-%d+T[%d:.]+Z",
    "TIME"):gsub("127%.0%.0%.1:%d+", "ADDRESS"):gsub("localhost:%d+", "ADDRESS"))
end

--- A value without what differs from run to run.
function M.plain(value, name)
  if name == "stages" then return {} end
  if type(value) == "number" and VARIES[name] then return 0 end
  if type(value) == "string" then return plain_text(value) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, each in pairs(value) do copy[key] = M.plain(each, key) end
  return setmetatable(copy, getmetatable(value))
end

return M
