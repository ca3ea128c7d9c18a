---@meta directmethods.cluster_core
-- The functions of cluster_core.so, for editors. Nothing loads this file; a spec
-- compares it with the module.

---@class directmethods.ClusterCore
local cluster_core = {}

--- Open a store in PostgreSQL.
---@param loop userdata
---@param url string "postgres://user@host:port/database"
---@param application integer names the lock of the hubs in the database
---@param shared boolean other hubs with `shared` may use the database too
---@return directmethods.SqlStore? store
---@return integer|string id of the event that says whether it is open; else a name
---@return string? message
function cluster_core.postgres(loop, url, application, shared) end

---@class directmethods.PostgresListener
local PostgresListener = {}

--- The object that gets its events.
---@return integer
function PostgresListener:id() end

--- Silent the second time.
function PostgresListener:close() end

--- Listen to what is notified on a channel of a PostgreSQL database, on a connection
-- of its own. Events: "notice" (payload); "listening", after which whatever came before
-- may have been missed; "tick", each second of real time.
---@param loop userdata
---@param url string as of postgres()
---@param channel string in lower-case letters
---@return directmethods.PostgresListener? listener
---@return string? name
---@return string? message
function cluster_core.listen(loop, url, channel) end

--- The bus between hubs of one name.
---@class directmethods.ClusterBus
local Bus = {}

--- Join it to a hub.
---@param functions lightuserdata of the hub's bus_events()
---@param context lightuserdata likewise
---@return lightuserdata functions for the hub's join()
---@return lightuserdata context
function Bus:join(functions, context) end

--- Is there a connection to a NATS server now?
---@return boolean
function Bus:connected() end

--- Ask another hub. Its reply comes within 2 s of real time, in parts, as events
-- "reply" (id, text, more). If it does not come whole, the last event is "silent" (id).
-- A text is nil if it was empty.
---@param hub string
---@param text string at most 128 KiB
---@return integer? id of the question; nil: it cannot be sent
function Bus:ask(hub, text) end

--- Reply to an event "question" (hub, id, text).
---@param hub string
---@param id integer
---@param part integer 1 for the first; at most 16
---@param more boolean another part follows
---@param text string at most 128 KiB
---@return boolean sent
function Bus:reply(hub, id, part, more, text) end

--- Count a question or a reply of a hub as dropped.
---@param hub string
---@param reason "malformed"|"full"
function Bus:drop(hub, reason) end

--- How many messages were dropped, by the reason: "malformed", "newer" (of another
-- version), "oversized", "foreign", "replayed", "late" (about a call or a question
-- that has ended),
-- "full" (there was no room).
---@return table<string, integer>
function Bus:dropped() end

--- Disconnect; silent the second time.
function Bus:close() end

--- Connect to a NATS server. A build without libnats does not have this function.
---@param loop userdata
---@param options { urls: string, cluster: string, hub: string, user: string?,
---  password_file: string?, credentials_file: string?, ca_file: string?,
---  cert_file: string?, key_file: string? }
---@return directmethods.ClusterBus? bus
---@return integer|string id of its events: "open" or "failed" (name, message) first;
---  or a name
---@return string? message
function cluster_core.bus(loop, options) end

return cluster_core
