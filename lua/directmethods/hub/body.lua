--- The JSON body of a control-plane request, and what is wrong with one.

local json = require "directmethods.json"
local registry = require "directmethods.hub.registry"

local M = {}

--- Decode a body; the problem says which part of it cannot be read: the place of what
-- is no JSON, a number that is too large, the depth.
---@param text string
---@return any document nil: see problem
---@return directmethods.RegistryProblem? problem
function M.read(text)
  local document, err = json.decode(text)
  if err then return nil, registry.problem("ArgumentInvalid", err.message) end
  return document
end

return M
