--- How long device:connect takes while another client idles.
--
--     connect.lua FILE     FILE: see hub.lua
--
-- Prints milliseconds: of the first connect of this process, then of each further.

local dm = require "directmethods"

local TIMES = 11

local function read_facts(path)
  local file <close> = assert(io.open(path))
  local lines = {}
  for line in file:lines() do lines[#lines + 1] = line end
  return lines
end

local facts = read_facts(arg[1])
local port, bench, idle = math.tointeger(tonumber(facts[1])), facts[5], facts[6]
local tls = facts[7] ~= "" and { ca = facts[7] } or false

local function connect(connection_string)
  local device = assert(dm.device {
    connection_string = connection_string, port = port, tls = tls,
  })
  local start = dm.now()
  assert(device:connect(10))
  return device, (dm.now() - start) * 1000
end

local other <close>, first = connect(idle)
print(("%.0f"):format(first))
for _ = 1, TIMES do
  local device, ms = connect(bench)
  print(("%.0f"):format(ms))
  device:close()
  assert(device:closed(10))
end
assert(other.state == "online")
