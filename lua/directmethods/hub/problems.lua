--- Why the control plane refuses a request: a name that Azure uses, with its code, its
-- HTTP status and a text. A function that decides returns one; the routes answer it.

local errors = require "directmethods.errors"

local M = {}

--- Why a request is refused; also its HTTP answer.
---@class directmethods.Problem
---@field http_status integer
---@field code integer
---@field name string
---@field text string
---@field is_damage boolean? the stored row cannot be read; trying again does not help

local CODES = {}
for code, entry in pairs(errors.codes) do CODES[entry.name] = code end

-- What the service says; else "BadRequest" and the like of the status.
local TEXTS = {
  PreconditionFailed = "Precondition failed: the etag is another one.",
  ServerError = "InternalServerError",
}
local STATUS_TEXTS = {
  [400] = "BadRequest", [404] = "NotFound", [409] = "Conflict",
  [503] = "ServiceUnavailable",
}

---@param name string of errors.codes
---@param text string? instead of the usual one
---@return directmethods.Problem
function M.new(name, text)
  local code = CODES[name]
  local status = code // 1000
  return {
    http_status = status,
    code = code,
    name = name,
    text = text or TEXTS[name] or STATUS_TEXTS[status] or errors.codes[code].cause,
  }
end

--- A value of the request breaks this rule.
---@param rule string
---@return directmethods.Problem
function M.invalid(rule)
  return M.new("ArgumentInvalid", rule)
end

--- The store has failed.
---@param err directmethods.Error
---@return directmethods.Problem
function M.unavailable(err)
  local problem = M.new("ServiceUnavailable", err.message)
  problem.is_damage = err.is_damage
  return problem
end

return M
