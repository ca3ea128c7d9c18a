--- Reading identities and twins: see hub/store.lua. Everything here waits.

local documents = require "directmethods.hub.twin_document"
local rows = require "directmethods.hub.identity_rows"
local sql = require "directmethods.hub.sql"

local M = {}

local FROM = " FROM identities i "
local TWINS = "LEFT JOIN twins t ON t.device_id = i.device_id "
  .. "AND t.module_id = i.module_id "
local SELECT = "SELECT " .. rows.IDENTITY_COLUMNS .. FROM
local SELECT_KNOWN = "SELECT " .. rows.KNOWN_COLUMNS .. FROM
local SELECT_BOTH = ("SELECT %s, %s%s%s"):format(
  rows.IDENTITY_COLUMNS, rows.TWIN_COLUMNS, FROM, TWINS)
local ONE = "WHERE i.device_id = ? AND i.module_id = ?"
local DEVICES_WITH = "WHERE i.module_id = ''%s AND i.device_id > ? "
  .. "ORDER BY i.device_id LIMIT ?"
local ALL_DEVICES = DEVICES_WITH:format("")
local EDGE_DEVICES = DEVICES_WITH:format(" AND i.iot_edge = 1")
local DEVICES_LIKE = DEVICES_WITH:format(" AND lower(i.device_id) LIKE ? ESCAPE '!'")
local ALL = "WHERE (i.device_id, i.module_id) > (?, ?) "
  .. "ORDER BY i.device_id, i.module_id LIMIT ?"
local MODULES = "WHERE i.module_id > '' AND (i.device_id, i.module_id) > (?, ?) "
  .. "ORDER BY i.device_id, i.module_id LIMIT ?"
local COUNT_MODULES = "SELECT count(*) FROM identities WHERE device_id = ? "
  .. "AND module_id > ''"
local OF_DEVICE = "WHERE i.device_id = ? AND i.module_id > '' ORDER BY i.module_id"

---@class directmethods.Store
local Store = {}

-- An id as a parameter. Requests may name anything: a text that some store cannot hold
-- becomes the empty id, which no identity has.
local function key(id)
  return sql.is_text(id) and id or ""
end

-- The rows of one statement.
local function read(self, statement, ...)
  local results, err = self.db:read { { statement, table.pack(...) } }
  if not results then return nil, err end
  return results[1]
end

local function records_of(self, record_of, found, err)
  if not found then return nil, err end
  local list = {}
  for i, row in ipairs(found) do
    local record, why = record_of(row)
    if not record then return nil, self:damaged(why) end
    list[i] = record
  end
  return list
end

---@param device_id string
---@param module_id string? nil: the device itself
---@return directmethods.IdentityRecord? record nil without err: there is none
---@return directmethods.Error? err
function Store:find(device_id, module_id)
  local list, err = records_of(self, rows.record, read(self, SELECT .. ONE,
    key(device_id), key(module_id or "")))
  return list and list[1], err
end

-- The pattern of ids that contain a text.
local function pattern_of(text)
  return "%" .. text:lower():gsub("[!%%_]", "!%0") .. "%"
end

--- A page of devices, ordered by id.
---@param after string? the id behind which it begins; nil: from the first
---@param limit integer
---@param only { edge: boolean?, contains: string? }? only edge devices, or only those
---  whose id has a text in it
---@return directmethods.IdentityRecord[]? page
---@return directmethods.Error? err
function Store:devices(after, limit, only)
  after, only = after or "", only or {}
  if not (sql.is_text(after) and sql.is_text(only.contains or "")) then return {} end
  if only.contains then
    return records_of(self, rows.record, read(self, SELECT .. DEVICES_LIKE,
      pattern_of(only.contains), after, limit))
  end
  local where = only.edge and EDGE_DEVICES or ALL_DEVICES
  return records_of(self, rows.record, read(self, SELECT .. where, after, limit))
end

--- All modules of a device, ordered by id.
---@param device_id string
---@return directmethods.IdentityRecord[]? modules
---@return directmethods.Error? err
function Store:modules(device_id)
  return records_of(self, rows.record, read(self, SELECT .. OF_DEVICE, key(device_id)))
end

