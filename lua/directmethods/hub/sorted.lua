--- A set of texts in order: short lists one behind the other, so that no change and
-- no page takes long however many there are.

local M = {}

local LIST_MAX = 512 -- texts of one list

---@class directmethods.SortedSet
local Sorted = {}
Sorted.__index = Sorted

---@return directmethods.SortedSet
function M.new()
  return setmetatable({ lists = {} }, Sorted)
end

-- The first place in 1 .. count + 1 of which is_behind does not hold.
local function search(count, is_before)
  local low, high = 1, count + 1
  while low < high do
    local middle = (low + high) // 2
    if is_before(middle) then low = middle + 1 else high = middle end
  end
  return low
end

-- The number of the list that a text is in or belongs to.
local function list_of(self, text)
  local lists = self.lists
  local behind = search(#lists, function(i) return lists[i][1] <= text end)
  return math.max(1, behind - 1)
end

local function place_in(list, text)
  return search(#list, function(i) return list[i] < text end)
end

local function split(self, number)
  local list = self.lists[number]
  local half = #list // 2
  table.insert(self.lists, number + 1, table.move(list, half + 1, #list, 1, {}))
  self.lists[number] = table.move(list, 1, half, 1, {})
end

--- Add a text, unless it is there.
---@param text string
function Sorted:add(text)
  local number = list_of(self, text)
  local list = self.lists[number]
  if not list then
    self.lists[1] = { text }
    return
  end
  local place = place_in(list, text)
  if list[place] == text then return end
  table.insert(list, place, text)
  if #list > LIST_MAX then split(self, number) end
end

--- Remove a text, if it is there.
---@param text string
function Sorted:remove(text)
  local number = list_of(self, text)
  local list = self.lists[number] or {}
  local place = place_in(list, text)
  if list[place] ~= text then return end
  table.remove(list, place)
  if #list == 0 then table.remove(self.lists, number) end
end

--- At most `limit` texts in order, from behind `after`.
---@param after string? nil: from the first
---@param limit integer
---@return string[]
function Sorted:page(after, limit)
  local number = after and list_of(self, after) or 1
  local list = self.lists[number]
  local place = after and list and search(#list, function(i)
    return list[i] <= after
  end) or 1
  local page = {}
  while list and #page < limit do
    local last = math.min(#list, place + limit - #page - 1)
    table.move(list, place, last, #page + 1, page)
    number, place = number + 1, 1
    list = self.lists[number]
  end
  return page
end

return M
