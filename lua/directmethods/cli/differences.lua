--- The differences between a recorded answer and one of now: values, by the path of
-- their member, as `payload.list[1].n`.

local json = require "directmethods.json"
local names_of = require "directmethods.cli.names"

local M = {}

local SHOWN = 20 -- differences of an answer that are told one by one
local VALUE_MAX = 200 -- bytes of a value that are shown

---@class directmethods.AnswerDifference
---@field path string
---@field recorded string? JSON text; nil: there was no such member
---@field now string? likewise

-- Paths ------------------------------------------------------------------------

-- The steps of "payload.list[*].n"; nil: it is no path.
local function steps_of(text)
  local steps, at = {}, 1
  repeat
    local name, after = text:match(at == 1 and "^([^.%[%]]+)()" or "^%.([^.%[%]]+)()",
      at)
    if not name then name, after = text:match('^%["([^"]+)"%]()', at) end
    local index
    if not name then index, after = text:match("^%[([%d*]+)%]()", at) end
    if not after then return nil end
    steps[#steps + 1] = name or math.tointeger(tonumber(index)) or index
    at = after
  until at > #text
  return steps
end

--- Compile the members that are not compared, for argparse.
---@param text string
---@return (string|integer)[]? steps
---@return string? wrong
function M.ignored(text)
  local steps = steps_of(text)
  if steps then return steps end
  return nil, ("--ignore %s: must be a member, as payload.time or payload.list[*].id")
    :format(text)
end

local function is_ignored(path, ignored)
  for _, steps in ipairs(ignored) do
    if #steps == #path then
      local fits = true
      for i, step in ipairs(steps) do
        fits = fits and (step == "*" or step == path[i])
      end
      if fits then return true end
    end
  end
  return false
end

local function text_of(path)
  local words = {}
  for i, step in ipairs(path) do
    if type(step) == "number" then
      words[i] = ("[%d]"):format(step)
    elseif step:find("^[%a_][%w_]*$") then
      words[i] = (i > 1 and "." or "") .. step
    else
      words[i] = ("[%s]"):format(json.encode(step))
    end
  end
  return table.concat(words)
end

-- Comparing --------------------------------------------------------------------

local function shown(value)
  if value == nil then return nil end
  local text = json.encode(value)
  return #text > VALUE_MAX and text:sub(1, VALUE_MAX) .. "..." or text
end

local function is_list(value)
  return value[1] ~= nil or getmetatable(value) ~= nil
end

local compare

local function compare_members(found, path, recorded, now)
  local either = {}
  for name in pairs(recorded) do either[name] = true end
  for name in pairs(now) do either[name] = true end
  for _, name in ipairs(names_of(either)) do
    path[#path + 1] = name
    compare(found, path, recorded[name], now[name])
    path[#path] = nil
  end
end

function compare(found, path, recorded, now)
  if recorded == now or is_ignored(path, found.ignored) then return end
  local tables = type(recorded) == "table" and type(now) == "table"
  if tables and is_list(recorded) == is_list(now) then
    return compare_members(found, path, recorded, now)
  end
  found[#found + 1] = { path = text_of(path), recorded = shown(recorded),
    now = shown(now) }
end

--- Compare two answers: tables with status and payload, or error and code. An empty
-- payload is null.
---@param recorded table
---@param now table
---@param ignored (string|integer)[][] of M.ignored
---@return directmethods.AnswerDifference[] none: they are equal
function M.find(recorded, now, ignored)
  local found = { ignored = ignored }
  compare_members(found, {}, recorded, now)
  found.ignored = nil
  return found
end

--- The lines that tell differences to people.
---@param list directmethods.AnswerDifference[]
---@return string
function M.text(list)
  local lines = {}
  for i = 1, math.min(#list, SHOWN) do
    local each = list[i]
    lines[i] = ("  %s: recorded %s, now %s"):format(each.path,
      each.recorded or "nothing", each.now or "nothing")
  end
  if #list > SHOWN then
    lines[#lines + 1] = ("  and %d more"):format(#list - SHOWN)
  end
  return table.concat(lines, "\n")
end

return M
