--- A folder of a spec's own, and in it the hub of a command line: started, stopped and
-- looked at as its users do.

local dm = require "directmethods"
local hub_process = require "spec.support.hub_process"
local stores = require "spec.support.stores"

---@class spec.CliHub
---@field path string of the folder
---@field process table? the hub that was started last, spec/support/hub_process.lua
local M = {}
M.__index = M

--- An empty folder, and no hub yet.
---@return spec.CliHub
function M.new()
  return setmetatable({ path = stores.folder() }, M)
end

--- Write a file of the folder; its path. What is not a text is written as JSON.
function M:write(name, value)
  local path = self.path .. "/" .. name
  stores.write(path, type(value) == "string" and value or dm.json.encode(value))
  return path
end

--- Start `directmethods hub`; what its ready file says.
---@param words string[] further arguments
---@param before string[]? a command that is to run it
function M:start(words, before)
  self.process = hub_process.start(self.path, words, before)
  return self.process:serves().facts
end

--- Stop it by a signal and wait for its end: dm.exec's result.
function M:stop()
  self.process:kill "sigterm"
  return self.process:ended()
end

--- End it whatever it does, and remove the folder.
function M:close()
  if self.process then self.process:close() end
  stores.remove(self.path)
end

return M
