--- The names of a table's members, in order.

---@param value table<string, any> or a list, for its places
---@return any[]
return function(value)
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  return names
end
