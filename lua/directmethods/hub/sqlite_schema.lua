--- The tables of a store in SQLite, and how an older store becomes one of today. This
-- is the one Lua file that knows SQLite's own words.

local migration = require "directmethods.hub.migration"

local M = {}

M.APPLICATION = 0x646D6875 -- tells our files from other SQLite databases

--- What makes version n of version n - 1; 0 is an empty file. A step that was ever
-- released stays as it is.
M.steps = {
  {
    -- module_id '': the device itself. status_reason: as JSON, for it is free text
    [[CREATE TABLE identities (
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        auth TEXT NOT NULL,
        primary_key TEXT,
        secondary_key TEXT,
        primary_thumbprint TEXT,
        secondary_thumbprint TEXT,
        enabled INTEGER NOT NULL,
        status_reason TEXT,
        status_time TEXT,
        etag TEXT NOT NULL,
        generation_id TEXT NOT NULL,
        PRIMARY KEY (device_id, module_id)
      ) WITHOUT ROWID]],
    [[CREATE TABLE twins (
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        tags TEXT NOT NULL,
        desired TEXT NOT NULL,
        reported TEXT NOT NULL,
        desired_metadata TEXT NOT NULL,
        reported_metadata TEXT NOT NULL,
        desired_version INTEGER NOT NULL,
        reported_version INTEGER NOT NULL,
        version INTEGER NOT NULL,
        changes INTEGER NOT NULL,
        PRIMARY KEY (device_id, module_id)
      )]],
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    -- one row, so that counting does not read them all
    "CREATE TABLE counts (total INTEGER NOT NULL, enabled INTEGER NOT NULL)",
    "INSERT INTO counts VALUES (0, 0)",
    [[CREATE TRIGGER count_new AFTER INSERT ON identities WHEN new.module_id = ''
      BEGIN
        UPDATE counts SET total = total + 1, enabled = enabled + new.enabled;
      END]],
    [[CREATE TRIGGER count_changed AFTER UPDATE ON identities WHEN new.module_id = ''
      BEGIN
        UPDATE counts SET enabled = enabled + new.enabled - old.enabled;
      END]],
    [[CREATE TRIGGER count_gone AFTER DELETE ON identities WHEN old.module_id = ''
      BEGIN
        UPDATE counts SET total = total - 1, enabled = enabled - old.enabled;
      END]],
  },
  {
    -- records as JSON: they are found by their ids alone
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, record TEXT NOT NULL)",
    [[CREATE TABLE device_jobs (
        job_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (job_id, device_id, module_id)
      )]],
  },
  {
    -- as JSON, like status_reason
    "ALTER TABLE identities ADD COLUMN managed_by TEXT",
  },
  {
    -- What a decision was based on is guarded by a version. Twins have one already.
    -- An identity takes the next of counts.version with each change, so that one
    -- that is made again is newer than the one that was removed.
    "ALTER TABLE identities ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
    -- device_scope and parent_scopes (an array): as JSON
    "ALTER TABLE identities ADD COLUMN iot_edge INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE identities ADD COLUMN device_scope TEXT",
    "ALTER TABLE identities ADD COLUMN parent_scopes TEXT",
    "ALTER TABLE counts ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE twins ADD COLUMN model_id TEXT NOT NULL DEFAULT ''",

    -- Jobs and device jobs in columns. Free texts (condition, reason, error_text) are
    -- kept as JSON. A record that cannot be read leads to a job that has failed and
    -- cannot be read either; a device job like that has no state.
    "ALTER TABLE jobs RENAME TO old_jobs",
    [[CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        type TEXT NOT NULL,
        status TEXT NOT NULL,
        condition TEXT NOT NULL,
        method TEXT,
        update_twin TEXT,
        created INTEGER NOT NULL,
        start INTEGER NOT NULL,
        ended INTEGER,
        max_seconds INTEGER NOT NULL,
        selected INTEGER NOT NULL,
        reason TEXT,
        total INTEGER NOT NULL,
        pending INTEGER NOT NULL,
        running INTEGER NOT NULL,
        succeeded INTEGER NOT NULL,
        failed INTEGER NOT NULL
      ) WITHOUT ROWID]],
    [[INSERT INTO jobs SELECT id, json_extract(record, '$.type'),
        json_extract(record, '$.status'), record -> '$.condition',
        json_extract(record, '$.method'), json_extract(record, '$.update'),
        json_extract(record, '$.created'), json_extract(record, '$.start'),
        json_extract(record, '$.ended'), json_extract(record, '$.max_seconds'),
        json_extract(record, '$.selected'), record -> '$.reason',
        json_extract(record, '$.total'), json_extract(record, '$.pending'),
        json_extract(record, '$.running'), json_extract(record, '$.succeeded'),
        json_extract(record, '$.failed')
      FROM old_jobs WHERE json_valid(record) ON CONFLICT DO NOTHING]],
    [[INSERT INTO jobs SELECT id, '', 'failed', '""', NULL, NULL, 0, 0, NULL, 0, 1,
        NULL, 0, 0, 0, 0, 0
      FROM old_jobs WHERE id NOT IN (SELECT id FROM jobs)]],
    "DROP TABLE old_jobs",

    "ALTER TABLE device_jobs RENAME TO old_device_jobs",
    -- state: pending, running, completed, failed or canceled. owner and lease (unix ms)
    -- are of the hub that has claimed the row; '' and 0: no hub has.
    [[CREATE TABLE device_jobs (
        job_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        state TEXT NOT NULL,
        owner TEXT NOT NULL DEFAULT '',
        lease INTEGER NOT NULL DEFAULT 0,
        started INTEGER,
        ended INTEGER,
        updated INTEGER NOT NULL,
        answer_status INTEGER,
        answer TEXT,
        error_code TEXT,
        error_text TEXT,
        PRIMARY KEY (job_id, device_id, module_id)
      )]],
    [[INSERT INTO device_jobs SELECT job_id, device_id, module_id,
        coalesce(json_extract(record, '$.status'), ''), '', 0,
        json_extract(record, '$.started'), json_extract(record, '$.ended'),
        coalesce(json_extract(record, '$.updated'), 0),
        json_extract(record, '$.answer_status'), json_extract(record, '$.answer'),
        json_extract(record, '$.error_code'), record -> '$.error_text'
      FROM old_device_jobs WHERE json_valid(record)]],
    [[INSERT INTO device_jobs (job_id, device_id, module_id, state, updated)
      SELECT job_id, device_id, module_id, '', 0
      FROM old_device_jobs WHERE NOT json_valid(record)]],
    "DROP TABLE old_device_jobs",
    [[CREATE INDEX device_jobs_by_state
      ON device_jobs (job_id, state, device_id, module_id)]],

    -- Sessions of clean=0: a row is a session that is present.
    -- subscriptions: JSON array of filters
    [[CREATE TABLE sessions (
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        subscriptions TEXT NOT NULL,
        PRIMARY KEY (device_id, module_id)
      ) WITHOUT ROWID]],
  },
}

--- The version of the file; nil, name, message.
---@param db directmethods.Sql
---@return integer?
---@return string? name of the error
---@return string? message
function M.version_of(db)
  local results, name, why = db:run("read", { { "PRAGMA user_version" } })
  if not results then return nil, name, why end
  return results[1][1][1]
end

--- Convert an older version to today's.
---@param db directmethods.Sql
---@param version integer
---@return boolean? done
---@return string? name of the error
---@return string? message
function M.upgrade(db, version)
  local list = {}
  migration.add_steps(list, M.steps, version)
  -- pragmas take no parameters
  list[#list + 1] = { "PRAGMA user_version = " .. #M.steps }
  local done, name, why = db:run("write", list)
  if not done then return nil, name, why end
  return true
end

return M
