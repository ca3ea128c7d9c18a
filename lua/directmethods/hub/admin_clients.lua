--- The devices with canned answers that the admin listener was asked for: clients in
-- the hub's own process.

---@class directmethods.AdminClients
---@field clients table<string, directmethods.Device> by their ids
---@field leaving table<directmethods.Device, true> those on their way out; weak: the
---  loop holds each until nothing of it is left
local Clients = {}
Clients.__index = Clients

local M = {}

local WEAK = { __mode = "k" }

---@return directmethods.AdminClients
function M.new()
  return setmetatable({ clients = {}, leaving = setmetatable({}, WEAK) }, Clients)
end

--- Put one in the place of the one that has the id.
---@param id string
---@param client directmethods.Device
function Clients:put(id, client)
  self:drop(id)
  self.clients[id] = client
end

--- Close one, if there is one.
---@param id string
function Clients:drop(id)
  local client = self.clients[id]
  if not client then return end
  self.clients[id] = nil
  client:close()
  self.leaving[client] = true
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
  local client = next(self.leaving)
  while client do
    local closed, err = client:closed(timeout)
    if not closed then return nil, err end
    self.leaving[client] = nil
    client = next(self.leaving)
  end
  return true
end

return M
