-- Invoke a method of a device and print its answer. See docs/service.md.
--
--   lua5.4 examples/invoke.lua DEVICE METHOD [PAYLOAD as JSON]
--
-- IOTHUB_CONNECTION_STRING says which hub. HUB_HTTPS_PORT and IOTHUB_CA_FILE say where
-- a local one listens and which CA it has (`directmethods hub --env` prints all of
-- them); Azure's needs neither.

local dm = require "directmethods"

local device_id, method, payload = table.unpack(arg)
if not method then
  io.stderr:write("usage: invoke.lua DEVICE METHOD [PAYLOAD]\n")
  os.exit(2)
end

local service <close> = dm.service {
  connection_string = assert(os.getenv "IOTHUB_CONNECTION_STRING",
    "IOTHUB_CONNECTION_STRING is not set"),
  port = tonumber(os.getenv "HUB_HTTPS_PORT" or ""),
  tls = { ca = os.getenv "IOTHUB_CA_FILE" },
  api_version = "2021-04-12",
}

local reply, err = service:invoke(device_id, method,
  payload and dm.json.raw(payload), { response_timeout = 30 })
if not reply then
  io.stderr:write(tostring(err), "\n")
  os.exit(1, true)
end
print(reply.status, reply.body)
os.exit(reply.ok, true)
