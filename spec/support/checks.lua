--- Checks that specs share. They fail at the line of the spec.

local M = {}

--- Raise when a text has not got a part.
---@param text string
---@param part string as it stands, no pattern
function M.has(text, part)
  if not text:find(part, 1, true) then
    error(("%q is not in %q"):format(part, text), 2)
  end
end

--- What a call raises; raise when it does not.
---@param fn fun(...)
---@return any
function M.failure(fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then error("nothing was raised", 2) end
  return message
end

return M
