--- The device jobs that a query selects, page by page.

local background = require "directmethods.hub.background"
local document = require "directmethods.hub.jobs.document"
local query = require "directmethods.hub.query"
local retention = require "directmethods.hub.jobs.retention"
local row_store = require "directmethods.hub.jobs.row_store"

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
  local after
  if position then
    after = { job_id = position[1], device_id = position[2], module_id = position[3] }
  end
  return setmetatable({
    jobs = hub.jobs,
    predicate = query.predicate(plan, query.attribute),
    -- where the query is for one job, the rows of others need not be read
    job_id = query.required(plan, "jobId"),
    after = after,
  }, Rows)
end

-- Rows without a job belong to one that is being removed.
local function is_match(self, row)
  return row.job_type and retention.is_kept(self.jobs, row.job_ended)
    and self.predicate(document.values(row))
end

function Rows:next()
  local page, err = row_store.page(self.jobs.db, self.job_id, self.after, PAGE)
  if not page then return nil, err end
  local found, deadline = {}, background.deadline() -- answers may be large
  for _, row in ipairs(page) do
    if is_match(self, row) then found[#found + 1] = row end
    self.after = row
    if os.clock() > deadline then return found end
  end
  self.ended = #page < PAGE
  return found
end

function Rows:text(row)
  return document.device_job(row)
end

function Rows:position(row)
  return { row.job_id, row.device_id, row.module_id or "" }
end

return M
