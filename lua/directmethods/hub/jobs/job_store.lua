--- Jobs in the store: statements for db:write (hub/sql.lua), and reads. A statement
-- names what it relies on in its WHERE, so that a list which relies on something
-- outdated is refused as a whole with Conflict.
--
-- The counts of a job change in the same list as the states of its device jobs.

local columns = require "directmethods.hub.jobs.columns"
local json = require "directmethods.json"

local M = {}

---@class directmethods.Job
---@field id string
---@field type "scheduleDeviceMethod"|"scheduleUpdateTwin"
---@field status "queued"|"running"|"completed"|"failed"|"cancelled"
---@field condition string      of the query that selects its targets
---@field method string?        the call: JSON object
---@field update string?        the change of the twins: JSON object
---@field created integer       unix ms, as all its times
---@field start integer         when it is due
---@field ended integer?        nil: calls may be under way, whatever the status
---@field max_seconds integer   from `start`
---@field selected boolean      its targets are all known
---@field reason string?        why it failed
---@field total integer         device jobs
---@field pending integer
---@field running integer
---@field succeeded integer
---@field failed integer

local JOB = {
  { "id", columns.text },
  { "type", columns.job_type },
  { "status", columns.one_of("queued", "running", "completed", "failed", "cancelled") },
  { "condition", columns.text, free = true },
  { "method", columns.or_nil(columns.object) },
  { "update_twin", columns.or_nil(columns.object), name = "update" },
  { "created", columns.integer },
  { "start", columns.integer },
  { "ended", columns.or_nil(columns.integer) },
  { "max_seconds", columns.count },
  { "selected", columns.one_of(0, 1) },
  { "reason", columns.or_nil(columns.text), free = true },
  { "total", columns.count },
  { "pending", columns.count },
  { "running", columns.count },
  { "succeeded", columns.count },
  { "failed", columns.count },
}

local function job_of(row)
  local job = columns.read(JOB, row)
  if not job then return nil, columns.damaged("a job") end
  job.selected = job.selected == 1
  return job
end

