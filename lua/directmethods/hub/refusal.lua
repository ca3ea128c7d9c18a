--- How a check of a request stops at the first rule that the request breaks, from any
-- depth of calls.

local M = {}

--- Stop the check that M.try runs. Further arguments are put into the rule, as by
-- string.format.
---@param rule string what the caller is told
function M.refuse(rule, ...)
  error({ rule = rule:format(...) }, 0)
end

--- Run a check. Its result; or nil, the rule that is broken, and the name of the error
-- if the check gave one.
---@param check fun(...): any
---@return any result
---@return string? rule
---@return string? name
function M.try(check, ...)
  local ok, result = pcall(check, ...)
  if ok then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.rule, result.name
end

return M
