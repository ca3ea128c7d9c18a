--- The devices with canned answers that the admin listener was asked for: clients in
-- the hub's own process.

local task = require "directmethods.task"

---@class directmethods.AdminClients
---@field clients table<string, directmethods.Device> by their ids
---@field leaving table<directmethods.Device, directmethods.Task> those on their way out
local Clients = {}
Clients.__index = Clients

local M = {}

---@return directmethods.AdminClients
function M.new()
  return setmetatable({ clients = {}, leaving = {} }, Clients)
end

--- Put one in the place of the one that has the id.
---@param id string
---@param client directmethods.Device
function Clients:put(id, client)
  self:drop(id)
  self.clients[id] = client
end

--- Close one, if there is one; it is known until nothing of it is left.
---@param id string
function Clients:drop(id)
  local client = self.clients[id]
  if not client then return end
  self.clients[id] = nil
  client:close()
  self.leaving[client] = task.spawn(function()
    client:closed()
    self.leaving[client] = nil
    return true
  end)
end

--- Close all.
function Clients:close()
  for id in pairs(self.clients) do self:drop(id) end
end

--- Wait until nothing is left of those that were closed.
---@param timeout number? seconds
---@return boolean? closed
---@return directmethods.Error? err
function Clients:wait_closed(timeout)
  local _, ending = next(self.leaving)
  while ending do
    local closed, err = ending:await(timeout)
    if not closed then return nil, err end
    _, ending = next(self.leaving)
  end
  return true
end

return M
