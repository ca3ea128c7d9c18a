--- A hub, its service and its devices for a test, and one end for all of them.

local core = require "directmethods.core"
local dm = require "directmethods.api"
local expected = require "directmethods.testing.expected"
local left = require "directmethods.testing.left"
local matchers = require "directmethods.testing.matchers"
local options = require "directmethods.options"
local trace = require "directmethods.testing.trace"

local M = {}

local PATIENCE = 5 -- seconds of real time for hub and devices to end

---@class directmethods.Testing
---@field hub directmethods.Hub
---@field service directmethods.Service
local Kit = { __name = "directmethods.testing" }
Kit.__index = Kit

-- Open kits, weak; one table for a Lua state, however often this file is loaded.
core.state.kits = core.state.kits or setmetatable({}, { __mode = "k" })

function Kit:__tostring()
  return ("directmethods.testing (%s)"):format(self.closed and "closed" or "open")
end

local function check_open(kit, what)
  options.check_self(kit, Kit, what, 1)
  if kit.closed then error(what .. ": attempt to use a closed test kit", 3) end
end

-- What fn returns; what it raises, and its nil, err, is raised at the caller of the
-- function that calls this.
local function must(what, fn, ...)
  local ok, value, err = pcall(fn, ...)
  if ok and value ~= nil then return value end
  if ok then error(("%s: %s"):format(what, err), 3) end
  error(type(value) == "string" and value:gsub("^[^\n]-:%d+: ", "") or value, 3)
end

--- Start a hub and a service for it.
--- ```lua
--- local t <close> = require "directmethods.testing".new { tls = false }
--- t:device("fan", { set_speed = function() return 200 end })
--- assert(t.service:invoke("fan", "set_speed", { speed = 40 }))
--- ```
---@param opts directmethods.HubOptions? those of dm.hub
---@return directmethods.Testing
function M.new(opts)
  local before = left.before()
  local hub = must("testing.new", dm.hub, opts)
  local kit = setmetatable({
    hub = hub,
    service = must("testing.new", hub.service, hub),
    before = before,
    began = dm.time(),
    expected = {},
    closed = false,
  }, Kit)
  core.state.kits[kit] = true
  return kit
end

--- A device of the hub, registered and connected. Raises if it cannot connect.
--- ```lua
--- t:device("fan", { set_speed = function(request) return 200, request.payload end })
--- t:device("lamp", { on = { { status = 503 }, { status = 200 } } })  -- no code
--- ```
---@param id string "fan", or "fan/motor" for a module
---@param handlers table<string, directmethods.Handler|directmethods.Canned>?
---@param opts table? more options of dm.device
---@return directmethods.Device
function Kit:device(id, handlers, opts)
  check_open(self, "testing:device")
  local device = must("testing:device", self.hub.device, self.hub, id, handlers, opts)
  local connected = must("testing:device", device.connect, device)
  return connected
end

--- The calls that have ended, as hub:calls.
---@param filter directmethods.CallFilter?
---@return directmethods.HubCall[]
function Kit:calls(filter)
  check_open(self, "testing:calls")
  local calls = must("testing:calls", self.hub.calls, self.hub, filter)
  return calls
end

--- Move the clock, as dm.advance.
---@param seconds number
function Kit:advance(seconds)
  check_open(self, "testing:advance")
  options.check_seconds(seconds, "testing:advance", "seconds")
  dm.advance(seconds)
end

--- Have the hub do wrong, as hub:fault.
---@param rule directmethods.FaultRule
---@return directmethods.Fault
function Kit:fault(rule)
  check_open(self, "testing:fault")
  local fault = must("testing:fault", self.hub.fault, self.hub, rule)
  return fault
end

--- The calls that have ended, as text for a message.
---@return string
function Kit:trace()
  check_open(self, "testing:trace")
  if not self.hub.state.open then return "the test has closed the hub" end
  return trace.text(self.hub:calls(), self.hub:metrics().calls_under_way, self.began)
end

--- Has this call reached the device since the kit was made?
---@param device string "fan", or "fan/motor" for a module
---@param method string
---@param payload any nil: any; else what was sent must be equal
---@return boolean
function Kit:called(device, method, payload)
  check_open(self, "testing:called")
  local call = expected.new(device, method, payload, 0, "testing:called")
  return expected.find(call, self.hub:calls()) ~= nil
end

--- From now on, this call must reach the device before the kit is closed: once for each
--- time it is expected. Else testing:close raises.
--- ```lua
--- t:expect_call("fan", "set_speed", { speed = 40 })
--- ```
---@param device string "fan", or "fan/motor" for a module
---@param method string
---@param payload any nil: any; else what was sent must be equal
function Kit:expect_call(device, method, payload)
  check_open(self, "testing:expect_call")
  local calls = self.hub:calls()
  local latest = calls[#calls]
  table.insert(self.expected, expected.new(device, method, payload,
    latest and latest.id or 0, "testing:expect_call"))
end

-- Ending -------------------------------------------------------------------

-- What was expected and not seen.
local function look_at_calls(kit, problems)
  if not kit.expected[1] then return end
  if not kit.hub.state.open then
    return table.insert(problems, "calls were expected, and the test closed the hub")
  end
  local missing = expected.missing(kit.expected, kit.hub:calls())
  for _, each in ipairs(missing) do
    table.insert(problems, "expected call not seen: " .. expected.text(each))
  end
  if missing[1] then table.insert(problems, kit:trace()) end
end

local function close_all(kit, problems)
  local hub = kit.hub
  local devices = {}
  for device in pairs(hub.state.devices) do devices[#devices + 1] = device end
  hub:close()
  for _, device in ipairs(devices) do
    local gone, err = device:closed(PATIENCE)
    if not gone then
      table.insert(problems, ("%s is not gone: %s"):format(device.name, err))
    end
  end
  local gone, err = hub:closed(PATIENCE)
  if not gone then table.insert(problems, ("the hub is not gone: %s"):format(err)) end
end

-- Close all; what is wrong with the test.
local function finish(kit)
  local problems = {}
  dm.advance(0) -- what has begun goes as far as it can
  look_at_calls(kit, problems)
  kit.closed = true
  core.state.kits[kit] = nil
  close_all(kit, problems)
  dm.advance(0)
  left.look(kit.before, problems)
  return problems
end

--- Close the service, the devices and the hub, and wait for their end. Raises for calls
--- that were expected and not seen, for tasks and handles that are left, and for errors
--- of tasks and handlers that nobody awaited (see dm.errors). Silent the second time.
function Kit:close()
  options.check_self(self, Kit, "testing:close")
  if self.closed then return end
  local problems = finish(self)
  if problems[1] then
    error("testing:close: " .. table.concat(problems, "\n"), 2)
  end
end

--- The end of a block. An error that ends the block is not replaced by another.
function Kit.__close(kit, err)
  if kit.closed then return end
  local problems = finish(kit)
  if problems[1] and err == nil then
    error("testing:close: " .. table.concat(problems, "\n"), 0)
  end
end

matchers.register()

return M
