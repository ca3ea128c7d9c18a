--- What somebody may have meant by a name that is not known.

local function edit_distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
      diagonal, row[j] = row[j], best
    end
  end
  return row[#b]
end

-- The names that end with the word: "response_timeout" for "timeout".
local function ending_with(word, spec)
  local names = {}
  for name in pairs(spec) do
    if name:sub(-#word - 1) == "_" .. word then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function nearest(key, spec)
  local best, best_distance = nil, 3
  for name in pairs(spec) do
    local distance = edit_distance(key, name)
    if distance < best_distance and distance < #name
      or distance == best_distance and best and name < best then
      best, best_distance = name, distance
    end
  end
  return best
end

--- The names that a wrong one may stand for: " (did you mean 'a' or 'b'?)", or "".
---@param key string
---@param spec table<string, any> by the names that are known
---@param prefix string? that goes before each
---@return string
return function(key, spec, prefix)
  local near = nearest(key, spec)
  local names = near and { near } or ending_with(key, spec)
  if not names[1] then return "" end
  for i, name in ipairs(names) do names[i] = ("'%s%s'"):format(prefix or "", name) end
  return (" (did you mean %s?)"):format(table.concat(names, " or "))
end
