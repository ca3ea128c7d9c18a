--- The names that queries may use: collections and their attributes.

local M = {}

local function by_lower_case(names)
  local map = {}
  for name in names:gmatch("%S+") do
    map[name:lower()] = name
  end
  return map
end

local TWIN = by_lower_case [[
  deviceId moduleId etag deviceEtag version status statusReason statusUpdateTime
  connectionState lastActivityTime authenticationType cloudToDeviceMessageCount
  capabilities x509Thumbprint modelId deviceScope parentScopes tags properties
]]
TWIN.id = "deviceId" -- as the samples for .NET write it
TWIN.property = "properties" -- as the documentation writes it in places

local JOB = by_lower_case [[
  deviceId moduleId jobId jobType status startTimeUtc endTimeUtc createdDateTimeUtc
  lastUpdatedDateTimeUtc outcome error
]]
JOB.createdtimeutc = "createdDateTimeUtc" -- the documentation's other spelling

local ROOTS = { devices = TWIN, ["devices.modules"] = TWIN, ["devices.jobs"] = JOB }

-- How many parts of a path name its collection: "devices", or all of its name. (Of a
-- module, "devices.deviceId" is its device's.)
local function prefix_of(path, collection)
  if path[1]:lower() ~= "devices" then return 0 end
  local second = path[2] and path[2]:lower()
  return second == collection:match("%.(.*)") and 2 or 1
end

--- A path as documents have it: without its collection, its first name in their case.
--- Keys of tags and properties stay as they are written. Names that documents do not
--- have are undefined.
---@param path string[]
---@param collection "devices"|"devices.modules"|"devices.jobs"
---@return string[]? path nil: a device's twin, which these documents have not
function M.resolve(path, collection)
  local prefix = prefix_of(path, collection)
  if not path[prefix + 1] then prefix = 0 end
  local resolved = table.move(path, prefix + 1, #path, 1, {})
  local roots, root = ROOTS[collection], resolved[1]:lower()
  resolved[1] = roots[root] or resolved[1]
  local of_twin = TWIN[root] == "tags" or TWIN[root] == "properties"
  return not (of_twin and roots == JOB) and resolved or nil
end

return M
