--- What a query means and whether IoT Hub takes it: a plan is made of its tree
-- (hub/query/grammar.lua). Names are resolved, functions and their arguments looked
-- up, and what the service refuses is refused.

local functions = require "directmethods.hub.query.functions"
local names = require "directmethods.hub.query.names"
local readable = require "directmethods.hub.readable"

local M = {}

local SHOWN_MAX = 64 -- characters of a name in an error

---@class directmethods.QueryItem
---@field name string of the member
---@field path string[]? of the attribute; nil: COUNT
---@field aggregate "COUNT"|"AVG"|"SUM"|"MIN"|"MAX"|nil
---@field group integer? which of the plan's groups it is

---@class directmethods.QueryPlan
---@field collection "devices"|"devices.modules"|"devices.jobs"
---@field where table? the tree of the condition; nil: all
---@field items directmethods.QueryItem[]? members of a row; nil: whole documents
---@field groups string[][]? by whose values rows are grouped; empty: all in one
---@field top integer? rows at most
---@field paths string[][] all attributes that it looks at

-- Errors of this file are tables, raised and caught in it.
local function refuse(at, text, ...)
  error({ at = at, text = text:format(...) }, 0)
end

-- A name as an error shows it.
local function shown(path)
  local text = readable.text(table.concat(path, "."))
  if utf8.len(text) <= SHOWN_MAX then return ("'%s'"):format(text) end
  return ("'%s...'"):format(text:sub(1, utf8.offset(text, SHOWN_MAX + 1) - 1))
end

-- Expressions ------------------------------------------------------------------

local function check_name(node, plan)
  local path = names.resolve(node.path, plan.collection)
  if not path then
    refuse(node.at, "%s is of a device's twin, not of devices.jobs",
      shown(node.path))
  end
  node.path = path
  plan.paths[#plan.paths + 1] = path
end

local function counted(count)
  return count == 1 and "one argument" or ("%d arguments"):format(count)
end

local function check_call(node)
  if node.name == "IS_DEFINED" then
    if #node == 1 and node[1].kind == "name" then return end
    refuse(node.at, "IS_DEFINED takes the name of an attribute")
  end
  local found = functions.find(node.name)
  if not found then
    refuse(node.at, "there is no function %s here", shown { node.name })
  end
  if #node < found.least then
    refuse(node.at, "%s takes at least %s", node.name, counted(found.least))
  elseif #node > found.most then
    refuse(node.at, "%s takes at most %s", node.name, counted(found.most))
  end
end

-- The depth of the tree is bounded by the grammar.
local function check(node, plan)
  if node.kind == "name" then return check_name(node, plan) end
  if node.kind == "call" then check_call(node) end
  for _, operand in ipairs(node) do check(operand, plan) end
end

-- Rows -------------------------------------------------------------------------

local NO_LIST = "devices.jobs has whole documents alone: SELECT *"
local NO_AGGREGATES = "aggregates and GROUP BY are of devices alone"

local function check_clauses(tree, plan)
  local is_all = tree.list == "*"
  if tree.top == 0 then refuse(tree.top_at, "TOP takes a number from 1") end
  if plan.collection == "devices.jobs" and not is_all then
    refuse(tree.list_at, NO_LIST)
  end
  if not tree.groups then return end
  if plan.collection ~= "devices" then refuse(tree.groups_at, NO_AGGREGATES) end
  if is_all then refuse(tree.list_at, "GROUP BY needs a list of members, not *") end
end

local function resolved_groups(tree, plan)
  local groups = {}
  for i, node in ipairs(tree.groups or {}) do
    check(node, plan)
    groups[i] = node.path
  end
  return groups
end

-- The places of paths among the groups.
local function places_of(groups)
  local places = {}
  for i, path in ipairs(groups) do places[table.concat(path, "\0")] = i end
  return places
end

-- The name of a member that was given none: the last one of its path; an aggregate
-- has its place.
local function name_of(item, value, place)
  if item.alias then return item.alias end
  return value.kind == "name" and value.path[#value.path] or "$" .. place
end

local function resolved_items(tree, plan)
  local items, seen = {}, {}
  for i, item in ipairs(tree.list) do
    local value = item.value
    check(value, plan)
    local path = value.kind == "name" and value.path or value[1] and value[1].path
    local name = name_of(item, value, i)
    if seen[name] then refuse(value.at, "a row has %s already", shown { name }) end
    seen[name] = true
    items[i] = { name = name, path = path, aggregate = value.name, at = value.at }
  end
  return items
end

local function check_items(items, plan)
  local is_grouped = plan.groups[1] ~= nil
  for _, item in ipairs(items) do is_grouped = is_grouped or item.aggregate ~= nil end
  if not is_grouped then
    plan.groups = nil
    return
  end
  local places = places_of(plan.groups)
  for _, item in ipairs(items) do
    if not item.aggregate then
      item.group = places[table.concat(item.path, "\0")]
        or refuse(item.at, "%s is neither an aggregate nor in GROUP BY",
          shown(item.path))
    elseif plan.collection ~= "devices" then
      refuse(item.at, NO_AGGREGATES)
    end
  end
end

local function build(tree)
  local plan = { collection = tree.collection, top = tree.top, where = tree.where,
    paths = {} }
  if tree.list then check_clauses(tree, plan) end
  if tree.where then check(tree.where, plan) end
  if tree.list and tree.list ~= "*" then
    plan.groups = resolved_groups(tree, plan)
    plan.items = resolved_items(tree, plan)
    check_items(plan.items, plan)
  end
  return plan
end

--- The plan of a tree; nil, the place and the rule that it breaks.
---@param tree table
---@return directmethods.QueryPlan? plan
---@return integer? at
---@return string? rule
function M.plan(tree)
  local ok, result = pcall(build, tree)
  if ok then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.at, result.text
end

return M
