--- The rows of a run that are to be looked at: those of the store, one after the other,
-- and before them those that are to be looked at again.

local M = {}

---@class directmethods.RowQueue
---@field page directmethods.DeviceJob[]? the rows that are looked at
---@field is_stale boolean? one of them may have been called since they were read
local Queue = {}
Queue.__index = Queue

--- What rows are known by in a run.
function M.key(device_id, module_id)
  return module_id and device_id .. "/" .. module_id or device_id
end

---@param run directmethods.Run
---@return directmethods.RowQueue
function M.new(run)
  return setmetatable({ run = run, first = 1, last = 0, queued = {} }, Queue)
end

--- Is it to be looked at again?
---@param device_id string
---@param module_id string?
---@return boolean
function Queue:has(device_id, module_id)
  return self.queued[M.key(device_id, module_id)] ~= nil
end

--- Look at a row again, at once or in so many seconds.
---@param row { job_id: string, device_id: string, module_id: string? }
---@param seconds number?
function Queue:put(row, seconds)
  local name = M.key(row.device_id, row.module_id)
  if self.queued[name] then return end
  self.queued[name] = true
  self.last = self.last + 1
  self[self.last] = row
  self.run.jobs.pump:wake(seconds)
end

local function pop(self)
  if self.first > self.last then return nil end
  local row = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  self.queued[M.key(row.device_id, row.module_id)] = nil
  self.is_stale = true
  return row
end

-- The next row of the store; nil: none, or it has failed.
local function from_store(self)
  if self.all_seen then return nil end
  local place = self.place or 0
  if not self.page or place == #self.page then
    local page, more = self.run:rows_behind(self.page and self.page[#self.page]
      or self.run:before_first())
    if not page then
      self.run.jobs.pump:wake(1)
      return nil
    end
    self.page, self.is_last, place = page, not more, 0
    self.is_stale = false
  end
  place = place + 1
  self.place = place
  self.all_seen = self.is_last and place >= #self.page
  return self.page[place]
end

--- The next row to be looked at, as it is in the store now: what was put here and
--- called since a page was read must not be called again.
---@return directmethods.DeviceJob? row nil: none now; {}: one that is not the job's
function Queue:next()
  local row = pop(self) or from_store(self)
  if not row or not self.is_stale then return row end
  local current, err = self.run.jobs.store:device_job(row.job_id, row.device_id,
    row.module_id)
  if err then return self:put(row, 1) end
  return current or {}
end

return M
