--- Where a hub keeps its identities, twins, sessions and jobs: lists of SQL statements
-- on the asynchronous store (hub/sql.lua). What it has answered with true outlives a
-- kill and a power cut when the store is a file. Everything here waits, but close.
--
-- Records and twins are values: a function that is given one does not change it, and
-- puts a new one in its place.
--
-- A change is one list of statements, done all or none. Who changes what it has read
-- guards the statements with versions (hub/identity_statements.lua); a list that
-- comes too late gives the error Conflict, and its caller reads and decides again.

local errors = require "directmethods.errors"
local sql = require "directmethods.hub.sql"
local store_identities = require "directmethods.hub.store_identities"

local M = {}

---@class directmethods.Store
---@field db directmethods.Sql
---@field path string? of the file; nil: in memory, or in a database
---@field name string in messages
---@field lasts boolean what is kept is there when the store is opened again
---@field in_database boolean in a PostgreSQL database
---@field shared boolean other hubs use the database, too
---@field certificates directmethods.KeptCertificates? only in memory: those of a store
---  in memory, or of one of several hubs
local Store = {}
Store.__index = Store
store_identities.extend(Store)

--- The error of a row that cannot be read: the store works, and will not give it.
---@param why string
---@return directmethods.Error
function Store:damaged(why)
  local err = errors.new { name = "StorageFailed", message = why }
  err.is_damage = true
  return err
end

--- Do all statements, or none.
---@param list directmethods.SqlStatement[]
---@return directmethods.SqlResult[]? results
---@return directmethods.Error? err nothing was changed
function Store:write(list)
  return self.db:write(list)
end

--- A text of the hub's own.
---@param name string
---@return string? text nil without err: there is none
---@return directmethods.Error? err
function Store:setting(name)
  local results, err = self.db:read {
    { "SELECT value FROM settings WHERE name = ?", { name } },
  }
  if not results then return nil, err end
  return results[1][1] and results[1][1][1]
end

--- Put a text in the place of the one that was read. Conflict: another hub was faster.
---@param name string
---@param value string
---@param old string? nil: there was none
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_setting(name, value, old)
  local statement = { "UPDATE settings SET value = ? WHERE name = ? AND value = ?",
    { value, name, old }, expect = 1 }
  if not old then
    statement = { "INSERT INTO settings (name, value) VALUES (?, ?) "
      .. "ON CONFLICT (name) DO NOTHING", { name, value }, expect = 1 }
  end
  local done, err = self.db:write { statement }
  return done and true, err
end

--- Keep what is queued, and close. Does not wait for the loop; harmless the second
-- time.
function Store:close()
  self.db:close()
end

--- Open the store in a file, or make it. A file that is damaged, of a newer version,
-- of another program or in use is refused and left as it is.
---@param path string ":memory:": in none
---@param shared boolean? other hubs use the database, too
---@return directmethods.Store? store
---@return directmethods.Error? err
function M.open(path, shared)
  local db, err = sql.open(path, shared)
  if not db then return nil, err end
  return setmetatable({
    db = db, path = db.path, name = db.name, lasts = db.lasts,
    in_database = db.in_database, shared = shared or false,
  }, Store)
end

return M
