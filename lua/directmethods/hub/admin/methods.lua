--- The routes that call a method. The data plane makes the call of the request and
-- answers it, so it takes no slot of the control plane while it waits for the device.

local core = require "directmethods.core"
local requests = require "directmethods.hub.admin.request"

local API_VERSION = "2021-04-12" -- whose contract holds, unless the hub has its own

-- Seconds in the query, within what the contract allows.
local function seconds(request, name, default, min, max)
  local text = request.query[name]
  if not text then return default end
  local value = core.json_integer(text)
  if value and value >= min and value <= max then return value end
  requests.refuse(400, ("%s must be a whole number from %d to %d."):format(name, min,
    max))
end

local function call(hub, request)
  local contract = core.contract(API_VERSION, hub.config.contract)
  local response = seconds(request, "response_timeout", contract.response_default,
    contract.response_min, contract.response_max)
  local connect = seconds(request, "connect_timeout", 0, 0, contract.connect_max)
  hub.state.plane:call_for(request.ask_id, request.id, request.module, request.method,
    request.body, response, connect)
  return requests.ANSWERED
end

local POST = { call, response_timeout = true, connect_timeout = true }

---@type directmethods.AdminRoute[]
return {
  { path = "/devices/{id}/methods/{method}", POST = POST },
  { path = "/devices/{id}/modules/{module}/methods/{method}", POST = POST },
}
