-- A device that sleeps to save power: the call fails with 404103 (DeviceNotOnline). The
-- back end wakes the device by an SMS and calls again with a connect time-out: the hub
-- waits so long for the device to connect.
--
--   lua5.4 examples/sms_wakeup.lua             (docs/service.md, docs/choosing.md)
local dm = require "directmethods"

local hub <close> = assert(dm.hub {})
local service <close> = hub:service()
local device <close> = hub:device("meter", {
  read = function() return 200, { kwh = 1234.5 } end,
})

-- In place of an SMS gateway: two seconds later the device is awake and connects.
local function send_sms(id)
  print("SMS to " .. id)
  dm.spawn(function()
    dm.sleep(2)
    assert(device:connect())
  end)
end

local function invoke_awake(id, method, payload)
  local reply, err = service:invoke(id, method, payload)
  if reply or err.code ~= 404103 then return reply, err end
  print("offline: " .. err.name)
  send_sms(id)
  return service:invoke(id, method, payload, { connect_timeout = 60 })
end

print(assert(invoke_awake("meter", "read")).payload.kwh)
print(assert(invoke_awake("meter", "read")).payload.kwh) -- it is still awake
