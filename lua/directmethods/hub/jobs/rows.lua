--- The device jobs that a query selects, page by page.

local document = require "directmethods.hub.jobs.document"
local background = require "directmethods.hub.background"
local query = require "directmethods.hub.query"

local M = {}

local PAGE = 16 -- rows that are read at a time: each may hold 128 KB

---@class directmethods.Rows: directmethods.PageSource
local Rows = { item_type = "DeviceJob", ended = false }
Rows.__index = Rows

--- The device jobs of a hub.
---@param hub directmethods.HubState
---@param plan directmethods.QueryPlan
---@param position string[]? job, device, module: behind which it begins
---@return directmethods.Rows
function M.new(hub, plan, position)
  -- where the query is for one job, the rows of others need not be read
  local job_id = query.required(plan, "jobId")
  local after = job_id and { job_id = job_id, device_id = "" }
  if position then
    after = {
      job_id = position[1], device_id = position[2],
      module_id = position[3] ~= "" and position[3] or nil,
    }
  end
  return setmetatable({
    hub = hub, predicate = query.predicate(plan, query.attribute), job_id = job_id,
    after = after, jobs = {},
  }, Rows)
end

-- The job of a row; false: it is not kept any more.
local function job_of(self, row)
  local job = self.jobs[row.job_id]
  if job == nil then
    job = self.hub.jobs:find(row.job_id) or false
    self.jobs = { [row.job_id] = job }
  end
  return job
end

local function is_match(self, row)
  local job = job_of(self, row)
  return job and self.predicate(document.values(row, job))
end

function Rows:next()
  local page, err = self.hub.store:device_jobs(self.after, PAGE)
  if not page then return nil, err end
  local found, stop = {}, background.deadline() -- answers may be large
  for _, row in ipairs(page) do
    if self.job_id and row.job_id ~= self.job_id then
      self.ended = true
      return found
    end
    if is_match(self, row) then found[#found + 1] = row end
    self.after = row
    if os.clock() > stop then return found end
  end
  self.ended = #page < PAGE
  return found
end

function Rows:text(row)
  return document.device_job(row, job_of(self, row))
end

function Rows:position(row)
  return { row.job_id, row.device_id, row.module_id or "" }
end

return M
