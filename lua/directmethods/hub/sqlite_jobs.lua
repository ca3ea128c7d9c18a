--- The jobs of a store in a file, and what the methods of such a store share.

local errors = require "directmethods.errors"
local json = require "directmethods.json"

local M = {}

--- Why a store gives nil.
function M.failure(why)
  return errors.new { name = "StorageFailed", message = "the store failed: " .. why }
end

--- What a change came to; the log tells when it begins to fail and when it ends.
function M.changed(self, done, why)
  if done then
    if self.failing then self.log("warn", self.path .. ": the store works again") end
    self.failing = false
    return true
  end
  if not self.failing then
    self.log("error", ("%s: the store cannot be changed: %s"):format(self.path, why))
  end
  self.failing = true
  return nil, M.failure(why)
end

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
  any = "SELECT 1 FROM device_jobs WHERE job_id = ? LIMIT 1",
  remove_job = "DELETE FROM jobs WHERE id = ?",
}

---@class directmethods.SqliteStore
local Store = {}

local function record_of(row, why)
  if row then return json.decode(row[1]) end
  return nil, why and M.failure(why)
end

local function records_of(rows, why)
  if not rows then return nil, M.failure(why) end
  for i, row in ipairs(rows) do rows[i] = json.decode(row[1]) end
  return rows
end

function Store:job(id)
  return record_of(self.database:row(SQL.job, id))
end

function Store:put_job(job)
  return M.changed(self, self.database:run(SQL.put_job, job.id, json.encode(job)))
end

function Store:jobs(after, limit)
  return records_of(self.database:rows(SQL.jobs, after or "", limit))
end

function Store:device_job(job_id, device_id, module_id)
  return record_of(self.database:row(SQL.device_job, job_id, device_id,
    module_id or ""))
end

function Store:put_device_jobs(list)
  return M.changed(self, self.database:transaction(function()
    for _, row in ipairs(list) do
      self.database:run(SQL.put_device_job, row.job_id, row.device_id,
        row.module_id or "", json.encode(row))
    end
  end))
end

function Store:device_jobs(after, limit)
  after = after or {}
  return records_of(self.database:rows(SQL.device_jobs, after.job_id or "",
    after.device_id or "", after.module_id or "", limit))
end

function Store:remove_job(id, limit)
  local left
  local done, err = M.changed(self, self.database:transaction(function()
    self.database:run(SQL.remove_some, id, limit)
    left = self.database:row(SQL.any, id) ~= nil
    if not left then self.database:run(SQL.remove_job, id) end
  end))
  return done, not done and err or left
end

--- Add the methods of jobs to the class of stores.
function M.extend(class)
  for name, method in pairs(Store) do class[name] = method end
end

return M
