--- Run by device_queue_spec with spec/c/paho_queue.c preloaded: one device answers
-- calls while others come and go. Prints "done" when all were answered.

local dm = require "directmethods"

local GUESTS = 8

local hub = assert(dm.hub { tls = false })
local host = assert(hub:device("host", { m = function(r) return 200, r.payload end }))
local service = assert(hub:service())
assert(host:connect(10))

local left = GUESTS
for i = 1, GUESTS do
  dm.spawn(function()
    local guest = assert(hub:device("guest" .. i, {}))
    assert(guest:connect(10))
    guest:close()
    assert(guest:closed(10))
    left = left - 1
  end)
end
while left > 0 do
  assert(assert(service:invoke("host", "m", left)).status == 200)
end
host:close()
assert(host:closed(10))
hub:close()
assert(hub:closed(10))
print("done")
os.exit(true, true)
