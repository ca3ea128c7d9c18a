--- The lines of the members in a JSON text, and members that occur twice.

local json = require "directmethods.json"
local logs = require "directmethods.cli.log"

local M = {}

local SEPARATOR = "\0" -- of the steps of a path

local read_value

local function skip(text, at)
  return text:match("^[ \t\r\n]*()", at)
end

-- The position of the quote that ends the string at this position.
local function end_of_string(text, at)
  repeat
    at = text:find('["\\]', at + 1)
    local quote = text:byte(at) == 34
    if not quote then at = at + 1 end
  until quote
  return at
end

local function read_object(text, at, path, found)
  at = skip(text, at + 1)
  while text:sub(at, at) ~= "}" do
    local last = end_of_string(text, at)
    local name = json.decode(text:sub(at, last))
    local inner = path .. SEPARATOR .. name
    if found.at[inner] then found.twice = found.twice or inner end
    found.at[inner] = at
    at = skip(text, text:match("^[ \t\r\n]*:()", last + 1))
    at = skip(text, read_value(text, at, inner, found))
    if text:sub(at, at) == "," then at = skip(text, at + 1) end
  end
  return at + 1
end

local function read_array(text, at, path, found)
  local place = 0
  at = skip(text, at + 1)
  while text:sub(at, at) ~= "]" do
    place = place + 1
    local inner = path .. SEPARATOR .. place
    found.at[inner] = at
    at = skip(text, read_value(text, at, inner, found))
    if text:sub(at, at) == "," then at = skip(text, at + 1) end
  end
  return at + 1
end

-- Read a value of a valid JSON text; the position behind it.
function read_value(text, at, path, found)
  local first = text:sub(at, at)
  if first == "{" then return read_object(text, at, path, found) end
  if first == "[" then return read_array(text, at, path, found) end
  if first == '"' then return end_of_string(text, at) + 1 end
  return text:match("^[%w+.-]+()", at)
end

---@class directmethods.JsonPlaces
---@field twice string[]? the path of the first member that stands twice
local Places = {}
Places.__index = Places

--- Find the places of all members in a JSON text.
---@param text string that json.decode has taken
---@return directmethods.JsonPlaces
function M.read(text)
  local found = { at = {}, text = text }
  read_value(text, skip(text, 1), "", found)
  if found.twice then
    local path = {}
    for step in found.twice:gmatch(SEPARATOR .. "([^" .. SEPARATOR .. "]*)") do
      path[#path + 1] = step
    end
    found.twice = path
  end
  return setmetatable(found, Places)
end

--- What is wrong with the first member that stands twice; nil: none does.
---@return string?
function Places:wrong()
  local path = self.twice
  return path and ("member '%s' stands twice"):format(logs.word(path[#path]))
end

--- The line of a member; if it does not exist, of the nearest one around it.
---@param path (string|integer)[]
---@return integer
function Places:line(path)
  local key, at = "", 1
  for _, step in ipairs(path) do
    key = key .. SEPARATOR .. step
    at = self.at[key] or at
  end
  return 1 + select(2, self.text:sub(1, at - 1):gsub("\n", ""))
end

return M
