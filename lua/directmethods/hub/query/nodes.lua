--- The meaning of query expressions: a function that gives the value of an expression
-- for a document is made of its tree (hub/query/grammar.lua).
--
-- nil is undefined, json.null is null. Comparing with undefined, with another type
-- or with an object is undefined (docs/protocol.md 7). Nothing here raises,
-- whatever a document holds.

local functions = require "directmethods.hub.query.functions"
local json = require "directmethods.json"

local M = {}

-- How the value of an attribute is got from a document, by its path.
---@alias directmethods.QueryAttribute fun(path: string[]): fun(document: any): any

local COMPILE = {}

---@param node table
---@param attribute directmethods.QueryAttribute
---@return fun(document: any): any
function M.compile(node, attribute)
  return COMPILE[node.kind](node, attribute)
end

local function compile_all(nodes, attribute)
  local compiled = {}
  for i, node in ipairs(nodes) do compiled[i] = M.compile(node, attribute) end
  return compiled
end

function COMPILE.constant(node)
  local value = node.value
  return function() return value end
end

function COMPILE.name(node, attribute)
  return attribute(node.path)
end

function COMPILE.array(node, attribute)
  local elements = compile_all(node, attribute)
  return function(document)
    local array = {}
    for _, element in ipairs(elements) do array[#array + 1] = element(document) end
    return json.array(array)
  end
end

-- Comparisons ------------------------------------------------------------------

--- What a value is compared as: nil for objects, arrays and undefined.
---@return "null"|"string"|"number"|"boolean"|nil
function M.kind(value)
  if value == json.null then return "null" end
  local name = type(value)
  return name ~= "table" and name ~= "nil" and name or nil
end

local kind = M.kind

local COMPARE = {
  ["="] = function(a, b) return a == b end,
  ["!="] = function(a, b) return a ~= b end,
  ["<"] = function(a, b) return a < b end,
  [">"] = function(a, b) return a > b end,
  ["<="] = function(a, b) return a <= b end,
  [">="] = function(a, b) return a >= b end,
}
COMPARE["<>"] = COMPARE["!="]

local EQUALITY = { ["="] = true, ["!="] = true, ["<>"] = true }
local ORDERED = { number = true, string = true }

function COMPILE.compare(node, attribute)
  local left, right = M.compile(node[1], attribute), M.compile(node[2], attribute)
  local holds, is_equality = COMPARE[node.operator], EQUALITY[node.operator]
  return function(document)
    local a, b = left(document), right(document)
    local of_a = kind(a)
    if not of_a or of_a ~= kind(b) then return nil end
    if not is_equality and not ORDERED[of_a] then return nil end
    return holds(a, b)
  end
end

-- The constants of an array as a set; nil: there are others in it.
local function set_of(array)
  local set = {}
  for _, element in ipairs(array) do
    if element.kind ~= "constant" then return nil end
    if element.value ~= nil then set[element.value] = true end
  end
  return set
end

local function is_among(elements, value, document)
  for _, element in ipairs(elements) do
    if element(document) == value then return true end
  end
  return false
end

function COMPILE.member(node, attribute)
  local value_of, set = M.compile(node[1], attribute), set_of(node[2])
  local elements = not set and compile_all(node[2], attribute)
  local wanted = not node.negated
  return function(document)
    local value = value_of(document)
    if not kind(value) then return nil end
    local found
    if set then found = set[value] else found = is_among(elements, value, document) end
    return (found or false) == wanted
  end
end

-- Logic ------------------------------------------------------------------------

COMPILE["not"] = function(node, attribute)
  local operand = M.compile(node[1], attribute)
  return function(document)
    local value = operand(document)
    if type(value) == "boolean" then return not value end
  end
end

-- One operand may decide alone, whatever the others are.
local function logical(decisive)
  return function(node, attribute)
    local operands = compile_all(node, attribute)
    return function(document)
      local result = not decisive
      for _, operand in ipairs(operands) do
        local value = operand(document)
        if value == decisive then return decisive end
        if type(value) ~= "boolean" then result = nil end
      end
      return result
    end
  end
end

COMPILE["or"] = logical(true)
COMPILE["and"] = logical(false)

-- Arithmetic -------------------------------------------------------------------

-- Of floats, as numbers are in JSON elsewhere: integers would wrap around.
local ARITHMETIC = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b) if b ~= 0 then return a / b end end,
  ["%"] = function(a, b) if b ~= 0 then return math.fmod(a, b) end end,
}

function COMPILE.arithmetic(node, attribute)
  local operands, apply = compile_all(node, attribute), {}
  for i, operator in pairs(node.operators) do apply[i] = ARITHMETIC[operator] end
  return function(document)
    local result = operands[1](document)
    if type(result) ~= "number" then return nil end
    result = result + 0.0
    for i = 2, #operands do
      local value = operands[i](document)
      if type(value) ~= "number" then return nil end
      result = apply[i - 1](result, value + 0.0)
      if result == nil then return nil end
    end
    return result
  end
end

function COMPILE.negative(node, attribute)
  local operand = M.compile(node[1], attribute)
  return function(document)
    local value = operand(document)
    if type(value) == "number" then return -value end
  end
end

-- Functions --------------------------------------------------------------------

function COMPILE.call(node, attribute)
  local arguments = compile_all(node, attribute)
  if node.name == "IS_DEFINED" then
    local operand = arguments[1]
    return function(document) return operand(document) ~= nil end
  end
  local call, count = functions.find(node.name).call, #arguments
  return function(document)
    local values = {}
    for i = 1, count do values[i] = arguments[i](document) end
    local result = call(table.unpack(values, 1, count))
    return result
  end
end

return M
