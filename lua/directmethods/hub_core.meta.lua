---@meta directmethods.hub_core
-- The functions of hub_core.so, for editors. Nothing loads this file; a spec
-- compares it with the module.

---@class directmethods.HubCore
local hub_core = {}

--- The decoded segments of a request's path; nil: a bad escape, or no leading slash.
---@param path string
---@return string[]?
function hub_core.split_path(path) end

--- The data plane of a hub.
---@class directmethods.Plane
local Plane = {}

---@param loop userdata
---@param config table of lua/directmethods/hub/config.lua
---@return directmethods.Plane? plane
---@return string? name
---@return string? message
function hub_core.hub(loop, config) end

-- Life ----------------------------------------------------------------------------

--- The id of its events.
---@return integer
function Plane:id() end

---@param service "mqtt"|"https"|"admin"
---@param host string
---@param port integer 0: of the system's choice
---@param cert string? PEM; nil: plain
---@param key string?
---@param client_ca string? of devices' certificates
---@return integer? port
---@return string? name
---@return string? message
function Plane:listen(service, host, port, cert, key, client_ca) end

--- Use another certificate for new connections, at all listeners with TLS. After an
--- error nothing changes.
---@param cert string PEM
---@param key string
---@param client_ca string? of devices' certificates
---@return boolean? done
---@return string? name
---@return string? message
function Plane:certify(cert, key, client_ca) end

--- Use those options that may change while the hub runs.
---@param config table of lua/directmethods/hub/config.lua
function Plane:change(config) end

--- Take no more, and answer what is under way for so long.
---@param seconds number
function Plane:stop(seconds) end

--- The event "closed" tells when it is gone.
function Plane:close() end

---@return table<string, number> name -> number, bytes or seconds of real time
function Plane:limits() end

-- Who may do what -----------------------------------------------------------------

---@param token string
---@return string session the value of a session's cookie
function Plane:admin_token(token) end

---@param name string
---@param primary string key, base64
---@param secondary string?
---@param rights string[]
---@return boolean? ok
---@return string? name
---@return string? message
function Plane:policy(name, primary, secondary, rights) end

---@param device string
---@param module string?
---@param auth "sas"|"selfSigned"|"certificateAuthority"|"none"
---@param primary string? key or thumbprint
---@param secondary string?
---@param enabled boolean
---@param version integer?
---@return boolean? ok
---@return string? name
---@return string? message
function Plane:put_identity(device, module, auth, primary, secondary, enabled, version)
end

---@param device string
---@param module string?
---@param version integer?
---@return boolean it was there
function Plane:remove_identity(device, module, version) end

---@param device string
---@param module string?
---@return string? auth nil: it is not there
---@return string? primary
function Plane:identity(device, module) end

--- How many identities more may be added.
---@return integer
function Plane:room() end

---@param device string
---@param module string?
---@return boolean connected
---@return boolean subscribed
---@return number? changed unix time
---@return number? active unix time of the last activity
---@return boolean here connected to this hub
function Plane:connected(device, module) end

---@return integer
function Plane:connections() end

--- Devices that are connected, modules apart.
---@return integer
function Plane:connected_devices() end

--- The store has kept a session, or not: its device is told only then that it is in.
---@param connection integer
---@param kept boolean
---@param epoch integer? of a new connection among several hubs; nil: this hub is alone
---@param filters string[]? with an epoch: what the stored session that it comes back to
---  is subscribed to; nil: there was none
---@return boolean false: the device is gone
function Plane:session_kept(connection, kept, epoch, filters) end

--- Put a session back that was kept before this hub began.
---@param device string
---@param module string?
---@param filter string? it has subscribed to
---@return boolean
function Plane:restore_session(device, module, filter) end

-- Requests that Lua answers -------------------------------------------------------

---@param request integer
---@param status integer
---@param fields string? whole header lines
---@param body string?
---@return boolean false: the request was answered, or is gone
function Plane:answer(request, status, fields, body) end

--- Answer in Format E.
---@param request integer
---@param status integer
---@param name string
---@param text string
---@return boolean
function Plane:answer_error(request, status, name, text) end

--- Answer 200 with a body that grows. The request keeps its id until its caller has
--- gone or the stream ends.
---@param request integer
---@param fields string whole header lines
---@return boolean false: the caller is gone
function Plane:stream_begin(request, fields) end

---@param request integer
---@param bytes string
---@return boolean false: the caller is gone, or was closed because it reads too slowly
function Plane:stream_send(request, bytes) end

---@param request integer
---@return integer? bytes that it has not read; nil: the caller is gone
function Plane:stream_queued(request) end

---@param request integer
function Plane:stream_end(request) end

--- Send the event "tick" once, after so much real time.
---@param seconds number
function Plane:tick(seconds) end

--- Count something against the rates; false: it is over the rate of the tier.
---@param what string
---@return boolean
function Plane:allows(what) end

--- Count a request against the rates; false: it was answered 429, or is gone.
---@param request integer
---@param what string
---@return boolean
function Plane:meter(request, what) end

---@param connection integer
---@param status integer
---@param rid string
---@param version integer?
---@param payload string?
---@return boolean
function Plane:twin_result(connection, status, rid, version, payload) end

---@param connection integer
---@param rid string
---@param code integer
---@param text string
---@return boolean
function Plane:twin_refuse(connection, rid, code, text) end

---@param device string
---@param module string?
---@param version integer
---@param payload string
---@return boolean
function Plane:twin_desired(device, module, version, payload) end

--- The $version of the desired properties that were last changed; 0: they were not
--- changed since the hub began.
---@param device string
---@param module string?
---@return integer
function Plane:twin_told(device, module) end

-- Calls ---------------------------------------------------------------------------

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
---@param subscribed boolean it takes method calls
---@param changed integer unix ms: when it connected
function Plane:put_presence(device, module, hub, epoch, subscribed, changed) end

--- Put each connection of the store from now on.
function Plane:begin_presence() end

--- All were put: forget those that no hub and no store has told since.
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

--- Tell all other hubs of this hub's connections once more.
function Plane:tell_presence() end

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
---@return table[]
function Plane:calls(device, module, method, outcome, since, id) end

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

-- Store ---------------------------------------------------------------------------

--- SQL on a thread. Its events are "done" (a result) and "failed" (name, message).
---@class directmethods.SqlStore
local Store = {}

---@param loop userdata
---@param path string
---@param application integer of SQLite's header
---@return directmethods.SqlStore? store
---@return integer|string id of the event that says whether it is open; else a name
---@return string? message
function hub_core.store(loop, path, application) end

--- Run a list of statements in a transaction of their own.
---@param list table[] statements: { text, parameters, expect = n }
---@return integer? id
---@return string? name
---@return string? message
function Store:write(list) end

---@param list table[]
---@return integer? id
---@return string? name
---@return string? message
function Store:read(list) end

---@return integer[] ids of those that are not told any more
function Store:close() end

---@class directmethods.SqlResult
local Result = {}

--- Put the next rows into the table of results, a bounded number of them.
---@param results table
---@return boolean they were the last
function Result:take(results) end

function Result:close() end

return hub_core
