-- The main job, end to end, in one process: a hub, a device that answers methods
-- written in Lua, and a script that calls them. Everything goes over real
-- sockets with TLS; only the time in the last but one step is virtual.
--
--     make demo                     (docs/getting-started.md)

local dm = require "directmethods"

dm.log { level = "off" } -- one handler fails on purpose; its caller shows it

local hub <close> = dm.hub {}
print(("hub      listening on 127.0.0.1: MQTT %d, HTTPS %d"):format(
  hub:ports().mqtt, hub:ports().https))

local device <close> = hub:device("dev1", {
  reboot = function(request)
    return 201, { rebooted = true, got = request.payload }
  end,
  slow = function()
    dm.sleep(0.2) -- other methods and calls go on meanwhile
    return 200, "slept"
  end,
  broken = function()
    error("a handler may fail; its caller learns it at once")
  end,
  silent = function()
    dm.sleep(100000)
  end,
  double = function(request)
    return 200, request.payload * 2
  end,
})
assert(device:connect())
print("device   dev1 is connected by MQTT over TLS with a SAS token")

hub:add_device("dev2") -- registered, never connected
local service <close> = hub:service()

local function call(device_id, method, payload, options)
  local began = dm.now()
  local reply, err = service:invoke(device_id, method, payload, options)
  local took = ("%7.1f ms"):format((dm.now() - began) * 1000)
  if reply then
    print(("%s  %s.%s -> status %d  %s"):format(took, device_id, method,
      reply.status, reply.body))
  else
    print(("%s  %s.%s -> %s"):format(took, device_id, method, err))
  end
end

print("\n-- a method with two inputs, one that waits, one that fails, one unknown")
call("dev1", "reboot", { input1 = "someInput", input2 = "anotherInput" })
call("dev1", "slow")
call("dev1", "broken")
call("dev1", "selfDestruct")

print("\n-- a device that is not there, a device that nobody knows")
call("dev2", "reboot")
call("dev3", "reboot")

print("\n-- a device that never answers: 300 seconds, on a clock that is moved")
local silent = dm.spawn(call, "dev1", "silent", nil, { response_timeout = 300 })
local real = os.time()
dm.advance(301)
silent:await()
print(("            (that took %d s of yours)"):format(os.time() - real))

print("\n-- twenty calls at once")
local calls = {}
for i = 1, 20 do
  calls[i] = function()
    return assert(service:invoke("dev1", "double", i)).payload
  end
end
print("            " .. table.concat(dm.all(calls), " "))
