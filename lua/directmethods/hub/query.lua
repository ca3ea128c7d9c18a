--- IoT Hub's query language (docs/protocol.md 7 and 13.4): texts are read into
-- plans, and plans are run over documents, one after the other. Pure: where documents
-- come from and how their attributes are got is the caller's.
--
--     local plan = assert(query.read "SELECT deviceId FROM devices WHERE tags.a > 2")
--     local holds = query.predicate(plan, attribute)
--     local text_of = rows.projection(plan, attribute)     -- hub/query/rows.lua
--     if holds(document) then print(text_of(document)) end
--
-- A condition holds only where it is true: comparing with something that is not
-- there, or of another type, is undefined, and undefined is not true.

local check = require "directmethods.hub.query.check"
local grammar = require "directmethods.hub.query.grammar"
local nodes = require "directmethods.hub.query.nodes"
local tokens = require "directmethods.hub.query.tokens"

local M = {}

local LENGTH_MAX = 8192 -- characters (docs/protocol.md 7)

local function failed(text)
  return nil, "SQL query parse failed: " .. text
end

local function read(parse, text)
  if (utf8.len(text) or #text) > LENGTH_MAX then
    return failed(("longer than %d characters"):format(LENGTH_MAX))
  end
  local tree, wrong = parse(text)
  if not tree then return failed(wrong) end
  local plan, at, rule = check.plan(tree)
  if not plan then return failed(("%s: %s"):format(tokens.at(text, at), rule)) end
  return plan
end

--- The plan of a query: "SELECT * FROM devices WHERE tags.floor > 2".
---@param text string
---@return directmethods.QueryPlan? plan
---@return string? wrong what, with line and column
function M.read(text)
  return read(grammar.query, text)
end

--- The plan of a job's queryCondition: "*", a condition of devices, or
--- "FROM devices.modules WHERE condition".
---@param text string
---@return directmethods.QueryPlan? plan
---@return string? wrong what, with line and column
function M.read_condition(text)
  return read(grammar.condition, text)
end

--- Whether the plan's condition holds for a document.
---@param plan directmethods.QueryPlan
---@param attribute directmethods.QueryAttribute
---@return fun(document: any): boolean
function M.predicate(plan, attribute)
  if not plan.where then return function() return true end end
  local value_of = nodes.compile(plan.where, attribute)
  return function(document) return value_of(document) == true end
end

--- The attributes of documents that are tables, as they are decoded from JSON.
---@param path string[]
---@return fun(document: table): any
function M.attribute(path)
  return function(document) return M.member(document, path, 1) end
end

--- The value that a path leads to in a value of JSON; nil where there is none.
---@param value any
---@param path string[]
---@param first integer of the path's names, which is looked up first
---@return any
function M.member(value, path, first)
  for i = first, #path do
    if type(value) ~= "table" then return nil end
    value = value[path[i]]
  end
  return value
end

--- The text that an attribute must be equal to for the plan's condition to hold; nil:
--- it may have several.
---@param plan directmethods.QueryPlan
---@param name string of an attribute in documents, "jobId"
---@return string?
function M.required(plan, name)
  local where = plan.where
  for _, each in ipairs(where and where.kind == "and" and where or { where }) do
    local left, right = each[1], each[2]
    local is_named = each.operator == "=" and left.kind == "name" and not left.path[2]
      and left.path[1] == name
    if is_named and right.kind == "constant" and type(right.value) == "string" then
      return right.value
    end
  end
end

return M
