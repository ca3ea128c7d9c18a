--- How large a section of a twin is, as IoT Hub counts it (docs/protocol.md 13.2):
-- names and values, and none of the signs of JSON. Pure.

local M = {}

local MAX = { tags = 8192, desired = 32768, reported = 32768 } -- bytes
local TEXT_FACTOR = 4 -- what counts nothing is bounded too: JSON of so many times that
local NUMBER, BOOLEAN = 8, 4 -- bytes

-- Bytes of a text without the control characters of C0 and C1.
local function text_size(text)
  return #text:gsub("[\0-\x1F]", ""):gsub("\xC2[\x80-\x9F]", "")
end

local SIZES = {
  string = text_size,
  number = function() return NUMBER end,
  boolean = function() return BOOLEAN end,
  userdata = function() return 0 end, -- null: a store of long ago may have it
}

local function size_of(value)
  return SIZES[type(value)](value)
end

-- Of an object or an array, whose elements have no names.
function SIZES.table(value)
  local size = 0
  for name, inner in pairs(value) do
    size = size + (type(name) == "string" and #name or 0) + size_of(inner)
  end
  return size
end

--- The limit that a section breaks, in bytes; nil: none.
---@param section "tags"|"desired"|"reported"
---@param value table the section
---@param text string the same as JSON
---@return integer? bytes
function M.limit_broken(section, value, text)
  local most = MAX[section]
  if #text > TEXT_FACTOR * most or size_of(value) > most then return most end
end

return M
