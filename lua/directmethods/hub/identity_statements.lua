--- The statements that change identities, twins and sessions in the store. Pure.
-- Every statement that changes a row names, in its WHERE, the version of the row that
-- the decision was based on, and expects to change one row: another count means that
-- somebody else has changed it meanwhile.

local json = require "directmethods.json"
local rows = require "directmethods.hub.identity_rows"

local M = {}

local IDENTITY, TWIN = rows.IDENTITY, rows.TWIN

local COLUMN = {}
for i, name in ipairs(IDENTITY) do COLUMN[name] = i end

--- Put this before other changes of identities: its row has their new version.
M.NEXT_VERSION = {
  "UPDATE counts SET version = version + 1 RETURNING version", expect = 1,
}
local VERSION = "(SELECT version FROM counts)"

local MARKS = ("?, "):rep(#IDENTITY - 1) .. VERSION
local PLAIN_COLUMNS = table.concat(IDENTITY, ", ")
local INSERT_DEVICE = ("INSERT INTO identities (%s) VALUES (%s) "
  .. "ON CONFLICT (device_id, module_id) DO NOTHING"):format(PLAIN_COLUMNS, MARKS)
-- a module belongs to a device that is there
local INSERT_MODULE = ("INSERT INTO identities (%s) SELECT %s WHERE EXISTS (SELECT 1 "
  .. "FROM identities WHERE device_id = ? AND module_id = '') "
  .. "ON CONFLICT (device_id, module_id) DO NOTHING"):format(PLAIN_COLUMNS, MARKS)

local function values_of(record)
  local values = { n = #IDENTITY - 1 }
  for i = 1, values.n do values[i] = record[IDENTITY[i]] end
  values[COLUMN.module_id] = record.module_id or ""
  values[COLUMN.iot_edge] = record.iot_edge or false
  for _, name in ipairs(rows.FREE_TEXTS) do
    values[COLUMN[name]] = record[name] and json.encode(record[name])
  end
  return values
end

--- Add an identity that does not exist; the device of a module must exist.
---@param record directmethods.IdentityRecord
---@return directmethods.SqlStatement
function M.insert(record)
  local values = values_of(record)
  if not record.module_id then return { INSERT_DEVICE, values, expect = 1 } end
  values.n = values.n + 1
  values[values.n] = record.device_id
  return { INSERT_MODULE, values, expect = 1 }
end

--- How many modules a device may have.
M.MODULES_MAX = 50

local ROOM = ("SELECT 1 WHERE (SELECT count(*) FROM identities WHERE device_id = ? "
  .. "AND module_id > '') < %d"):format(M.MODULES_MAX)

--- Put this before a new module: it fails if its device has no room for one more.
---@param device_id string
---@return directmethods.SqlStatement
function M.module_room(device_id)
  return { ROOM, { device_id }, expect = 1 }
end

local SETS = {}
for i = 1, #IDENTITY - 1 do SETS[i] = IDENTITY[i] .. " = ?" end
local WHERE = " WHERE device_id = ? AND module_id = ?"
local UPDATE = ("UPDATE identities SET %s, version = %s%s AND version = ?"):format(
  table.concat(SETS, ", "), VERSION, WHERE)

--- Put a record in the place of one that was read.
---@param record directmethods.IdentityRecord
---@param old directmethods.IdentityRecord
---@return directmethods.SqlStatement
function M.update(record, old)
  local values = values_of(record)
  for _, value in ipairs { record.device_id, record.module_id or "", old.version } do
    values.n = values.n + 1
    values[values.n] = value
  end
  return { UPDATE, values, expect = 1 }
end

local TABLES = { "sessions", "twins", "identities" }

--- Remove an identity that was read, with its twin and session; the modules of a
--- device go with it.
---@param old directmethods.IdentityRecord
---@return directmethods.SqlStatement[]
function M.remove(old)
  local list = {
    {
      "DELETE FROM identities" .. WHERE .. " AND version = ?",
      { old.device_id, old.module_id or "", old.version },
      expect = 1,
    },
  }
  local where = old.module_id and WHERE or " WHERE device_id = ?"
  for _, name in ipairs(TABLES) do
    list[#list + 1] = {
      ("DELETE FROM %s%s"):format(name, where), { old.device_id, old.module_id },
    }
  end
  return list
end

-- The twin of an identity that was made again is another one.
local OWNER = "EXISTS (SELECT 1 FROM identities WHERE device_id = ? "
  .. "AND module_id = ? AND generation_id = ?)"
local INSERT_TWIN = ("INSERT INTO twins (device_id, module_id, %s) SELECT %s WHERE %s "
  .. "ON CONFLICT (device_id, module_id) DO NOTHING"):format(
  table.concat(TWIN, ", "), ("?, "):rep(#TWIN + 1) .. "?", OWNER)
local UPDATE_TWIN = ("UPDATE twins SET %s = ?%s AND version = ? AND %s"):format(
  table.concat(TWIN, " = ?, "), WHERE, OWNER)

--- Put a twin in the place of the one that was read.
---@param record directmethods.IdentityRecord whose twin it is; it was read or is
---  inserted by the same list
---@param twin directmethods.Twin
---@param old directmethods.Twin? nil: there was none
---@return directmethods.SqlStatement
function M.put_twin(record, twin, old)
  local module_id = record.module_id or ""
  local values, n = {}, 0
  local function add(...)
    for _, value in ipairs { ... } do
      n = n + 1
      values[n] = value
    end
  end
  if not old then add(record.device_id, module_id) end
  for _, name in ipairs(TWIN) do add(twin[name]) end
  if old then add(record.device_id, module_id, old.version) end
  add(record.device_id, module_id, record.generation_id)
  return { old and UPDATE_TWIN or INSERT_TWIN, values, expect = 1 }
end

--- Tell all hubs that share the store of other desired properties.
---@param record directmethods.IdentityRecord
---@param version integer of the desired properties
---@param notification string JSON
---@return directmethods.SqlStatement
function M.tell_desired(record, version, notification)
  return { "SELECT tell_desired(?, ?, ?, ?)",
    { record.device_id, record.module_id or "", version, notification } }
end

local PUT_SESSION = ("INSERT INTO sessions (device_id, module_id, subscriptions) "
  .. "SELECT ?, ?, ? WHERE %s ON CONFLICT (device_id, module_id) "
  .. "DO UPDATE SET subscriptions = excluded.subscriptions"):format(OWNER)

--- Keep the stored session of an identity that was read, in the place of the one
--- before.
---@param record directmethods.IdentityRecord
---@param filters string[] that it is subscribed to
---@return directmethods.SqlStatement
function M.put_session(record, filters)
  local device_id, module_id = record.device_id, record.module_id or ""
  -- a copy: json.array refuses a list that it has marked, and after a Conflict this
  -- statement is made again
  local text = json.encode(json.array(table.move(filters, 1, #filters, 1, {})))
  return {
    PUT_SESSION,
    { device_id, module_id, text, device_id, module_id, record.generation_id },
    expect = 1,
  }
end

---@param record directmethods.IdentityRecord
---@return directmethods.SqlStatement
function M.remove_session(record)
  return {
    "DELETE FROM sessions" .. WHERE, { record.device_id, record.module_id or "" },
  }
end

return M
