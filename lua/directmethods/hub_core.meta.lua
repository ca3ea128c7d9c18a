---@meta directmethods.hub_core
-- The functions of hub_core.so, for editors. Nothing loads this file; a spec
-- compares it with the module. The calls of a hub are in hub_calls.meta.lua, its store
-- is in hub_store.meta.lua.

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

return hub_core
