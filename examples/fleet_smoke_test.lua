-- A smoke test of a fleet: do all devices answer, with the version that was rolled out,
-- and how fast? The exit status is 1 if one does not.
--
--   lua5.4 examples/fleet_smoke_test.lua [COUNT]     (docs/fleet.md, docs/service.md)
--
-- Here the fleet is in the same process. For a real one take `dm.service` with a
-- connection string, and the ids of `service:query "SELECT deviceId FROM devices"`.
local dm = require "directmethods"

local VERSION = "2.1"
local count = tonumber(arg[1] or 100)

local hub <close> = assert(dm.hub { tls = false })
local fleet <close> = assert(dm.fleet {
  hub = hub, count = count, id = "truck-%03d",
  handlers = { version = function() return 200, { version = VERSION } end },
})
assert(fleet:connect(60))
fleet:device("truck-007"):method("version", function() -- one was forgotten,
  return 200, { version = "2.0" }
end)
assert(hub:add_device "truck-lost") -- and one is not there
local ids = fleet:ids()
ids[#ids + 1] = "truck-lost"

local service <close> = hub:service()
local results = assert(service:invoke_many(ids, "version", nil, { concurrency = 50 }))
local wrong = 0
for _, each in ipairs(results) do
  local problem = each.err and each.err.name
    or each.reply.payload.version ~= VERSION and "has " .. each.reply.payload.version
  if problem then
    wrong = wrong + 1
    print(("%s: %s"):format(each.device_id, problem))
  end
end
print(("%d of %d devices are well"):format(#ids - wrong, #ids))
io.stderr:write(("p50 %.1f ms, p99 %.1f ms\n"):format(
  results.elapsed:percentile(50) * 1000, results.elapsed:percentile(99) * 1000))
os.exit(wrong == 0, true)
