--- The routes of rules for faults.

local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"
local requests = require "directmethods.hub.admin.request"

local refuse, try = requests.refuse, requests.try

local function shown(fault)
  local rule = readable.copy(fault.rule)
  rule.id, rule.hits = fault.number, fault.hits
  return rule
end

local function post_fault(hub, request)
  local fault = try(hub.fault, hub, requests.body(request))
  local rule = shown(fault)
  rule.warning = readable.text(fault.warning)
  return rule
end

local function get_faults(hub)
  local list = json.array {}
  for i, fault in ipairs(hub:faults()) do list[i] = shown(fault) end
  return list
end

local function delete_faults(hub)
  hub:clear_faults()
end

local function delete_fault(hub, request)
  local fault = hub.state.faults[math.tointeger(tonumber(request.id))]
  if not fault then refuse(404, "There is no such rule.") end
  fault:remove()
end

---@type directmethods.AdminRoute[]
return {
  {
    path = "/faults",
    GET = { get_faults },
    POST = { post_fault },
    DELETE = { delete_faults },
  },
  { path = "/faults/{id}", DELETE = { delete_fault } },
}
