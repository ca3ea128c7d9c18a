--- Identities and twins as rows of the store: the columns, and the records that rows
-- are read into. Pure. hub/identity_statements.lua has the statements that change them.

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

--- The columns of an identity; the last is its version.
M.IDENTITY = {
  "device_id", "module_id", "auth", "primary_key", "secondary_key",
  "primary_thumbprint", "secondary_thumbprint", "enabled", "status_reason",
  "status_time", "etag", "generation_id", "managed_by", "iot_edge", "device_scope",
  "parent_scopes", "version",
}
--- These are stored as JSON, because they may contain any text.
M.FREE_TEXTS = { "status_reason", "managed_by", "device_scope", "parent_scopes" }
--- The columns of a twin.
M.TWIN = {
  "tags", "desired", "reported", "desired_metadata", "reported_metadata",
  "desired_version", "reported_version", "version", "changes", "model_id",
}
local OBJECTS, INTEGERS = 5, 9 -- the last columns of a twin that are such
local AUTHENTICATIONS = {
  sas = true, selfSigned = true, certificateAuthority = true, none = true,
}

local IDENTITY, FREE_TEXTS, TWIN = M.IDENTITY, M.FREE_TEXTS, M.TWIN

local COLUMN = {}
for i, name in ipairs(IDENTITY) do COLUMN[name] = i end

local function prefixed(prefix, names)
  local list = {}
  for i, name in ipairs(names) do list[i] = prefix .. name end
  return table.concat(list, ", ")
end

--- What the data plane must know of an identity; the last is its version.
M.KNOWN = {
  "device_id", "module_id", "auth", "primary_key", "secondary_key",
  "primary_thumbprint", "secondary_thumbprint", "enabled", "version",
}

--- The columns of an identity `i`, then those of its twin `t`.
M.IDENTITY_COLUMNS = prefixed("i.", IDENTITY)
M.KNOWN_COLUMNS = prefixed("i.", M.KNOWN)
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

return M
