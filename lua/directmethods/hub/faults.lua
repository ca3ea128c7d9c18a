--- Rules for faults, as Lua code makes them; the data plane acts on them.

local class = require "directmethods.hub.class"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local readable = require "directmethods.hub.readable"
local tables = require "directmethods.tables"
local task = require "directmethods.task"

local Hub, check_open = class.Hub, class.check_open

local WHAT = "hub:fault"
local SECONDS_MAX = 1e6
local COUNT_MAX = 1 << 53
local UNAVAILABLE = 503001 -- code of a rejection that names none
local CONNACK_UNAVAILABLE = 3

local SPEC = {
  device = { "string", default = "*" },
  module = { "string" },
  method = { "string", default = "*" },
  stage = {
    "string", required = true, choices = { "connect", "http", "request", "response" },
  },
  action = {
    "string",
    required = true,
    choices = { "drop", "delay", "duplicate", "disconnect", "reject" },
  },
  delay = { "number", min = 0.001, max = SECONDS_MAX },
  status = { "integer", min = 200, max = 599 },
  code = { "integer", min = 1, max = 599999 },
  body = { "string", max = 1048576 },
  times = { "integer", min = 1, max = COUNT_MAX },
  after = { "integer", min = 0, max = COUNT_MAX },
  probability = { "number", min = 0, max = 1 },
  seed = { "integer" },
}

---@class directmethods.FaultRule
---@field stage "connect"|"http"|"request"|"response" when a device connects; a
---  caller's request has come; the request goes to the device; its answer has come
---@field action "drop"|"delay"|"duplicate"|"disconnect"|"reject"
---@field device string? id, or "*" for all; default "*"
---@field module string? id; default: devices and modules alike
---@field method string? name, or "*" for all; default "*"
---@field delay number? seconds before it acts; required by "delay"
---@field status integer? of "reject": the HTTP status; default: that of the code
---@field code integer? of "reject": IoT Hub's code, default 503001; at "connect" the
---  CONNACK's, 1 to 5, default 3
---@field body string? of "reject": instead of IoT Hub's error document; without
---  status and code it comes with 200
---@field times integer? act at most so often; default: always
---@field after integer? let so many pass before; default 0
---@field probability number? act on this part of them, chosen at random; default 1
---@field seed integer? of the choice: the same one, the same choices; default 0

-- What does not go together: the option, what is wrong with it, and when.
local MISFITS = {
  { "action", "must not be 'duplicate' at stage 'connect' or 'http'", function(r)
    return r.action == "duplicate" and (r.stage == "connect" or r.stage == "http")
  end },
  { "method", "is not for stage 'connect'", function(r)
    return r.stage == "connect" and r.method ~= "*"
  end },
  { "delay", "is required by action 'delay'", function(r)
    return r.action == "delay" and not r.delay
  end },
  { "delay", "is not for action 'drop'", function(r)
    return r.action == "drop" and r.delay
  end },
  { "seed", "is for use with 'probability'", function(r)
    return r.seed and not r.probability
  end },
  { "code", "must be from 1 to 5 at stage 'connect'", function(r)
    return r.stage == "connect" and r.code and r.code > 5
  end },
  { "code", "must be one of IoT Hub, like 429001", function(r)
    return r.stage ~= "connect" and r.code and r.code < 200000
  end },
}
for _, name in ipairs { "status", "code", "body" } do
  table.insert(MISFITS, 1, { name, "is for action 'reject'", function(r)
    return r[name] and r.action ~= "reject"
  end })
end
for _, name in ipairs { "status", "body" } do
  table.insert(MISFITS, { name, "is not for stage 'connect'", function(r)
    return r.stage == "connect" and r[name]
  end })
end

-- What a rejection says.
local function complete(rule)
  if rule.action ~= "reject" then return end
  if rule.stage == "connect" then
    rule.code = rule.code or CONNACK_UNAVAILABLE
    return
  end
  if rule.body and not rule.code then
    rule.status = rule.status or 200
    return
  end
  rule.code = rule.code or UNAVAILABLE
  rule.status = rule.status or rule.code // 1000
  local entry = errors.codes[rule.code]
  rule.name = entry and entry.name
  rule.text = entry and entry.cause or "A rule for faults rejects it."
end

local function read(rule)
  local checked = options.check(rule, SPEC, WHAT, 1)
  for _, misfit in ipairs(MISFITS) do
    local name, wrong, is_so = table.unpack(misfit)
    if is_so(checked) then
      options.fail(WHAT, ("option '%s'"):format(name), wrong, 1)
    end
  end
  complete(checked)
  for _, field in ipairs { "device", "module", "method" } do
    if checked[field] == "*" then checked[field] = nil end
  end
  checked.probability = checked.probability or 1
  return checked
end

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
    local name = rule.module and device .. "/" .. rule.module or device
    return ("'%s' is not registered: the rule does nothing until it is"):format(
      name:sub(1, SHOWN))
  end
  local handlers = method and known_handlers(state, rule)
  if not handlers or handlers[method] then return nil end
  return ("no device has a handler for '%s'%s"):format(method:sub(1, SHOWN),
    options.did_you_mean(method, handlers))
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
  local checked = read(rule)
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
