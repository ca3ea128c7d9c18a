--- A device that answers each call with its payload, until SIGTERM.
--
--     echo.lua FILE     FILE: see hub.lua
--
-- Prints its process id when it is subscribed.

local bench = require "spec.bench.process"
local dm = require "directmethods"

local facts = bench.read_facts(arg[1])

local device <close> = assert(dm.device {
  connection_string = facts.bench,
  port = facts.mqtt_port,
  tls = facts.ca and { ca = facts.ca } or false,
  handlers = {
    echo = function(request) return 200, request.payload end,
  },
})
assert(device:connect(10))
bench.print_id()
dm.run()
