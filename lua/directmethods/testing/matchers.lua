--- Matchers for luassert, which busted brings along:
--
--     assert.answered(201, t.service:invoke("fan", "set_speed"))
--     assert.failed_with("DeviceNotOnline", t.service:invoke("fan", "set_speed"))
--     assert.called(t, "fan", "set_speed", { speed = 40 })
--
-- Their messages show the calls that the hubs of open kits have seen.

local core = require "directmethods.core"
local trace = require "directmethods.testing.trace"

local M = {}

local MESSAGE = "directmethods.testing.message"

-- luassert makes the message from the arguments, so it is the only one then.
local function replace(arguments, text)
  for i = 2, arguments.n do arguments[i] = nil end
  arguments[1], arguments.n, arguments.nofmt = text, 1, { true }
end

-- What a matcher returns; when it fails, its message has the traces.
local function judge(state, arguments, holds, text)
  if (not holds) == state.mod then
    local lines = { text }
    for kit in pairs(core.state.kits) do lines[#lines + 1] = kit:trace() end
    replace(arguments, table.concat(lines, "\n"))
  end
  return holds
end

local function outcome_text(reply, err)
  if reply == nil then return "failed with " .. tostring(err) end
  return ("was answered %s %s"):format(reply.status, reply.body)
end

-- assert.answered([status,] reply, err)
local function answered(state, arguments)
  local status, reply, err = table.unpack(arguments, 1, 3)
  if not math.type(status) then status, reply, err = nil, status, reply end
  local holds = reply ~= nil and (status == nil or reply.status == status)
  return judge(state, arguments, holds, ("expected %s answer%s; the call %s"):format(
    state.mod and "an" or "no", status and (" of status %d"):format(status) or "",
    outcome_text(reply, err)))
end

-- assert.failed_with(name or code, reply, err)
local function failed_with(state, arguments)
  local wanted, reply, err = table.unpack(arguments, 1, 3)
  local holds = reply == nil and err ~= nil
    and (err.name == wanted or err.code == wanted)
  return judge(state, arguments, holds, ("expected %s error %s; the call %s"):format(
    state.mod and "the" or "another", wanted, outcome_text(reply, err)))
end

local function is_kit(value)
  local mt = getmetatable(value)
  return type(mt) == "table" and mt.__name == "directmethods.testing"
end

-- luassert's own assert.called, for spies.
local function spied(luassert, say, own, state, arguments, level)
  local holds = own.callback(state, arguments, level + 1)
  if (not holds) == state.mod then
    replace(arguments, say(state.mod and own.positive_message or own.negative_message,
      luassert:format(arguments)))
  end
  return holds
end

-- assert.called(kit, device, method, payload)
local function called(state, arguments)
  local kit, device, method, payload = table.unpack(arguments, 1, 4)
  local text = ("expected %s call of %s.%s%s"):format(state.mod and "a" or "no",
    tostring(device), tostring(method),
    payload == nil and "" or " " .. trace.show(payload))
  return judge(state, arguments, kit:called(device, method, payload), text)
end

--- Register the matchers where luassert is installed.
function M.register()
  local there, luassert = pcall(require, "luassert")
  if not there then return end
  local say = require "say"
  say:set(MESSAGE, "%s")
  luassert:register("assertion", "answered", answered, MESSAGE, MESSAGE)
  luassert:register("assertion", "failed_with", failed_with, MESSAGE, MESSAGE)
  if core.state.assert_called then return end -- busted loads this file again
  local own = require "luassert.namespaces".assertion.called
  core.state.assert_called = own
  luassert:register("assertion", "called", function(state, arguments, level)
    if is_kit(arguments[1]) then return called(state, arguments) end
    return spied(luassert, say, own, state, arguments, level)
  end, MESSAGE, MESSAGE)
end

return M