local SELECT_JOB = "SELECT " .. columns.names(JOB) .. " FROM jobs "
local INSERT_JOB = ("INSERT INTO jobs (%s) VALUES (%s?) ON CONFLICT (id) DO NOTHING")
  :format(columns.names(JOB), ("?, "):rep(#JOB - 1))

--- Read a job. nil without an error: there is none.
---@param db directmethods.Sql
---@param id string
---@return directmethods.Job? job
---@return directmethods.Error? err the store failed, or the job is damaged
function M.find(db, id)
  local results, err = db:read { { SELECT_JOB .. "WHERE id = ?", { id } } }
  if not results then return nil, err end
  local row = results[1][1]
  if not row then return nil end
  return job_of(row)
end

--- At most `limit` jobs, ordered by id.
---@param db directmethods.Sql
---@param after string? the id behind which they begin
---@param limit integer
---@return directmethods.Job[]? page
---@return directmethods.Error? err
function M.page(db, after, limit)
  local results, err = db:read {
    { SELECT_JOB .. "WHERE id > ? ORDER BY id LIMIT ?", { after or "", limit } },
  }
  if not results then return nil, err end
  local page = {}
  for i, row in ipairs(results[1]) do
    page[i], err = job_of(row)
    if not page[i] then return nil, err end
  end
  return page
end

--- At most `limit` jobs that have not ended, ordered by id. A damaged one has no `job`.
---@param db directmethods.Sql
---@param after string?
---@param limit integer
---@return { id: string, job: directmethods.Job? }[]? page
---@return directmethods.Error? err
function M.unfinished(db, after, limit)
  local results, err = db:read {
    { SELECT_JOB .. "WHERE ended IS NULL AND id > ? ORDER BY id LIMIT ?",
      { after or "", limit } },
  }
  if not results then return nil, err end
  local page = {}
  for i, row in ipairs(results[1]) do page[i] = { id = row[1], job = job_of(row) } end
  return page
end

--- The status of a job; false: there is no such job.
---@param db directmethods.Sql
---@param id string
---@return string|false|nil status
---@return directmethods.Error? err
function M.status(db, id)
  local results, err = db:read { { "SELECT status FROM jobs WHERE id = ?", { id } } }
  if not results then return nil, err end
  local row = results[1][1]
  return row and row[1] or false
end

--- The ids of at most `limit` jobs that ended before a time (nil: of all jobs).
---@param db directmethods.Sql
---@param time integer? unix ms
---@param limit integer
---@return string[]? ids
---@return directmethods.Error? err
function M.removable(db, time, limit)
  local where = time and "WHERE ended <= ? " or ""
  local results, err = db:read {
    { "SELECT id FROM jobs " .. where .. "ORDER BY id LIMIT ?",
      time and { time, limit } or { limit } },
  }
  if not results then return nil, err end
  local ids = {}
  for i, row in ipairs(results[1]) do ids[i] = row[1] end
  return ids
end

--- How many jobs there are.
---@param db directmethods.Sql
---@return integer? count
---@return directmethods.Error? err
function M.count(db)
  local results, err = db:read { { "SELECT count(*) FROM jobs" } }
  if not results then return nil, err end
  return results[1][1][1]
end

--- A new job. Conflict: its id is taken.
---@param job directmethods.Job
function M.insert(job)
  return { INSERT_JOB, columns.values(JOB, job), expect = 1 }
end

--- Make a hub the owner of a new job, in a store that hubs share.
---@param id string
---@param owner string
function M.own(id, owner)
  return { "UPDATE jobs SET owner = ? WHERE id = ?", { owner, id }, expect = 1 }
end

--- Put this before statements that only the owner of the job may run.
function M.is_owner(id, owner)
  return { "SELECT 1 FROM jobs WHERE id = ? AND owner = ? FOR UPDATE", { id, owner },
    expect = 1 }
end

--- Its time has come.
function M.start(id)
  return { "UPDATE jobs SET status = 'running' WHERE id = ? AND status = 'queued'",
    { id }, expect = 1 }
end

--- It is cancelled. `status`: the one it has; a queued job has ended with that.
function M.cancel(id, status, now)
  return { "UPDATE jobs SET status = 'cancelled', ended = ? "
    .. "WHERE id = ? AND status = ? AND ended IS NULL",
    { status == "queued" and now or nil, id, status, n = 3 }, expect = 1 }
end

--- It has failed as a whole. It ends when its device jobs have ended.
function M.fail(id, reason)
  return { "UPDATE jobs SET status = 'failed', reason = ?, selected = 1 "
    .. "WHERE id = ? AND status IN ('queued', 'running') AND ended IS NULL",
    { json.encode(reason), id }, expect = 1 }
end

--- It cannot be read: it ends at once, whatever else it holds.
function M.bury(id, reason, now)
  return { "UPDATE jobs SET status = 'failed', reason = ?, ended = ? "
    .. "WHERE id = ? AND ended IS NULL", { json.encode(reason), now, id } }
end

--- Its targets grow by `count`; is_last: all are known now.
function M.add_targets(id, count, is_last)
  return { "UPDATE jobs SET total = total + ?, pending = pending + ?, selected = ? "
    .. "WHERE id = ? AND status = 'running' AND selected = 0",
    { count, count, is_last and 1 or 0, id }, expect = 1 }
end

--- No more targets are selected.
function M.selected(id)
  return { "UPDATE jobs SET selected = 1 WHERE id = ?", { id }, expect = 1 }
end

local ADD_COUNTS = "UPDATE jobs SET pending = pending + ?, running = running + ?, "
  .. "succeeded = succeeded + ?, failed = failed + ? WHERE id = ?"

--- What its counts change by.
---@param id string
---@param by directmethods.CountChanges
function M.add_counts(id, by)
  return { ADD_COUNTS, { by.pending, by.running, by.succeeded, by.failed, id },
    expect = 1 }
end

local RECOUNT = {}
for _, each in ipairs { "pending", "running", "completed", "failed" } do
  RECOUNT[#RECOUNT + 1] = ("%s = (SELECT count(*) FROM device_jobs "
    .. "WHERE job_id = jobs.id AND state = '%s')"):format(
    each == "completed" and "succeeded" or each, each)
end

--- Its counts are those of its device jobs again: of a job whose rows were damaged.
function M.recount(id)
  return { "UPDATE jobs SET " .. table.concat(RECOUNT, ", ") .. " WHERE id = ?",
    { id }, expect = 1 }
end

local FINISH = "UPDATE jobs SET ended = ?, "
  .. "status = CASE WHEN status = 'running' THEN 'completed' ELSE status END "
  .. "WHERE id = ? AND selected = 1 AND pending = 0 AND running = 0 AND ended IS NULL"

--- It ends when nothing of it is left to do: then this changes one row, else none.
function M.finish(id, now)
  return { FINISH, { now, id } }
end

--- Remove at most `limit` of its device jobs, and the job when none is left: then the
-- second of these two statements changes one row.
---@return directmethods.SqlStatement, directmethods.SqlStatement
function M.remove(id, limit)
  return {
    "DELETE FROM device_jobs WHERE job_id = ? AND (device_id, module_id) IN "
      .. "(SELECT device_id, module_id FROM device_jobs WHERE job_id = ? "
      .. "ORDER BY device_id, module_id LIMIT ?)", { id, id, limit },
  }, {
    "DELETE FROM jobs WHERE id = ? "
      .. "AND NOT EXISTS (SELECT 1 FROM device_jobs WHERE job_id = ?)", { id, id },
  }
end

return M
