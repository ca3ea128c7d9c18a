--- A value as one line of JSON whose members are always in the same order, so that
-- people and tools that compare texts can read it.

local json = require "directmethods.json"

local M = {}

-- The names of an object: first those that are wanted first, then all others.
local function names_of(object, first)
  local names, others, wanted = {}, {}, {}
  for _, name in ipairs(first or {}) do
    wanted[name] = true
    if object[name] ~= nil then names[#names + 1] = name end
  end
  for name in pairs(object) do
    if not wanted[name] then others[#others + 1] = name end
  end
  table.sort(others)
  return table.move(others, 1, #others, #names + 1, names)
end

local function array_text(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = M.text(value) end
  return "[" .. table.concat(parts, ",") .. "]"
end

--- The JSON text of a value. The members of its objects have a fixed order.
---@param value any
---@param first string[]? members that come first, in this order; others follow by name
---@return string
function M.text(value, first)
  if type(value) ~= "table" or next(value) == nil then return json.encode(value) end
  if value[1] ~= nil then return array_text(value) end
  local parts = {}
  for i, name in ipairs(names_of(value, first)) do
    parts[i] = ("%s:%s"):format(json.encode(name), M.text(value[name]))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return M
