--- Where a hub keeps its identities, twins and jobs: an SQLite database in a file or
-- in memory. What it has answered with true in a file outlives a kill and a power cut.
-- All is synchronous: nothing waits, nothing runs the loop. In memory it is SQLite's,
-- too: Lua's collector would hold up the loop with 100,000 identities of its own.
--
-- Records and twins are values: who gets one does not change it, and puts a new one
-- in its place. All their fields are texts, integers and booleans.
--
--   find(device, module?)        the record; nil: there is none
--   put(record)                  in the place of the one with its ids, if there is
--                                one; a module's device is there already
--   remove(device, module?)      with its twin; a device's modules go with it
--   identities(after?, limit)    at most `limit` devices and modules, a device before
--                                its modules, from behind the record `after`
--   devices(after?, limit)       at most `limit` devices, ordered by id, from behind
--                                the id `after`: a page
--   modules(device)              all modules of a device, ordered by id
--   count()                      how many devices there are, and how many enabled
--   twin(device, module?)        nil: nobody has changed it yet
--   put_twin(device, module, twin)
--   setting(name)                a text of the hub's own; nil: there is none
--   put_setting(name, text)
--   scan(modules, columns, after?, limit)
--                                columns of at most `limit` identities and their
--                                twins, behind the ids in `after`, as rows. Fewer:
--                                these were the last
--   job(id)                      nil: there is none
--   put_job(job)
--   jobs(after?, limit)          a page, ordered by id
--   device_job(job, device, module?)
--   put_device_jobs(list)        of jobs that are there
--   device_jobs(after?, limit)   a page of all, ordered by job, device and module, from
--                                behind the ids in `after` ("": before all of them)
--   remove_job(id, limit)        at most `limit` of its device jobs, and then itself;
--                                returns true, and whether something of it is left
--   batch(fn)                    calls fn(), whose puts and removes are kept all
--                                or none
--   close()                      harmless the second time
--
-- What changes something (put, remove, put_..., batch) returns true when it is
-- kept for good; nil, err: nothing was changed. Reads return nil, err when they fail.

local errors = require "directmethods.errors"
local schema = require "directmethods.hub.schema"
local sqlite = require "directmethods.hub.sqlite"
local store_identities = require "directmethods.hub.store_identities"
local store_jobs = require "directmethods.hub.store_jobs"

local M = {}

local SETTING = "SELECT value FROM settings WHERE name = ?"
local PUT_SETTING = "INSERT INTO settings (name, value) VALUES (?, ?) "
  .. "ON CONFLICT (name) DO UPDATE SET value = excluded.value"

---@class directmethods.Store
---@field path string? of the file; nil: in memory
local Store = {}
Store.__index = Store
store_identities.extend(Store)
store_jobs.extend(Store)

--- Why a method gives nil.
---@param why string
---@return directmethods.Error
function Store:failure(why)
  return errors.new { name = "StorageFailed", message = "the store failed: " .. why }
end

--- What a change came to; the log tells when it begins to fail and when it ends.
---@param done boolean?
---@param why string?
---@return boolean? kept
---@return directmethods.Error? err
function Store:changed(done, why)
  if done then
    if self.failing then self.log("warn", self.name .. ": the store works again") end
    self.failing = false
    return true
  end
  if not self.failing then
    self.log("error", ("%s: the store cannot be changed: %s"):format(self.name, why))
  end
  self.failing = true
  return nil, self:failure(why)
end

---@param name string
---@return string? text
---@return directmethods.Error? err
function Store:setting(name)
  local row, why = self.database:row(SETTING, name)
  return row and row[1], why and self:failure(why)
end

---@param name string
---@param value string
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_setting(name, value)
  return self:changed(self.database:run(PUT_SETTING, name, value))
end

---@param fn fun()
---@return boolean? kept
---@return directmethods.Error? err
function Store:batch(fn)
  return self:changed(self.database:transaction(fn))
end

function Store:close()
  self.database:close()
  if self.file then self.file:release() end
end

local function open(path)
  local database, why = sqlite.open(path)
  if not database then return nil, why end
  local ready
  ready, why = schema.prepare(database)
  if ready then return database end
  database:close()
  return nil, why
end

-- The file is ours alone, if there is one.
local function open_file(path)
  if path == sqlite.MEMORY then return open(path) end
  local file, _, why = require "directmethods.hub_core".store_file(path)
  if not file then return nil, why end
  local database
  database, why = open(path)
  if database then return database, file end
  file:release()
  return nil, why
end

--- Open the store in a file, or make it. A file that is damaged, of a newer version
-- or of another program is refused and left as it is. Raises when LuaDBI is not
-- installed.
---@param path string ":memory:": in none
---@return directmethods.Store? store
---@return directmethods.Error? err
function M.open(path)
  sqlite.luadbi()
  local database, file = open_file(path)
  if database then
    return setmetatable({
      name = path,
      path = file and path,
      file = file,
      database = database,
      failing = false,
      log = require "directmethods.core".log,
    }, Store)
  end
  return nil, errors.new {
    name = "StorageFailed",
    message = ("store %s: %s"):format(path, file),
  }
end

return M
