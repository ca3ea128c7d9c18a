---@meta _
-- JSON of core.so, for editors; see core.meta.lua.

---@class directmethods.Core
local core = {}

--- The value of a JSON text.
---@param text string
---@param depth integer of nesting, at most
---@param cjson_decode function used where it is exact
---@param inexact integer the facts that it gets wrong; -1: do not use it
---@return any value
---@return string? name
---@return string? message
function core.json_decode(text, depth, cjson_decode, inexact) end

--- The JSON text of a value.
---@param value any
---@param array_mt table? a metatable that marks arrays, besides json_array_mt
---@param empty_array_mt table? one that marks empty arrays
---@param empty_array any a value that stands for []
---@param before string? put before the text
---@param after string? and behind it
---@return string? text
---@return string? path where the value has no JSON form
---@return string? rule that it breaks
function core.json_encode(value, array_mt, empty_array_mt, empty_array, before, after)
end

--- The members of an object, each as its JSON text or nil, in the order of the names.
---@param text string
---@param ... string
---@return boolean? ok
---@return string? ... the texts; name and message where it failed
function core.json_members(text, ...) end

--- What an array or an object holds; nothing: the JSON is neither.
---@param text string
---@return string[]? values JSON texts
---@return string[]|string? names of an object's members; where it failed: a name
---@return string? message
function core.json_parts(text) end

--- The integer of a JSON text, a number or a string that holds one; nil: it is none.
---@param text string
---@return integer?
function core.json_integer(text) end

--- A JSON text that is encoded as it is.
---@param text string
---@return userdata? raw
---@return string? name
---@return string? message
function core.json_raw(text) end
