--- The routes of events: a stream of what happens, and the history of a device.

local identity_name = require "directmethods.identity_name"
local json = require "directmethods.json"
local requests = require "directmethods.hub.admin.request"
local streams = require "directmethods.hub.streams"

local refuse, try = requests.refuse, requests.try

local function kinds_of(text)
  local kinds = {}
  if not text then
    for name in pairs(streams.KINDS) do kinds[name] = true end
    return kinds
  end
  for name in text:gmatch "[^,]+" do
    if not streams.KINDS[name] then
      refuse(400, "kinds must be some of calls, devices, faults, jobs and clock, "
        .. "with commas between.")
    end
    kinds[name] = true
  end
  return kinds
end

local function events(hub, request)
  local open = hub.state.streams
  local opts = {
    kinds = kinds_of(request.query.kinds),
    device = request.query.device,
    payloads = requests.flag(request, "payloads", false),
    last_id = request.query.last_event_id or requests.field(request, "last-event-id"),
  }
  if not open:has_room() then refuse(503, "Too many streams are open already.") end
  open:open(request.ask_id, opts)
  return requests.ANSWERED
end

local function history(hub, request)
  local name = identity_name(request.id, request.module)
  return json.array(try(hub.device_history, hub, name))
end

---@type directmethods.AdminRoute[]
return {
  {
    path = "/events",
    GET = { events, kinds = true, device = true, payloads = true,
      last_event_id = true },
  },
  { path = "/devices/{id}/history", GET = { history } },
  { path = "/devices/{id}/modules/{module}/history", GET = { history } },
}
