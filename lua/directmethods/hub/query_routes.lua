--- POST /devices/query: what a query selects of devices, modules or device jobs.

local grouping = require "directmethods.hub.grouping"
local pages = require "directmethods.hub.pages"
local problems = require "directmethods.hub.problems"
local query = require "directmethods.hub.query"
local rows = require "directmethods.hub.jobs.rows"
local selection = require "directmethods.hub.selection"

-- By collection: how many texts a position in it has, and a source that begins behind
-- such a position.
local SOURCES = {
  devices = { 1, function(hub, plan, position)
    return selection.new(hub, plan, position and { device_id = position[1] })
  end },
  ["devices.modules"] = { 2, function(hub, plan, position)
    return selection.new(hub, plan,
      position and { device_id = position[1], module_id = position[2] })
  end },
  ["devices.jobs"] = { 3, rows.new },
}

local GROUPS = { 1, function(hub, plan, position, size)
  return grouping.new(selection.new(hub, plan), plan, position and position[1], size)
end }

-- How many rows TOP leaves, behind a page with that position; the position's other
-- texts.
local function rows_left(plan, position)
  if not plan.top or not position then return plan.top, position end
  local left = position[1]:find("^%d+$") and math.tointeger(tonumber(position[1]))
  return left, table.move(position, 2, #position, 1, {})
end

-- What a page of the query is read from.
local function open(hub, plan, position, size)
  local count, new = table.unpack(plan.groups and GROUPS or SOURCES[plan.collection])
  local left
  left, position = rows_left(plan, position)
  if position and #position ~= count or plan.top and not (left and left > 0) then
    return nil, problems.invalid(
      "the continuation token is of another query")
  end
  return new(hub, plan, position, size), left
end

local function run(hub, request)
  local text, problem = pages.query_text(request)
  if not text then return nil, problem end
  local plan, wrong = query.read(text)
  if not plan then return nil, problems.invalid(wrong) end
  local size, position = pages.read(request)
  if not size then return nil, position end
  local source, left = open(hub, plan, position, size)
  if not source then return nil, left end
  return pages.answer(hub, source, size, left)
end

---@type directmethods.HubRoute[]
return {
  { path = "/devices/query", meter = "queries", POST = { "ServiceConnect", run } },
}
