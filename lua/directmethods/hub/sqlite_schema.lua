--- The tables of a store in SQLite, and how an older store becomes one of today. This
-- is the one Lua file that knows SQLite's own words.

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
    "ALTER TABLE counts ADD COLUMN version INTEGER NOT NULL DEFAULT 1",

    -- What changes in a job are columns; record keeps what it was made with: type,
    -- condition, method, update, created, start, max_seconds. reason: as JSON. A record
    -- that cannot be read stays as it is, and its job has failed.
    "ALTER TABLE jobs ADD COLUMN status TEXT NOT NULL DEFAULT 'failed'",
    "ALTER TABLE jobs ADD COLUMN reason TEXT",
    "ALTER TABLE jobs ADD COLUMN ended INTEGER",
    "ALTER TABLE jobs ADD COLUMN selected INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN total INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN pending INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN running INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN succeeded INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE jobs ADD COLUMN failed INTEGER NOT NULL DEFAULT 0",
    [[UPDATE jobs SET
        status = coalesce(json_extract(record, '$.status'), 'failed'),
        reason = record -> '$.reason',
        ended = json_extract(record, '$.ended'),
        selected = coalesce(json_extract(record, '$.selected'), 0),
        total = coalesce(json_extract(record, '$.total'), 0),
        pending = coalesce(json_extract(record, '$.pending'), 0),
        running = coalesce(json_extract(record, '$.running'), 0),
        succeeded = coalesce(json_extract(record, '$.succeeded'), 0),
        failed = coalesce(json_extract(record, '$.failed'), 0),
        record = json_remove(record, '$.status', '$.reason', '$.ended', '$.selected',
          '$.total', '$.pending', '$.running', '$.succeeded', '$.failed')
      WHERE json_valid(record)]],

    -- state: pending, running, completed, failed or canceled. owner and lease (unix ms)
    -- are of the hub that has claimed the row; '' and 0: nobody has.
    "ALTER TABLE device_jobs ADD COLUMN state TEXT NOT NULL DEFAULT 'failed'",
    "ALTER TABLE device_jobs ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE device_jobs ADD COLUMN lease INTEGER NOT NULL DEFAULT 0",
    [[UPDATE device_jobs SET
        state = coalesce(json_extract(record, '$.status'), 'failed'),
        record = json_remove(record, '$.status')
      WHERE json_valid(record)]],
    [[CREATE INDEX device_jobs_by_state
      ON device_jobs (job_id, state, device_id, module_id)]],

    -- Sessions of clean=0: a row is a session that is present.
    -- subscriptions: JSON array of { "filter": text, "qos": 0 or 1 }
    [[CREATE TABLE sessions (
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        subscriptions TEXT NOT NULL,
        PRIMARY KEY (device_id, module_id)
      ) WITHOUT ROWID]],
  },
}

-- The version of the file; nil, name, message.
local function version_of(db)
  local results, name, why = db:run("read", { { "PRAGMA user_version" } })
  if not results then return nil, name, why end
  return results[1][1][1]
end

--- Bring the tables up to date. A newer store is left as it is.
---@param db directmethods.Sql
---@return boolean? ready
---@return string? name    of the error
---@return string? message
function M.prepare(db)
  local version, name, why = version_of(db)
  if not version then return nil, name, why end
  if version > #M.steps then
    return nil, "StorageFailed",
      ("it is of a newer version of this program (%d; this one knows %d)")
        :format(version, #M.steps)
  end
  if version == #M.steps then return true end
  local list = {}
  for number = version + 1, #M.steps do
    for _, statement in ipairs(M.steps[number]) do list[#list + 1] = { statement } end
  end
  -- pragmas take no parameters
  list[#list + 1] = { "PRAGMA user_version = " .. #M.steps }
  local done
  done, name, why = db:run("write", list)
  if not done then return nil, name, why end
  return true
end

return M
