--- Events of a hub's stream as lines for people.

local logs = require "directmethods.cli.log"

local M = {}

local SHOW = {}

function SHOW.call(call)
  return logs.call_text(call)
end

function SHOW.deleted(event)
  local count = #event.ids
  if count > 1 then return ("%d calls were deleted"):format(count) end
  return ("call %d was deleted"):format(event.ids[1])
end

function SHOW.device(event)
  return logs.device_text(event)
end

function SHOW.fault(event)
  if event.event == "hit" then
    return ("fault %d has acted, %d times in all"):format(event.fault, event.hits)
  end
  local rule = event.rule
  local parts = { ("fault %d %s: %s %s"):format(event.fault, event.event, rule.stage,
    rule.action) }
  for _, name in ipairs { "device", "module", "method" } do
    if rule[name] then parts[#parts + 1] = name .. " " .. logs.word(rule[name]) end
  end
  return table.concat(parts, ", ")
end

function SHOW.job(event)
  return ("job %s %s"):format(logs.word(event.job), event.event)
end

function SHOW.clock(event)
  if event.event == "advanced" then
    return ("the clock was moved by %.14g s"):format(event.seconds)
  end
  return ("the clock runs %.14g times as fast as the real time"):format(event.speed)
end

function SHOW.skipped(event)
  return ("%d events are missing here"):format(event.count)
end

function SHOW.reset()
  return "the hub was reset"
end

SHOW["end"] = function()
  return "the hub stops"
end

--- A line; nil: the event has none.
---@param name string
---@param data table
---@return string?
function M.text(name, data)
  local show = SHOW[name]
  if not show then return nil end
  local at = data.time and os.date("!%T ", math.floor(data.time)) or ""
  return at .. show(data)
end

return M
