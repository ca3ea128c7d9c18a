-- Fan control: a back end reads the temperature of each room by a method and sets the
-- room's fan by another. The clock is moved, so that six minutes pass in no time.
--
--   lua5.4 examples/fan_control.lua            (docs/device.md, docs/service.md)
local dm = require "directmethods"

local LOW, HIGH = 22.0, 24.0 -- degrees: below the first the fan stops, above it runs
local PERIOD = 60 -- seconds between two looks

-- The device: a room that warms up by itself and is cooled by its fan.
local function make_room(hub, id, celsius)
  local speed = 0
  return assert(hub:device(id, {
    read = function()
      celsius = celsius + 1.0 - speed / 20
      return 200, { celsius = celsius, speed = speed }
    end,
    set_speed = function(request)
      local wanted = request.payload.speed
      if math.type(wanted) ~= "integer" or wanted < 0 or wanted > 100 then
        dm.reject(400, { error = "speed must be an integer from 0 to 100" })
      end
      speed = wanted
      return 200, { speed = speed }
    end,
  }):connect())
end

-- The back end: one look at one room. A room that does not answer is reported, and the
-- others go on.
local function control(service, id)
  local reply, err = service:invoke(id, "read", nil, { response_timeout = 10 })
  if not reply then return print(("%s: %s"):format(id, err)) end
  local state = reply.payload
  local wanted = state.celsius > HIGH and 60 or state.celsius < LOW and 0 or state.speed
  if wanted ~= state.speed then
    assert(service:invoke(id, "set_speed", { speed = wanted }))
  end
  print(("%s: %.1f degrees, fan at %d %%"):format(id, state.celsius, wanted))
end

local hub <close> = assert(dm.hub {})
local service <close> = hub:service()
local office <close> = make_room(hub, "office", 22.5)
local server_room <close> = make_room(hub, "server-room", 25.0)
for _ = 1, 6 do
  for _, room in ipairs { office, server_room } do control(service, room.device_id) end
  dm.advance(PERIOD) -- a real back end: dm.sleep(PERIOD)
end
print(service:invoke("office", "set_speed", { speed = "fast" }).body)
