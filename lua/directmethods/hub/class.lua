--- The class of hubs; init.lua and clients.lua give it its methods.

local options = require "directmethods.options"

local M = {}

--- A local hub. `<close>` works on it.
---@class directmethods.Hub
---@field hostname string
local Hub = { __name = "directmethods.Hub" }
Hub.__index = Hub

--- Raises at the caller of the method that calls this.
function M.check_self(hub, what, level)
  options.check_self(hub, Hub, what, level or 1)
end

function M.check_open(hub, what)
  M.check_self(hub, what, 2)
  if not hub.state.open then
    error(what .. ": attempt to use a closed hub", 3)
  end
end

M.Hub = Hub

return M
