--- The functions of query expressions. They take values and give a value; nil is
-- undefined, which is what they give for values of another kind than they are for.

local core = require "directmethods.core"
local json = require "directmethods.json"

local M = {}

local function is_array(value)
  return type(value) == "table" and (value[1] ~= nil
    or getmetatable(value) == core.json_array_mt)
end

local function is_object(value)
  return type(value) == "table" and not is_array(value)
end

local function is_primitive(value)
  return value ~= nil and type(value) ~= "table"
end

local CHECKS = {
  IS_ARRAY = is_array,
  IS_BOOL = function(value) return type(value) == "boolean" end,
  IS_NULL = function(value) return value == json.null end,
  IS_NUMBER = function(value) return type(value) == "number" end,
  IS_OBJECT = is_object,
  IS_PRIMITIVE = is_primitive,
  IS_STRING = function(value) return type(value) == "string" end,
}

local function starts_with(text, part)
  return text:sub(1, #part) == part
end

local function ends_with(text, part)
  return part == "" or text:sub(-#part) == part
end

-- Where a character begins; behind the last one: the place after the text.
local function offset(text, character)
  return utf8.offset(text, character + 1) or #text + 1
end

local function substring(text, start, length)
  if start < 0 or length and length < 0 then return nil end
  if start > #text then return "" end
  local stop = length and offset(text, start + math.min(length, #text)) or #text + 1
  return text:sub(offset(text, start), stop - 1)
end

local function index_of(text, part)
  local place = text:find(part, 1, true)
  return place and utf8.len(text, 1, place - 1) or -1
end

-- The result of arithmetic, where there is one.
local function number(value)
  if value == value and value ~= math.huge and value ~= -math.huge then return value end
end

local function sign(x)
  return x > 0 and 1 or x < 0 and -1 or 0
end

local TEXT, NUMBER, WHOLE = "string", "number", "integer"

-- By name: what it does, and the kinds of its arguments.
local TYPED = {
  ABS = { math.abs, NUMBER },
  CEILING = { math.ceil, NUMBER },
  EXP = { function(x) return number(math.exp(x)) end, NUMBER },
  FLOOR = { math.floor, NUMBER },
  POWER = { function(x, y) return number((x + 0.0) ^ y) end, NUMBER, NUMBER },
  SIGN = { sign, NUMBER },
  SQRT = { function(x) return number(math.sqrt(x)) end, NUMBER },
  SQUARE = { function(x) return number((x + 0.0) * x) end, NUMBER },
  CONTAINS = { function(x, y) return x:find(y, 1, true) ~= nil end, TEXT, TEXT },
  ENDSWITH = { ends_with, TEXT, TEXT },
  INDEX_OF = { index_of, TEXT, TEXT },
  LENGTH = { utf8.len, TEXT },
  LOWER = { string.lower, TEXT },
  STARTSWITH = { starts_with, TEXT, TEXT },
  SUBSTRING = { substring, TEXT, WHOLE, WHOLE, optional = 1 },
  UPPER = { string.upper, TEXT },
}
TYPED.ENDS_WITH, TYPED.STARTS_WITH = TYPED.ENDSWITH, TYPED.STARTSWITH

local function as_number(value)
  if type(value) == "string" then
    value = value:find("^%s*[+-]?%.?%d[%d.eE+-]*%s*$") and tonumber(value)
  end
  return type(value) == "number" and value or nil
end

local function concat(...)
  for i = 1, select("#", ...) do
    if type((select(i, ...))) ~= "string" then return nil end
  end
  return table.concat { ... }
end

local function array_contains(array, value)
  if not is_array(array) or not is_primitive(value) then return nil end
  for _, element in ipairs(array) do
    if element == value then return true end
  end
  return false
end

-- By name: what it does, and how many arguments it takes.
local FUNCTIONS = {
  AS_NUMBER = { call = as_number, least = 1, most = 1 },
  ARRAY_CONTAINS = { call = array_contains, least = 2, most = 2 },
  CONCAT = { call = concat, least = 2, most = math.huge },
}

for name, check in pairs(CHECKS) do
  FUNCTIONS[name] = { call = check, least = 1, most = 1 }
end

local function fits(value, wanted)
  if wanted ~= WHOLE then return type(value) == wanted end
  return type(value) == NUMBER and math.tointeger(value) ~= nil
end

local function typed(call, ...)
  local wanted = { ... }
  return function(...)
    for i = 1, select("#", ...) do
      if not fits(select(i, ...), wanted[i]) then return nil end
    end
    return call(...)
  end
end

for name, entry in pairs(TYPED) do
  FUNCTIONS[name] = {
    call = typed(table.unpack(entry)),
    least = #entry - 1 - (entry.optional or 0),
    most = #entry - 1,
  }
end

--- A function by its name in capitals.
---@param name string
---@return { call: function, least: integer, most: integer }?
function M.find(name)
  return FUNCTIONS[name]
end

return M
