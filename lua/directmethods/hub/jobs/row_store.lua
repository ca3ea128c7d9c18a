--- Device jobs in the store: statements for db:write (hub/sql.lua), and reads. A
-- statement names the state that a row has until then in its WHERE.

local columns = require "directmethods.hub.jobs.columns"
local json = require "directmethods.json"

local M = {}

--- What a device job is found by.
---@class directmethods.JobTarget
---@field device_id string
---@field module_id string?

---@class directmethods.DeviceJob: directmethods.JobTarget
---@field job_id string
---@field job_type string?       nil: its job is being removed
---@field job_ended integer?
---@field status "pending"|"running"|"completed"|"failed"|"canceled"
---@field created integer        when its job was
---@field started integer?
---@field ended integer?
---@field updated integer
---@field answer_status integer? the device's
---@field answer string?         JSON text
---@field error_code string?
---@field error_text string?

local ROW = {
  { "job_id", columns.text },
  { "device_id", columns.text },
  { "module_id", columns.text },
  { "state", columns.one_of("pending", "running", "completed", "failed", "canceled"),
    name = "status" },
  { "started", columns.or_nil(columns.integer) },
  { "ended", columns.or_nil(columns.integer) },
  { "updated", columns.integer },
  { "answer_status", columns.or_nil(columns.integer) },
  { "answer", columns.or_nil(columns.json) },
  { "error_code", columns.or_nil(columns.text) },
  { "error_text", columns.or_nil(columns.text), free = true },
}

local KEY = "WHERE job_id = ? AND device_id = ? AND module_id = ? "

local INSERT = "INSERT INTO device_jobs (job_id, device_id, module_id, state, updated) "
  .. "VALUES (?, ?, ?, 'pending', ?) "
  .. "ON CONFLICT (job_id, device_id, module_id) DO NOTHING"
local CLAIM = "UPDATE device_jobs SET state = 'running', owner = ?, started = ?, "
  .. "updated = ? " .. KEY .. "AND state = 'pending'"
local GIVE_BACK = "UPDATE device_jobs SET state = 'pending', owner = '', "
  .. "started = NULL, updated = ? " .. KEY .. "AND state = 'running' AND owner = ?"
local FINISH = "UPDATE device_jobs SET state = ?, started = COALESCE(?, started), "
  .. "ended = ?, updated = ?, answer_status = ?, answer = ?, error_code = ?, "
  .. "error_text = ? " .. KEY .. "AND state = ?"

--- A new target, pending. Conflict: it is there already.
---@param job_id string
---@param target directmethods.JobTarget
---@param now integer unix ms, as in all of these
function M.insert(job_id, target, now)
  return { INSERT, { job_id, target.device_id, target.module_id or "", now },
    expect = 1 }
end

--- It is about to be called by the hub `owner`.
function M.claim(job_id, target, owner, now)
  return { CLAIM, { owner, now, now, job_id, target.device_id,
    target.module_id or "" }, expect = 1 }
end

--- It was claimed and not called.
function M.give_back(job_id, target, owner, now)
  return { GIVE_BACK, { now, job_id, target.device_id, target.module_id or "", owner },
    expect = 1 }
end

--- How a device job ends.
---@class directmethods.RowEnd
---@field status "completed"|"failed"|"canceled"
---@field started integer? unix ms; nil: as it is in the store
---@field answer_status integer?
---@field answer string?
---@field code string? of the error
---@field text string?

--- It has ended. `state`: the one that it has until then.
---@param how directmethods.RowEnd
function M.finish(job_id, target, state, how, now)
  local text = how.text and json.encode(how.text)
  return { FINISH, { how.status, how.started, now, now, how.answer_status, how.answer,
    how.code, text, job_id, target.device_id, target.module_id or "", state, n = 12 },
    expect = 1 }
end

--- The end of a device job whose hub has ended while it was called.
---@type directmethods.RowEnd
M.UNKNOWN = {
  status = "failed",
  code = "UnknownOutcome",
  text = "The hub ended while the call was under way: whether the device has run it is "
    .. "not known.",
}

local SELECT_STATE = "SELECT state FROM device_jobs " .. KEY

--- The states of device jobs, by their place in the list; false: there is no such row.
---@param db directmethods.Sql
---@param list { job_id: string, target: directmethods.JobTarget }[]
---@return (string|false)[]? states
---@return directmethods.Error? err
function M.states(db, list)
  local statements = {}
  for i, each in ipairs(list) do
    local target = each.target
    statements[i] = { SELECT_STATE,
      { each.job_id, target.device_id, target.module_id or "" } }
  end
  local results, err = db:read(statements)
  if not results then return nil, err end
  local states = {}
  for i, rows in ipairs(results) do states[i] = rows[1] and rows[1][1] or false end
  return states
