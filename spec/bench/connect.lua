--- How long device:connect takes while another client idles.
--
--     connect.lua FILE     FILE: see hub.lua
--
-- Prints milliseconds: of the first connect of this process, then of each further.

local bench = require "spec.bench.process"
local dm = require "directmethods"

local TIMES = 11

local facts = bench.read_facts(arg[1])
local tls = facts.ca and { ca = facts.ca } or false

local function connect(connection_string)
  local device = assert(dm.device {
    connection_string = connection_string, port = facts.mqtt_port, tls = tls,
  })
  local start = dm.now()
  assert(device:connect(10))
  return device, (dm.now() - start) * 1000
end

local other <close>, first = connect(facts.idle)
print(("%.0f"):format(first))
for _ = 1, TIMES do
  local device, ms = connect(facts.bench)
  print(("%.0f"):format(ms))
  device:close()
  assert(device:closed(10))
end
assert(other.state == "online")
