--- Tables as values: copied, counted, and compared.

local M = {}

--- A table with the same members. What they refer to is shared, and the metatable is
-- left out.
---@generic T: table
---@param source T
---@return T copy
function M.copy(source)
  local copy = {}
  for name, value in pairs(source) do copy[name] = value end
  return copy
end

--- The number of members, of whatever names.
---@param value table
---@return integer
function M.count(value)
  local n = 0
  for _ in pairs(value) do n = n + 1 end
  return n
end

--- Have two values of JSON the same members, in all depths? Numbers are compared as Lua
-- compares them: 1 and 1.0 are the same.
---@param a any
---@param b any
---@return boolean
function M.equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for name, value in pairs(a) do
    if not M.equal(value, b[name]) then return false end
  end
  for name in pairs(b) do
    if a[name] == nil then return false end
  end
  return true
end

return M
