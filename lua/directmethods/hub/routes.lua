--- The HTTP routes of the control plane. The data plane has checked the token and
-- the api-version; what the token's policy allows is checked here.

local hub_core = require "directmethods.hub_core"
local json = require "directmethods.json"
local problems = require "directmethods.hub.problems"

local M = {}

---@class directmethods.HubRequest
---@field method string
---@field fields string   header lines
---@field body string
---@field query table<string, string> decoded
---@field device_id string? and what else in {} the route's path names, decoded

--- A path, with names in {} for segments, and what each verb does: the right that it
-- asks for, and a function of hub and request which gives status, header lines and
-- body, or nil and a problem. It may wait.
---@class directmethods.HubRoute
---@field path string
---@field meter string? which of the tier's rates it counts in; a verb may have another:
---  { right, function, meter = "twin_reads" }
---@field [string] { [1]: string, [2]: fun(hub, request: directmethods.HubRequest) }

local MODULES = { "registry_routes", "twin_routes", "job_routes", "query_routes",
  "digital_twin_routes" }

local function percent_decoded(segment)
  return (segment:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

--- Routes by how many segments they have, for M.find.
---@param routes directmethods.HubRoute[]
function M.compile(routes, by_count)
  by_count = by_count or {}
  for _, route in ipairs(routes) do
    local segments = hub_core.split_path(route.path)
    local list = by_count[#segments] or {}
    by_count[#segments] = list
    list[#list + 1] = { segments = segments, verbs = route }
  end
  return by_count
end

-- What the names in {} stand for; nil: another path.
local function match(pattern, segments)
  local values = {}
  for i, part in ipairs(pattern) do
    local name = part:match("^{(.+)}$")
    if name and segments[i] ~= "" then
      values[name] = segments[i]
    elseif part:lower() ~= segments[i]:lower() then
      return nil -- words are read in any case
    end
  end
  return values
end

--- The verbs of a path, and a request that holds what its segments name. Two routes
--- may have the path (a device may be called "query"): the verb tells which it is.
---@param by_count table of M.compile
---@param path string
---@param verb string?
---@return directmethods.HubRoute? verbs
---@return table? request
function M.find(by_count, path, verb)
  local segments = hub_core.split_path(path)
  local verbs, first
  for _, route in ipairs(by_count[#segments] or {}) do
    local request = match(route.segments, segments)
    if request and route.verbs[verb] then return route.verbs, request end
    if request and not verbs then verbs, first = route.verbs, request end
  end
  return verbs, first
end

--- Is it the name of an HTTP method? What else a route has is no verb.
---@param name string
---@return boolean
function M.is_verb(name)
  return name:find("^%u+$") ~= nil
end

--- The header line that tells which verbs a path has.
---@param by_count table of M.compile
---@param path string
---@return string
function M.allow(by_count, path)
  local segments, verbs = hub_core.split_path(path), {}
  for _, route in ipairs(by_count[#segments] or {}) do
    for name in pairs(match(route.segments, segments) and route.verbs or {}) do
      if M.is_verb(name) then verbs[#verbs + 1] = name end
    end
  end
  table.sort(verbs)
  return ("Allow: %s\r\n"):format(table.concat(verbs, ", "))
end

local ROUTES = {}
for _, name in ipairs(MODULES) do
  M.compile(require("directmethods.hub." .. name), ROUTES)
end

--- The parameters of a query, decoded.
---@param query string?
---@return table<string, string>
function M.read_query(query)
  local values = {}
  for name, value in (query or ""):gmatch("([^&=]+)=?([^&]*)") do
    values[percent_decoded(name)] = percent_decoded(value)
  end
  return values
end

local PARAMETERS = {}
for name in ("top edge pageSize continuationToken jobType jobStatus api-version"):gmatch
  "%S+" do
  PARAMETERS[name:lower()] = name
end

-- The parameters that routes read, whose names .NET takes in any case; nil and a
-- problem: one of them stands twice.
local function read_parameters(query)
  local values = {}
  for name, value in (query or ""):gmatch("([^&=]+)=?([^&]*)") do
    name = PARAMETERS[percent_decoded(name):lower()]
    if name and values[name] then
      return nil, problems.invalid(("'%s' stands twice"):format(name))
    elseif name then
      values[name] = percent_decoded(value)
    end
  end
  return values
end

local function answer_plain(plane, id, status, text, fields)
  plane:answer(id, status, fields, ('{"Message":%s}'):format(json.encode(text)))
end

local function respond(hub, id, status, fields, body)
  if status then
    hub.plane:answer(id, status, fields, body)
  else
    local problem = fields
    hub.plane:answer_error(id, problem.http_status, problem.name, problem.text)
  end
end

---@class directmethods.HubAsk
---@field state directmethods.HubState
---@field id integer the data plane's name of the request
---@field method string
---@field path string
---@field query string?
---@field fields string
---@field body string
---@field rights table<string, boolean> what the token's policy allows

--- Answer a request that raised.
---@param hub directmethods.HubState
---@param id integer
function M.fail(hub, id)
  respond(hub, id, nil, problems.new "ServerError")
end

--- Answer a request that the data plane handed up. A task of its own runs this.
---@param ask directmethods.HubAsk
function M.handle(ask)
  local hub = ask.state
  local verbs, request = M.find(ROUTES, ask.path, ask.method)
  if not verbs then
    return answer_plain(hub.plane, ask.id, 404, "No route of this hub has the path.")
  end
  local route = M.is_verb(ask.method) and verbs[ask.method]
  if not route then
    return answer_plain(hub.plane, ask.id, 405,
      ("The requested resource does not support http method '%s'."):format(ask.method),
      M.allow(ROUTES, ask.path))
  end
  local right, run = table.unpack(route)
  if not ask.rights[right] then
    return hub.plane:answer_error(ask.id, 401, "IotHubUnauthorizedAccess",
      "Unauthorized")
  end
  local meter = route.meter or verbs.meter
  if meter and not hub.plane:meter(ask.id, meter) then return end
  request.method, request.fields, request.body = ask.method, ask.fields, ask.body
  local problem
  request.query, problem = read_parameters(ask.query)
  if problem then return respond(hub, ask.id, nil, problem) end
  respond(hub, ask.id, run(hub, request))
end

return M
