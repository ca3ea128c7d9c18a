--- hub:throttles: how much of the tier's rates and of its daily quota is left.

local class = require "directmethods.hub.class"
local time = require "directmethods.time"

local Hub, check_open = class.Hub, class.check_open

local M = {}

local DAY = 86400 -- seconds; the quota's day begins at midnight UTC

---@class directmethods.HubThrottle
---@field name "methods"|"connections"|"registry"|"queries"|"jobs"|"twin_reads"|
---  "twin_updates"|"sends"
---@field capacity number the most that may come at once
---@field left number that may come now; below 0: this number of them waits
---@field rate number by which it fills again, a second

---@class directmethods.HubThrottles
---@field tier "F1"|"S1"|"S2"|"S3"|nil
---@field units integer? of the tier
---@field buckets directmethods.HubThrottle[] none without a tier
---@field quota { capacity: number, left: number, renews: number }? messages of the day,
---  and the time (as dm.time()) at which they begin anew

--- When the day's quota of messages begins anew.
---@param now number as dm.time()
---@return number
function M.renews(now)
  return (now // DAY + 1) * DAY
end

--- How much of the tier's rates and of its daily quota is left. Calls of methods and
--- messages count in pieces of 4 KiB, the rest by the operation.
--- ```lua
--- for _, bucket in ipairs(hub:throttles().buckets) do
---   print(bucket.name, bucket.left, bucket.capacity)
--- end
--- ```
---@return directmethods.HubThrottles
function Hub:throttles()
  check_open(self, "hub:throttles")
  local buckets, quota = self.state.plane:throttles()
  if not quota then return { buckets = {} } end
  return {
    tier = self.config.tier,
    units = self.config.units,
    buckets = buckets,
    quota = { capacity = quota.capacity, left = quota.left,
      renews = M.renews(time.time()) },
  }
end

return M
