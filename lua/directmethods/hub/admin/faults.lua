--- The routes of rules for faults.

local json = require "directmethods.json"
local requests = require "directmethods.hub.admin.request"

local refuse, try = requests.refuse, requests.try

local function post_fault(hub, request)
  local fault = try(hub.fault, hub, requests.body(request))
  local admin = hub.state.admin
  admin.last_fault = admin.last_fault + 1
  admin.faults[admin.last_fault] = fault
  return { id = admin.last_fault, hits = 0 }
end

local function get_faults(hub)
  local list = json.array {}
  for id, fault in pairs(hub.state.admin.faults) do
    -- from Lua all rules may have been ended
    if hub.state.faults[fault] then list[#list + 1] = { id = id, hits = fault.hits } end
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

local function delete_faults(hub)
  hub:clear_faults()
  hub.state.admin.faults = {}
end

local function delete_fault(hub, request)
  local id = math.tointeger(tonumber(request.id))
  local fault = hub.state.admin.faults[id]
  if not fault then refuse(404, "There is no such rule.") end
  fault:remove()
  hub.state.admin.faults[id] = nil
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
