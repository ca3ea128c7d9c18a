--- POST /devices/query: the devices, modules or device jobs that a query selects.

local pages = require "directmethods.hub.pages"
local query = require "directmethods.hub.query"
local registry = require "directmethods.hub.registry"
local rows = require "directmethods.hub.jobs.rows"
local selection = require "directmethods.hub.selection"

local SOURCES = {}

function SOURCES.devices(hub, predicate, position)
  local after = position and { device_id = position[1] }
  return selection.new(hub, predicate, "devices", after)
end

SOURCES["devices.modules"] = function(hub, predicate, position)
  local after = position and { device_id = position[1], module_id = position[2] }
  return selection.new(hub, predicate, "devices.modules", after)
end

SOURCES["devices.jobs"] = function(hub, predicate, position, text)
  return rows.new(hub, predicate, position, text)
end

local TEXTS = { devices = 2, ["devices.modules"] = 2, ["devices.jobs"] = 3 }

local function run(hub, request)
  local text, problem = pages.query_text(request)
  if not text then return nil, problem end
  local predicate, collection = query.query(text)
  if not predicate then return nil, registry.problem("ArgumentInvalid", collection) end
  local size, position = pages.read(request)
  if not size then return nil, position end
  if position and #position ~= TEXTS[collection] then
    return nil, registry.problem("ArgumentInvalid",
      "the continuation token is of another query")
  end
  local source = SOURCES[collection](hub, predicate, position, text)
  return pages.answer(hub, request, source, size)
end

---@type directmethods.HubRoute[]
return {
  { path = "/devices/query", meter = "queries", POST = { "ServiceConnect", run } },
}
