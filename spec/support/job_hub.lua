--- A hub with a store and many devices, in a process of its own that is to be killed.
--
--     job_hub.lua STORE READY DEVICES MQTT_PORT HTTPS_PORT
--
-- Writes its ports and its policy's connection string to READY when it serves.

local dm = require "directmethods"

local path, ready, count, mqtt_port, https_port = table.unpack(arg)
local hub = assert(dm.hub {
  tls = false, store = path, dev_keys = true,
  mqtt_port = tonumber(mqtt_port), https_port = tonumber(https_port),
})

if #hub:devices() == 0 then
  local ids = {}
  for i = 1, tonumber(count) do ids[i] = ("d%04d"):format(i) end
  local owner <close> = hub:service("iothubowner")
  assert(assert(owner.registry:bulk(ids)).ok)
end

local ports = hub:ports()
local file = assert(io.open(ready .. ".new", "w"))
file:write(dm.json.encode {
  mqtt = ports.mqtt, https = ports.https,
  service = hub:connection_string("service"),
  device = hub:connection_string("d0001"),
})
file:close()
assert(os.rename(ready .. ".new", ready))
dm.run()
