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

return cluster_core
