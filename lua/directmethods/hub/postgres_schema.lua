--- The tables of a store in PostgreSQL, and how an older store becomes one of today.
-- Only this file and hub/postgres_shared.lua have PostgreSQL's own SQL. Tables that
-- SQLite has, too (hub/sqlite_schema.lua), have the same names there.

local migration = require "directmethods.hub.migration"
local shared = require "directmethods.hub.postgres_shared"

local M = {}

M.APPLICATION = 0x646D6875 -- names the lock of the hubs that use a database

-- Ids are ordered by their bytes, as SQLite does it, whatever the database's locale.
local TEXT = ' TEXT COLLATE "C"'

local function table_of(name, ...)
  return ("CREATE TABLE %s (%s)"):format(name, table.concat({ ... }, ", "))
end

local COUNT = [[CREATE FUNCTION count_identity() RETURNS trigger LANGUAGE plpgsql AS '
  BEGIN
    IF TG_OP <> ''INSERT'' AND old.module_id = '''' THEN
      UPDATE counts SET total = total - 1, enabled = enabled - old.enabled;
    END IF;
    IF TG_OP <> ''DELETE'' AND new.module_id = '''' THEN
      UPDATE counts SET total = total + 1, enabled = enabled + new.enabled;
    END IF;
    RETURN NULL;
  END']]

--- Step n makes version n of version n - 1; 0 is an empty database. Never change a step
-- that was released.
M.steps = {
  {
    table_of("identities",
      "device_id" .. TEXT .. " NOT NULL", "module_id" .. TEXT .. " NOT NULL",
      "auth TEXT NOT NULL", "primary_key TEXT", "secondary_key TEXT",
      "primary_thumbprint TEXT", "secondary_thumbprint TEXT", "enabled BIGINT NOT NULL",
      "status_reason TEXT", "status_time TEXT", "etag TEXT NOT NULL",
      "generation_id TEXT NOT NULL", "managed_by TEXT",
      "version BIGINT NOT NULL", "iot_edge BIGINT NOT NULL", "device_scope TEXT",
      "parent_scopes TEXT", "PRIMARY KEY (device_id, module_id)"),
    table_of("twins",
      "device_id" .. TEXT .. " NOT NULL", "module_id" .. TEXT .. " NOT NULL",
      "tags TEXT NOT NULL", "desired TEXT NOT NULL", "reported TEXT NOT NULL",
      "desired_metadata TEXT NOT NULL", "reported_metadata TEXT NOT NULL",
      "desired_version BIGINT NOT NULL", "reported_version BIGINT NOT NULL",
      "version BIGINT NOT NULL", "changes BIGINT NOT NULL",
      "model_id TEXT NOT NULL DEFAULT ''", "PRIMARY KEY (device_id, module_id)"),
    table_of("settings", "name TEXT PRIMARY KEY", "value TEXT NOT NULL"),
    -- one row: how many devices there are, and the version of the last change
    table_of("counts", "total BIGINT NOT NULL", "enabled BIGINT NOT NULL",
      "version BIGINT NOT NULL"),
    "INSERT INTO counts VALUES (0, 0, 1)",
    COUNT,
    "CREATE TRIGGER count_identity AFTER INSERT OR UPDATE OR DELETE ON identities "
      .. "FOR EACH ROW EXECUTE FUNCTION count_identity()",
    table_of("jobs", "id" .. TEXT .. " PRIMARY KEY", "type TEXT NOT NULL",
      "status TEXT NOT NULL", "condition TEXT NOT NULL", "method TEXT",
      "update_twin TEXT", "created BIGINT NOT NULL", "start BIGINT NOT NULL",
      "ended BIGINT", "max_seconds BIGINT NOT NULL", "selected BIGINT NOT NULL",
      "reason TEXT", "total BIGINT NOT NULL", "pending BIGINT NOT NULL",
      "running BIGINT NOT NULL", "succeeded BIGINT NOT NULL", "failed BIGINT NOT NULL"),
    table_of("device_jobs", "job_id" .. TEXT .. " NOT NULL",
      "device_id" .. TEXT .. " NOT NULL", "module_id" .. TEXT .. " NOT NULL",
      "state TEXT NOT NULL", "owner TEXT NOT NULL DEFAULT ''",
      "lease BIGINT NOT NULL DEFAULT 0", "started BIGINT", "ended BIGINT",
      "updated BIGINT NOT NULL", "answer_status BIGINT", "answer TEXT",
      "error_code TEXT", "error_text TEXT",
      "PRIMARY KEY (job_id, device_id, module_id)"),
    "CREATE INDEX device_jobs_by_state "
      .. "ON device_jobs (job_id, state, device_id, module_id)",
    table_of("sessions", "device_id" .. TEXT .. " NOT NULL",
      "module_id" .. TEXT .. " NOT NULL", "subscriptions TEXT NOT NULL",
      "PRIMARY KEY (device_id, module_id)"),
  },
  shared.STEP,
}

--- The version of the database, 0 for an empty one; nil, name, message.
---@param db directmethods.Sql
---@return integer?
---@return string? name of the error
---@return string? message
function M.version_of(db)
  local results, name, why = db:run("read", {
    { "SELECT to_regclass('directmethods_store') IS NULL, "
      .. "to_regclass('identities') IS NULL" },
  })
  if not results then return nil, name, why end
  local is_new, is_free = results[1][1][1] == 1, results[1][1][2] == 1
  if is_new and not is_free then
    return nil, "StorageFailed", "the database has tables of another program"
  end
  if is_new then return 0 end
  results, name, why = db:run("read", { { "SELECT version FROM directmethods_store" } })
  if not results then return nil, name, why end
  if results[1][1] then return results[1][1][1] end
  return nil, "StorageFailed", "it is damaged: it has no version"
end

--- Convert an older version to today's. Hubs that start at the same time do it one
-- after the other: the second one finds the table made, and its list fails with
-- Conflict.
---@param db directmethods.Sql
---@param version integer
---@return boolean? done
---@return string? name of the error
---@return string? message
function M.upgrade(db, version)
  local list = {
    { ("SELECT pg_advisory_xact_lock(%d, 1)"):format(M.APPLICATION) },
    version == 0 and { "CREATE TABLE directmethods_store (version BIGINT NOT NULL)" }
      or { ("SELECT 1 FROM directmethods_store WHERE version = %d"):format(version),
        expect = 1 },
    version == 0 and { "INSERT INTO directmethods_store VALUES (0)" } or nil,
  }
  migration.add_steps(list, M.steps, version)
  list[#list + 1] = { ("UPDATE directmethods_store SET version = %d"):format(#M.steps) }
  local done, name, why = db:run("write", list)
  if done or M.version_of(db) == #M.steps then return true end
  return nil, name, why
end

return M
