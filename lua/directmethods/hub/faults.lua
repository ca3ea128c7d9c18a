--- Rules for faults, as Lua code makes them; the data plane acts on them.

local class = require "directmethods.hub.class"
local errors = require "directmethods.errors"
local fault_rule = require "directmethods.hub.fault_rule"
local identity_name = require "directmethods.identity_name"
local options = require "directmethods.options"
local readable = require "directmethods.hub.readable"
local suggestion = require "directmethods.suggestion"
local tables = require "directmethods.tables"
local task = require "directmethods.task"

local Hub, check_open = class.Hub, class.check_open

local WHAT = "hub:fault"

--- A rule that acts.
---@class directmethods.Fault
---@field hits integer how often it has acted
---@field number integer 1 for the first rule of the hub
---@field rule directmethods.FaultRule what was asked for
---@field warning string? why the rule may never act
local Fault = { __name = "directmethods.Fault" }

local methods = {}

-- The last number is kept for when the rule is gone.
local function count(fault)
  local state = fault.state
  local hits = not state.gone and state.plane:fault_hits(fault.id)
  if hits then fault.last = hits end
  return fault.last
end

function Fault.__index(fault, name)
  if name == "hits" then return count(fault) end
  return methods[name]
end

function Fault:__tostring()
  return ("directmethods.Fault (%d hits)"):format(self.hits)
end

-- For streams of events.
local function tell(state, event, fault)
  state.streams.happenings:add("faults", {
    event = event, fault = fault.number, hits = fault.last,
    rule = readable.copy(fault.rule),
  })
end

--- End it; harmless the second time.
function methods:remove()
  options.check_self(self, Fault, "fault:remove")
  count(self)
  if not self.state.faults[self.number] then return end
  self.state.faults[self.number] = nil
  tell(self.state, "removed", self)
  if not self.state.gone then self.state.plane:remove_fault(self.id) end
end

-- Does the rule name this client of the hub?
local function fits(rule, device)
  return device.state ~= "closed"
    and (not rule.device or rule.device == device.device_id)
    and (not rule.module or rule.module == device.module_id)
end

-- The handlers of the clients that the rule is for, by method; nil: there may be
-- others, whose handlers are not known here.
local function known_handlers(state, rule)
  local handlers, clients = {}, 0
  for device in pairs(state.devices) do
    if fits(rule, device) then
      if device.fallback_handler then return nil end
      for name, handler in pairs(device.handlers) do handlers[name] = handler end
      clients = clients + 1
    end
  end
  local all = rule.device and clients > 0 or clients == state.plane:metrics().identities
  return all and handlers or nil
end

local SHOWN = 128 -- bytes of a name

-- Why a rule may fit nothing, most often because of a misspelt name.
local function warning_of(state, rule)
  local device, method = rule.device, rule.method
  if device and not state.plane:identity(device, rule.module) then
    return ("'%s' is not registered: the rule does nothing until it is"):format(
      identity_name(device, rule.module):sub(1, SHOWN))
  end
  local handlers = method and known_handlers(state, rule)
  if not handlers or handlers[method] then return nil end
  return ("no device has a handler for '%s'%s"):format(method:sub(1, SHOWN),
    suggestion(method, handlers))
end

local function warn(state, rule)
  local warning = warning_of(state, rule)
  if warning then task.report("warn", ("%s: %s"):format(WHAT, warning)) end
  return warning
end

--- Have the hub do wrong: what fits the rule is dropped, delayed, sent twice, cut off
-- or rejected. Rules are asked in the order they were made: delays add up, and the
-- first other one acts. Time is that of the movable clock. The log warns of a rule for
-- a device that is not registered, or for a method that no device has.
--- ```lua
--- local fault = hub:fault { stage = "response", action = "drop", times = 1 }
--- print(hub:service():invoke("dev1", "reboot", nil, { response_timeout = 5 }))
--- print(fault.hits)
--- ```
---@param rule directmethods.FaultRule
---@return directmethods.Fault? fault
---@return directmethods.Error? err there are 1000 rules
function Hub:fault(rule)
  check_open(self, WHAT)
  local checked = fault_rule.read(rule)
  local id, name, message = self.state.plane:fault(checked)
  if not id then return nil, errors.new { name = name, message = message } end
  local state = self.state
  state.last_fault = state.last_fault + 1
  local fault = setmetatable({
    id = id, state = state, last = 0,
    number = state.last_fault,
    rule = tables.copy(rule),
    warning = warn(state, checked),
  }, Fault)
  state.faults[fault.number] = fault
  tell(state, "added", fault)
  return fault
end

--- The rules that act, in the order in which they were made.
--- ```lua
--- for _, fault in ipairs(hub:faults()) do print(fault.rule.stage, fault.hits) end
--- ```
---@return directmethods.Fault[]
function Hub:faults()
  check_open(self, "hub:faults")
  local list = {}
  for _, fault in pairs(self.state.faults) do list[#list + 1] = fault end
  table.sort(list, function(a, b) return a.number < b.number end)
  return list
end

--- End all rules; what they delay goes on in its time.
function Hub:clear_faults()
  check_open(self, "hub:clear_faults")
  for _, fault in pairs(self.state.faults) do
    count(fault)
    tell(self.state, "removed", fault)
  end
  self.state.faults = {}
  self.state.plane:clear_faults()
end

return Hub
