--- Devices without code: a table in the place of a handler is the answer itself.

local options = require "directmethods.options"
local time = require "directmethods.time"

local M = {}

local SPEC = {
  status = { "integer", default = 200, min = -2147483648, max = 2147483647 },
  payload = { "any" },
  delay = { "number", default = 0, min = 0, max = 1e6 },
}

---@class directmethods.CannedAnswer
---@field status integer? default 200
---@field payload any
---@field delay number? seconds before it is given; default 0

local function handler_of(answer)
  return function()
    if answer.delay > 0 then time.sleep(answer.delay) end
    return answer.status, answer.payload
  end
end

local function is_canned(handler)
  if type(handler) ~= "table" then return false end
  local mt = getmetatable(handler)
  return not (mt and mt.__call)
end

--- Handlers, where canned answers have become functions. Raises at the caller of the
-- function that calls this.
---@param handlers any
---@param what string that function
---@return any
function M.handlers(handlers, what)
  if type(handlers) ~= "table" then return handlers end
  local result = {}
  for name, handler in pairs(handlers) do
    if is_canned(handler) then
      local place = ("%s: handler '%s'"):format(what, tostring(name):sub(1, 100))
      handler = handler_of(options.check(handler, SPEC, place, 1))
    end
    result[name] = handler
  end
  return result
end

return M
