local dm = require "directmethods"
local hub <close> = assert(dm.hub {})
local device <close> = hub:device("fan1", {
  set_speed = function(request)
    return 200, { speed = request.payload.speed, was = 0 }
  end,
})
assert(device:connect())
local service <close> = hub:service()
print(assert(service:invoke("fan1", "set_speed", { speed = 3 })).body)
