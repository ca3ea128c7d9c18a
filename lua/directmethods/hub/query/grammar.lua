--- The grammar of IoT Hub's query language: text in, tree out.
--
-- A node of the tree has a kind, its operands as its list, and `at`, its place in the
-- text, where an error may have to name it:
--
--     { kind = "constant", value = v }            nil: undefined, json.null: null
--     { kind = "name", path = { "tags", "a" } }   as it is written
--     { kind = "or" | "and" | "array", ... }      any number of operands
--     { kind = "not" | "negative", x }
--     { kind = "arithmetic", operators = { "+", ... }, x, y, ... }
--     { kind = "compare", operator = "<", x, y }
--     { kind = "member", negated = boolean, x, array }
--     { kind = "call", name = "LOWER", ... }
--     { kind = "aggregate", name = "COUNT", x? }
--
-- A query is { list = "*" or { { value = node, alias = "n"? }, ... }, top = n?,
-- collection = "devices", where = node?, groups = { name, ... }? }.

local lpeg = require "lpeg"

local json = require "directmethods.json"
local tokens = require "directmethods.hub.query.tokens"

local M = {}

local DEPTH_MAX = 32 -- brackets, NOT and signs inside of each other
local STACK = 2000 -- entries of LPeg's own stack: a level takes about 13

lpeg.setmaxstack(STACK)

local P, S, V = lpeg.P, lpeg.S, lpeg.V
local C, Cc, Cg, Cp, Ct = lpeg.C, lpeg.Cc, lpeg.Cg, lpeg.Cp, lpeg.Ct

local expect, keyword, symbol = tokens.expect, tokens.keyword, tokens.symbol

-- Building the tree ------------------------------------------------------------

local function constant(value)
  return { kind = "constant", value = value }
end

local function name(at, path)
  return { kind = "name", at = at, path = path }
end

local function unary(kind)
  return function(operand) return { kind = kind, operand } end
end

local function negative(operand)
  local number = operand.kind == "constant" and math.type(operand.value)
  return number and constant(-operand.value) or { kind = "negative", operand }
end

-- A list of operands as one node; a single operand is itself.
local function joined(kind)
  return function(list)
    if not list[2] then return list[1] end
    list.kind = kind
    return list
  end
end

-- Operands with operators between them, from left to right.
local function arithmetic(list)
  if not list[2] then return list[1] end
  local node = { kind = "arithmetic", operators = {} }
  for i, each in ipairs(list) do
    table.insert(i % 2 == 1 and node or node.operators, each)
  end
  return node
end

-- One operand alone, a comparison, or a membership in an array.
local function relation(left, operator, right)
  if not operator then return left end
  if operator == "IN" or operator == "NIN" then
    return { kind = "member", negated = operator == "NIN", left, right }
  end
  return { kind = "compare", operator = operator, left, right }
end

local function call(at, word, arguments)
  arguments.kind, arguments.at, arguments.name = "call", at, word:upper()
  return arguments
end

local function aggregate(at, word, operand)
  return { kind = "aggregate", at = at, name = word, operand }
end

-- Expressions ------------------------------------------------------------------

local function list_of(item)
  return item * (symbol "," * item) ^ 0
end

local path = Ct(tokens.name * (P "." * tokens.space * expect(tokens.name, tokens.NAME)
  + P "[" * tokens.space * expect(tokens.text, "a text") * symbol "]") ^ 0)
local reference = Cp() * path / name

local literal = (tokens.number + tokens.text) / constant
  + keyword "TRUE" * Cc(true) / constant
  + keyword "FALSE" * Cc(false) / constant
  + keyword "NULL" * Cc(json.null) / constant
  + keyword "UNDEFINED" / function() return constant(nil) end

local comparison = expect(tokens.comparison, "an operator")
local membership = keyword "NIN" * Cc "NIN" + keyword "IN" * Cc "IN"
local word = C(tokens.word) * tokens.space

-- Captures that are made when the parser is done may not nest deeper than 200 in LPeg;
-- those of an inner expression are made as soon as it is read.
local function at_once(pattern)
  return lpeg.Cmt(pattern, function(_, place, value) return place, value end)
end

