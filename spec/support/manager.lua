--- A service manager for specs: a datagram socket that keeps what services tell it.

local dm = require "directmethods"
local stores = require "spec.support.stores"

local M = {}
M.__index = M

-- Writes each datagram and a form feed.
local PROGRAM = [[
import socket, sys
name, kept = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + name[1:] if name[0] == "@" else name)
with open(kept, "wb", 0) as file:
    while True:
        file.write(s.recv(4096) + b"\f")
]]

--- Start one; to be closed.
---@param folder string the spec's own
---@param name string? of its socket; default: a path in the folder
function M.start(folder, name)
  local self = setmetatable({ name = name or folder .. "/notify" }, M)
  self.kept = folder .. "/notified"
  self.child = dm.spawn(dm.exec, { "python3", "-c", PROGRAM, self.name, self.kept },
    { timeout = 60 })
  assert(dm.wait_until(function() return io.open(self.kept) end, 20)):close()
  return self
end

--- The messages so far.
---@return string[]
function M:messages()
  local list = {}
  for text in stores.read(self.kept):gmatch("([^\f]*)\f") do list[#list + 1] = text end
  return list
end

--- Wait until there are so many messages that match a pattern; the last of them.
function M:wait(pattern, count)
  local found
  local function is_there()
    local n = 0
    for _, text in ipairs(self:messages()) do
      if text:find(pattern) then n, found = n + 1, text end
    end
    return n >= (count or 1)
  end
  if dm.wait_until(is_there, 20) then return found end
  error(("not %q: %q"):format(pattern, table.concat(self:messages(), "|")), 2)
end

function M:__close()
  self.child:cancel()
end

return M
