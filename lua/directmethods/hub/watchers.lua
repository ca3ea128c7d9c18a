--- Watchers of what the data plane tells, calls that have ended or events of devices:
-- the function of hub:on, tasks that wait, and sinks such as recordings. The data plane
-- tells only while there is a watcher.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

local WAITS_MAX = 1000

---@class directmethods.HubWatchers
local Watchers = {}
Watchers.__index = Watchers

--- Watchers of one kind of record.
---@param want fun(wanted: boolean) has the data plane tell, or not
---@return directmethods.HubWatchers
function M.new(want)
  return setmetatable({ want = want, waits = {}, count = 0, sinks = {} }, Watchers)
end

local function watch(self)
  if self.closed then return end
  self.want(self.fn ~= nil or self.count > 0 or next(self.sinks) ~= nil)
end

--- Spawn a task for each record; nil: no longer.
---@param fn fun(record: table)?
function Watchers:on(fn)
  self.fn = fn
  watch(self)
end

--- Call sink(record) for each record, at once and not as a task.
---@param sink fun(record: table) that neither waits nor raises
function Watchers:add_sink(sink)
  self.sinks[sink] = true
  watch(self)
end

--- Records do not reach this sink from now on; harmless when it is none.
---@param sink fun(record: table)
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

--- The data plane has told something.
---@param record directmethods.HubCall|directmethods.HubDeviceEvent
function Watchers:tell(record)
  for sink in pairs(self.sinks) do sink(record) end
  if self.fn then task.spawn(self.fn, record) end
  for id, fits in pairs(self.waits) do
    if fits(record) then finish(self, id, record) end
  end
  watch(self)
end

--- May one more wait?
---@return boolean
function Watchers:has_room()
  return self.count < WAITS_MAX
end

--- Wait for the next record that fits; nil: the time is over, or the hub ends.
---@param fits fun(record: table): boolean
---@param timeout number seconds
---@return table?
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
