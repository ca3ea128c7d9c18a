--- What happens to a hub beside calls and events of devices, for streams of events:
-- calls are deleted, rules for faults come, act and go, jobs change their status, the
-- clock is moved. Only the latest are kept.

local core = require "directmethods.core"

local M = {}

local KEPT = 500
local JUMP = 0.2 -- seconds that the clock must be ahead of what it should show

---@alias directmethods.HappeningKind "calls"|"faults"|"jobs"|"clock"

---@class directmethods.Happening
---@field id integer 1 for the hub's first
---@field kind directmethods.HappeningKind
---@field time number as dm.time()
---@field data table what a stream tells

---@class directmethods.Happenings
---@field count integer id of the latest
local Happenings = {}
Happenings.__index = Happenings

---@param state directmethods.HubState
---@return directmethods.Happenings
function M.new(state)
  return setmetatable({
    state = state, list = {}, count = 0, hits = {}, acted = 0, clock = nil,
  }, Happenings)
end

--- Something has happened.
---@param kind directmethods.HappeningKind
---@param data table
function Happenings:add(kind, data)
  self.count = self.count + 1
  data.time = core.time()
  self.list[self.count] = {
    id = self.count, kind = kind, time = data.time, data = data,
  }
  self.list[self.count - KEPT] = nil
end

--- What has happened after the entry with this id: the latest entries of these kinds,
-- up to a number, and how many are left out.
---@param after integer
---@param kinds table<string, boolean>
---@param last integer
---@return directmethods.Happening[]
---@return integer missed
function Happenings:after(after, kinds, last)
  local found, first = {}, math.max(after + 1, self.count - KEPT + 1)
  for id = first, self.count do
    if kinds[self.list[id].kind] then found[#found + 1] = self.list[id] end
  end
  local skip = math.max(#found - last, 0)
  return table.move(found, skip + 1, #found, 1, {}), skip + first - after - 1
end

-- Which rules have acted since the last look.
local function look_at_faults(self)
  local state = self.state
  local _, _, acted = state.plane:event_counts()
  if acted == self.acted then return end
  self.acted = acted
  local hits = {}
  for number, fault in pairs(state.faults) do
    hits[number] = fault.hits
    if fault.hits > (self.hits[number] or 0) then
      self:add("faults", { event = "hit", fault = number, hits = fault.hits })
    end
  end
  self.hits = hits
end

-- Was the clock moved, or its speed changed, since the last look?
local function look_at_clock(self)
  local was, now, real, speed = self.clock, core.now(), core.real(), core.speed()
  self.clock = { now = now, real = real, speed = speed }
  if not was then return end
  if speed ~= was.speed then
    return self:add("clock", { event = "speed", speed = speed })
  end
  local ahead = now - was.now - (real - was.real) * speed
  if ahead < JUMP * speed then return end
  local seconds = math.floor(ahead * 1000 + 0.5) / 1000
  self:add("clock", { event = "advanced", seconds = seconds })
end

--- Look for changes that cause no event, such as acts of rules and moves of the clock.
--- Streams call this at each of their ticks.
function Happenings:look()
  look_at_faults(self)
  look_at_clock(self)
end

return M
