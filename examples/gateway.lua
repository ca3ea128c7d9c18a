-- A gateway: one process answers for itself and for the machines behind it that do not
-- speak MQTT. Each machine is a module of the gateway's device, with credentials of its
-- own, so that a back end calls "gateway/press" as it calls any other device.
--
--   lua5.4 examples/gateway.lua                (docs/device.md)
local dm = require "directmethods"

-- In place of a field bus: what the machines say, and one that does not answer.
local bus = {
  press = function(register) return register * 2 end,
  oven = function() return nil, "no answer from the bus" end,
}

local function handlers_of(machine)
  return {
    read = function(request)
      local value, why = bus[machine](request.payload.register)
      if not value then return 504, { error = why } end
      return 200, { value = value }
    end,
  }
end

local hub <close> = assert(dm.hub {})
local gateway <close> = hub:device("gateway", {
  machines = function() return 200, dm.json.array { "oven", "press" } end,
})
assert(gateway:connect())
local oven <close> = hub:device("gateway/oven", handlers_of "oven")
local press <close> = hub:device("gateway/press", handlers_of "press")
dm.all { function() assert(oven:connect()) end, function() assert(press:connect()) end }

local service <close> = hub:service()
local machines = assert(service:invoke("gateway", "machines")).payload
for _, machine in ipairs(machines) do
  local reply = assert(service:invoke("gateway", "read", { register = 21 },
    { module_id = machine }))
  print(machine, reply.status, reply.body)
end
