--- What the counts of a job change by, while a list of statements is made.

local M = {}

--- From one state to the next.
---@class directmethods.CountChanges
---@field pending integer
---@field running integer
---@field succeeded integer
---@field failed integer
local Counts = {}
Counts.__index = Counts

---@return directmethods.CountChanges
function M.new()
  return setmetatable({ pending = 0, running = 0, succeeded = 0, failed = 0 }, Counts)
end

local NAMES = {
  pending = "pending", running = "running", completed = "succeeded", failed = "failed",
}

--- A device job goes from one state to another. (No count tells how many were
--- canceled.)
---@param from "pending"|"running"
---@param to "pending"|"running"|"completed"|"failed"|"canceled"
function Counts:move(from, to)
  self[NAMES[from]] = self[NAMES[from]] - 1
  local name = NAMES[to]
  if name then self[name] = self[name] + 1 end
end

return M
