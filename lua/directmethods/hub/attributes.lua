--- The attributes of devices and modules that queries may look at: the columns of the
-- store that they are made of, and how they are got from rows with these columns
-- (Store:scan). A query reaches what stands here, and nothing else: no keys, above all.

local documents = require "directmethods.hub.twin_document"
local identity = require "directmethods.hub.identity"
local json = require "directmethods.json"
local query = require "directmethods.hub.query"

local M = {}

local DECODED_MAX = 64 * 1024 -- bytes of the texts whose values are remembered

-- Columns ----------------------------------------------------------------------

-- Every row begins with these.
local DEVICE, MODULE, ENABLED = 1, 2, 3
local IDS = { "i.device_id", "i.module_id", "i.enabled" }

-- What is read together, so that there are few different statements.
local PARTS = {
  { "t.tags" },
  { "t.version", "t.changes", "t.model_id" },
  { "t.desired", "t.desired_version" },
  { "t.reported", "t.reported_version" },
  { "t.desired_metadata", "t.reported_metadata" },
  { "i.auth", "i.status_reason", "i.status_time", "i.primary_thumbprint",
    "i.secondary_thumbprint", "i.etag" },
  { "i.iot_edge", "i.device_scope", "i.parent_scopes" },
}

local PART_OF = {} -- by the column's name alone
for part, columns in ipairs(PARTS) do
  for _, name in ipairs(columns) do PART_OF[name:sub(3)] = part end
end

local FIELDS -- below

-- The sections of the properties that a path leads into.
local function sections_of(path)
  if path[2] == "desired" or path[2] == "reported" then return { path[2] } end
  return path[2] and {} or { "desired", "reported" }
end

-- Note the parts that an attribute is made of.
local function need(parts, path)
  local field = FIELDS[path[1]]
  for _, name in ipairs(field and field.columns or {}) do
    parts[PART_OF[name]] = true
  end
  if path[1] ~= "properties" then return end
  for _, section in ipairs(sections_of(path)) do parts[PART_OF[section]] = true end
  if not path[3] or path[3] == "$metadata" then
    parts[PART_OF.desired_metadata] = true
  end
end

