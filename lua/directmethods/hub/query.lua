--- IoT Hub's query language, as far as jobs and device queries need it
-- (protocol.md section 7): a grammar that makes a predicate of a condition.
--
-- A condition holds only where it is true: comparing with something that is not
-- there, or of another type, is undefined, and undefined is not true.
--
--     local predicate = assert(query.condition "tags.floor > 2 AND status = 'enabled'")
--     predicate(twin)

local lpeg = require "lpeg"

local json = require "directmethods.json"
local names = require "directmethods.hub.query.names"
local nodes = require "directmethods.hub.query.nodes"

local M = {}

local LENGTH_MAX = 8192 -- characters of an expression (protocol.md 7)
local DEPTH_MAX = 32 -- nested parentheses, brackets and chained NOT or minus
local STACK = 2000 -- entries of LPeg's own stack: about 20 a level

lpeg.setmaxstack(STACK)

local P, R, S, V = lpeg.P, lpeg.R, lpeg.S, lpeg.V
local C, Cc, Cf, Cg, Cs, Ct = lpeg.C, lpeg.Cc, lpeg.Cf, lpeg.Cg, lpeg.Cs, lpeg.Ct

-- Grammar ------------------------------------------------------------------

-- Where p was wanted and not there: the furthest such place is the error's. (What
-- follows the note never matches; it tells LPeg that this consumes something.)
local function expect(p, what)
  local note = lpeg.Cmt(lpeg.Carg(1), function(_, place, state)
    if place > state.place then
      state.place, state.expected = place, {}
    end
    if place == state.place then state.expected[what] = true end
    return false
  end)
  return p + note * P(1)
end

local space = S " \t\r\n" ^ 0
local name_part = R("az", "AZ", "09") + S "_$"

local function any_case(word)
  local pattern = P(true)
  for letter in word:gmatch(".") do
    pattern = pattern * S(letter:lower() .. letter:upper())
  end
  return pattern
end

local function keyword(word)
  return any_case(word) * -name_part * space
end

local function symbol(text, what)
  return expect(P(text), what or ("'%s'"):format(text)) * space
end

local reserved = P(false)
for word in ("AND OR NOT IN NIN TRUE FALSE NULL UNDEFINED"):gmatch("%a+") do
  reserved = reserved + keyword(word)
end

local name = C((R("az", "AZ") + S "_$") * name_part ^ 0) * space

local function utf8_of(hex)
  return utf8.char(tonumber(hex, 16))
end

local function utf8_of_pair(high, low)
  return utf8.char(0x10000 + (tonumber(high, 16) - 0xd800) * 0x400
    + tonumber(low, 16) - 0xdc00)
end

local hex = R("09", "af", "AF")
local hex4 = hex * hex * hex * hex
local high = C(S "dD" * S "89abAB" * hex * hex)
local low = C(S "dD" * R("cf", "CF") * hex * hex)
local escape = P "\\u" * high * P "\\u" * low / utf8_of_pair
  + P "\\u" * C(hex4) / utf8_of
  + P "\\" * C(S "'\"\\") / "%1"

local function quoted(mark)
  return P(mark) * Cs((escape + (1 - S(mark .. "\\"))) ^ 0) * expect(P(mark), "a quote")
end

local string = (quoted "'" + quoted '"') * space
local digits = R "09" ^ 1
local exponent = S "eE" * S "+-" ^ -1 * digits
local number = (C(P "0" * S "xX" * hex ^ 1)
  + C(digits * (P "." * digits) ^ -1 * exponent ^ -1)) * -name_part / tonumber * space

local literal = number / nodes.constant + string / nodes.constant
  + keyword "TRUE" * Cc(true) / nodes.constant
  + keyword "FALSE" * Cc(false) / nodes.constant
  + keyword "NULL" * Cc(json.null) / nodes.constant
  + keyword "UNDEFINED" / function() return nodes.constant(nil) end

local function fold(first, operator, second)
  return nodes.arithmetic(first, operator, second)
end

-- One operand alone, a comparison, or a membership in an array.
local function relate(left, operator, right)
  if not operator then return left end
  if type(right) == "table" then return nodes.member(left, operator, right) end
  return nodes.compare(left, operator, right)
end

local function chain(operand, operator)
  return Cf(operand * Cg(operator * operand) ^ 0, fold)
end

