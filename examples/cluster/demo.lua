-- Several hubs behind one name, and what callers see when one of them, or the bus
-- between them, goes. It starts two hubs, a PostgreSQL and a NATS server in a folder,
-- which it removes at the end.
--
--     make cluster-demo             (docs/cluster.md)

local dm = require "directmethods"
local servers = dofile "examples/cluster/servers.lua"

dm.log { level = "off" } -- devices lose their hub on purpose

local world <close> = servers.start()
print("store    PostgreSQL, on a socket in " .. world.folder)
print(("bus      NATS on port %d, with a password"):format(world.nats_port))
local a = world:hub("a", { "fan", "lamp" })
local b = world:hub("b", { "fan", "lamp" })
print(("hub a    MQTT %d, HTTP %d"):format(a.ports.mqtt, a.ports.https))
print(("hub b    MQTT %d, HTTP %d"):format(b.ports.mqtt, b.ports.https))

local busy = false -- the slow method runs

local function device_at(hub, id)
  return dm.device {
    connection_string = hub.devices[id],
    port = hub.ports.mqtt,
    tls = false,
    handlers = {
      status = function() return 200, id .. " is fine" end,
      slow = function()
        busy = true
        dm.sleep(60)
        return 200, "slept"
      end,
    },
  }
end

-- A caller at hub b. Policies' keys are in the database, so those of hub a serve, too.
local service <close> = dm.service {
  connection_string = a.connection_strings.service,
  port = b.ports.https,
  tls = false,
}

local function call(device_id, method, options)
  local began = dm.now()
  local reply, err = service:invoke(device_id, method, nil, options)
  print(("%7.1f ms  %s.%s -> %s"):format((dm.now() - began) * 1000, device_id, method,
    reply and ("status %d  %s"):format(reply.status, reply.body) or tostring(err)))
end

print("\n-- fan is connected to hub a, the caller to hub b; nobody has lamp")
local fan <close> = device_at(a, "fan")
assert(fan:connect())
call("fan", "status", { connect_timeout = 30 })
call("fan", "status")
call("lamp", "status")

print("\n-- the caller waits for lamp, which connects to hub a")
local waiting = dm.spawn(call, "lamp", "status", { connect_timeout = 30 })
dm.sleep(0.5)
local lamp <close> = device_at(a, "lamp")
assert(lamp:connect())
waiting:await()

print("\n-- hub a is killed while a method of fan runs: nobody runs it again")
local lost = dm.spawn(call, "fan", "slow", { response_timeout = 60 })
assert(dm.wait_until(function() return busy end, 30))
a:kill()
lost:await()

print("\n-- fan connects to hub b")
fan:close()
local again <close> = device_at(b, "fan")
assert(again:connect())
call("fan", "status", { connect_timeout = 30 })

print("\n-- NATS is killed: hub b has its own devices, and cannot ask for others")
world:stop_nats()
call("fan", "status")
call("lamp", "status")
