--- What the hub remembers: hub:calls, hub:delete_calls, hub:messages,
-- hub:device_history, hub:metrics.

local class = require "directmethods.hub.class"
local devices = require "directmethods.hub.devices"
local json = require "directmethods.json"
local options = require "directmethods.options"

local Hub, check_open = class.Hub, class.check_open

local CALLS = {
  device = { "string" },
  module = { "string" },
  method = { "string" },
  outcome = { "string" },
  since = { "number" },
  id = { "integer" },
  last = { "integer", min = 0 },
}

local MESSAGES = {
  device = { "string" },
  module = { "string" },
  since = { "number" },
}

---@class directmethods.HubCall
---@field id integer 1 for the first call that ended
---@field time number when it arrived, as dm.time()
---@field device_id string
---@field module_id string?
---@field method string "" when the request named none
---@field rid string? the $rid it was sent with
---@field outcome string "Answered", "CallerGone", "Rejected" by a rule for faults, or
---  the error's name
---@field status integer the device's; 0: none
---@field code integer the error's; 0: none
---@field http_status integer the caller's; 0: none
---@field reason "not registered"|"disabled"|"not connected"|"not subscribed"|nil of a
---  404
---@field azure_refuses string? why today's Azure would refuse what this hub took
---@field elapsed number seconds from its arrival to its end
---@field stages table<string, number> seconds after its arrival: received, authorised,
---  waiting (for the device), published, answered, replied; those that it reached
---@field faults string[]? rules that acted: "response:drop"
---@field cluster_call string? the name of the call in the cluster, if two hubs took
---  part in it
---@field called_by string? id of the hub that called the method for this hub
---@field asked_by string? id of the hub for whose caller this hub called the method
---@field hub string? the id of the hub that has this record, of hub:cluster_calls
---@field job_id string? of the job of this hub that made the call
---@field response_timeout integer? seconds that the device had; nil: the call was not
---  accepted
---@field connect_timeout integer? seconds that the hub was to wait for the device
---@field api_version string? of the request; nil: it had none, or is a job's call
---@field request_size integer bytes of its payload
---@field response_size integer bytes of the device's
---@field payload string? JSON text; nil: none, or it made room for later calls
---@field response string? what the device answered; likewise
---@field payload_cut boolean? of hub:cluster_calls: the payload is longer
---@field response_cut boolean? likewise

---@class directmethods.CallFilter
---@field device string?
---@field module string?
---@field method string?
---@field outcome string?
---@field since number? a time, as dm.time()
---@field id integer? this call alone
---@field last integer? only the latest so many of them; default: all

--- The latest calls that ended, from the oldest to the newest. They are kept in a
-- memory of fixed size (limits.trace_bytes).
--- ```lua
--- for _, call in ipairs(hub:calls { device = "dev1", outcome = "DeviceNotOnline" }) do
---   print(call.time, call.method, call.reason)
--- end
--- ```
---@param filter directmethods.CallFilter?
---@return directmethods.HubCall[]
function Hub:calls(filter)
  check_open(self, "hub:calls")
  local f = options.check(filter, CALLS, "hub:calls")
  return (self.state.plane:calls(f.device, f.module, f.method, f.outcome, f.since,
    f.id, f.last))
end

-- The ids as a set; an id that no call has yet raises.
local function set_of(ids, latest)
  if type(ids) ~= "table" or #ids == 0 and next(ids) then
    options.fail("hub:delete_calls", "ids", "must be a list")
  end
  local set = {}
  for i, id in ipairs(ids) do
    if math.type(id) ~= "integer" or id < 1 or id > latest then
      options.fail("hub:delete_calls", ("ids[%d]"):format(i),
        "must be the id of a call that has ended")
    end
    set[id] = true
  end
  return set
end

