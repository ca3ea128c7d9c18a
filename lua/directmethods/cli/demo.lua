--- `directmethods demo`: a hub, a device and calls in one process.

local command = require "directmethods.cli.command"
local dm = require "directmethods"

require "directmethods.hub" -- may not be installed

local HANDLERS = {
  reboot = function(request)
    return 201, { rebooted = true, why = request.payload.why }
  end,
  silent = function(request) request:defer() end,
}

local function show(began, device, method, reply, err)
  local outcome = reply and ("status %d  %s"):format(reply.status, reply.body)
    or tostring(err)
  command.write(("%5.0f ms  %s %s -> %s\n"):format((dm.now() - began) * 1000, device,
    method, outcome))
end

local function call(service, device, method, payload)
  local began = dm.now()
  show(began, device, method, service:invoke(device, method, payload))
end

-- A call that times out after 300 s of the movable clock.
local function call_silent(service)
  local waiting = dm.spawn(function()
    return service:invoke("dev1", "silent", nil, { response_timeout = 300 })
  end)
  local real = os.time()
  dm.advance(301)
  local _, err = waiting:await()
  command.write(("300 s of the clock, %d s of yours:  dev1 silent -> %s\n"):format(
    os.time() - real, tostring(err)))
end

local function run()
  local hub <close> = command.check(dm.hub {})
  command.write(("hub      serves on 127.0.0.1: MQTT %d, HTTPS %d\n"):format(
    hub:ports().mqtt, hub:ports().https))
  local device <close> = command.check(hub:device("dev1", HANDLERS))
  command.check(device:connect())
  command.write("device   dev1 is connected by MQTT over TLS\n\n")
  command.check(hub:add_device "dev2")
  local service <close> = command.check(hub:service())
  call(service, "dev1", "reboot", { why = "update" })
  call(service, "dev1", "unknown")
  call(service, "dev2", "reboot")
  call(service, "dev3", "reboot")
  command.write("\n-- a device that does not answer, and a movable clock\n")
  call_silent(service)
  command.write("\nNow yours:  directmethods hub --device dev1 -- COMMAND\n")
end

return command.define {
  name = "demo",
  summary = "Show a hub, a device and calls, in one process and without a cloud.",
  examples = { "directmethods demo" },
  run = run,
}
