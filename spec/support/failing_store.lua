--- A hub whose store soon takes nothing more, in a process of its own.
--
--     failing_store.lua STORE DEVICES
--
-- Adds at most so many devices until one cannot be kept, then looks at what still
-- goes, closes the hub and starts another. Prints JSON.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local rest = require "spec.support.rest"

local path, devices = arg[1], tonumber(arg[2])
local hub = fixture.hub { store = path }
local device = hub:device("old", { ping = function() return 200, "pong" end })
assert(device:connect())

local seen = { acknowledged = {} }
for i = 1, devices do
  local reply = rest.ask(hub, "PUT", "/devices/d" .. i, { deviceId = "d" .. i })
  if reply.status ~= 200 then
    seen.refused = {
      id = "d" .. i,
      status = reply.status,
      code = reply.headers["iothub-errorcode"],
      text = select(2, fixture.error_e(reply)),
    }
    break
  end
  table.insert(seen.acknowledged, "d" .. i)
end

local function ids(of)
  local list = dm.json.array()
  for _, each in ipairs(assert(of:devices())) do list[#list + 1] = each.device_id end
  return list
end

seen.get = rest.ask(hub, "GET", "/devices/old").status
seen.listed = ids(hub)
seen.call = fixture.call(hub, { device = "old", body = '{"methodName":"ping"}' }).body
device:close()
assert(device:closed(10))
fixture.finish(hub)

local again, err = dm.hub { tls = false, store = path }
seen.again = again and ids(again) or tostring(err)
if again then again:close() end
print(dm.json.encode(seen))