-- The grammar of an expression over a collection.
local function grammar_of(collection)
  local path = Ct(name * (symbol("." , "'.'") * name
    + symbol("[", "'['") * string * symbol "]") ^ 0)
  local reference = (path - reserved) / function(parts)
    return names.resolve(parts, collection)
  end
  local comparison = C(P "<=" + ">=" + "<>" + "!=" + "=" + "<" + ">") * space
  local membership = keyword "NIN" * Cc "NIN" + keyword "IN" * Cc "IN"
  return {
    "expression",
    expression = Cf(V "conjunction" * (keyword "OR" * V "conjunction") ^ 0,
      nodes.logical(true)),
    conjunction = Cf(V "condition" * (keyword "AND" * V "condition") ^ 0,
      nodes.logical(false)),
    condition = keyword "NOT" * V "condition" / nodes.negation + V "relation",
    relation = V "sum" * (expect(comparison, "an operator") * V "sum"
      + membership * V "array") ^ -1 / relate,
    array = symbol "[" * Ct((V "sum" * (symbol "," * V "sum") ^ 0) ^ -1) * symbol "]",
    sum = chain(V "product", C(S "+-") * space),
    product = chain(V "factor", C(S "*/%") * space),
    factor = symbol("-", "a value") * V "factor" / nodes.negative + V "primary",
    primary = symbol("(", "a value") * V "expression" * symbol ")"
      + keyword "IS_DEFINED" * symbol "(" * reference / nodes.is_defined * symbol ")"
      + expect(literal + reference, "a value"),
  }
end

local function whole(pattern)
  return space * pattern * expect(-P(1), "the end")
end

local function from(collection_name)
  local pattern = keyword "FROM"
  for part in collection_name:gmatch("[^.]+") do
    pattern = pattern * (part == "devices" and P(true) or symbol ".") * any_case(part)
      * -name_part * space
  end
  return pattern
end

local function where(collection)
  local expression = P(grammar_of(collection))
  return keyword "WHERE" * expression
end

local everything = Cc(nodes.constant(true))

local CONDITION = whole(
  P "*" * space * everything * Cc "devices"
  + from "devices.modules" * where(names.COLLECTIONS["devices.modules"])
    * Cc "devices.modules"
  + P(grammar_of(names.COLLECTIONS.devices)) * Cc "devices")

local function selection(collection_name)
  local collection = names.COLLECTIONS[collection_name]
  return from(collection_name) * (where(collection) + everything) * Cc(collection_name)
end

local QUERY = whole(expect(keyword "SELECT", "SELECT") * symbol "*"
  * expect(selection "devices.jobs" + selection "devices.modules" + selection "devices",
    "FROM devices, devices.modules or devices.jobs"))

-- Errors -------------------------------------------------------------------

local function line_and_column(text, place)
  local line, start = 1, 1
  for at in text:sub(1, place - 1):gmatch("()\n") do
    line, start = line + 1, at + 1
  end
  return line, place - start + 1
end

local function describe(text, state)
  local wanted = {}
  for what in pairs(state.expected) do
    wanted[#wanted + 1] = what
  end
  table.sort(wanted)
  local line, column = line_and_column(text, state.place)
  return ("SQL query parse failed: line %d, column %d: expected %s"):format(
    line, column, table.concat(wanted, " or "))
end

-- Nesting is bounded before LPeg sees it: its stack would end with a Lua error.
local function text_in(mark)
  return P(mark) * (P "\\" * 1 + (1 - S(mark .. "\\"))) ^ 0 * P(mark)
end
local TOKENS = Ct((text_in "'" + text_in '"' + C(name_part ^ 1) + S " \t\r\n"
  + C(1)) ^ 0)

local function too_deep(text)
  local depth, run = 0, 0
  for _, token in ipairs(TOKENS:match(text)) do
    if token == "(" or token == "[" then depth = depth + 1 end
    if token == ")" or token == "]" then depth = depth - 1 end
    run = (token == "-" or token:upper() == "NOT") and run + 1 or 0
    if depth > DEPTH_MAX or run > DEPTH_MAX then return true end
  end
  return false
end

local function parse(pattern, text)
  if #text > LENGTH_MAX then
    return nil, ("SQL query parse failed: longer than %d characters"):format(LENGTH_MAX)
  elseif too_deep(text) then
    return nil, ("SQL query parse failed: nested deeper than %d"):format(DEPTH_MAX)
  end
  local state = { place = 1, expected = { ["a condition"] = true } }
  local node, collection = pattern:match(text, 1, state)
  if not node then return nil, describe(text, state) end
  return function(document) return node(document) == true end, collection
end

--- The predicate of a job's queryCondition: "*", an expression over twins, or
-- "FROM devices.modules WHERE expression".
---@param text string
---@return (fun(twin: table): boolean)? predicate
---@return "devices"|"devices.modules"|string collection, or what is wrong and where
function M.condition(text)
  return parse(CONDITION, text)
end

--- The predicate of "SELECT * FROM devices|devices.modules|devices.jobs [WHERE ...]".
---@param text string
---@return (fun(document: table): boolean)? predicate
---@return "devices"|"devices.modules"|"devices.jobs"|string collection, or the error
function M.query(text)
  return parse(QUERY, text)
end

return M
