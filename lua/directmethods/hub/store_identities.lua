--- The identities and twins of a store: see hub/store.lua.

local json = require "directmethods.json"

local M = {}

---@class directmethods.IdentityRecord
---@field device_id string
---@field module_id string?     nil: a device
---@field auth "sas"|"selfSigned"|"certificateAuthority"|"none"
---@field primary_key string?   base64; of auth sas alone, there always
---@field secondary_key string?
---@field primary_thumbprint string?  hexadecimal; of auth selfSigned, one or both
---@field secondary_thumbprint string?
---@field enabled boolean
---@field status_reason string?
---@field status_time string?   when the status last changed; nil: never
---@field etag string           another one after each change
---@field generation_id string  another one when an id is used again
---@field managed_by string?    of a module, whatever its maker says

---@class directmethods.Twin
---@field tags string              JSON object
---@field desired string           JSON object, without $version and $metadata
---@field reported string          likewise
---@field desired_metadata string  JSON object: when each member was changed
---@field reported_metadata string
---@field desired_version integer  from 1
---@field reported_version integer
---@field version integer          of the whole twin
---@field changes integer          of tags and desired properties: what the etag tells

local IDENTITY = {
  "device_id", "module_id", "auth", "primary_key", "secondary_key",
  "primary_thumbprint", "secondary_thumbprint", "enabled", "status_reason",
  "status_time", "etag", "generation_id", "managed_by",
}
local FREE_TEXTS = { "status_reason", "managed_by" } -- in the store as JSON
local TWIN = {
  "tags", "desired", "reported", "desired_metadata", "reported_metadata",
  "desired_version", "reported_version", "version", "changes",
}
local COLUMN = {}
for i, name in ipairs(IDENTITY) do COLUMN[name] = i end
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
local TWINS = "LEFT JOIN twins t USING (device_id, module_id)"
local SQL = {
  find = SELECT .. "WHERE device_id = ? AND module_id = ?",
  devices = SELECT .. "WHERE module_id = '' AND device_id > ? "
    .. "ORDER BY device_id LIMIT ?",
  modules = SELECT .. "WHERE device_id = ? AND module_id > '' ORDER BY module_id",
  identities = SELECT .. "WHERE (device_id, module_id) > (?, ?) "
    .. "ORDER BY device_id, module_id LIMIT ?",
  scan_devices = " WHERE i.module_id = '' AND i.device_id > ? "
    .. "ORDER BY i.device_id LIMIT ?",
  scan_modules = " WHERE i.module_id > '' AND (i.device_id, i.module_id) > (?, ?) "
    .. "ORDER BY i.device_id, i.module_id LIMIT ?",
  put = upsert("identities", IDENTITY_COLUMNS, #IDENTITY),
  count = "SELECT total, enabled FROM counts",
  twin = "SELECT " .. TWIN_COLUMNS
    .. " FROM twins WHERE device_id = ? AND module_id = ?",
  put_twin = upsert("twins", "device_id, module_id, " .. TWIN_COLUMNS, #TWIN + 2),
}

---@class directmethods.Store
local Store = {}

local function record_of(row)
  local record = {}
  for i, name in ipairs(IDENTITY) do record[name] = row[i] end
  if record.module_id == "" then record.module_id = nil end
  record.enabled = record.enabled == 1
  for _, name in ipairs(FREE_TEXTS) do
    record[name] = record[name] and json.decode(record[name])
  end
  return record
end

local function records_of(self, rows, why)
  if not rows then return nil, self:failure(why) end
  for i, row in ipairs(rows) do rows[i] = record_of(row) end
  return rows
end

---@param device_id string
---@param module_id string? nil: the device itself
---@return directmethods.IdentityRecord? record
---@return directmethods.Error? err
function Store:find(device_id, module_id)
  local row, why = self.database:row(SQL.find, device_id, module_id or "")
  if row then return record_of(row) end
  return nil, why and self:failure(why)
end

---@param record directmethods.IdentityRecord
---@return boolean? kept
---@return directmethods.Error? err
function Store:put(record)
  local values = {}
  for i, name in ipairs(IDENTITY) do values[i] = record[name] end
  values[COLUMN.module_id] = record.module_id or ""
  for _, name in ipairs(FREE_TEXTS) do
    values[COLUMN[name]] = record[name] and json.encode(record[name])
  end
  return self:changed(self.database:run(SQL.put, table.unpack(values, 1, #IDENTITY)))
end

---@return boolean? kept
---@return directmethods.Error? err
function Store:remove(device_id, module_id)
  local where, ids = " WHERE device_id = ?", { device_id, module_id }
  if module_id then where = where .. " AND module_id = ?" end
  return self:changed(self.database:transaction(function()
    self.database:run("DELETE FROM twins" .. where, table.unpack(ids))
    self.database:run("DELETE FROM identities" .. where, table.unpack(ids))
  end))
end

---@param after string? nil: from the first
---@param limit integer
---@return directmethods.IdentityRecord[]? page
---@return directmethods.Error? err
function Store:devices(after, limit)
  return records_of(self, self.database:rows(SQL.devices, after or "", limit))
end

---@param device_id string
---@return directmethods.IdentityRecord[]? modules
---@return directmethods.Error? err
function Store:modules(device_id)
  return records_of(self, self.database:rows(SQL.modules, device_id))
end

---@param after directmethods.IdentityRecord? nil: from the first
---@param limit integer
---@return directmethods.IdentityRecord[]? page
---@return directmethods.Error? err
function Store:identities(after, limit)
  after = after or {}
  return records_of(self, self.database:rows(SQL.identities, after.device_id or "",
    after.module_id or "", limit))
end

---@return integer? total devices, without modules
---@return integer|directmethods.Error enabled
function Store:count()
  local row, why = self.database:row(SQL.count)
  if not row then return nil, self:failure(why or "its counts are missing") end
  return row[1], row[2]
end

---@return directmethods.Twin? twin
---@return directmethods.Error? err
function Store:twin(device_id, module_id)
  local row, why = self.database:row(SQL.twin, device_id, module_id or "")
  if not row then return nil, why and self:failure(why) end
  local twin = {}
  for i, name in ipairs(TWIN) do twin[name] = row[i] end
  return twin
end

---@param twin directmethods.Twin of an identity that is there
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_twin(device_id, module_id, twin)
  local values = {}
  for i, name in ipairs(TWIN) do values[i] = twin[name] end
  return self:changed(self.database:run(SQL.put_twin, device_id, module_id or "",
    table.unpack(values, 1, #TWIN)))
end

--- The next devices, or modules: rows of columns, as many as are asked for, or fewer:
--- these were the last.
---@param modules boolean else devices
---@param columns string[] of identities, "i.device_id", and their twins, "t.tags": nil
---  where nobody has changed the twin
---@param after { device_id: string, module_id: string? }?
---@param limit integer
---@return any[][]? rows
---@return directmethods.Error? err
function Store:scan(modules, columns, after, limit)
  local sql = ("SELECT %s FROM identities i %s"):format(table.concat(columns, ", "),
    table.concat(columns):find("t.", 1, true) and TWINS or "")
  local device_id, module_id = "", ""
  if after then device_id, module_id = after.device_id, after.module_id or "" end
  local rows, why
  if modules then
    rows, why = self.database:rows(sql .. SQL.scan_modules, device_id, module_id, limit)
  else
    rows, why = self.database:rows(sql .. SQL.scan_devices, device_id, limit)
  end
  if not rows then return nil, self:failure(why) end
  return rows
end

--- Add the methods of identities to the class of stores.
function M.extend(class)
  for name, method in pairs(Store) do class[name] = method end
end

return M
