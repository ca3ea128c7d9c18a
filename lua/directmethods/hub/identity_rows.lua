--- Identities and twins as rows of the store, and the statements that change them.
-- Pure. Every statement that changes a row names, in its WHERE, the version of the row
-- that the decision was based on, and expects to change one row: another count means
-- that somebody else has changed it meanwhile.

local core = require "directmethods.core"
local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"

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
---@field iot_edge boolean      it is an IoT Edge device
---@field device_scope string?  of an edge device its own, else its parent's
---@field parent_scopes string[]? never empty
---@field version integer?      of the row: higher after each change of any identity;
---  nil: not in the store yet

---@class directmethods.Twin
---@field tags string              JSON object
---@field desired string           JSON object, without $version and $metadata
---@field reported string          likewise
---@field desired_metadata string  JSON object: when each member was changed
---@field reported_metadata string
---@field desired_version integer  from 1
---@field reported_version integer
---@field version integer          of the whole twin, from 1
---@field changes integer          of tags and desired properties: what the etag tells
---@field model_id string           of a digital twin, as its device named it; "": none

local IDENTITY = {
  "device_id", "module_id", "auth", "primary_key", "secondary_key",
  "primary_thumbprint", "secondary_thumbprint", "enabled", "status_reason",
  "status_time", "etag", "generation_id", "managed_by", "iot_edge", "device_scope",
  "parent_scopes", "version",
}
-- In the store as JSON, for they may hold any text.
local FREE_TEXTS = { "status_reason", "managed_by", "device_scope", "parent_scopes" }
local TWIN = {
  "tags", "desired", "reported", "desired_metadata", "reported_metadata",
  "desired_version", "reported_version", "version", "changes", "model_id",
}
local OBJECTS, INTEGERS = 5, 9 -- the last columns of a twin that are such
local AUTHENTICATIONS = {
  sas = true, selfSigned = true, certificateAuthority = true, none = true,
}

local COLUMN = {}
for i, name in ipairs(IDENTITY) do COLUMN[name] = i end

local function prefixed(prefix, names)
  local list = {}
  for i, name in ipairs(names) do list[i] = prefix .. name end
  return table.concat(list, ", ")
end

-- What the data plane must know of an identity.
local KNOWN = {
  "device_id", "module_id", "auth", "primary_key", "secondary_key",
  "primary_thumbprint", "secondary_thumbprint", "enabled", "version",
}

--- The columns of an identity `i`, then those of its twin `t`.
M.IDENTITY_COLUMNS = prefixed("i.", IDENTITY)
M.KNOWN_COLUMNS = prefixed("i.", KNOWN)
M.TWIN_COLUMNS = prefixed("t.", TWIN)
M.TWIN_FIRST = #IDENTITY + 1 -- where the twin begins in a row of both
M.COLUMNS = #IDENTITY + #TWIN

-- Rows that were read ---------------------------------------------------------

local function damaged(what, id)
  if type(id) == "table" then id = id.blob end
  return ("the store is damaged: the %s of '%s' cannot be read"):format(what,
    readable.text(tostring(id)))
end

local function is_text_or_nil(value)
  return value == nil or type(value) == "string"
end

local function are_texts(list)
  if type(list) ~= "table" then return list == nil end
  for _, text in ipairs(list) do
    if type(text) ~= "string" then return false end
  end
  return list[1] ~= nil
end

-- A file may hold anything: what documents are made of is text, and of the right type.
local function is_sound(record)
  for i = 1, COLUMN.parent_scopes - 1 do
    local value = record[IDENTITY[i]]
    if type(value) == "table" then return false end -- a blob
    if type(value) == "string" and not utf8.len(value) then return false end
  end
  return are_texts(record.parent_scopes) and type(record.device_id) == "string"
    and AUTHENTICATIONS[record.auth]
    and type(record.etag) == "string" and type(record.generation_id) == "string"
    and math.type(record.version) == "integer"
end

--- The record of a row; nil and why: the row is damaged.
---@param row any[] of IDENTITY_COLUMNS
---@return directmethods.IdentityRecord? record
---@return string? why
function M.record(row)
  local record = {}
  for i, name in ipairs(IDENTITY) do record[name] = row[i] end
  if record.module_id == "" then record.module_id = nil end
  record.enabled, record.iot_edge = record.enabled == 1, record.iot_edge == 1
  for _, name in ipairs(FREE_TEXTS) do
    local text = record[name]
    if not is_text_or_nil(text) then return nil, damaged("identity", row[1]) end
    record[name] = text and json.decode(text)
  end
  if is_sound(record) then return record end
  return nil, damaged("identity", row[1])
end

local function is_text(value)
  return type(value) == "string" and utf8.len(value) ~= nil
end

--- Are the ids of a row, its first two columns, texts?
---@param row any[]
---@return boolean sound
---@return string? why not
function M.has_ids(row)
  if type(row[1]) == "string" and type(row[2]) == "string" then return true end
  return false, damaged("identity", row[1])
end

--- The part of a record that the data plane must know: a hub reads it of all
--- identities when it starts, so it is quick.
---@param row any[] of KNOWN_COLUMNS
---@return directmethods.IdentityRecord? record
---@return string? why the row is damaged
function M.known(row)
  local device_id, module_id = row[1], row[2]
  if not (type(device_id) == "string" and type(module_id) == "string"
    and AUTHENTICATIONS[row[3]] and math.type(row[9]) == "integer") then
    return nil, damaged("identity", device_id)
  end
  for i = 4, 7 do
    if not is_text_or_nil(row[i]) then return nil, damaged("identity", device_id) end
  end
  return {
    device_id = device_id, module_id = module_id ~= "" and module_id or nil,
    auth = row[3], primary_key = row[4], secondary_key = row[5],
    primary_thumbprint = row[6], secondary_thumbprint = row[7],
    enabled = row[8] == 1, version = row[9],
  }
end

local function is_object(text)
  return type(text) == "string" and core.json_members(text) ~= nil
end

--- The twin of a row; nil without why: the row has none, for nobody has changed it yet.
---@param row any[]
---@param first integer? the column where TWIN_COLUMNS begin; default 1
---@return directmethods.Twin? twin
---@return string? why the row is damaged
function M.twin(row, first)
  first = (first or 1) - 1
  if row[first + 1] == nil then return nil end
  local twin = {}
  for i, name in ipairs(TWIN) do
    local value = row[first + i]
    local sound = i <= OBJECTS and is_object(value)
      or i > OBJECTS and i <= INTEGERS and math.type(value) == "integer"
      or i > INTEGERS and is_text(value)
    if not sound then return nil, damaged("twin", row[1]) end
    twin[name] = value
  end
  return twin
end

-- Statements ------------------------------------------------------------------

--- Must stand before other changes of identities: its row tells their new version.
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
  for _, name in ipairs(FREE_TEXTS) do
    values[COLUMN[name]] = record[name] and json.encode(record[name])
  end
  return values
end

--- Add an identity that is not there; a module's device must be.
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

--- Must stand before a new module: its device has still room for it.
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
  return {
    PUT_SESSION,
    { device_id, module_id, json.encode(json.array(filters)), device_id, module_id,
      record.generation_id },
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
