--- The meaning of query expressions: each function makes a node, and a node is a
-- function that gives the value of its expression for a document.
--
-- nil is undefined, json.null is null. Comparing with undefined, with another type
-- or with an object is undefined (protocol.md section 7).

local json = require "directmethods.json"

local M = {}

local function is_null(value)
  return value == json.null
end

local function kind(value)
  if is_null(value) then return "null" end
  local name = type(value)
  return name ~= "table" and name ~= "nil" and name or nil -- objects: none
end

-- Both sides when they may be compared; nil otherwise.
local function same_kind(a, b)
  local of_a = kind(a)
  return of_a ~= nil and of_a == kind(b) and of_a or nil
end

local ORDERED = { number = true, string = true }

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

local ARITHMETIC = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b) if b ~= 0 then return a / b end end,
  ["%"] = function(a, b) if b ~= 0 then return math.fmod(a, b) end end,
}

function M.compare(left, operator, right)
  local holds = COMPARE[operator]
  return function(document)
    local a, b = left(document), right(document)
    local of = same_kind(a, b)
    if not of or not (ORDERED[of] or EQUALITY[operator]) then return nil end
    return holds(a, b)
  end
end

function M.member(left, operator, array)
  local wanted = operator == "IN"
  return function(document)
    local value = left(document)
    if kind(value) == nil then return nil end
    for _, entry in ipairs(array) do
      local other = entry(document)
      if same_kind(value, other) and value == other then return wanted end
    end
    return not wanted
  end
end

function M.arithmetic(left, operator, right)
  local apply = ARITHMETIC[operator]
  return function(document)
    local a, b = left(document), right(document)
    if kind(a) ~= "number" or kind(b) ~= "number" then return nil end
    return apply(a, b)
  end
end

function M.negative(operand)
  return function(document)
    local value = operand(document)
    if kind(value) == "number" then return -value end
  end
end

function M.negation(operand)
  return function(document)
    local value = operand(document)
    if type(value) == "boolean" then return not value end
  end
end

-- One operand may decide alone, whatever the other is.
function M.logical(decisive)
  return function(left, right)
    return function(document)
      local a = left(document)
      if a == decisive then return decisive end
      local b = right(document)
      if b == decisive then return decisive end
      if type(a) == "boolean" and type(b) == "boolean" then return not decisive end
    end
  end
end

function M.constant(value)
  return function() return value end
end

function M.attribute(path)
  return function(document)
    local value = document
    for i = 1, #path do
      if type(value) ~= "table" then return nil end
      value = value[path[i]]
    end
    return value
  end
end

function M.is_defined(operand)
  return function(document) return operand(document) ~= nil end
end

return M
