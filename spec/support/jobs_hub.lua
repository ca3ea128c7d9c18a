--- A hub in a process of its own, for spec/jobs_model_spec.lua to kill.
--
--     jobs_hub.lua PLAN READY
--
-- PLAN is a JSON file: the options of dm.hub, ids of new devices, rules for faults. The
-- file READY appears when the hub serves: its process id, ports, connection strings.

local dm = require "directmethods"
local stores = require "spec.support.stores"
local uv = require "luv"

local plan = assert(dm.json.decode(stores.read(arg[1])))
local hub = assert(dm.hub(plan.hub))
local strings = {}
for i, id in ipairs(plan.devices) do
  assert(hub:add_device(id))
  strings[i] = hub:connection_string(id)
end
for _, rule in ipairs(plan.faults) do assert(hub:fault(rule)) end
stores.write(arg[2] .. ".new", dm.json.encode {
  pid = uv.os_getpid(),
  ports = hub:ports(),
  owner = hub:connection_string("iothubowner"),
  devices = strings,
})
assert(os.rename(arg[2] .. ".new", arg[2]))
dm.run()
