--- JSON with the same values on every lua-cjson: null, {} and [], 64-bit integers
-- as integers, floats of 17 digits, strings with NUL and any UTF-8.
--
-- lua-cjson decodes the texts for which the installed build is exact. A trial at the
-- start finds out what it gets wrong. Our own codec (l_json.c) decodes everything
-- else, and encodes.

local cjson = require "cjson"
local core = require "directmethods.core"
local errors = require "directmethods.errors"

local M = {}

--- JSON null; equal to cjson.null.
---@type lightuserdata
M.null = cjson.null

local DEPTH = 64 -- nesting that is allowed

local codec = cjson.new()
local array_mt = core.json_array_mt

-- Are two decoded values equal in everything that this module promises?
local function same(a, b)
  if math.type(a) ~= math.type(b) or type(a) ~= type(b) then return false end
  if type(a) ~= "table" then return a == b end
  local marked = getmetatable(a) == array_mt
  if marked ~= (getmetatable(b) == array_mt) then return false end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

local function is_exact(text)
  local ours = core.json_decode(text, DEPTH, codec.decode, -1)
  local ok, theirs = pcall(codec.decode, text)
  if ours == nil then return not ok end
  return ok and same(ours, theirs)
end

-- Texts that a build of lua-cjson may decode wrongly, by the kind of text. A build that
-- fails a text of no kind is not used at all.
local TRIALS = {
  { 0, "null" },
  { 0, [["text"]] },
  { 0, [[{"":[null,true,false,{},{"a":"\"\\\/\b\f\n\r\té\ud83d\ude00"}]}]] },
  { core.JSON_NUMBERS, "1" },
  { core.JSON_NUMBERS, "-9007199254740993" },
  { core.JSON_NUMBERS, "0.12345678901234568" },
  { core.JSON_NUMBERS, "1e400" },
  { core.JSON_EMPTY_ARRAYS, "[[]]" },
  { core.JSON_NUL, [["\u0000a"]] },
  { core.JSON_SURROGATES, [["\ud800"]] },
}

local function find_inexact()
  local inexact = 0
  for _, trial in ipairs(TRIALS) do
    local fact, text = trial[1], trial[2]
    if not is_exact(text) then
      if fact == 0 then return -1 end
      inexact = inexact | fact
    end
  end
  return inexact
end

local inexact = find_inexact()

--- The value of a JSON text; null is json.null, an empty array stays one when it
--- is encoded again. nil, err (InvalidJson, LimitExceeded): not JSON, nested
--- deeper than 64, or with a number that 64 bits cannot hold.
---@param text string
---@return any value
---@return directmethods.Error? err
function M.decode(text)
  if type(text) ~= "string" then
    error("json.decode: the text must be a string, not a " .. type(text), 2)
  end
  local value, name, message = core.json_decode(text, DEPTH, codec.decode, inexact)
  if value == nil then return nil, errors.new { name = name, message = message } end
  return value
end

--- The JSON text of a value, or nil and what is wrong with it. For this library:
-- its own functions raise in their own name.
---@param value any
---@param what string name of the value, begins the message
---@param before string? put before the text
---@param after string? and behind it
---@return string? text
---@return string? message
function M.try_encode(value, what, before, after)
  local text, path, rule = core.json_encode(
    value, cjson.array_mt, cjson.empty_array_mt, cjson.empty_array, before, after)
  if text then return text end
  return nil, ("%s%s: %s"):format(what, path, rule)
end

--- The JSON text of a value. Raises an error that names the place if JSON cannot
--- represent the value:
--- functions, userdata, NaN, infinities, text that is not UTF-8, tables with
--- holes, with both names and numbers as keys, that contain themselves, or
--- nested deeper than 64. A float keeps its point (3.0), an empty table is {}.
---@param value any
---@return string text
function M.encode(value)
  local text, message = M.try_encode(value, "value")
  if not text then error("json.encode: " .. message, 2) end
  return text
end

--- A JSON text that encode copies unchanged. Raises when it is not JSON.
---@param text string
---@return userdata
function M.raw(text)
  if type(text) ~= "string" then
    error("json.raw: the text must be a string, not a " .. type(text), 2)
  end
  local raw, _, message = core.json_raw(text)
  if not raw then error("json.raw: " .. message, 2) end
  return raw
end

--- Mark a table as an array, so that it is encoded as [] even when it is empty.
---@param list table? a new one when absent
---@return table list
function M.array(list)
  if list == nil then list = {} end
  if type(list) ~= "table" or getmetatable(list) then
    error("json.array: the list must be a table without a metatable", 2)
  end
  return setmetatable(list, array_mt)
end

return M
