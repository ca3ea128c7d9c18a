--- Run by dropped_peer_spec in a network namespace of its own: all packets between the
-- hub and its device are lost from some moment on. Prints one line of JSON.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local uv = require "luv"

local KEEPALIVE = 2 -- seconds

local hub = assert(dm.hub { tls = false })
hub:add_device("d")
local connecting = uv.hrtime() -- before the last packet of the device
local device = fixture.device(hub, "d", { keepalive = KEEPALIVE })
local service = hub:service()
local function invoke()
  return dm.spawn(service.invoke, service, "d", "m", nil, { response_timeout = 1 })
end

local call = invoke()
assert(device:request())
local began = uv.hrtime()
assert(os.execute("ip link set lo down"))
local function since(moment) return (uv.hrtime() - moment) / 1e9 end

local seen = { keepalive = KEEPALIVE }
assert(dm.wait_until(function() return hub:calls()[1] end, 10))
seen.outcome, seen.call = hub:calls()[1].outcome, since(began)
assert(dm.wait_until(function() return not hub:devices()[1].connected end, 10))
seen.connection, seen.lost = since(connecting), since(began)
assert(os.execute("ip link set lo up"))
-- what the hub said meanwhile comes now
local _, err = call:await(10)
seen.caller = err.code
_, err = invoke():await(10)
seen.after = err.code
print(dm.json.encode(seen))
device:close()
service:close()
hub:close()
assert(hub:closed(10))
