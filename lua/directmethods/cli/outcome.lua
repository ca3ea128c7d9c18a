--- The result of a call, as commands print it.

local json = require "directmethods.json"
local json_line = require "directmethods.cli.json_line"

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

--- The members of such a line, in their order.
M.ORDER = { "status", "payload", "error", "code", "message", "elapsed" }

--- The line of JSON for a result. Its members are always in the same order.
---@param result directmethods.CliResult
---@return string
function M.text(result)
  return json_line.text(M.document(result), M.ORDER)
end

return M
