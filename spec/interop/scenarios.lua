-- Run by interop_spec inside a network namespace of its own, where the ports that
-- the SDKs insist on, 443 and 8883, are free. Prints one JSON document of what
-- happened. Argument: the folder of this file.

local core = require "directmethods.core"
local dm = require "directmethods"

local FOLDER = ...
local PATIENCE = 60 -- seconds for one program of Node

local hub <close> = dm.hub { mqtt_port = 8883, https_port = 443 }
local CA = hub:ca_file()

local function node(program, ...)
  local argv = { "env", "NODE_EXTRA_CA_CERTS=" .. CA, "node",
    FOLDER .. "/" .. program, ... }
  local result, err = dm.exec(argv, { timeout = PATIENCE })
  if not result then return { status = -1, stderr = tostring(err) } end
  return { status = result.status, stdout = result.stdout, stderr = result.stderr }
end

-- An SDK device, our service ----------------------------------------------------

local function token_for(device_id, life)
  local key = core.connstr(hub:connection_string(device_id)).key
  return core.sas_sign("localhost/devices/" .. device_id, key,
    math.floor(dm.time()) + life)
end

local function sdk_device()
  hub:add_device("node-device")
  local program = dm.spawn(node, "device.js", token_for("node-device", 600), CA)
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
  return { device = sdk_device(), service = sdk_service() }
end)
print(dm.json.encode(seen))
