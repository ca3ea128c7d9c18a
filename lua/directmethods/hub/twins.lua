--- Twins as far as devices need them: reported properties, kept in memory. Nothing
-- sets desired properties. Runs inside events of the loop.

local json = require "directmethods.json"

local M = {}

local TWIN_MAX = 32768 -- bytes of a twin as JSON
local VERSION = "$version"

---@class directmethods.Twin
---@field reported table
---@field version integer of the reported properties, from 1

local function twin_of(record)
  record.twin = record.twin or { reported = {}, version = 1 }
  return record.twin
end

local function is_object(value)
  return type(value) == "table" and getmetatable(value) == nil
end

-- RFC 7396: objects merge, null removes, everything else replaces.
local function merged(old, patch)
  if not is_object(patch) then return patch end
  local result = {}
  if is_object(old) then
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

local function document(reported, version)
  return json.try_encode({
    desired = { [VERSION] = 1 },
    reported = merged(reported, { [VERSION] = version }),
  }, "twin")
end

local function get(record)
  local twin = twin_of(record)
  return 200, nil, document(twin.reported, twin.version)
end

local function report(record, payload)
  local patch = json.decode(payload)
  if not is_object(patch) or patch[VERSION] ~= nil then return 400, nil, "" end
  local twin = twin_of(record)
  local reported, version = merged(twin.reported, patch), twin.version + 1
  local text = document(reported, version)
  if not text then return 400, nil, "" end -- nested too deep
  if #text > TWIN_MAX then return 413, nil, "" end
  twin.reported, twin.version = reported, version
  return 204, version, ""
end

--- Answer the twin request of a device.
---@param hub { plane: userdata, store: directmethods.Store }
---@param connection integer
---@param kind "get"|"reported"
function M.handle(hub, connection, device_id, module_id, kind, rid, payload)
  local record = hub.store:find(device_id, module_id)
  local status, version, body = 404, nil, ""
  if record and kind == "get" then
    status, version, body = get(record)
  elseif record then
    status, version, body = report(record, payload)
  end
  hub.plane:twin_result(connection, status, rid, version, body)
end

return M