end

-- A device job waits for its device when the identity is there and enabled.
local SELECT_IN_STATE = "SELECT r.device_id, r.module_id, r.owner, d.enabled, "
  .. "i.device_id FROM device_jobs r "
  .. "LEFT JOIN identities d ON d.device_id = r.device_id AND d.module_id = '' "
  .. "LEFT JOIN identities i ON i.device_id = r.device_id "
  .. "AND i.module_id = r.module_id "
  .. "WHERE r.job_id = ? AND r.state = ? AND (r.device_id, r.module_id) > (?, ?) "
  .. "ORDER BY r.device_id, r.module_id LIMIT ?"

--- A target as the store knew it when it was read.
---@class directmethods.FoundTarget: directmethods.JobTarget
---@field owner string? the hub that calls it
---@field is_usable boolean its identity is there and enabled
---@field is_damaged boolean its ids are no texts: it cannot be called or ended

--- At most `limit` targets of a job whose device jobs are in this state, in order.
---@param db directmethods.Sql
---@param job_id string
---@param state "pending"|"running"
---@param after directmethods.JobTarget? behind which they begin
---@param limit integer
---@return directmethods.FoundTarget[]? targets
---@return directmethods.Error? err
function M.in_state(db, job_id, state, after, limit)
  after = after or { device_id = "" }
  local results, err = db:read { { SELECT_IN_STATE,
    { job_id, state, after.device_id, after.module_id or "", limit } } }
  if not results then return nil, err end
  local targets = {}
  for i, row in ipairs(results[1]) do
    targets[i] = {
      device_id = row[1],
      module_id = row[2] ~= "" and row[2] or nil,
      owner = row[3],
      is_usable = row[4] == 1 and row[5] ~= nil,
      is_damaged = not (columns.text(row[1]) and columns.text(row[2])),
    }
  end
  return targets
end

--- The last target of a job; nil: it has none.
---@return directmethods.JobTarget? target
---@return directmethods.Error? err
function M.last(db, job_id)
  local results, err = db:read {
    { "SELECT device_id, module_id FROM device_jobs WHERE job_id = ? "
      .. "ORDER BY device_id DESC, module_id DESC LIMIT 1", { job_id } },
  }
  if not results then return nil, err end
  local row = results[1][1]
  if not row then return nil end
  return { device_id = row[1], module_id = row[2] ~= "" and row[2] or nil }
end

local SELECT_ROWS = "SELECT " .. columns.names(ROW, "r.")
  .. ", j.type, j.created, j.ended FROM device_jobs r "
  .. "LEFT JOIN jobs j ON j.id = r.job_id "
local OF_JOB = "WHERE r.job_id = ? AND (r.device_id, r.module_id) > (?, ?) "
local OF_ALL = "WHERE (r.job_id, r.device_id, r.module_id) > (?, ?, ?) "
local JOB_TYPE, JOB_CREATED, JOB_ENDED = #ROW + 1, #ROW + 2, #ROW + 3

local function is_of_a_job(values)
  return columns.job_type(values[JOB_TYPE]) and columns.integer(values[JOB_CREATED])
    and (values[JOB_ENDED] == nil or columns.integer(values[JOB_ENDED]))
end

local function row_of(values)
  local row = columns.read(ROW, values)
  local is_orphan = values[JOB_TYPE] == nil
  if not row or not is_orphan and not is_of_a_job(values) then
    return nil, columns.damaged("a device job")
  end
  if row.module_id == "" then row.module_id = nil end
  row.job_type, row.created = values[JOB_TYPE], values[JOB_CREATED]
  row.job_ended = values[JOB_ENDED]
  return row
end

--- At most `limit` device jobs of all jobs, or of one, ordered by job and target.
---@param db directmethods.Sql
---@param job_id string? of this job alone
---@param after { job_id: string, device_id: string, module_id: string? }?
---@param limit integer
---@return directmethods.DeviceJob[]? rows
---@return directmethods.Error? err
function M.page(db, job_id, after, limit)
  after = after or { job_id = job_id or "", device_id = "" }
  local results, err = db:read { {
    SELECT_ROWS .. (job_id and OF_JOB or OF_ALL)
      .. "ORDER BY r.job_id, r.device_id, r.module_id LIMIT ?",
    { job_id or after.job_id, after.device_id, after.module_id or "", limit },
  } }
  if not results then return nil, err end
  local rows = {}
  for i, values in ipairs(results[1]) do
    rows[i], err = row_of(values)
    if not rows[i] then return nil, err end
  end
  return rows
end

return M
