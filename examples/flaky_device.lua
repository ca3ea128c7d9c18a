-- A flaky device, made with faults: is the back end's way of calling good enough?
-- Half of the calls find the device offline, and its first answer is lost.
--
--   lua5.4 examples/flaky_device.lua           (docs/faults.md, docs/service.md)
local dm = require "directmethods"

local hub <close> = assert(dm.hub {})
local runs = 0
local device <close> = hub:device("lamp", {
  toggle = function()
    runs = runs + 1
    return 200, { runs = runs }
  end,
})
assert(device:connect())

-- The clock is moved on while the call waits, so that no time-out takes real time.
local function toggle(service)
  local call = dm.spawn(service.invoke, service, "lamp", "toggle", nil,
    { response_timeout = 5 })
  dm.advance_until(function() return call:ended() end, 600)
  return call:await()
end

local function try(title, service)
  local answered, failed = 0, {}
  runs = 0
  for _ = 1, 20 do
    local reply, err = toggle(service)
    if reply then
      answered = answered + 1
    else
      failed[err.name] = (failed[err.name] or 0) + 1
    end
  end
  print(("%s: %d answered, %d not online, %d timed out; %d ran"):format(title,
    answered, failed.DeviceNotOnline or 0, failed.GatewayTimeout or 0, runs))
end

local function be_flaky()
  hub:clear_faults()
  hub:fault { stage = "response", action = "drop", times = 1 }
  hub:fault { stage = "request", action = "reject", code = 404103, probability = 0.5,
              seed = 7 }
end

local plain <close> = hub:service()
be_flaky()
try("each call is sent once", plain)

-- Only what provably did not run is repeated: never the call whose answer was lost.
local patient <close> = hub:service("service", { retry = { max = 10, wait = 0.1 } })
be_flaky()
try("with retries", patient)
