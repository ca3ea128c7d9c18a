--- What a twin is made of, as JSON: patches, their rules, when each member was
-- changed, and the documents that devices and the service see. Pure.

local core = require "directmethods.core"
local json = require "directmethods.json"
local twin_size = require "directmethods.hub.twin_size"

local M = {}

local DEPTH_MAX = 10 -- objects inside of a section's object
local NAME_MAX = 1024 -- bytes
local TEXT_MAX = 4096 -- bytes of a text
local INTEGER_MIN, INTEGER_MAX = -(1 << 52), (1 << 52) - 1
local NEVER = '{"$lastUpdated":"0001-01-01T00:00:00Z"}'

--- The twin of an identity whose twin nobody has changed.
---@type directmethods.Twin
M.BLANK = {
  tags = "{}",
  desired = "{}",
  reported = "{}",
  desired_metadata = NEVER,
  reported_metadata = NEVER,
  desired_version = 1,
  reported_version = 1,
  version = 1,
  changes = 1,
  model_id = "",
}

--- A JSON object; not an array.
function M.is_object(value)
  return type(value) == "table" and getmetatable(value) == nil and value[1] == nil
end

-- Rules (docs/protocol.md 13.2) ----------------------------------------------

local PLACES = {
  tags = "tags", desired = "properties.desired", reported = "properties.reported",
}
local SHOWN_MAX = 128 -- bytes of a place that an error names

