-- Run by clients_spec inside a network namespace of its own: the registry, and the
-- life of devices, by Azure's SDKs. Prints one JSON document of what happened.

local dm = require "directmethods"
local stage = require "spec.interop.stage"

local DEVICES = {
  "twin", "messages", "renewal", "proxied", "host", "host/module", "closed",
  "taken-over", "disabled", "deleted", "huge",
}

local function registry()
  local hub <close> = dm.hub { mqtt_port = 8883, https_port = 443 }
  assert(hub:add_device "host")
  return stage.node(hub, "registry.js", {
    service = hub:connection_string "service",
    owner = hub:connection_string "iothubowner",
    reader = hub:connection_string "registryRead",
  })
end

local function life()
  local hub <close> = dm.hub { mqtt_port = 8883, https_port = 443 }
  local config = {
    service = hub:connection_string "service",
    owner = hub:connection_string "iothubowner",
    devices = {},
  }
  for _, id in ipairs(DEVICES) do
    assert(hub:add_device(id))
    config.devices[id] = hub:connection_string(id)
  end
  local seen = stage.node(hub, "life.js", config)
  seen.received = {}
  for _, message in ipairs(hub:messages()) do
    seen.received[message.device_id] = message
  end
  seen.counters = hub:counters()
  return seen
end

local function digital_twin()
  local hub <close> = dm.hub { mqtt_port = 8883, https_port = 443 }
  assert(hub:add_device "plugged")
  return stage.node(hub, "digital_twin.js", {
    service = hub:connection_string "service",
    device = hub:connection_string "plugged",
  })
end

print(dm.json.encode(dm.run(function()
  return { registry = registry(), life = life(), digital_twin = digital_twin() }
end)))
