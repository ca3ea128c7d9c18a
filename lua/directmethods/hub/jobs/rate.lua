--- How many devices jobs may begin with: so many in a second, on the clock of the hub.

local M = {}

---@class directmethods.JobRate
---@field per_second number? nil: no limit
local Rate = {}
Rate.__index = Rate

---@param per_second number?
---@param now integer unix ms
---@return directmethods.JobRate
function M.new(per_second, now)
  return setmetatable({ per_second = per_second, tokens = 0, filled = now }, Rate)
end

--- How many may begin now.
---@param now integer unix ms
---@return number
function Rate:allowed(now)
  if not self.per_second then return math.huge end
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
  return math.max(0, (1 - self.tokens) / self.per_second)
end

return M
