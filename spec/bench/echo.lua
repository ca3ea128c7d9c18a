--- A device that answers each call with its payload, until SIGTERM.
--
--     echo.lua FILE [fleet]     FILE: see hub.lua; fleet: the one device of a fleet
--
-- Prints its process id when it is subscribed.

local bench = require "spec.bench.process"
local dm = require "directmethods"

local facts = bench.read_facts(arg[1])
local fleet = arg[2] == "fleet"

local options = {
  port = facts.mqtt_port,
  tls = facts.ca and { ca = facts.ca } or false,
  handlers = {
    echo = function(request) return 200, request.payload end,
  },
}
if fleet then
  options.connection_strings = { facts.bench }
else
  options.connection_string = facts.bench
end

local made <close> = assert((fleet and dm.fleet or dm.device)(options))
assert(made:connect())
bench.print_id()
dm.run()
