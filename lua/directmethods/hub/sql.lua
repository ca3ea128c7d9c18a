--- The hub's store as tasks see it: lists of SQL statements in, rows out.
--
--     local db = assert(sql.open("hub.db"))
--     local results, err = db:write {
--       { "UPDATE twins SET tags = ?, version = version + 1 "
--         .. "WHERE device_id = ? AND version = ?", { tags, id, 7 }, expect = 1 },
--       { "SELECT count(*) FROM twins" },
--     }
--     if results then print(results[1].changes, results[2][1][1]) end
--
-- `write` and `read` wait: they yield in a task and drive the loop on the main thread.
-- Write only SQL that SQLite and PostgreSQL both know, with "?" for each parameter,
-- and no BEGIN, COMMIT or PRAGMA.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local hub_core = require "directmethods.hub_core"
local migration = require "directmethods.hub.migration"
local postgres_schema = require "directmethods.hub.postgres_schema"
local sqlite_schema = require "directmethods.hub.sqlite_schema"
local task = require "directmethods.task"

local M = {}

M.MEMORY = ":memory:" -- a store that is in no file

--- A statement. Parameters are strings (kept as text), integers, floats but NaN,
-- booleans (kept as 1 and 0), `sql.blob(bytes)` and nil (NULL). A list that contains
-- nil needs its length in `n`, as table.pack makes it.
---@class directmethods.SqlStatement
---@field [1] string   the SQL text
---@field [2] any[]?   its parameters
---@field expect integer? how many rows it must change, or give if it is a SELECT

--- What a statement gave: its rows in their order, each an array of its columns'
-- values in the order of the SELECT or RETURNING. NULL is nil, so a row may have holes:
-- read it by index. Integers have 64 bits, texts are strings, blobs `sql.blob(bytes)`.
---@class directmethods.SqlResult
---@field changes integer rows that were inserted, updated or deleted
---@field [integer] any[]

---@class directmethods.Sql
---@field name string of the store in messages: its path, or its URL without password
---@field path string? of the file; nil: in memory, or in a database
---@field lasts boolean what is kept is there when the store is opened again
---@field in_database boolean in a PostgreSQL database
local Sql = { __name = "directmethods.sql" }
Sql.__index = Sql

--- Can every engine keep this text? PostgreSQL keeps no NUL, and only UTF-8.
---@param text string
---@return boolean
function M.is_text(text)
  return utf8.len(text) ~= nil and not text:find("\0", 1, true)
end

--- A value that is a blob in the store. A plain string is kept as text; SQL does not
-- find a blob when it is asked for the same text.
---@param bytes string
---@return table
function M.blob(bytes)
  return { blob = bytes }
end

local function failure(name, message)
  if name == "StorageFailed" then message = "the store failed: " .. message end
  return errors.new { name = name, message = message }
end

-- The log tells when changes begin to fail and when that ends.
local function note(self, failed, why)
  if failed == self.failing then return end
  self.failing = failed
  if failed then
    core.log("error", ("%s: the store cannot be changed: %s"):format(self.name, why))
  else
    core.log("warn", self.name .. ": the store works again")
  end
end

-- Build the results in slices, so that many rows do not hold the loop.
local function take(result)
  local rows <close> = result
  local results = {}
  while not rows:take(results) do
    local timer = core.timer(0)
    task.wait(timer, function() core.cancel_timer(timer) end)
  end
  return results
end

-- The results of an operation that was started; nil, name, message.
local function finish(id, name, message)
  if not id then return nil, name, message end
  local event, value, why = task.wait(id)
  if event == "failed" then return nil, value, why end
  return take(value)
end

--- For the schema: write or read; nil, name, message.
---@param kind "write"|"read"
---@param list directmethods.SqlStatement[]
function Sql:run(kind, list)
  return finish(self.store[kind](self.store, list))
end

