--- The text of programs: words of a shell, strings of JSON and Lua, templates.

local json = require "directmethods.json"
local shell = require "directmethods.shell"

local M = {}

--- A word of a shell; in quotes only if it needs them.
---@param text string
---@return string
function M.shell_word(text)
  if text:find "^[%w%-_./:=]+$" then return text end
  return shell.quote(text)
end

--- A string of Python or JavaScript: a string of JSON is one, except for two line ends
--- that old JavaScript does not allow.
---@param text string
---@return string
function M.json_string(text)
  return (json.encode(text):gsub("\u{2028}", "\\u2028"):gsub("\u{2029}", "\\u2029"))
end

--- A string of Lua.
---@param text string
---@return string
function M.lua_string(text)
  return (("%q"):format(text):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
end

--- Names with their values, as "name = value, name = value"; a pair without a value is
--- left out.
---@param pattern string of one, as "%s = %s"
---@param separator string
---@param pairs_of { [1]: string, [2]: any }[]
---@return string
function M.list(pattern, separator, pairs_of)
  local parts = {}
  for _, pair in ipairs(pairs_of) do
    if pair[2] ~= nil then parts[#parts + 1] = pattern:format(pair[1], pair[2]) end
  end
  return table.concat(parts, separator)
end

--- A value in a pattern; "": there is no value.
---@param pattern string
---@param value any
---@return string
function M.opt(pattern, value)
  return value and pattern:format(value) or ""
end

--- The value of a {name} in a template whose line is left out.
M.NO_LINE = "\0"

--- A template, with the value of each {name} in its place.
---@param text string
---@param values table<string, any>
---@return string
function M.fill(text, values)
  text = text:gsub("%f[{]{([%a_]+)}", function(name) return values[name] end)
  return (text:gsub("\n[ \t]*%z", ""))
end

return M
