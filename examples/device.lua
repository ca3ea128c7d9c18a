-- A device that answers methods until it is stopped (Ctrl-C). See docs/device.md.
--
--   directmethods hub --mqtt-port 0 --https-port 0 --device dev1 --env >hub.env &
--   . ./hub.env
--   lua5.4 examples/device.lua
--
-- IOTHUB_DEVICE_CONNECTION_STRING says which device of which hub. HUB_MQTT_PORT and
-- IOTHUB_CA_FILE say where a local one listens and which CA it has; Azure's needs
-- neither.

local dm = require "directmethods"

local device <close> = dm.device {
  connection_string = assert(os.getenv "IOTHUB_DEVICE_CONNECTION_STRING",
    "IOTHUB_DEVICE_CONNECTION_STRING is not set"),
  port = tonumber(os.getenv "HUB_MQTT_PORT" or ""),
  tls = { ca = os.getenv "IOTHUB_CA_FILE" },
  api_version = "2021-04-12",
}

device:method("reboot", function(request)
  dm.sleep(0.2) -- other methods go on meanwhile
  return 201, { rebooting = true, because = request.payload }
end)

device:method("uptime", function()
  local result = assert(dm.exec { "uptime" })
  return 200, { text = result.stdout }
end)

device:on("state", function(new, _, why)
  print("device is " .. new .. (why and ": " .. why or ""))
end)

assert(device:connect())
dm.run()
