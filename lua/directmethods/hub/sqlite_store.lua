--- A store of hub/store.lua's kind in a file: what put, put_twin, put_setting, remove
-- and batch have answered with true outlives a kill and a power cut.

local errors = require "directmethods.errors"
local json = require "directmethods.json"
local schema = require "directmethods.hub.schema"
local sqlite = require "directmethods.hub.sqlite"
local sqlite_jobs = require "directmethods.hub.sqlite_jobs"

local M = {}

local IDENTITY = {
  "device_id", "module_id", "auth", "primary_key", "secondary_key",
  "primary_thumbprint", "secondary_thumbprint", "enabled", "status_reason",
  "status_time", "etag", "generation_id",
}
local TWIN = {
  "tags", "desired", "reported", "desired_metadata", "reported_metadata",
  "desired_version", "reported_version", "version", "changes",
}
local IDENTITY_COLUMNS = table.concat(IDENTITY, ", ")
local TWIN_COLUMNS = table.concat(TWIN, ", ")

-- A statement that puts a row in the place of the one with its ids.
local function upsert(tbl, columns, count)
  local changes = {}
  for name in columns:gmatch("[%a_]+") do
    changes[#changes + 1] = ("%s = excluded.%s"):format(name, name)
  end
  return ("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (device_id, module_id) "
    .. "DO UPDATE SET %s"):format(tbl, columns, ("?, "):rep(count - 1) .. "?",
    table.concat(changes, ", "))
end

local SELECT = "SELECT " .. IDENTITY_COLUMNS .. " FROM identities "
local SCAN = "SELECT i.device_id, i.module_id, i.enabled, t.tags FROM identities i "
  .. "LEFT JOIN twins t USING (device_id, module_id) "
local SQL = {
  find = SELECT .. "WHERE device_id = ? AND module_id = ?",
  devices = SELECT .. "WHERE module_id = '' AND device_id > ? "
    .. "ORDER BY device_id LIMIT ?",
  modules = SELECT .. "WHERE device_id = ? AND module_id > '' ORDER BY module_id",
  identities = SELECT .. "WHERE (device_id, module_id) > (?, ?) "
    .. "ORDER BY device_id, module_id LIMIT ?",
  scan = SCAN .. "WHERE i.module_id = '' AND i.device_id > ? "
    .. "ORDER BY i.device_id LIMIT ?",
  scan_modules = SCAN .. "WHERE i.module_id > '' "
    .. "AND (i.device_id, i.module_id) > (?, ?) "
    .. "ORDER BY i.device_id, i.module_id LIMIT ?",
  put = upsert("identities", IDENTITY_COLUMNS, #IDENTITY),
  count = "SELECT total, enabled FROM counts",
  twin = "SELECT " .. TWIN_COLUMNS
    .. " FROM twins WHERE device_id = ? AND module_id = ?",
  put_twin = upsert("twins", "device_id, module_id, " .. TWIN_COLUMNS, #TWIN + 2),
  setting = "SELECT value FROM settings WHERE name = ?",
  put_setting = "INSERT INTO settings (name, value) VALUES (?, ?) "
    .. "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
}

---@class directmethods.SqliteStore: directmethods.Store
local Store = {}
Store.__index = Store
sqlite_jobs.extend(Store)

local failure, changed = sqlite_jobs.failure, sqlite_jobs.changed

local function record_of(row)
  local record = {}
  for i, name in ipairs(IDENTITY) do record[name] = row[i] end
  if record.module_id == "" then record.module_id = nil end
  record.enabled = record.enabled == 1
  record.status_reason = record.status_reason and json.decode(record.status_reason)
  return record
end

local function records_of(rows, why)
  if not rows then return nil, failure(why) end
  for i, row in ipairs(rows) do rows[i] = record_of(row) end
  return rows
end

function Store:find(device_id, module_id)
  local row, why = self.database:row(SQL.find, device_id, module_id or "")
  if row then return record_of(row) end
  return nil, why and failure(why)
end

function Store:put(record)
  local values = {}
  for i, name in ipairs(IDENTITY) do values[i] = record[name] end
  values[2] = record.module_id or ""
  local reason = record.status_reason
  values[9] = reason and json.encode(reason)
  return changed(self, self.database:run(SQL.put, table.unpack(values, 1, #IDENTITY)))
end

function Store:remove(device_id, module_id)
  local where, ids = " WHERE device_id = ?", { device_id, module_id }
  if module_id then where = where .. " AND module_id = ?" end
  return changed(self, self.database:transaction(function()
    self.database:run("DELETE FROM twins" .. where, table.unpack(ids))
    self.database:run("DELETE FROM identities" .. where, table.unpack(ids))
  end))
end

function Store:devices(after, limit)
  return records_of(self.database:rows(SQL.devices, after or "", limit))
end

function Store:modules(device_id)
  return records_of(self.database:rows(SQL.modules, device_id))
end

function Store:identities(after, limit)
  after = after or {}
  return records_of(self.database:rows(SQL.identities, after.device_id or "",
    after.module_id or "", limit))
end

function Store:count()
  local row, why = self.database:row(SQL.count)
  if not row then return nil, failure(why or "its counts are missing") end
  return row[1], row[2]
end

function Store:twin(device_id, module_id)
  local row, why = self.database:row(SQL.twin, device_id, module_id or "")
  if not row then return nil, why and failure(why) end
  local twin = {}
  for i, name in ipairs(TWIN) do twin[name] = row[i] end
  return twin
end

function Store:put_twin(device_id, module_id, twin)
  local values = {}
  for i, name in ipairs(TWIN) do values[i] = twin[name] end
  return changed(self, self.database:run(SQL.put_twin, device_id, module_id or "",
    table.unpack(values, 1, #TWIN)))
end

-- The row at which it is to go no further, if there is one.
local function show(rows, see)
  for _, row in ipairs(rows) do
    local device_id, module_id, enabled, tags = table.unpack(row, 1, 4)
    local stop = see(device_id, module_id ~= "" and module_id or nil, enabled == 1,
      tags or "{}")
    if stop then return row end
  end
end

function Store:scan(modules, after, limit, see)
  local rows, why
  after = after or {}
  if modules then
    rows, why = self.database:rows(SQL.scan_modules, after.device_id or "",
      after.module_id or "", limit)
  else
    rows, why = self.database:rows(SQL.scan, after.device_id or "", limit)
  end
  if not rows then return nil, failure(why) end
  local last = show(rows, see) or rows[limit]
  return true, last and { device_id = last[1], module_id = last[2] }
end

function Store:setting(name)
  local row, why = self.database:row(SQL.setting, name)
  return row and row[1], why and failure(why)
end

function Store:put_setting(name, value)
  return changed(self, self.database:run(SQL.put_setting, name, value))
end

function Store:batch(fn)
  return changed(self, self.database:transaction(fn))
end

function Store:close()
  self.database:close()
  self.file:release()
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

--- Open the store in a file, or make it. A file that is damaged, of a newer version
-- or of another program is refused and left as it is. Raises when LuaDBI is not
-- installed.
---@param path string
---@return directmethods.SqliteStore? store
---@return directmethods.Error? err
function M.open(path)
  sqlite.luadbi()
  local file, _, message = require "directmethods.hub_core".store_file(path)
  local database
  if file then database, message = open(path) end
  if database then
    return setmetatable({
      path = path,
      file = file,
      database = database,
      failing = false,
      log = require "directmethods.core".log,
    }, Store)
  end
  if file then file:release() end
  return nil, errors.new {
    name = "StorageFailed",
    message = ("store %s: %s"):format(path, message),
  }
end

return M
