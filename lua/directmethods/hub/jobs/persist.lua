--- The store as the tasks of jobs use it: a store that fails is asked again, a second
-- later, until it works.

local time = require "directmethods.time"

local M = {}

local RETRY = 1 -- seconds

--- Write a list. nil: Conflict, something is not as the list expects it.
---@param db directmethods.Sql
---@param list directmethods.SqlStatement[]
---@return directmethods.SqlResult[]?
function M.write(db, list)
  while true do
    local results, err = db:write(list)
    if results or err.name == "Conflict" then return results end
    time.sleep(RETRY)
  end
end

--- Call `read(...)`, which gives values or nil, err, until it gives no error.
---@param read function
---@param ... any
---@return any
function M.read(read, ...)
  while true do
    local value, err = read(...)
    if not err then return value end
    time.sleep(RETRY)
  end
end

return M
