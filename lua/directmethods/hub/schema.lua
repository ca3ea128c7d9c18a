--- The tables of a store, and how an older store becomes one of today.

local M = {}

local APPLICATION = 0x646D6875 -- tells our files from other SQLite databases

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
}

-- The one value of a query.
local function value_of(database, sql)
  local row, why = database:row(sql)
  return row and row[1], why
end

-- The version of a file that is ours, 0 for an empty one.
local function version_of(database)
  local version, application, why
  version, why = value_of(database, "PRAGMA user_version")
  if not version then return nil, why end
  application, why = value_of(database, "PRAGMA application_id")
  if not application then return nil, why end
  if application == APPLICATION then return version end
  local tables
  tables, why = value_of(database, "SELECT count(*) FROM sqlite_master")
  if not tables then return nil, why end
  if tables == 0 and version == 0 and application == 0 then return 0 end
  return nil, "it is a database of another program"
end

local function take_steps(database, version)
  return database:transaction(function()
    for number = version + 1, #M.steps do
      for _, sql in ipairs(M.steps[number]) do database:run(sql) end
    end
    -- pragmas take no parameters
    database:run("PRAGMA application_id = " .. APPLICATION)
    database:run("PRAGMA user_version = " .. #M.steps)
  end)
end

-- How it keeps: what is committed outlives the process and the machine, and nobody
-- is waited for.
local PRAGMAS = {
  "PRAGMA busy_timeout = 0",
  "PRAGMA journal_mode = WAL",
  "PRAGMA synchronous = FULL",
  "PRAGMA secure_delete = ON", -- keys of who was removed
}

--- Make a store of today of an open database: of an empty or an older one. Others
-- are left as they are.
---@param database directmethods.Database
---@return boolean? ready
---@return string? why
function M.prepare(database)
  local version, why = version_of(database)
  if not version then return nil, why end
  if version > #M.steps then
    return nil, ("it is of a newer version of this program (%d; this one knows %d)")
      :format(version, #M.steps)
  end
  for _, sql in ipairs(PRAGMAS) do
    local done
    done, why = database:run(sql)
    if not done then return nil, why end
  end
  if version == #M.steps then return true end
  return take_steps(database, version)
end

return M