-- "properties.reported.a[2].b", as text that fits into an error.
local function place_of(section, path)
  local parts = { PLACES[section] }
  for _, name in ipairs(path) do
    parts[#parts + 1] = type(name) == "number" and ("[%d]"):format(name - 1)
      or "." .. name
  end
  local text = table.concat(parts)
  if #text <= SHOWN_MAX then return text end
  local stop = utf8.offset(text, 0, SHOWN_MAX) - 1
  return text:sub(1, stop) .. "..."
end

local function wrong_name(name)
  if name == "" or #name > NAME_MAX then
    return ("a name must have 1 to %d bytes"):format(NAME_MAX)
  elseif name:find("[%c .$]") or name:find("\xC2[\x80-\x9F]") then
    return "a name must not contain '.', '$', blanks and control characters"
  end
end

local function wrong_scalar(value, how)
  if type(value) == "string" and #value > TEXT_MAX then
    return ("a text must have at most %d bytes"):format(TEXT_MAX)
  elseif math.type(value) == "integer"
    and (value < INTEGER_MIN or value > INTEGER_MAX) then
    return ("a whole number must be from %d to %d"):format(INTEGER_MIN, INTEGER_MAX)
  elseif value == json.null and how.in_array then
    return "null must not be inside an array"
  elseif value == json.null and how.whole then
    return "null must not be in a twin that replaces the whole one"
  end
end

local wrong_value

-- The rule that a member breaks; `path` is left at its place then.
local function wrong_member(name, value, path, depth, how)
  path[#path + 1] = name
  local wrong = type(name) == "string" and wrong_name(name)
    or wrong_value(value, path, depth, how)
  if not wrong then path[#path] = nil end
  return wrong
end

function wrong_value(value, path, depth, how)
  if type(value) ~= "table" then return wrong_scalar(value, how) end
  if depth > DEPTH_MAX then
    return ("objects must be nested at most %d deep"):format(DEPTH_MAX)
  end
  if not M.is_object(value) then
    how = { whole = how.whole, in_array = true }
  end
  for name, inner in pairs(value) do
    local wrong = wrong_member(name, inner, path, depth + 1, how)
    if wrong then return wrong end
  end
end

--- The rule that a section of a twin breaks, with the place where; or nil.
---@param section "tags"|"desired"|"reported"
---@param value any
---@param whole boolean? it replaces what is there, so null removes nothing
---@return string?
function M.wrong(section, value, whole)
  local path = {}
  local wrong = wrong_value(value, path, 0, { whole = whole })
  return wrong and ("'%s': %s"):format(place_of(section, path), wrong)
end

-- Changes ------------------------------------------------------------------

-- RFC 7396: objects merge, null removes, everything else replaces.
local function merged(old, patch)
  if not M.is_object(patch) then return patch end
  local result = {}
  if M.is_object(old) then
    for name, value in pairs(old) do result[name] = value end
  end
  for name, value in pairs(patch) do
    if value == json.null then
      result[name] = nil
    else
      result[name] = merged(result[name], value)
    end
  end
  return result
end

-- The metadata of an object after a patch: `stamp` for all that it touches.
local function stamped(old, patch, stamp)
  local result = {}
  for name, value in pairs(old or {}) do result[name] = value end
  for name, value in pairs(stamp) do result[name] = value end
  for name, value in pairs(patch) do
    if value == json.null then
      result[name] = nil
    elseif M.is_object(value) then
      result[name] = stamped(result[name], value, stamp)
    else
      result[name] = stamp
    end
  end
  return result
end

--- The patch that makes `new` of `old`: `new`, and null for what is gone.
---@param old table
---@param new table
---@return table
function M.replacement(old, new)
  local result = {}
  for name, value in pairs(new) do
    local both = M.is_object(value) and M.is_object(old[name])
    result[name] = both and M.replacement(old[name], value) or value
  end
  for name in pairs(old) do
    if new[name] == nil then result[name] = json.null end
  end
  return result
end

--- Change a section of a twin in place, unless it would break a rule.
---@param twin directmethods.Twin a copy of the caller's
---@param section "tags"|"desired"|"reported"
---@param patch table
---@param now string the time, as text
---@return string? rule that it broke
---@return boolean? too_large
function M.change(twin, section, patch, now)
  local wrong = M.wrong(section, patch)
  if wrong then return wrong end
  local value = merged(json.decode(twin[section]), patch)
  local text = json.encode(value)
  local limit = twin_size.limit_broken(section, value, text)
  if limit then
    return ("'%s' must have at most %d bytes"):format(PLACES[section], limit), true
  end
  twin[section] = text
  if section == "tags" then return nil end
  local version, metadata = section .. "_version", section .. "_metadata"
  twin[version] = twin[version] + 1
  twin[metadata] = json.encode(stamped(json.decode(twin[metadata]), patch, {
    ["$lastUpdated"] = now,
    ["$lastUpdatedVersion"] = section == "desired" and twin[version] or nil,
  }))
end

-- Documents ----------------------------------------------------------------

-- The text of an object with more members, given as text.
local function with_members(object, members)
  return object:sub(1, -2) .. (object == "{}" and "" or ",") .. members .. "}"
end

local function version_member(version)
  return ('"$version":%d'):format(version)
end

--- Both kinds of properties, as a device gets them.
---@param twin directmethods.Twin
---@return string json
function M.for_device(twin)
  return ('{"desired":%s,"reported":%s}'):format(
    with_members(twin.desired, version_member(twin.desired_version)),
    with_members(twin.reported, version_member(twin.reported_version)))
end

--- What a device is told of a change of its desired properties.
---@param patch table
---@param version integer
---@return string json
function M.notification(patch, version)
  return with_members(json.encode(patch), version_member(version))
end

---@param twin directmethods.Twin
---@return string
function M.etag(twin)
  return core.base64_encode(string.pack(">I8", twin.changes))
end

local function section(twin, name)
  return with_members(twin[name], ('"$metadata":%s,%s'):format(
    twin[name .. "_metadata"], version_member(twin[name .. "_version"])))
end

local DOCUMENT = [[{"deviceId":$device$module,"etag":$etag,"deviceEtag":$device_etag,]]
  .. [["status":$status,"statusReason":$reason,"statusUpdateTime":$status_time,]]
  .. [["connectionState":$connection,"lastActivityTime":$active_time,]]
  .. [["cloudToDeviceMessageCount":0,"authenticationType":$auth,]]
  .. [["x509Thumbprint":{"primaryThumbprint":$thumbprint,]]
  .. [["secondaryThumbprint":$second_thumbprint},]]
  .. [["modelId":$model_id,"version":$version,"tags":$tags,]]
  .. [["properties":{"desired":$desired,"reported":$reported},]]
  .. [["capabilities":{"iotEdge":$edge}$scope$parents}]]

--- A twin as the service sees it.
---@param twin directmethods.Twin
---@param facts table what identity.facts gives
---@return string json
function M.for_service(twin, facts)
  local values = {
    etag = M.etag(twin),
    device = facts.device,
    device_etag = facts.etag,
    status = facts.status,
    reason = facts.reason or json.null,
    auth = facts.auth,
    thumbprint = facts.thumbprint or json.null,
    second_thumbprint = facts.second_thumbprint or json.null,
    status_time = facts.status_time,
    connection = facts.connection,
    active_time = facts.active_time,
    version = twin.version,
    model_id = twin.model_id,
  }
  for name, value in pairs(values) do values[name] = json.encode(value) end
  values.edge = tostring(facts.edge)
  values.scope = facts.scope and ',"deviceScope":' .. json.encode(facts.scope) or ""
  values.parents = facts.parents
    and ',"parentScopes":' .. json.encode(facts.parents) or ""
  values.module = facts.module and ',"moduleId":' .. json.encode(facts.module) or ""
  values.tags = twin.tags
  values.desired = section(twin, "desired")
  values.reported = section(twin, "reported")
  return (DOCUMENT:gsub("%$([%a_]+)", values))
end

return M
