--- Which calls a test expects, and which of them a hub has seen.

local json = require "directmethods.json"
local options = require "directmethods.options"
local tables = require "directmethods.tables"
local trace = require "directmethods.testing.trace"

local M = {}

---@class directmethods.testing.Expected
---@field device_id string
---@field module_id string?
---@field method string
---@field payload any   nil: any
---@field after integer id of the latest call before it was expected

-- The value as its receiver decodes it; raises if JSON cannot represent it.
local function as_received(payload, what)
  if payload == nil then return nil end
  local text, wrong = json.try_encode(payload, "payload")
  if not text then error(("%s: %s"):format(what, wrong), 4) end
  return json.decode(text)
end

--- Read the arguments that name a call; raises at the caller of the function that
--- calls this.
---@return directmethods.testing.Expected
function M.new(device, method, payload, after, what)
  if type(device) ~= "string" then
    options.fail(what, "device", options.no_text(device), 1)
  elseif type(method) ~= "string" then
    options.fail(what, "method", options.no_text(method), 1)
  end
  local device_id, module_id = device:match("^([^/]*)/(.*)$")
  return {
    device_id = device_id or device,
    module_id = module_id,
    method = method,
    payload = as_received(payload, what),
    after = after,
  }
end

-- Did the call reach the device, as expected?
local function is_it(expected, call)
  return call.id > expected.after
    and call.stages.published ~= nil
    and call.device_id == expected.device_id
    and call.module_id == expected.module_id
    and call.method == expected.method
    and (expected.payload == nil
      or tables.equal(expected.payload, call.payload and json.decode(call.payload)))
end

--- The first of these calls that is the expected one.
---@param expected directmethods.testing.Expected
---@param calls directmethods.HubCall[]
---@param taken table<integer, boolean>? places of calls that count for another
---@return integer? place
function M.find(expected, calls, taken)
  for place, call in ipairs(calls) do
    if not (taken and taken[place]) and is_it(expected, call) then return place end
  end
end

--- The expected calls that are not among these; each call counts for one.
---@param list directmethods.testing.Expected[]
---@param calls directmethods.HubCall[]
---@return directmethods.testing.Expected[]
function M.missing(list, calls)
  local taken, missing = {}, {}
  local function take(any)
    for _, each in ipairs(list) do
      if (each.payload == nil) == any then
        local place = M.find(each, calls, taken)
        if place then taken[place] = true else missing[#missing + 1] = each end
      end
    end
  end
  take(false)
  take(true) -- any payload will do, so what the others need is taken already
  return missing
end

---@param expected directmethods.testing.Expected
---@return string
function M.text(expected)
  local name = trace.name(expected.device_id, expected.module_id, expected.method)
  if expected.payload == nil then return name end
  return name .. " " .. trace.show(expected.payload)
end

return M