local expression = P {
  "expression",
  expression = at_once(Ct(V "conjunction" * (expect(keyword "OR", "OR")
    * V "conjunction") ^ 0) / joined "or"),
  conjunction = Ct(V "condition" * (expect(keyword "AND", "AND") * V "condition") ^ 0)
    / joined "and",
  condition = keyword "NOT" * V "condition" / unary "not" + V "relation",
  relation = V "sum" * (comparison * V "sum"
    + membership * expect(V "array", "'['")) ^ -1 / relation,
  array = (P "[" - P "[[") * tokens.space
    * Ct(list_of(V "expression") ^ -1 * Cg(Cc "array", "kind")) * symbol "]",
  sum = Ct(V "product" * (C(S "+-") * tokens.space * V "product") ^ 0) / arithmetic,
  product = Ct(V "factor" * (C(S "*/%") * tokens.space * V "factor") ^ 0) / arithmetic,
  factor = symbol("-", "a value") * V "factor" / negative + V "primary",
  primary = symbol("(", "a value") * V "expression" * symbol ")"
    + Cp() * word * P "(" * tokens.space * Ct(list_of(V "expression") ^ -1)
      * symbol ")" / call
    + expect(literal + reference + V "array", "a value"),
}

-- Queries ----------------------------------------------------------------------

-- The name of a collection; longer ones before those that they begin with.
local function collection(text)
  local pattern = P(true)
  for part in text:gmatch("[^.]+") do
    pattern = pattern * (part == "devices" and P(true) or P "." * tokens.space)
      * keyword(part)
  end
  return pattern * Cc(text)
end

local COLLECTION = collection "devices.jobs" + collection "devices.modules"
  + collection "devices" * -P "."

local of_all = Cp() * (keyword "COUNT" * Cc "COUNT") * P "(" * tokens.space * symbol ")"
local function of_name(text)
  return Cp() * keyword(text) * Cc(text) * P "(" * tokens.space
    * expect(reference, tokens.NAME) * symbol ")"
end

local item = Ct(Cg((of_all + of_name "AVG" + of_name "SUM" + of_name "MIN"
    + of_name "MAX") / aggregate + expect(reference, tokens.NAME), "value")
  * (expect(keyword "AS", "AS") * Cg(expect(tokens.name, tokens.NAME), "alias")) ^ -1)

local top = keyword "TOP" * Cg(Cp(), "top_at") * Cg(expect(tokens.count, "a number"),
  "top")
local where = expect(keyword "WHERE", "WHERE") * Cg(expression, "where")
local groups = expect(keyword "GROUP", "GROUP BY") * expect(keyword "BY", "BY")
  * Cg(Ct(list_of(expect(reference, tokens.NAME))), "groups")

local function whole(pattern)
  return tokens.space * pattern * expect(-P(1), "the end")
end

local QUERY = whole(Ct(expect(keyword "SELECT", "SELECT") * top ^ -1
  * Cg(Cp(), "list_at")
  * Cg(symbol "*" * Cc "*" + Ct(list_of(item)), "list")
  * expect(keyword "FROM", "FROM")
  * Cg(expect(COLLECTION, "devices, devices.modules or devices.jobs"), "collection")
  * where ^ -1 * Cg(Cp(), "groups_at") * groups ^ -1))

-- A job's condition: all devices, or those or the modules for which it is true.
local CONDITION = whole(Ct(
  P "*" * tokens.space * Cg(Cc "devices", "collection")
  + keyword "FROM" * Cg(collection "devices.modules", "collection")
    * keyword "WHERE" * Cg(expression, "where")
  + Cg(Cc "devices", "collection") * Cg(expect(expression, "a condition"), "where")))

-- Parsing ----------------------------------------------------------------------

local function match(pattern, text)
  local place = tokens.too_deep(text, DEPTH_MAX)
  if place then
    return nil, ("%s: nested deeper than %d"):format(tokens.at(text, place), DEPTH_MAX)
  end
  local state = { place = 1, expected = {} }
  -- LPeg raises where its stack or its captures end
  local ok, tree = pcall(lpeg.match, pattern, text, 1, state)
  if not ok then return nil, "too complicated" end
  if tree then return tree end
  return nil, tokens.described(text, state)
end

--- The tree of "SELECT ... FROM ...", or nil and what is wrong and where.
---@param text string
---@return table? tree
---@return string? wrong
function M.query(text)
  return match(QUERY, text)
end

--- The tree of a job's condition: collection and where.
---@param text string
---@return table? tree
---@return string? wrong
function M.condition(text)
  return match(CONDITION, text)
end

return M