--- Delete calls that ended from what hub:calls remembers. Counters and metrics stay as
-- they are. A call that is under way has no id yet, so it cannot be deleted.
--- ```lua
--- local call = hub:calls({ outcome = "DeviceNotOnline" })[1]
--- hub:delete_calls { call.id }
--- ```
---@param ids integer[] an id that is too great raises, and nothing is deleted
---@return integer deleted how many; calls that were gone before do not count
function Hub:delete_calls(ids)
  check_open(self, "hub:delete_calls")
  local plane = self.state.plane
  local deleted = plane:delete_calls(set_of(ids, (plane:event_counts())))
  if deleted[1] then
    self.state.streams.happenings:add("calls", { ids = json.array(deleted) })
  end
  return #deleted
end

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

-- "a=b&c" as { a = "b", c = "" }
local function properties_of(text)
  local properties = {}
  for pair in text:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    properties[decoded(name)] = decoded(value)
  end
  return properties
end

---@class directmethods.HubMessage
---@field device_id string
---@field module_id string?
---@field properties table<string, string> system properties by their names on the
---  wire: "$.mid", "$.ct"
---@field body string
---@field time number when it arrived, as dm.time()

--- The latest device-to-cloud messages, from the oldest to the newest. They are kept
-- in a memory of fixed size (limits.message_bytes).
--- ```lua
--- for _, message in ipairs(hub:messages { device = "dev1" }) do
---   print(message.body)
--- end
--- ```
---@param filter { device: string?, module: string?, since: number? }?
---@return directmethods.HubMessage[]
function Hub:messages(filter)
  check_open(self, "hub:messages")
  local f = options.check(filter, MESSAGES, "hub:messages")
  local list = self.state.plane:messages(f.device, f.module, f.since)
  for _, message in ipairs(list) do
    message.properties = properties_of(message.properties)
  end
  return list
end

---@class directmethods.HubDeviceEvent
---@field id integer 1 for the hub's first
---@field time number as dm.time()
---@field event "connected"|"subscribed"|"unsubscribed"|"disconnected"|"taken_over"|
---  "refused"|"handshake_failed"|"request_refused"
---@field device_id string? printable and at most 128 characters; nil: not known
---@field module_id string? likewise
---@field address string? the peer's, "127.0.0.1:50312"
---@field reason string? why, as a word: "wrong_signature"; docs/hub.md lists them
---@field text string? why, in words: "the signature matches no key of 'dev1'"
---@field code integer? of CONNACK, or the caller's HTTP status

local HISTORY = 20 -- events of a device

--- The latest events of a device or module, at most 20, from the oldest to the newest.
-- Events of all devices are kept in a memory of fixed size (limits.event_bytes).
--- ```lua
--- for _, event in ipairs(hub:device_history("dev1")) do
---   print(event.time, event.event, event.text)
--- end
--- ```
---@param id string "device", with the events of its modules, or "device/module"
---@return directmethods.HubDeviceEvent[]
function Hub:device_history(id)
  check_open(self, "hub:device_history")
  local device_id, module_id = devices.split_name(id, nil, "hub:device_history")
  return (self.state.plane:device_events(device_id, module_id, 0, HISTORY, true))
end

---@class directmethods.HubLatency
---@field buckets { le: number, count: integer }[] how many took at most `le` seconds;
---  the last `le` is infinite
---@field sum number seconds
---@field count integer

---@class directmethods.HubMetrics
---@field counters table<string, integer> what hub:counters() gives
---@field outcomes table<string, integer> calls that ended, by their outcome
---@field latency directmethods.HubLatency of the calls that were answered
---@field mqtt_connections integer connections of devices, also before their CONNECT
---@field http_connections integer open at the HTTPS port
---@field calls_under_way integer
---@field waiting_bytes integer of payloads that wait for a device or a fault
---@field identities integer devices and modules
---@field faults integer rules
---@field bus_connected integer? 1 while it is connected to NATS, else 0; nil: the hub
---  is alone

--- What the hub has measured since it began, and its sizes now.
---@return directmethods.HubMetrics
function Hub:metrics()
  check_open(self, "hub:metrics")
  local metrics, bus = self.state.plane:metrics(), self.state.bus
  if bus then
    bus:count(metrics.counters)
    metrics.bus_connected = bus:connected() and 1 or 0
  end
  return metrics
end

return Hub
