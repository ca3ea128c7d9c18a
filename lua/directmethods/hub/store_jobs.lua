--- The jobs of the store in memory: see hub/store.lua.

local sorted = require "directmethods.hub.sorted"

local M = {}

---@class directmethods.Job
---@field id string
---@field type "scheduleDeviceMethod"|"scheduleUpdateTwin"
---@field status "queued"|"running"|"completed"|"failed"|"cancelled"
---@field condition string      of the query that selects its targets
---@field method string?        the call: JSON object
---@field update string?        the twins' change: JSON object
---@field created integer       unix ms, as all its times
---@field start integer
---@field ended integer?
---@field max_seconds integer   from its start
---@field selected boolean      its targets are all known
---@field reason string?        why it failed
---@field total integer         device jobs
---@field pending integer
---@field running integer
---@field succeeded integer
---@field failed integer

---@class directmethods.DeviceJob
---@field job_id string
---@field device_id string
---@field module_id string?
---@field status "pending"|"running"|"completed"|"failed"|"canceled"
---@field created integer
---@field started integer?
---@field ended integer?
---@field updated integer
---@field answer_status integer? the device's
---@field answer string?         JSON text
---@field error_code string?
---@field error_text string?

--- Where a store keeps them, in its field `jobs_kept`.
function M.new()
  return { entries = {}, order = sorted.new() }
end

---@class directmethods.Store
local Store = {}

---@param id string
---@return directmethods.Job? job
---@return directmethods.Error? err
function Store:job(id)
  local entry = self.jobs_kept.entries[id]
  return entry and entry.job
end

---@param job directmethods.Job
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_job(job)
  local entry = self.jobs_kept.entries[job.id]
  if entry then
    entry.job = job
  else
    self.jobs_kept.entries[job.id] = { job = job, rows = {}, order = sorted.new() }
    self.jobs_kept.order:add(job.id)
  end
  return true
end

---@param after string? nil: from the first
---@param limit integer
---@return directmethods.Job[]? page
---@return directmethods.Error? err
function Store:jobs(after, limit)
  local page = self.jobs_kept.order:page(after, limit)
  for i, id in ipairs(page) do page[i] = self.jobs_kept.entries[id].job end
  return page
end

-- In the order of these texts rows are in that of device and module.
local function row_key(device_id, module_id)
  return device_id .. "\0" .. (module_id or "")
end

---@param job_id string
---@param device_id string
---@param module_id string?
---@return directmethods.DeviceJob? row
---@return directmethods.Error? err
function Store:device_job(job_id, device_id, module_id)
  local entry = self.jobs_kept.entries[job_id]
  return entry and entry.rows[row_key(device_id, module_id)]
end

---@param list directmethods.DeviceJob[]
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_device_jobs(list)
  for _, row in ipairs(list) do
    local entry = self.jobs_kept.entries[row.job_id]
    local key = row_key(row.device_id, row.module_id)
    if not entry.rows[key] then entry.order:add(key) end
    entry.rows[key] = row
  end
  return true
end

-- Add rows of a job until the page is full.
local function add_rows(page, entry, after, limit)
  for _, key in ipairs(entry.order:page(after, limit - #page)) do
    page[#page + 1] = entry.rows[key]
  end
end

---@param after { job_id: string, device_id: string, module_id: string? }?
---@param limit integer
---@return directmethods.DeviceJob[]? page
---@return directmethods.Error? err
function Store:device_jobs(after, limit)
  local page, last = {}, after and after.job_id
  local begun = last and self.jobs_kept.entries[last]
  if begun then
    add_rows(page, begun, row_key(after.device_id, after.module_id), limit)
  end
  while #page < limit do
    last = self.jobs_kept.order:page(last, 1)[1]
    if not last then break end
    add_rows(page, self.jobs_kept.entries[last], nil, limit)
  end
  return page
end

---@param id string
---@param limit integer
---@return boolean? kept
---@return boolean|directmethods.Error left
function Store:remove_job(id, limit)
  local entry = self.jobs_kept.entries[id]
  local keys = entry and entry.order:page(nil, limit) or {}
  for _, key in ipairs(keys) do
    entry.rows[key] = nil
    entry.order:remove(key)
  end
  if #keys == limit then return true, true end
  self.jobs_kept.entries[id] = nil
  self.jobs_kept.order:remove(id)
  return true, false
end

--- Add the methods of jobs to the class of stores.
function M.extend(class)
  for name, method in pairs(Store) do class[name] = method end
end

return M
