--- The service client under load: callers with one call in flight each.
--
--     caller.lua FILE CALLERS WARM_UP SECONDS
--
-- FILE: see hub.lua; what is printed: see caller.c.

local bench = require "spec.bench.process"
local dm = require "directmethods"

local PAYLOAD = { interval = 30, unit = "seconds", retries = 3, name = "abcdefghij" }

local facts = bench.read_facts(arg[1])
local callers, warm_up, seconds = tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4])

local service <close> = assert(dm.service {
  connection_string = facts.service,
  port = facts.http_port,
  tls = facts.ca and { ca = facts.ca } or false,
  max_connections = callers,
})

local from = dm.now() + warm_up
local stop = from + seconds
local calls, all, cpu = 0, 0, nil

local function call_on()
  while dm.now() < stop do
    all = all + 1
    local reply = assert(service:invoke("bench", "echo", PAYLOAD))
    assert(reply.status == 200 and reply.payload.name == PAYLOAD.name)
    if cpu then
      calls = calls + 1
    elseif dm.now() >= from then
      cpu = os.clock()
    end
  end
end

local tasks = {}
for i = 1, callers do tasks[i] = call_on end
dm.all(tasks)
print(("calls=%d all=%d cpu=%.6f"):format(calls, all, os.clock() - cpu))
