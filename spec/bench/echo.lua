--- A device that answers each call with its payload, until SIGTERM.
--
--     echo.lua FILE [uv]     FILE: see hub.lua; uv: the device's engine, not paho
--
-- Prints its process id when it is subscribed.

local bench = require "spec.bench.process"
local dm = require "directmethods"

local facts = bench.read_facts(arg[1])
local made <close> = dm.device {
  connection_string = facts.bench,
  engine = arg[2],
  port = facts.mqtt_port,
  tls = facts.ca and { ca = facts.ca } or false,
  handlers = {
    echo = function(request) return 200, request.payload end,
  },
}
assert(made:connect())
bench.print_id()
dm.run()
