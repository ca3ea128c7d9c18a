--- Watchers of calls that have ended: the function of hub:on, tasks that wait for a
-- call, and recordings. The data plane makes records only while there is a watcher.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

local WAITS_MAX = 1000

---@class directmethods.CallWatchers
local Watchers = {}
Watchers.__index = Watchers

--- `plane` is the C hub.
---@return directmethods.CallWatchers
function M.new(plane)
  return setmetatable({ plane = plane, waits = {}, count = 0, sinks = {} }, Watchers)
end

local function watch(self)
  if self.closed then return end
  self.plane:watch_calls(self.fn ~= nil or self.count > 0 or next(self.sinks) ~= nil)
end

--- Spawn a task for each call that ends; nil: no longer.
---@param fn fun(call: directmethods.HubCall)?
function Watchers:on(fn)
  self.fn = fn
  watch(self)
end

--- Call sink(call) for each call that ends, at once and not as a task.
---@param sink fun(call: directmethods.HubCall) that neither waits nor raises
function Watchers:add_sink(sink)
  self.sinks[sink] = true
  watch(self)
end

--- Calls end without this sink from now on; harmless when it is none.
---@param sink fun(call: directmethods.HubCall)
function Watchers:remove_sink(sink)
  self.sinks[sink] = nil
  watch(self)
end

local function drop(self, id)
  self.waits[id] = nil
  self.count = self.count - 1
end

local function finish(self, id, ...)
  drop(self, id)
  task.finish(id, ...)
  core.free_id(id)
end

--- A call has ended.
---@param call directmethods.HubCall
function Watchers:tell(call)
  for sink in pairs(self.sinks) do sink(call) end
  if self.fn then task.spawn(self.fn, call) end
  for id, fits in pairs(self.waits) do
    if fits(call) then finish(self, id, call) end
  end
  watch(self)
end

--- May one more wait?
---@return boolean
function Watchers:has_room()
  return self.count < WAITS_MAX
end

--- Wait for the next call that fits; nil: the time is over, or the hub ends.
---@param fits fun(call: directmethods.HubCall): boolean
---@param timeout number seconds
---@return directmethods.HubCall?
function Watchers:wait(fits, timeout)
  if self.stopped then return nil end
  local id = core.new_id()
  self.waits[id] = fits
  self.count = self.count + 1
  watch(self)
  return (task.wait(id, function()
    drop(self, id)
    core.free_id(id)
    watch(self)
  end, timeout))
end

--- Let no task wait from now on: they get nil. The function of hub:on is told on.
function Watchers:stop()
  self.stopped = true
  for id in pairs(self.waits) do finish(self, id) end
end

--- Tell nobody anything from now on.
function Watchers:close()
  self.fn = nil
  self.sinks, self.closed = {}, true
  self:stop()
end

return M
