-- Run by interop_spec inside a network namespace of its own, where the ports that
-- the SDKs insist on, 443 and 8883, are free. Prints one JSON document of what
-- happened.

local core = require "directmethods.core"
local dm = require "directmethods"
local pem = require "spec.support.pem"
local stage = require "spec.interop.stage"

local PATIENCE = 60 -- seconds for a program of Node to connect

local AUTHORITY = pem.authority "interop"

local hub <close> = dm.hub {
  mqtt_port = 8883, https_port = 443, x509_ca = AUTHORITY.cert,
}

local function node(program, argument)
  local result = stage.run(hub, program, argument)
  return { status = result.status, stdout = result.stdout, stderr = result.stderr }
end

-- An SDK device, our service ----------------------------------------------------

local function token_for(device_id, life)
  local key = core.connstr(hub:connection_string(device_id)).key
  return core.sas_sign("localhost/devices/" .. device_id, key,
    math.floor(dm.time()) + life)
end

-- The program device.js as a task. Fields: transport, token, connectionString, cert,
-- key.
local function spawn_device(config)
  config.ca = stage.ca(hub)
  return dm.spawn(node, "device.js", dm.json.encode(config))
end

local function sdk_device()
  hub:add_device("node-device")
  local program = spawn_device {
    transport = "Mqtt", token = token_for("node-device", 600),
  }
  local service <close> = hub:service()
  local seen = {}
  local function call(name, method, payload, options)
    local reply, err = service:invoke("node-device", method, payload, options)
    seen[name] = reply and { status = reply.status, body = reply.body }
      or { err = tostring(err) }
  end
  call("reboot", "reboot", { input1 = "x" }, { connect_timeout = PATIENCE })
  call("null", "echo", dm.null)
  call("empty_text", "echo", "")
  call("text", "echo", "a\0b\u{20ac}")
  call("nested", "echo", { list = dm.json.array { 1, 2.5, { deep = true } } })
  call("raw", "echo", dm.json.raw '{"a":[],"b":{}}')
  call("nothing", "nothing", dm.null)
  local replies = {}
  for i = 1, 40 do
    replies[i] = function()
      return assert(service:invoke("node-device", "echo", i)).payload
    end
  end
  seen.many = dm.all(replies)
  local connects = hub:counters().connects
  call("renew", "renew", token_for("node-device", 3600))
  assert(dm.wait_until(function() return hub:counters().connects > connects end, 30))
  call("renewed", "echo", "still here", { connect_timeout = PATIENCE })
  call("quit", "quit", dm.null)
  seen.program = program:await()
  return seen
end

-- A short visit of an SDK device; `config` without its identity.
local function visit(id, config)
  config.connectionString = hub:connection_string(id)
  local program = spawn_device(config)
  local service <close> = hub:service()
  local reply, err = service:invoke(id, "reboot", { input1 = config.transport },
    { connect_timeout = PATIENCE })
  if reply then assert(service:invoke(id, "quit", dm.null)) end
  return {
    reply = reply and { status = reply.status, body = reply.body } or tostring(err),
    program = program:await(),
  }
end

-- A device for each credential and transport: a session that is there already would
-- have the hub call before the SDK has its handlers.
local function sdk_devices()
  local self_cert, self_key = pem.client "self-signed"
  local function ways(prefix)
    local issued = pem.issue(AUTHORITY, prefix .. "issued")
    return {
      ["by-key"] = { options = {}, config = {} },
      ["self-signed"] = {
        options = { primary_thumbprint = pem.thumbprint(self_cert, "sha1") },
        config = { cert = self_cert, key = self_key },
      },
      issued = {
        options = { authentication = "certificateAuthority" },
        config = { cert = issued.cert, key = issued.key },
      },
    }
  end
  local visits = {}
  for _, transport in ipairs { "Mqtt", "MqttWs" } do
    for name, way in pairs(ways(transport .. "-")) do
      local id = transport .. "-" .. name
      assert(hub:add_device(id, way.options))
      way.config.transport = transport
      visits[#visits + 1] = function() return { id, visit(id, way.config) } end
    end
  end
  local seen = {}
  for _, each in ipairs(dm.all(visits)) do seen[each[1]] = each[2] end
  return seen
end

-- An SDK service, our device -----------------------------------------------------

local HANDLERS = {
  reboot = function(request)
    return 201, { rebooted = true, got = request.payload }
  end,
  echo = function(request) return 200, request.payload end,
}

local function sdk_service()
  local device <close> = hub:device("lua-device", HANDLERS)
  local module <close> = hub:device("lua-device/lua-module", HANDLERS)
  hub:add_device("offline-device")
  assert(device:connect())
  assert(module:connect())
  return node("service.js", hub:connection_string("iothubowner"))
end

local seen = dm.run(function()
  return {
    device = sdk_device(), devices = sdk_devices(), service = sdk_service(),
  }
end)
print(dm.json.encode(seen))
