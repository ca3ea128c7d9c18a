--- The jobs of a store: see hub/store.lua.

local json = require "directmethods.json"

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

local SQL = {
  job = "SELECT record FROM jobs WHERE id = ?",
  put_job = "INSERT INTO jobs (id, record) VALUES (?, ?) "
    .. "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
  jobs = "SELECT record FROM jobs WHERE id > ? ORDER BY id LIMIT ?",
  device_job = "SELECT record FROM device_jobs "
    .. "WHERE job_id = ? AND device_id = ? AND module_id = ?",
  put_device_job = "INSERT INTO device_jobs (job_id, device_id, module_id, record) "
    .. "VALUES (?, ?, ?, ?) ON CONFLICT (job_id, device_id, module_id) "
    .. "DO UPDATE SET record = excluded.record",
  device_jobs = "SELECT record FROM device_jobs "
    .. "WHERE (job_id, device_id, module_id) > (?, ?, ?) "
    .. "ORDER BY job_id, device_id, module_id LIMIT ?",
  remove_some = "DELETE FROM device_jobs WHERE rowid IN "
    .. "(SELECT rowid FROM device_jobs WHERE job_id = ? LIMIT ?)",
  remove_job = "DELETE FROM jobs WHERE id = ? "
    .. "AND NOT EXISTS (SELECT 1 FROM device_jobs WHERE job_id = ?)",
}

---@class directmethods.Store
local Store = {}

local function record_of(self, row, why)
  if row then return json.decode(row[1]) end
  return nil, why and self:failure(why)
end

local function records_of(self, rows, why)
  if not rows then return nil, self:failure(why) end
  for i, row in ipairs(rows) do rows[i] = json.decode(row[1]) end
  return rows
end

---@param id string
---@return directmethods.Job? job
---@return directmethods.Error? err
function Store:job(id)
  return record_of(self, self.database:row(SQL.job, id))
end

---@param job directmethods.Job
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_job(job)
  return self:changed(self.database:run(SQL.put_job, job.id, json.encode(job)))
end

---@param after string? nil: from the first
---@param limit integer
---@return directmethods.Job[]? page
---@return directmethods.Error? err
function Store:jobs(after, limit)
  return records_of(self, self.database:rows(SQL.jobs, after or "", limit))
end

---@param job_id string
---@param device_id string
---@param module_id string?
---@return directmethods.DeviceJob? row
---@return directmethods.Error? err
function Store:device_job(job_id, device_id, module_id)
  return record_of(self, self.database:row(SQL.device_job, job_id, device_id,
    module_id or ""))
end

---@param list directmethods.DeviceJob[]
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_device_jobs(list)
  return self:changed(self.database:transaction(function()
    for _, row in ipairs(list) do
      self.database:run(SQL.put_device_job, row.job_id, row.device_id,
        row.module_id or "", json.encode(row))
    end
  end))
end

---@param after { job_id: string, device_id: string, module_id: string? }?
---@param limit integer
---@return directmethods.DeviceJob[]? page
---@return directmethods.Error? err
function Store:device_jobs(after, limit)
  after = after or {}
  return records_of(self, self.database:rows(SQL.device_jobs, after.job_id or "",
    after.device_id or "", after.module_id or "", limit))
end

---@param id string
---@param limit integer
---@return boolean? kept
---@return boolean|directmethods.Error left
function Store:remove_job(id, limit)
  local done, err = self:changed(self.database:transaction(function()
    self.database:run(SQL.remove_some, id, limit)
    self.database:run(SQL.remove_job, id, id)
  end))
  if not done then return nil, err end
  local left
  left, err = self:job(id)
  if err then return nil, err end
  return true, left ~= nil
end

--- Add the methods of jobs to the class of stores.
function M.extend(class)
  for name, method in pairs(Store) do class[name] = method end
end

return M
