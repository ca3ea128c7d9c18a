--- The result of a call, as commands print it.

local json = require "directmethods.json"

local M = {}

---@class directmethods.CliResult
---@field reply directmethods.Reply?
---@field err directmethods.Error?
---@field elapsed number seconds

--- The members of a result for its line of JSON.
---@param result directmethods.CliResult
---@return table
function M.document(result)
  local reply, err = result.reply, result.err
  if err then
    return { error = err.name, code = err.code, message = err.message,
      elapsed = result.elapsed }
  end
  local ok, raw = pcall(json.raw, reply.body)
  return { status = reply.status, elapsed = result.elapsed,
    payload = ok and raw or reply.body }
end

local ORDER = { "status", "payload", "error", "code", "message", "elapsed" }

--- The line of JSON for a result. Its members are always in the same order.
---@param result directmethods.CliResult
---@return string
function M.text(result)
  local document, parts = M.document(result), {}
  for _, name in ipairs(ORDER) do
    local value = document[name]
    if value ~= nil then
      parts[#parts + 1] = ("%s:%s"):format(json.encode(name), json.encode(value))
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return M
