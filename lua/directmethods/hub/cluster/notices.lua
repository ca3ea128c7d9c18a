--- What hubs that share a database notify each other of: hub/postgres_shared.lua has
-- the texts. Pure.

local M = {}

---@class directmethods.ClusterHandlers
---@field changed fun(kind: "i"|"s"|"j") see hub/postgres_shared.lua
---@field ended fun(hub: string)
---@field desired fun(device_id: string, module_id: string?, version: integer,
---  text: string)
---@field listening fun() notices may have been missed before
---@field tick fun() each second of real time

local KINDS = {}

local function changed(handlers, kind)
  handlers.changed(kind)
end
KINDS.i, KINDS.s, KINDS.j = changed, changed, changed

function KINDS.h(handlers, _, rest)
  handlers.ended(rest)
end

-- The parts of a text come one behind the other, as one commit has sent them.
function KINDS.d(handlers, _, rest)
  local part, parts, version, device, module, text =
    rest:match("^(%d+)/(%d+) (%d+) ([^ /]+)/([^ /]*) (.*)$")
  if not part then return end
  part = math.tointeger(tonumber(part))
  if part == 1 then handlers.parts = {} end
  local kept = handlers.parts
  if not kept or #kept ~= part - 1 then return end -- it was not listening before
  kept[part] = text
  if part < tonumber(parts) then return end
  handlers.parts = nil
  handlers.desired(device, module ~= "" and module or nil, math.tointeger(
    tonumber(version)), table.concat(kept))
end

local EVENTS = {}

function EVENTS.notice(handlers, payload)
  local kind, rest = payload:match("^(%l) ?(.*)$")
  if KINDS[kind] then KINDS[kind](handlers, kind, rest) end
end

function EVENTS.listening(handlers)
  handlers.listening()
end

function EVENTS.tick(handlers)
  handlers.tick()
end

--- The event function of a listener (directmethods.cluster_core).
---@param handlers directmethods.ClusterHandlers
---@return fun(event: string, ...)
function M.handler(handlers)
  return function(event, ...) EVENTS[event](handlers, ...) end
end

return M
