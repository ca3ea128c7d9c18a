--- How many devices jobs may begin with: so many in a second, on the clock of the hub.
-- Hubs that share a database share the number.

local M = {}

---@class directmethods.JobRate
---@field per_second number? nil: no limit
local Rate = {}
Rate.__index = Rate

---@param per_second number?
---@param now integer unix ms
---@param shared_db directmethods.Sql? database of hubs that share the rate; nil: the
---  rate is only for this hub
---@return directmethods.JobRate
function M.new(per_second, now, shared_db)
  return setmetatable({ per_second = per_second, tokens = 0, filled = now,
    db = per_second and shared_db }, Rate)
end

local ASK_MIN = 0.1 -- seconds between two questions to the database

--- Ask the database for this hub's share, unless some of it is left. Waits.
---@param now integer unix ms
---@param wanted integer
function Rate:ask(now, wanted)
  if not self.db or self.tokens >= 1 or wanted < 1 then return end
  local results = self.db:write {
    { "SELECT take_job_rate(?, ?, ?)", { wanted, self.per_second, now } },
  }
  if results then self.tokens = self.tokens + results[1][1][1] end
end

--- How many may begin now.
---@param now integer unix ms
---@return number
function Rate:allowed(now)
  if not self.per_second then return math.huge end
  if self.db then return math.floor(self.tokens) end
  self.tokens = math.min(math.max(1, self.per_second),
    self.tokens + (now - self.filled) / 1000 * self.per_second)
  self.filled = now
  return math.floor(self.tokens)
end

--- So many have begun.
---@param count integer
function Rate:take(count)
  self.tokens = self.tokens - count
end

--- Seconds until the next may begin.
---@return number
function Rate:wait()
  if not self.per_second then return 0 end
  local wait = math.max(0, (1 - self.tokens) / self.per_second)
  return self.db and wait > 0 and math.max(ASK_MIN, wait) or wait
end

return M
