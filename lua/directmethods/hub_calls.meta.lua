---@meta _
-- The calls of a hub of hub_core.so, what it remembers and its fault rules, for
-- editors; see hub_core.meta.lua.

---@class directmethods.Plane
local Plane = {}

--- Call a device for a job; the event of the id has the result.
---@param device string
---@param module string?
---@param method string
---@param payload string? JSON
---@param response_seconds integer
---@param connect_seconds integer
---@param held boolean the job has waited for the device
---@param job string the job's id
---@return integer? id
---@return integer? code it has failed already
---@return string? name
---@return string? text
function Plane:invoke(device, module, method, payload, response_seconds,
  connect_seconds, held, job)
end

--- Turn a request of the admin listener into a method call, which is answered as the
--- call of a service is; the name and the body are checked.
---@param request integer
---@param device string
---@param module string?
---@param method string
---@param body string the payload, JSON; "": none
---@param response_seconds integer
---@param connect_seconds integer
---@return boolean false: the caller is gone
function Plane:call_for(request, device, module, method, body, response_seconds,
  connect_seconds)
end

--- What a bus calls, and its context; light userdata. They are good until the bus is
--- told to leave.
---@return userdata functions
---@return userdata hub
function Plane:bus_events() end

--- Work together with the other hubs of a bus. Once, before a device connects.
---@param functions userdata of the bus, light
---@param context userdata of the bus, light
---@param id string this hub's among them, 1 to 64 bytes
function Plane:join(functions, context, id) end

--- The store has this connection to another hub. A connection here that is older is
--- closed.
---@param device string
---@param module string?
---@param hub string
---@param epoch integer a newer connection has a greater one
---@param changed integer unix ms: when it connected
---@return boolean known false: there is no such identity, and nothing is done
function Plane:put_presence(device, module, hub, epoch, changed) end

--- To be called before put_presence is called for each connection of the store.
function Plane:begin_presence() end

--- To be called after that: forget connections that neither a hub nor the store has
--- reported since begin_presence.
function Plane:end_presence() end

--- A hub is dead: forget its connections.
---@param hub string
function Plane:drop_presence(hub) end

--- This hub's own connections, in parts.
---@param place integer 0: from the first
---@param most integer
---@return table[] connections device, module or nil, epoch
---@return integer? place where to go on; nil: these were the last
function Plane:connections_after(place, most) end

--- Tell all other hubs once more of connections of this hub.
---@param place integer see `connections_after`
---@param most integer
function Plane:tell_presence(place, most) end

--- Send the event "call" for each call that ends.
---@param wanted boolean
function Plane:watch_calls(wanted) end

--- Send an event for each identity that takes calls now.
---@param wanted boolean
function Plane:watch_ready(wanted) end

--- Send the event "device" for each event of a device.
---@param wanted boolean
function Plane:watch_devices(wanted) end

--- The next deadlines of calls, tokens and delays.
---@param most integer 1 to 100
---@return { time: number, kind: string, device_id: string?, module_id: string?,
---  method: string? }[]
---@return number? next unix time of the next timer of this process, whatever it is for
function Plane:deadlines(most) end

---@return table<string, integer>
function Plane:counters() end

---@return table
function Plane:metrics() end

---@return { name: string, capacity: number, left: number, rate: number }[] buckets
---@return { capacity: number, left: number }? quota nil: the hub has no tier
function Plane:throttles() end

---@param device string
---@param module string?
---@return boolean was_connected
function Plane:disconnect(device, module) end

---@param device string?
---@param module string?
---@param method string?
---@param outcome string?
---@param since number?
---@param id integer?
---@param last integer? only the last so many of them
---@return directmethods.HubCall[]
---@return integer missed how many others there were
function Plane:calls(device, module, method, outcome, since, id, last) end

---@param device string?
---@param module string?
---@param since number?
---@return table[]
function Plane:messages(device, module, since) end

--- Events of devices with an id above `after`, the last so many of them.
---@param device string?
---@param module string?
---@param after integer
---@param last integer
---@param history boolean? only a device's own
---@return directmethods.HubDeviceEvent[]
---@return integer missed how many others there were
function Plane:device_events(device, module, after, last, history) end

--- Calls with an id above `after`, the last so many of them.
---@param after integer
---@param device string?
---@param last integer
---@return directmethods.HubCall[]
---@return integer missed how many others there were
function Plane:calls_after(after, device, last) end

---@param ids table<integer, boolean> as a set
---@return integer[] deleted those that were there, in order
function Plane:delete_calls(ids) end

---@return integer call id of the latest
---@return integer device_event id of the latest
---@return integer faults how often rules have acted
function Plane:event_counts() end

--- Forget the calls, messages and events that are remembered.
function Plane:forget() end

---@param rule table
---@return integer? id
---@return string? name
---@return string? message
function Plane:fault(rule) end

---@param id integer
---@return boolean it was there
function Plane:remove_fault(id) end

---@param id integer
---@return integer? nil: it was removed
function Plane:fault_hits(id) end

function Plane:clear_faults() end
