--- An SQLite database through LuaDBI. Every statement is prepared, and prepared once.
-- Whatever fails gives nil and SQLite's own words.
--
-- LuaDBI 0.7 reads integers as 32 bits and texts up to a NUL byte: neither is to be
-- kept in the database.

local M = {}

M.MEMORY = ":memory:" -- a database that is in no file

-- SQLite's words behind LuaDBI's.
local PREFIXES = {
  "^Failed to connect to database: ", "^Error preparing statement handle: ",
  "^Error binding statement parameters: ", "^Execute failed ", "^Fetch failed ",
}

local function reason(message)
  local text = tostring(message):gsub("^[^\n]-:%d+: ", "")
  for _, prefix in ipairs(PREFIXES) do text = text:gsub(prefix, "") end
  return text
end

--- LuaDBI; raises when it is not installed.
function M.luadbi()
  local ok, dbi = pcall(require, "DBI")
  if ok and pcall(require, "dbd.sqlite3") then return dbi end
  error("dm.hub: needs LuaDBI with SQLite (LuaRocks: luadbi-sqlite3, "
    .. "Debian: lua-dbi-sqlite3)", 0)
end

---@class directmethods.Database
local Database = {}
Database.__index = Database

--- Open a database; its file is there.
---@param path string or MEMORY
---@return directmethods.Database? database
---@return string? why
function M.open(path)
  -- "file:x" alone would be no file
  local name = (path == M.MEMORY or path:find("^/")) and path or "./" .. path
  local connection, why = M.luadbi().Connect("SQLite3", name)
  if not connection then return nil, reason(why) end
  connection:autocommit(true)
  return setmetatable({ connection = connection, statements = {}, depth = 0 }, Database)
end

-- One that has failed tells so again when it is next used, in place of its work.
local function drop(self, sql)
  local statement = self.statements[sql]
  self.statements[sql] = nil
  if statement then statement:close() end
end

local function prepare(self, sql)
  local statement = self.statements[sql]
  if statement then return statement end
  if not self.connection then error("the store is closed", 0) end
  local why
  statement, why = self.connection:prepare(sql)
  if not statement then error(why, 0) end
  self.statements[sql] = statement
  return statement
end

local function execute(self, sql, ...)
  local statement = prepare(self, sql)
  local ok, why = statement:execute(...)
  if not ok then error(why, 0) end
  local list = {}
  for row in statement:rows() do list[#list + 1] = row end
  return list
end

--- The rows of a query, each a list of its columns, all of them: ask for pages.
---@param sql string
---@param ... string|integer|boolean|nil its parameters
---@return table[]? rows
---@return string? why
function Database:rows(sql, ...)
  local ok, result = pcall(execute, self, sql, ...)
  if ok then return result end
  drop(self, sql)
  return nil, reason(result)
end

--- The first row of a query; nil without why: there is none.
---@return table? row
---@return string? why
function Database:row(sql, ...)
  local rows, why = self:rows(sql, ...)
  if not rows then return nil, why end
  return rows[1]
end

--- Do something that has no rows to tell. Inside a transaction, nothing is done any
-- more after the first that fails.
---@return boolean? done
---@return string? why
function Database:run(sql, ...)
  if self.failed then return nil, self.failed end
  local rows, why = self:rows(sql, ...)
  if rows then return true end
  if self.depth > 0 then self.failed = why end
  return nil, why
end

local function commit(self)
  local ok, why = self:run("COMMIT")
  if ok then return true end
  -- SQLite may have rolled back by itself: then this one fails
  self:rows("ROLLBACK")
  return nil, why
end

--- Call fn(); what it runs is kept all or none. One inside another is part of it.
---@param fn fun()
---@return boolean? kept
---@return string? why
function Database:transaction(fn)
  if self.depth == 0 then
    local begun, why = self:run("BEGIN IMMEDIATE")
    if not begun then return nil, why end
  end
  self.depth = self.depth + 1
  local ok, raised = pcall(fn)
  self.depth = self.depth - 1
  if self.depth > 0 then
    if not ok then error(raised, 0) end
    return not self.failed or nil, self.failed
  end
  local why = self.failed
  self.failed = nil
  if ok and not why then return commit(self) end
  self:rows("ROLLBACK")
  if not ok then error(raised, 0) end
  return nil, why
end

--- Close it; harmless the second time.
function Database:close()
  if not self.connection then return end
  for sql in pairs(self.statements) do drop(self, sql) end
  self.connection:close()
  self.connection = nil
end

return M
