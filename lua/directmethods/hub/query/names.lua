--- The names that queries may use: collections and their attributes.

local nodes = require "directmethods.hub.query.nodes"

local M = {}

local function by_lower_case(names)
  local map = {}
  for name in names:gmatch("%S+") do
    map[name:lower()] = name
  end
  return map
end

local TWIN = by_lower_case [[
  deviceId moduleId etag version status statusReason statusUpdateTime connectionState
  lastActivityTime authenticationType cloudToDeviceMessageCount capabilities
  x509Thumbprint deviceScope tags properties
]]
TWIN.property = "properties" -- as the documentation writes it in places

local JOB = by_lower_case [[
  deviceId moduleId jobId jobType status startTimeUtc endTimeUtc createdDateTimeUtc
  lastUpdatedDateTimeUtc outcome error
]]
JOB.createdtimeutc = "createdDateTimeUtc" -- the documentation's other spelling

--- The collections by their names.
M.COLLECTIONS = {
  devices = { name = "devices", roots = TWIN },
  ["devices.modules"] = { name = "devices.modules", roots = TWIN },
  ["devices.jobs"] = { name = "devices.jobs", roots = JOB },
}

-- Drop the collection's own name in front of an attribute.
local function without_collection(path, collection)
  local first = 1
  for part in collection.name:gmatch("[^.]+") do
    if not path[first + 1] or path[first]:lower() ~= part then return path end
    first = first + 1
  end
  return table.move(path, first, #path, 1, {})
end

--- The node of an attribute. Root attributes compare without case, keys of tags and
-- properties exactly.
function M.resolve(path, collection)
  path = without_collection(path, collection)
  path[1] = collection.roots[path[1]:lower()] or path[1]
  return nodes.attribute(path)
end

return M
