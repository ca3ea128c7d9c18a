--- Tells the system's service manager how this process is: the protocol of
-- sd_notify(3), with the socket in NOTIFY_SOCKET. Without one, nothing happens.

local core = require "directmethods.core"
local files = require "directmethods.cli.files"

local M = {}

-- Variables that only this process may have, and not its children.
local VARIABLES = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" }

local SIGNS = 2 -- of life, in the time that the manager waits for one

---@class directmethods.CliManager
---@field notifier directmethods.Notifier?
---@field watchdog number? seconds within which the manager wants a sign of life
local Manager = {}
Manager.__index = Manager

-- The variables may be for the process that started us.
local function is_ours(pid)
  return not pid or pid == tostring((files.process()))
end

local function watchdog_of(values)
  local period = tonumber(values.WATCHDOG_USEC)
  if not period or period <= 0 or not is_ours(values.WATCHDOG_PID) then return nil end
  return period / 1e6
end

--- Find the manager. Its variables are removed, so that no child gets them.
---@return directmethods.CliManager
function M.open()
  local values = {}
  for _, name in ipairs(VARIABLES) do
    values[name] = os.getenv(name)
    core.forget_variable(name)
  end
  local path = values.NOTIFY_SOCKET
  local manager = { notifier = path and core.notifier(core.loop, path) or nil }
  if manager.notifier then manager.watchdog = watchdog_of(values) end
  return setmetatable(manager, Manager)
end

function Manager:send(lines)
  if self.notifier then self.notifier:send(lines) end
end

--- Report that the process serves. The first call also starts the signs of life.
---@param status string a line for people
function Manager:ready(status)
  self:send("READY=1\nSTATUS=" .. status)
  if not self.watchdog then return end
  self.notifier:watchdog(self.watchdog / SIGNS)
  self.watchdog = nil
end

--- Report that the process reads its configuration again; call `ready` after that.
function Manager:reloading()
  self:send(("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=reloading"):format(core.uptime()))
end

--- Report that the process ends.
---@param why string
function Manager:stopping(why)
  self:send(("STOPPING=1\nSTATUS=stopping (%s)"):format(why))
end

return M
