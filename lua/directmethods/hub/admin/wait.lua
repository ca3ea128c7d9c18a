--- GET /wait: for a call that ends, or for a device that comes or goes.

local identity = require "directmethods.hub.identity"
local records = require "directmethods.hub.admin.records"
local requests = require "directmethods.hub.admin.request"

local refuse = requests.refuse

local WAIT = 30 -- default seconds
local WAIT_MAX = 3600

-- Give up the slot of control requests and wait for a record of these watchers.
local function wait_for(hub, request, watchers, fits, timeout)
  if not watchers:has_room() then refuse(503, "Too many requests wait already.") end
  request.release()
  local found = watchers:wait(fits, timeout)
  if not found and not hub.state.open then refuse(503, "The hub is closing.") end
  return found
end

-- What the filter says, as a function of a call.
local function call_fits(filter)
  return function(call)
    return call.method == filter.method
      and (not filter.device or call.device_id == filter.device)
      and (not filter.module or call.module_id == filter.module)
  end
end

local function wait_for_call(hub, request, timeout)
  local q = request.query
  local filter = { method = q.call, device = q.device, module = q.module }
  filter.since = requests.number(request, "since", nil, requests.TIME_MAX)
  local found = filter.since and hub:calls(filter)[1]
    or wait_for(hub, request, hub.state.watchers, call_fits(filter), timeout)
  if found then return records.call(found) end
  refuse(408, ("no call of that method ended within %g s"):format(timeout))
end

-- Does the data plane say that the device is in this state?
local STATES = {
  connected = function(connected) return connected end,
  subscribed = function(_, subscribed) return subscribed end,
  disconnected = function(connected) return not connected end,
}

local function state_fits(q)
  return function(event)
    return event.event == q.state and event.device_id == q.device
      and event.module_id == q.module
  end
end

-- Refuse ids that are not valid or not registered.
local function check_ids(hub, q)
  if not q.device then refuse(400, "device is required with state.") end
  for what, id in pairs { device = q.device, module = q.module } do
    local wrong = identity.wrong_id(id)
    if wrong then refuse(400, ("the %s id %s"):format(what, wrong)) end
  end
  if not hub.state.plane:identity(q.device, q.module) then
    refuse(404, "There is no such device.")
  end
end

local function wait_for_state(hub, request, timeout)
  local q, plane = request.query, hub.state.plane
  if not STATES[q.state] then
    refuse(400, "state must be one of: connected, subscribed, disconnected.")
  end
  check_ids(hub, q)
  if not STATES[q.state](plane:connected(q.device, q.module))
    and not wait_for(hub, request, hub.state.device_watchers, state_fits(q), timeout)
  then
    refuse(408, ("the device was not %s within %g s"):format(q.state, timeout))
  end
  local connected, subscribed = plane:connected(q.device, q.module)
  return {
    device_id = q.device,
    module_id = q.module,
    connected = connected,
    subscribed = subscribed,
  }
end

local function wait(hub, request)
  local q = request.query
  local timeout = requests.number(request, "timeout", WAIT, WAIT_MAX)
  if q.call and q.state then
    refuse(400, "call and state exclude each other.")
  elseif q.call then
    return wait_for_call(hub, request, timeout)
  elseif q.state then
    return wait_for_state(hub, request, timeout)
  end
  refuse(400, "call (the name of a method) or state is required.")
end

---@type directmethods.AdminRoute[]
return {
  { path = "/wait", GET = { wait, call = true, state = true, device = true,
    module = true, timeout = true, since = true } },
}
