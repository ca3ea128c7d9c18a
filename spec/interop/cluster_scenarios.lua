-- Run by cluster_spec inside a network namespace of its own: two hubs of one name, each
-- with the ports that the SDKs insist on, at an address of its own. Its argument is the
-- URL of their database. Prints one JSON document of what happened.

local dm = require "directmethods"
local nats = require "spec.support.nats"
local stage = require "spec.interop.stage"

local ID = "node-device"

local server = nats.server()

local function start(address)
  return assert(dm.hub {
    host = address, hostname = address, mqtt_port = 8883, https_port = 443,
    store = arg[1], cluster = { name = "lab", url = server:url() },
  })
end

print(dm.json.encode(dm.run(function()
  local calling <close> = start "127.0.0.1"
  local holding <close> = start "127.0.0.2"
  assert(calling:add_device(ID))
  local device
  assert(dm.wait_until(function() -- the other hub follows the registry
    local known, found = pcall(holding.connection_string, holding, ID)
    device = known and found
    return known
  end))
  local seen = stage.node(holding, "cluster.js", {
    device = device, service = calling:connection_string "iothubowner",
  })
  seen.asked, seen.lent = #calling:calls(), #holding:calls { outcome = "Answered" }
  return seen
end)))
server:close()
