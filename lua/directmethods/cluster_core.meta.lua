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

return cluster_core
