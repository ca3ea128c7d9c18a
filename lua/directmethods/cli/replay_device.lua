--- `directmethods replay --as-device`: connects as the devices of a recording and
-- answers calls from it.

local command = require "directmethods.cli.command"
local dm = require "directmethods"
local identity_name = require "directmethods.identity_name"
local json = require "directmethods.json"
local names_of = require "directmethods.cli.names"
local signals = require "directmethods.cli.signals"
local targets = require "directmethods.cli.target"

local M = {}

local TIMEOUT = 30 -- seconds within which each device must be online

-- Answers ----------------------------------------------------------------------

-- A text that is the same for equal values, whatever the order of their members.
local function key_of_value(value)
  if value == nil or value == json.null then return "null" end
  if type(value) ~= "table" then
    local integer = math.tointeger(value)
    return type(value) == "string" and json.encode(value) or tostring(integer or value)
  end
  local parts = {}
  for i, name in ipairs(names_of(value)) do
    parts[i] = key_of_value(name) .. ":" .. key_of_value(value[name])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function key_of_text(text)
  if text == nil or text == "" then return "null" end
  local value, err = json.decode(text)
  return err and text or key_of_value(value)
end

-- The recorded calls of one method: all in their order, and by payload.
local Answers = {}
Answers.__index = Answers

local function new_answers()
  return setmetatable({ all = { next = 1 }, by_payload = {}, used = {} }, Answers)
end

function Answers:add(call)
  local key = key_of_text(call.payload)
  self.by_payload[key] = self.by_payload[key] or { next = 1 }
  table.insert(self.by_payload[key], call)
  table.insert(self.all, call)
end

-- The next call of a list that was not used, or else the last one.
function Answers:take(list)
  while list[list.next] and self.used[list[list.next]] do list.next = list.next + 1 end
  local call = list[list.next] or list[#list]
  self.used[call] = true
  return call
end

--- The recorded call that answers this one: the next with the same payload, else the
-- next one of the method.
function Answers:find(body)
  return self:take(self.by_payload[key_of_text(body)] or self.all)
end

-- The answers of each method by device ("device" or "device/module"). Calls that no
-- device answered have none.
local function answers_by_device(recording, only)
  local devices, names = {}, {}
  for _, call in ipairs(recording.calls) do
    local name = identity_name(call.device, call.module)
    if call.answer.status and (not only or name == only) then
      if not devices[name] then names[#names + 1] = name end
      devices[name] = devices[name] or {}
      devices[name][call.method] = devices[name][call.method] or new_answers()
      devices[name][call.method]:add(call)
    end
  end
  return devices, names
end

-- Devices ----------------------------------------------------------------------

local function handler_of(args, name, method, answers)
  return function(request)
    local call = answers:find(request.body)
    command.note(args, ("%s %s: line %d"):format(name, method, call.line))
    if args.delays and call.elapsed > 0 then
      dm.sleep(call.elapsed / (args.speed or 1))
    end
    return call.answer.status, call.answer.payload and json.raw(call.answer.payload)
  end
end

local function handlers_of(args, name, methods)
  local handlers = {}
  for method, answers in pairs(methods) do
    handlers[method] = handler_of(args, name, method, answers)
  end
  return handlers
end

local function new_device(args, name, methods)
  local options = targets.device(args, name)
  options.handlers = handlers_of(args, name, methods)
  options.engine = "uv"
  local device = command.try(dm.device, options)
  device:on("state", function(new, _, why)
    if new == "connecting" then return end
    command.note(args, ("%s %s%s"):format(name, new, why and ": " .. tostring(why)
      or ""))
  end)
  return device
end

--- Run the devices until SIGINT or SIGTERM.
---@param args table
---@param recording directmethods.Recording
function M.run(args, recording)
  local only = args.as_device[1]
  local devices, names = answers_by_device(recording, only)
  if not names[1] then
    command.fail(command.USAGE, ("%s: has no answers of %s"):format(args.file,
      only or "devices"))
  end
  local running = {}
  local _ <close> = setmetatable({}, {
    __close = function()
      for _, device in ipairs(running) do device:close() end
    end,
  })
  local stopped = signals.unless_stopped(function()
    for i, name in ipairs(names) do
      running[i] = new_device(args, name, devices[name])
      command.try(running[i].connect, running[i], TIMEOUT)
    end
  end)
  if not stopped then signals.wait() end
end

return M
