-- One method for a whole site, now: a device that is away is called when it comes back.
-- See docs/jobs.md.
local dm = require "directmethods"

local hub <close> = assert(dm.hub { tls = false })
local service <close> = hub:service()

local function update(request)
  return 200, { device = request.device_id, version = request.payload.version }
end

local here <close> = hub:device("gate", { update = update })
local away <close> = hub:device("pump", { update = update })
hub:add_device("elsewhere")
for _, id in ipairs { "gate", "pump" } do
  assert(service.twins:patch(id, { tags = { site = "north" } }))
end
assert(here:connect())

local job = assert(service.jobs:schedule {
  method = "update", payload = { version = 7 },
  query = "tags.site = 'north'", max_execution = 86400,
})
dm.advance(3600) -- an hour without the pump
local status = assert(job:status())
print(("after an hour: %s, %d of %d done"):format(status.status, status.succeeded,
  status.total))

assert(away:connect())
status = assert(job:await(60, function(done, failed, total)
  print(("progress: %d of %d, %d failed"):format(done, total, failed))
end))
print(("now: %s"):format(status.status))
for result in job:results() do
  print(result.device_id, result.reply.status, result.reply.payload.version)
end