--- The columns that attributes are made of.
---@param paths string[][] of hub/query/names.lua
---@return string[] columns of Store:scan
---@return boolean is_large rows may have many kilobytes
function M.columns(paths)
  local parts, columns = {}, table.move(IDS, 1, #IDS, 1, {})
  for _, path in ipairs(paths) do need(parts, path) end
  for part, names in ipairs(PARTS) do
    if parts[part] then table.move(names, 1, #names, #columns + 1, columns) end
  end
  return columns, parts[PART_OF.desired] or parts[PART_OF.reported] or false
end

-- Attributes -------------------------------------------------------------------

local function column(reader, row, name)
  local value = row[reader.places[name]]
  if value == nil then return documents.BLANK[name] end
  return value
end

-- Many twins have the same tags.
local function decoded(reader, text)
  local value = reader.decoded[text]
  if value then return value end
  reader.bytes = reader.bytes + #text
  if reader.bytes > DECODED_MAX then
    reader.decoded, reader.bytes = {}, #text
  end
  value = json.decode(text)
  if value == nil then
    -- a condition cannot fail; who reads the rows asks for this
    reader.failure = "the store is damaged: a twin cannot be read"
    return {}
  end
  reader.decoded[text] = value
  return value
end

local function module_of(row)
  return row[MODULE] ~= "" and row[MODULE] or nil
end

local function presence_of(reader, row)
  local connected, _, _, active = reader.plane:connected(row[DEVICE], module_of(row))
  return connected, identity.time_text(active)
end

local function of_column(name)
  return {
    columns = { name },
    value = function(reader, row) return column(reader, row, name) end,
  }
end

local function of_json(name)
  return {
    columns = { name },
    value = function(reader, row)
      local text = column(reader, row, name)
      return text and json.decode(text)
    end,
  }
end

FIELDS = {
  deviceId = { value = function(_, row) return row[DEVICE] end },
  moduleId = { value = function(_, row) return module_of(row) end },
  etag = {
    columns = { "changes" },
    value = function(reader, row)
      return documents.etag { changes = column(reader, row, "changes") }
    end,
  },
  deviceEtag = of_column "etag",
  version = of_column "version",
  status = {
    value = function(_, row) return row[ENABLED] == 1 and "enabled" or "disabled" end,
  },
  statusReason = {
    columns = { "status_reason" },
    value = function(reader, row)
      local text = column(reader, row, "status_reason") -- in the store as JSON
      return text and json.decode(text) or json.null
    end,
  },
  statusUpdateTime = {
    columns = { "status_time" },
    value = function(reader, row)
      return column(reader, row, "status_time") or identity.time_text(nil)
    end,
  },
  connectionState = {
    value = function(reader, row)
      return presence_of(reader, row) and "Connected" or "Disconnected"
    end,
  },
  lastActivityTime = {
    value = function(reader, row) return select(2, presence_of(reader, row)) end,
  },
  authenticationType = of_column "auth",
  cloudToDeviceMessageCount = { value = function() return 0 end },
  modelId = of_column "model_id",
  capabilities = {
    columns = { "iot_edge" },
    value = function(reader, row)
      return { iotEdge = column(reader, row, "iot_edge") == 1 }
    end,
  },
  deviceScope = of_json "device_scope",
  parentScopes = of_json "parent_scopes",
  x509Thumbprint = {
    columns = { "primary_thumbprint", "secondary_thumbprint" },
    value = function(reader, row)
      return {
        primaryThumbprint = column(reader, row, "primary_thumbprint") or json.null,
        secondaryThumbprint = column(reader, row, "secondary_thumbprint")
          or json.null,
      }
    end,
  },
  tags = {
    columns = { "tags" },
    value = function(reader, row)
      return decoded(reader, column(reader, row, "tags"))
    end,
  },
}

-- A section of the properties as a whole.
local function whole_section(reader, row, name)
  local value = {}
  for key, each in pairs(decoded(reader, column(reader, row, name)) or {}) do
    value[key] = each
  end
  value["$metadata"] = decoded(reader, column(reader, row, name .. "_metadata"))
  value["$version"] = column(reader, row, name .. "_version")
  return value
end

-- Getters of what stands in properties, by the names that follow there.
local function property(reader, path)
  local section, name = path[2], path[3]
  if not section then
    return function(row)
      return { desired = whole_section(reader, row, "desired"),
        reported = whole_section(reader, row, "reported") }
    end
  elseif section ~= "desired" and section ~= "reported" then
    return function() end
  elseif not name then
    return function(row) return whole_section(reader, row, section) end
  elseif name == "$version" then
    return function(row)
      return query.member(column(reader, row, section .. "_version"), path, 4)
    end
  end
  local of, first = section, 3
  if name == "$metadata" then of, first = section .. "_metadata", 4 end
  return function(row)
    return query.member(decoded(reader, column(reader, row, of)), path, first)
  end
end

--- How the attribute of a path is got from rows.
---@param plane userdata the C hub: it knows which devices are connected
---@param columns string[] of the rows
---@return directmethods.QueryAttribute attribute
---@return fun(): string? take_failure what was wrong with rows since it was last asked
function M.reader(plane, columns)
  local reader = { plane = plane, places = {}, decoded = {}, bytes = 0 }
  for i, name in ipairs(columns) do reader.places[name:sub(3)] = i end
  local function attribute(path)
    if path[1] == "properties" then return property(reader, path) end
    local field = FIELDS[path[1]]
    if not field then return function() end end
    local value = field.value
    return function(row) return query.member(value(reader, row), path, 2) end
  end
  local function take_failure()
    local failure = reader.failure
    reader.failure = nil
    return failure
  end
  return attribute, take_failure
end

--- The ids of a row.
---@param row any[]
---@return string device_id
---@return string? module_id
function M.ids(row)
  return row[DEVICE], module_of(row)
end

return M
