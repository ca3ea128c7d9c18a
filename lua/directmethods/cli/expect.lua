--- Conditions of `--expect`, like `status == 200 and payload.items[1].ok`. An LPeg
-- grammar compiles them; the text is never loaded as Lua.

local null = require "directmethods.json".null

local M = {}

local TEXT_MAX = 1000 -- bytes

local COMPARE = {
  ["=="] = function(a, b) return a == b end,
  ["~="] = function(a, b) return a ~= b end,
  ["<"] = function(a, b) return a < b end,
  ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end,
  [">="] = function(a, b) return a >= b end,
}
COMPARE["!="] = COMPARE["~="]

-- Types that < compares; for other types, and for mixed ones, it is false.
local ORDERED = { number = true, string = true }

local function comparison(left, operator, right)
  if not operator then return left end
  local compare = COMPARE[operator]
  local orders = operator:find("[<>]")
  return function(scope)
    local a, b = left(scope), right(scope)
    if orders and not (type(a) == type(b) and ORDERED[type(a)]) then return false end
    return compare(a, b)
  end
end

local function constant(value)
  return function() return value end
end

-- A name, followed by members. A member that does not exist is null.
local function path(...)
  local steps = { ... }
  return function(scope)
    local value = scope
    for _, step in ipairs(steps) do
      if type(value) ~= "table" then return nil end
      value = rawget(value, step)
    end
    if value == null then return nil end
    return value
  end
end

local function negation(count, operand)
  if #count % 2 == 0 then return operand end
  return function(scope) return not operand(scope) end
end

local function all(first, ...)
  local rest = { ... }
  if not rest[1] then return first end
  return function(scope)
    local value = first(scope)
    for _, each in ipairs(rest) do
      if not value then return value end
      value = each(scope)
    end
    return value
  end
end

local function any(first, ...)
  local rest = { ... }
  if not rest[1] then return first end
  return function(scope)
    local value = first(scope)
    for _, each in ipairs(rest) do
      if value then return value end
      value = each(scope)
    end
    return value
  end
end

local VALUES = { ["true"] = true, ["false"] = false }

local function grammar(names)
  local lpeg = require "lpeg"
  local P, R, S, V, C, Cc, Ct = lpeg.P, lpeg.R, lpeg.S, lpeg.V, lpeg.C, lpeg.Cc, lpeg.Ct
  local blank = S " \t\r\n" ^ 0
  local letter = R("az", "AZ") + P "_"
  local name_end = -(letter + R "09")
  local function token(text) return P(text) * blank end
  local function word(text) return P(text) * name_end * blank end
  local root = P(false)
  for _, name in ipairs(names) do root = root + C(P(name)) * name_end end
  local string = (P "'" * C((1 - S "'\n") ^ 0) * "'"
    + P '"' * C((1 - S '"\n') ^ 0) * '"') * blank
  local number = (P "-" ^ -1 * R "09" ^ 1 * (P "." * R "09" ^ 1) ^ -1
    * (S "eE" * S "+-" ^ -1 * R "09" ^ 1) ^ -1) / tonumber * blank
  local field = C(letter * (letter + R "09") ^ 0) * blank
  local step = token "." * field + token "[" * (number + string) * token "]"
  return P {
    blank * V "or" * -1,
    ["or"] = V "and" * (word "or" * V "and") ^ 0 / any,
    ["and"] = V "not" * (word "and" * V "not") ^ 0 / all,
    ["not"] = Ct((word "not" * Cc(true)) ^ 0) * V "compare" / negation,
    compare = V "value" * (C(P "==" + "~=" + "!=" + "<=" + ">=" + "<" + ">") * blank
      * V "value") ^ -1 / comparison,
    value = token "(" * V "or" * token ")"
      + number / constant + string / constant
      + C(P "true" + "false") * name_end * blank
        / function(name) return constant(VALUES[name]) end
      + (P "null" + "nil") * name_end * blank / function() return constant(nil) end
      + root * blank * step ^ 0 / path,
  }
end

--- Compile a condition to a function of the scope; nil and a message if it is wrong.
---@param text string
---@param names string[] that it may use
---@return (fun(scope: table): boolean)?
---@return string? why
function M.compile(text, names)
  if not pcall(require, "lpeg") then
    return nil, "needs LPeg (LuaRocks: lpeg, Debian: lua-lpeg)"
  end
  if #text > TEXT_MAX then
    return nil, ("must have at most %d characters"):format(TEXT_MAX)
  end
  local ok, found = pcall(function() return grammar(names):match(text) end)
  if not ok then return nil, "is nested too deeply" end
  if found then return function(scope) return not not found(scope) end end
  return nil, "must be a condition such as \"status == 200 and payload.ok\"; it may "
    .. "name " .. table.concat(names, ", ")
end

return M
