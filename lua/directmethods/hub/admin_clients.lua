--- The devices with canned answers that the admin listener was asked for: clients in
-- the hub's own process. They have the names "device" and "device/module".

---@class directmethods.AdminClients
---@field clients table<string, directmethods.Device> by their names
---@field answers table<string, table> what they answer, also of those that are not
---  connected because their identity is disabled
---@field leaving table<directmethods.Device, true> those on their way out; weak: the
---  loop holds each until nothing of it is left
local Clients = {}
Clients.__index = Clients

local M = {}

local WEAK = { __mode = "k" }

---@return directmethods.AdminClients
function M.new()
  return setmetatable({
    clients = {}, answers = {}, leaving = setmetatable({}, WEAK),
  }, Clients)
end

--- Put one in the place of the one that has the name.
---@param name string
---@param client directmethods.Device
function Clients:put(name, client)
  self:disconnect(name)
  self.clients[name] = client
end

--- Close one, if there is one; its answers stay.
---@param name string
function Clients:disconnect(name)
  local client = self.clients[name]
  if not client then return end
  self.clients[name] = nil
  client:close()
  self.leaving[client] = true
end

--- Close one and forget its answers; of a device its modules', too.
---@param name string
function Clients:drop(name)
  for each in pairs(self.answers) do
    if each == name or each:sub(1, #name + 1) == name .. "/" then
      self:disconnect(each)
      self.answers[each] = nil
    end
  end
end

--- Close all and forget their answers.
function Clients:close()
  for name in pairs(self.clients) do self:disconnect(name) end
  self.answers = {}
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
