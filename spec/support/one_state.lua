--- Run by two_states.c: a hub, a device and calls, all in this state. Prints its number
-- when all went well.

local number = ...
local dm = require "directmethods"

for round = 1, 3 do
  local hub <close> = assert(dm.hub { tls = round == 2 })
  local service <close> = assert(hub:service())
  local device = assert(hub:device("dev", {
    who = function(request) return 200, { number, request.payload } end,
  }))
  assert(device:connect(10))
  for call = 1, 50 do
    local reply = assert(service:invoke("dev", "who", call))
    assert(reply.payload[1] == number and reply.payload[2] == call)
  end
  device:reconnect()
  assert(dm.wait_until(function() return device:stats().reconnects == 1 end))
  assert(service:invoke("dev", "who", 1))
  device:close()
  assert(device:closed(10))
end
print("state " .. number)
