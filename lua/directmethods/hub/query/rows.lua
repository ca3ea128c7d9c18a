--- The rows of queries that do not ask for whole documents: members of each document,
-- or of each group of documents, as JSON texts. Pure.

local digest = require "openssl.digest"

local json = require "directmethods.json"
local nodes = require "directmethods.hub.query.nodes"

local M = {}

-- The text of a row: its items' values, without those that are undefined.
local function row_text(items, value_of)
  local members = {}
  for i, item in ipairs(items) do
    local value = value_of(i)
    if value ~= nil then
      members[#members + 1] = json.encode(item.name) .. ":" .. json.encode(value)
    end
  end
  return "{" .. table.concat(members, ",") .. "}"
end

--- The row of a document.
---@param plan directmethods.QueryPlan with items and without groups
---@param attribute directmethods.QueryAttribute
---@return fun(document: any): string json
function M.projection(plan, attribute)
  local getters = {}
  for i, item in ipairs(plan.items) do getters[i] = attribute(item.path) end
  return function(document)
    return row_text(plan.items, function(i) return getters[i](document) end)
  end
end

-- Aggregates -------------------------------------------------------------------
-- What is not there is left out, and so is what is of no use: AVG and SUM take numbers,
-- MIN and MAX numbers and texts, with all numbers before all texts.

-- A number as JSON elsewhere shows it, 3 and not 3.0; nil: JSON has none for it.
local function shown(number)
  if number - number ~= 0 then return nil end
  return math.tointeger(number) or number
end

local function is_less(a, b)
  local of_a, of_b = type(a), type(b)
  if of_a == of_b then return a < b end
  return of_a == "number"
end

local function add(state, value)
  if type(value) ~= "number" then return end
  state.count = (state.count or 0) + 1
  state.sum = (state.sum or 0.0) + value
end

local function keep_if(is_better)
  return function(state, value)
    if type(value) ~= "number" and type(value) ~= "string" then return end
    if state.best == nil or is_better(value, state.best) then state.best = value end
  end
end

local function best(state)
  return state.best
end

local AGGREGATES = {
  COUNT = {
    add = function(state) state.count = (state.count or 0) + 1 end,
    result = function(state) return state.count or 0 end,
  },
  SUM = {
    add = add,
    result = function(state) return state.sum and shown(state.sum) end,
  },
  AVG = {
    add = add,
    result = function(state) return state.sum and shown(state.sum / state.count) end,
  },
  MIN = { add = keep_if(is_less), result = best },
  MAX = { add = keep_if(function(a, b) return is_less(b, a) end), result = best },
}

-- Groups -----------------------------------------------------------------------

local KEY_MAX = 128 -- bytes of a key, which the answer contains

-- Values that are equal have one key. Objects and arrays are as undefined here as they
-- are where values are compared.
local KEYS = {
  null = function() return "null" end,
  boolean = tostring,
  number = function(value) return "n" .. tostring(shown(value)) end,
  string = function(value) return #value .. ":" .. value end,
}

local function key_part(value)
  local kind = nodes.kind(value)
  return kind and KEYS[kind](value) or "u"
end

local function hexadecimal(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function key_of(values, count)
  local key
  if count == 1 then
    key = key_part(values[1])
  else
    local parts = {}
    for i = 1, count do parts[i] = key_part(values[i]) end
    key = table.concat(parts, ",")
  end
  local is_text = utf8.len(key) and not key:find("\0", 1, true)
  if #key <= KEY_MAX and is_text then return key end
  return "#" .. hexadecimal(digest.new("sha256"):final(key))
end

---@class directmethods.QueryGroup
---@field key string
---@field values any[] of the attributes that make it
---@field states table<integer, table> of the aggregates, by their places in a row

---@class directmethods.QueryGroups
---@field by_key table<string, directmethods.QueryGroup>
---@field count integer how many
---@field bound string? groups behind this one are not of the page
local Groups = {}
Groups.__index = Groups

--- Groups of documents, in the order of their keys. No more are kept than a page takes.
---@param plan directmethods.QueryPlan with groups
---@param attribute directmethods.QueryAttribute
---@param after string? key behind which they begin
---@param most integer how many are wanted
---@return directmethods.QueryGroups
function M.groups(plan, attribute, after, most)
  local self = setmetatable({
    items = plan.items, most = most, after = after, by_key = {}, count = 0,
    getters = {}, aggregates = {},
    values = {}, -- of the document that is counted in
  }, Groups)
  for i, path in ipairs(plan.groups) do self.getters[i] = attribute(path) end
  for place, item in ipairs(plan.items) do
    if item.aggregate then
      table.insert(self.aggregates, {
        place = place,
        add = AGGREGATES[item.aggregate].add,
        get = item.path and attribute(item.path) or function() end,
      })
    end
  end
  if not plan.groups[1] and not after then self:find() end -- one, be it of nothing
  return self
end

local function by_key(a, b)
  return a.key < b.key
end

-- Those that are kept, in order.
local function sorted(self)
  local list = {}
  for _, group in pairs(self.by_key) do list[#list + 1] = group end
  table.sort(list, by_key)
  return list
end

-- Drop those that are of a later page.
local function prune(self)
  local list = sorted(self)
  for i = self.most + 1, #list do self.by_key[list[i].key] = nil end
  self.count, self.bound = self.most, list[self.most].key
end

local function new_group(self, key)
  local states = {}
  for _, each in ipairs(self.aggregates) do states[each.place] = {} end
  local values = table.move(self.values, 1, #self.getters, 1, {})
  self.count = self.count + 1
  self.by_key[key] = { key = key, values = values, states = states }
  return self.by_key[key]
end

-- The group of the values; nil: it is not of this page.
function Groups:find()
  local key = key_of(self.values, #self.getters)
  local group = self.by_key[key]
  if group then return group end
  if self.after and key <= self.after or self.bound and key > self.bound then
    return nil
  end
  if self.count == 2 * self.most then
    prune(self)
    if key > self.bound then return nil end
  end
  return new_group(self, key)
end

--- Count a document in.
function Groups:add(document)
  for i, get in ipairs(self.getters) do self.values[i] = get(document) end
  local group = self:find()
  if not group then return end
  for _, each in ipairs(self.aggregates) do
    each.add(group.states[each.place], each.get(document))
  end
end

--- The groups of the page, when all documents were counted in.
---@return directmethods.QueryGroup[]
function Groups:list()
  return sorted(self)
end

--- The row of a group.
---@param group directmethods.QueryGroup
---@return string json
function Groups:text(group)
  return row_text(self.items, function(i)
    local item = self.items[i]
    if item.aggregate then
      return AGGREGATES[item.aggregate].result(group.states[i])
    end
    local value = group.values[item.group]
    if nodes.kind(value) then return value end
  end)
end

return M
