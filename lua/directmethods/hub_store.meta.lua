---@meta _
-- The store of hub_core.so, for editors; see hub_core.meta.lua. The one of
-- cluster_core.so has the same functions.

---@class directmethods.HubCore
local hub_core = {}

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
