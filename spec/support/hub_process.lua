--- A hub in a process of its own, by the command line, to be killed.

local dm = require "directmethods"
local stores = require "spec.support.stores"
local uv = require "luv"

local LUA = os.getenv("LUA") or "lua5.4"
local PATIENCE = 30 -- seconds for the hub to start

local M = {}
M.__index = M

--- Start one. `folder` is the spec's own.
---@param folder string
---@param words string[] further arguments of `directmethods hub`
---@param before string[]? a command that is to run it
function M.start(folder, words, before)
  local self = setmetatable({ ready = folder .. "/ready", folder = folder }, M)
  os.remove(self.ready)
  os.remove(folder .. "/pid")
  local argv = { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath }
  local function add(list)
    for _, word in ipairs(list) do argv[#argv + 1] = word end
  end
  add(before or {})
  add { "sh", "-c", 'echo $$ >"$0"; exec "$@"', folder .. "/pid", LUA,
    "build-aux/directmethods", "hub", "--mqtt-port", "0", "--https-port", "0",
    "--ready-file", self.ready }
  add(words)
  self.child = dm.spawn(dm.exec, argv, { timeout = 60 })
  return self
end

--- Wait until it serves, and read what it says: `facts`.
function M:serves()
  assert(dm.wait_until(function()
    local file = io.open(self.ready)
    if file then file:close() end
    return file or self.child:ended()
  end, PATIENCE))
  assert(not self.child:ended(), function() return self.child:await().stderr end)
  self.facts = assert(dm.json.decode(stores.read(self.ready)))
  return self
end

--- As of a hub of this process, for spec/support/fixture.lua and rest.lua.
function M:ports()
  return self.facts.ports
end

function M:connection_string(name)
  return self.facts.connection_strings[name] or self.facts.devices[name]
end

--- Its process, also before it serves; nil: it has not begun.
function M:pid()
  local file <close> = io.open(self.folder .. "/pid")
  return file and tonumber(file:read("a"):match("%d+"))
end

--- Send it a signal.
function M:kill(signal)
  uv.kill(self:pid(), signal)
end

--- Wait for its end: dm.exec's result.
function M:ended()
  return assert(self.child:await(20))
end

--- End it, whatever it does.
function M:close()
  self.child:cancel()
end

return M
