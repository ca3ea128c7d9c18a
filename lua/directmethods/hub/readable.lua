--- What callers and devices have named, as JSON can hold it: bytes that are no UTF-8
-- are escaped, as in "\xff".

local M = {}

---@param value any
---@return any
function M.text(value)
  if type(value) ~= "string" or utf8.len(value) then return value end
  return (value:gsub("[\x80-\xFF]", function(c)
    return ("\\x%02x"):format(c:byte())
  end))
end

--- As much of a text of M.text as `most` bytes hold, in whole characters.
---@param text string
---@param most integer
---@return string
function M.cut(text, most)
  if #text <= most then return text end
  return text:sub(1, utf8.offset(text, 0, most + 1) - 1)
end

--- A table with such texts alone, also inside of its tables.
---@param value table
---@return table
function M.copy(value)
  local result = setmetatable({}, getmetatable(value))
  for name, each in pairs(value) do
    result[M.text(name)] = type(each) == "table" and M.copy(each) or M.text(each)
  end
  return result
end

return M
