--- Why a recorded call ended as it did, in sentences: what happened, what to do. Pure.

local errors = require "directmethods.errors"
local identity_name = require "directmethods.identity_name"

local M = {}

---@class directmethods.CallReasons
---@field cause string what happened
---@field remedy string what to do

local REMOVE_RULE = "Remove the rule, unless it is what you test."

local STATUSES = {
  [500] = { "The device's handler of the method raised an error.",
    "Read the device's log: it says which error, and where." },
  [501] = { "The device has no handler for this method.",
    "Check the method's name, whose case counts, and the device's handlers." },
}

local NOT_THERE = {
  ["not registered"] = { "{who} is not registered at this hub.",
    "Check the id, or register it: directmethods hub --device {who}." },
  ["disabled"] = { "{who} is disabled.", "Enable it." },
  ["not connected"] = { "{who} is not connected.",
    "Start the device, or give the call a connect timeout to wait for it." },
  ["not subscribed"] = { "{who} is connected, but it has not subscribed to methods.",
    "Let the device register a handler: the SDKs subscribe with the first one." },
}

local WORDS = {
  connected = "it connected", disconnected = "it was disconnected",
  refused = "its connection was refused", taken_over = "another connection took over",
  subscribed = "it subscribed to methods", unsubscribed = "it left methods",
}

local function who_of(call)
  return identity_name(call.device_id, call.module_id)
end

-- The last event before the call, as a sentence; "": there is none.
local function last_event(call, history)
  local last
  for _, event in ipairs(history) do
    local mine = event.module_id == call.module_id
    if mine and event.time <= call.time and WORDS[event.event] then last = event end
  end
  if not last then return "" end
  return (" %s %.1f s before%s."):format(WORDS[last.event]:gsub("^i", "I")
    :gsub("^a", "A"), call.time - last.time, last.text and ": " .. last.text or "")
end

local function by_rule(call)
  return call.faults and (" A fault rule acted: %s."):format(
    table.concat(call.faults, ", ")) or ""
end

local function timed_out(call)
  local who, seconds = who_of(call), call.response_timeout or call.elapsed
  local cause
  if call.stages.answered then
    cause = ("%s answered after %.1f ms, but the answer was not passed on within %g s.")
      :format(who, call.stages.answered * 1000, seconds)
  elseif call.stages.published then
    cause = ("%s got the request after %.1f ms and did not answer within %g s.")
      :format(who, call.stages.published * 1000, seconds)
  else
    cause = ("The request was not sent to %s within %g s."):format(who, seconds)
  end
  if call.faults then return cause, REMOVE_RULE end
  return cause, "Make the method answer sooner or raise the response timeout. It may "
    .. "have run."
end

local function not_there(call, history)
  local cause, remedy = table.unpack(NOT_THERE[call.reason])
  local who = who_of(call):gsub("%%", "%%%%")
  local waited = (call.connect_timeout or 0) > 0
    and (" The call waited %d s for it."):format(call.connect_timeout) or ""
  return cause:gsub("{who}", who) .. last_event(call, history) .. waited,
    (remedy:gsub("{who}", who))
end

local OUTCOMES = {
  Answered = function(call)
    return table.unpack(STATUSES[call.status] or {})
  end,
  GatewayTimeout = timed_out,
  CallerGone = function()
    return "The caller closed its connection before the answer came.",
      "Let the caller wait for longer than the response timeout."
  end,
  Rejected = function()
    return "A fault rule answered in the place of the hub.", REMOVE_RULE
  end,
}

local function causes(call, history)
  if OUTCOMES[call.outcome] then return OUTCOMES[call.outcome](call) end
  if NOT_THERE[call.reason] then return not_there(call, history) end
  local entry = errors.codes[call.code] or errors.names[call.outcome]
  if entry then return entry.cause, entry.remedy end
  return call.outcome .. ".", ""
end

--- Why a call ended as it did; nil: it was answered, and there is nothing to tell.
---@param call directmethods.HubCall
---@param history directmethods.HubDeviceEvent[] of its device
---@return directmethods.CallReasons?
function M.of(call, history)
  local cause, remedy = causes(call, history)
  if not cause then return nil end
  return { cause = cause .. by_rule(call), remedy = remedy }
end

return M