--- Do all statements of the list, or none. Returns after the commit is on the disk.
-- Lists of concurrent tasks are committed together; they are done in the order of the
-- calls.
---@param list directmethods.SqlStatement[] 1 to 1024 statements, 16 MiB in all
---@return directmethods.SqlResult[]? results one for each statement
---@return directmethods.Error? err nothing was changed. StorageFailed: the disk or the
-- file; Conflict: a statement's count was not `expect`; LimitExceeded: too much is
-- queued, or a result has more than 16 MiB. Closed: the store was closed meanwhile; the
-- list may have been done
function Sql:write(list)
  task.current("db:write")
  local results, name, why = self:run("write", list)
  if results then
    note(self, false)
    return results
  end
  if name == "StorageFailed" then note(self, true, why) end
  return nil, failure(name, why)
end

--- The rows of the statements, all of one moment: what was committed when this was
-- called, or later. A read does not wait for a commit that is under way. Ask for pages
-- (LIMIT): a result has at most 16 MiB.
---@param list directmethods.SqlStatement[] SELECTs
---@return directmethods.SqlResult[]? results
---@return directmethods.Error? err StorageFailed, Conflict, LimitExceeded, Closed
function Sql:read(list)
  task.current("db:read")
  local results, name, why = self:run("read", list)
  if results then return results end
  return nil, failure(name, why)
end

--- Queue a list for which nobody waits: what is left to keep when a hub is closed.
---@param list directmethods.SqlStatement[]
function Sql:queue(list)
  self.store:write(list)
end

--- Refuse new lists, wait for the commit in progress and for those queued, without
-- running the loop, and close. Who still waits gets Closed. Harmless the second time.
function Sql:close()
  for _, id in ipairs(self.store:close()) do
    task.finish(id, "failed", "Closed", "the store was closed")
  end
end

function Sql:__close()
  self:close()
end

local POSTGRES = "^postgres[ql]*://"

--- Is a store of this name in a PostgreSQL database?
---@param name string
---@return boolean
function M.is_url(name)
  return name:find(POSTGRES) ~= nil
end

-- An URL without its password, which may also be a parameter.
local function without_password(url)
  url = url:gsub("^(%a+://[^/?#@:]*):.*@", "%1@"):gsub("([?&]password)=[^&]*", "%1=...")
  return url
end

local function start_postgres(url, shared)
  local found, cluster_core = pcall(require, "directmethods.cluster_core")
  if not found then
    return nil, "StorageFailed", "a store in PostgreSQL needs the module "
      .. "directmethods.cluster_core: it comes with the rock or Debian package "
      .. "directmethods-cluster, or is built from the sources where libpq is"
  end
  return cluster_core.postgres(core.loop, url, postgres_schema.APPLICATION, shared)
end

local function start_sqlite(path)
  return hub_core.store(core.loop, path, sqlite_schema.APPLICATION)
end

-- How a store is begun, its name in messages, and its schema.
local function engine_of(name)
  if M.is_url(name) then
    return start_postgres, without_password(name), postgres_schema
  end
  return start_sqlite, name, sqlite_schema
end

--- Open the store in a file, or make it, and bring its tables up to date. Waits. A file
-- that is damaged, of a newer version, of another program, or that another hub uses is
-- refused and left as it is. The same goes for a PostgreSQL database.
---@param where string a path, sql.MEMORY, or `postgres://user@host:port/database`
---@param shared boolean? other hubs that also say so may use the database, too
---@return directmethods.Sql? db
---@return directmethods.Error? err StorageFailed
function M.open(where, shared)
  task.current("sql.open")
  local start, shown, schema = engine_of(where)
  local store, name, why = start(where, shared or false)
  local opened, self = nil, nil
  if store then
    self = setmetatable({
      store = store,
      name = shown,
      path = start == start_sqlite and where ~= M.MEMORY and where or nil,
      lasts = where ~= M.MEMORY,
      in_database = start == start_postgres,
      failing = false,
    }, Sql)
    -- also when the task is cancelled
    local _ <close> = setmetatable({}, {
      __close = function()
        if not opened then self:close() end
      end,
    })
    opened, name, why = finish(name)
    if opened then opened, name, why = migration.prepare(self, schema) end
  end
  if opened then return self end
  why = ("store %s: %s"):format(shown, why)
  return nil, errors.new { name = name, message = why }
end

return M