--- The modules of devices whose ids stand between two, both included.
---@param first string
---@param last string
---@return table<string, string[]>? modules device id -> ordered module ids
---@return directmethods.Error? err
function Store:module_ids(first, last)
  local found, err = read(self, "SELECT device_id, module_id FROM identities "
    .. "WHERE module_id > '' AND device_id >= ? AND device_id <= ? "
    .. "ORDER BY device_id, module_id", first, last)
  if not found then return nil, err end
  local modules = {}
  for _, row in ipairs(found) do
    local sound, why = rows.has_ids(row)
    if not sound then return nil, self:damaged(why) end
    local list = modules[row[1]] or {}
    modules[row[1]] = list
    list[#list + 1] = row[2]
  end
  return modules
end

--- A page of devices and modules, a device before its modules: what the data plane
--- must know of them.
---@param after directmethods.IdentityRecord? nil: from the first
---@param limit integer
---@return directmethods.IdentityRecord[]? page
---@return directmethods.Error? err
function Store:known(after, limit)
  after = after or {}
  return records_of(self, rows.known, read(self, SELECT_KNOWN .. ALL,
    after.device_id or "", after.module_id or "", limit))
end

---@return integer? total devices, without modules
---@return integer|directmethods.Error enabled
function Store:count()
  local found, err = read(self, "SELECT total, enabled FROM counts")
  if not found then return nil, err end
  if not found[1] then return nil, self:damaged "the store is damaged: no counts" end
  return found[1][1], found[1][2]
end

--- The identity and twin of a row of all columns; nil, err: it is damaged.
---@param row any[]
---@return { record: directmethods.IdentityRecord, twin: directmethods.Twin? }? pair
---@return directmethods.Error? err
function Store:pair_of(row)
  local record, why = rows.record(row)
  if not record then return nil, self:damaged(why) end
  local twin
  twin, why = rows.twin(row, rows.TWIN_FIRST)
  if why then return nil, self:damaged(why) end
  return { record = record, twin = twin }
end

-- Statements that read identities with their twins, then how many modules devices have.
local function pair_statements(ids, devices)
  local list = {}
  for i, id in ipairs(ids) do
    list[i] = { SELECT_BOTH .. ONE, { key(id.device_id), key(id.module_id or "") } }
  end
  for _, device_id in ipairs(devices) do
    list[#list + 1] = { COUNT_MODULES, { key(device_id) } }
  end
  return list
end

--- A statement that reads all identities with their twins, a device before its modules;
--- pair_of reads its rows.
---@return directmethods.SqlStatement
function Store:all_pairs()
  return { SELECT_BOTH .. "ORDER BY i.device_id, i.module_id" }
end

--- Identities with their twins, as of one moment, and how many modules devices have.
---@param ids { device_id: string, module_id: string? }[]
---@param devices string[]? whose modules are to be counted
---@return { record: directmethods.IdentityRecord, twin: directmethods.Twin? }[]|nil
---  found in the order of the ids; false: there is none
---@return directmethods.Error|integer[]|nil counts in the order of the devices
function Store:pairs(ids, devices)
  devices = devices or {}
  local results, err = self.db:read(pair_statements(ids, devices))
  if not results then return nil, err end
  local found, counts = {}, {}
  for i = 1, #ids do
    local row, pair = results[i][1], false
    if row then
      pair, err = self:pair_of(row)
      if not pair then return nil, err end
    end
    found[i] = pair
  end
  for i = 1, #devices do counts[i] = results[#ids + i][1][1] end
  return found, counts
end

--- The twin of an identity; an empty one where nobody has changed it yet.
---@return directmethods.Twin? twin
---@return directmethods.Error? err
function Store:twin(device_id, module_id)
  local found, err = self:pairs { { device_id = device_id, module_id = module_id } }
  if not found then return nil, err end
  return found[1] and found[1].twin or documents.BLANK
end

local function scanned(self, found, err)
  if not found then return nil, err end
  for _, row in ipairs(found) do
    local sound, why = rows.has_ids(row)
    if not sound then return nil, self:damaged(why) end
  end
  return found
end

--- Rows of a scan through all devices or all modules.
---@param modules boolean else devices
---@param columns string[] first "i.device_id" and "i.module_id", then others of
---  identities and of their twins, "t.tags": nil where nobody has changed the twin
---@param after { device_id: string, module_id: string? }? behind which it begins
---@param limit integer
---@return any[][]? rows
---@return directmethods.Error? err
function Store:scan(modules, columns, after, limit)
  after = after or {}
  local names = table.concat(columns, ", ")
  local select = ("SELECT %s%s%s"):format(names, FROM,
    names:find("t.", 1, true) and TWINS or "")
  if modules then
    return scanned(self, read(self, select .. MODULES, after.device_id or "",
      after.module_id or "", limit))
  end
  return scanned(self, read(self, select .. ALL_DEVICES, after.device_id or "", limit))
end

--- Add the methods of identities to the class of stores.
function M.extend(class)
  for name, method in pairs(Store) do class[name] = method end
end

return M
