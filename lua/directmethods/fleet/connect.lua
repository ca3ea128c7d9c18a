--- Connects a fleet: a bounded number of devices at a time, at a bounded rate if the
-- user sets one. Functions that devices' states call run inside the loop and never
-- wait.

local connection = require "directmethods.device.connection"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local task = require "directmethods.task"

local M = {}

local WINDOW = 256 -- devices that connect at the same time

---@class directmethods.FleetRun  one fleet:connect
---@field queue directmethods.Device[]  devices to start
---@field next integer       place in it
---@field began number       in seconds of dm.now()
---@field id integer         the wait for the end
---@field progress function?
---@field teller directmethods.Task?  the task that calls progress
---@field told integer       its last number

-- How many devices connect_rate allows to have been started by now.
local function allowance(fleet, run)
  local rate = fleet.connect_rate
  if not rate then return #run.queue end
  return math.floor((core.now() - run.began) * rate) + 1
end

local pump

local function wait_for_allowance(fleet, run)
  local due = run.began + (run.next - 1) / fleet.connect_rate
  run.timer = task.after(math.max(0.001, due - core.now()), function()
    run.timer = nil
    pump(fleet)
  end)
end

-- Start the devices that may start now. A device may fail at once, which calls this
-- again.
function pump(fleet)
  local run = fleet.run
  if not run or run.pumping then return end
  run.pumping = true
  while run.next <= #run.queue and fleet.states.connecting < WINDOW do
    if run.next > allowance(fleet, run) then
      if not run.timer then wait_for_allowance(fleet, run) end
      break
    end
    local device = run.queue[run.next]
    run.next = run.next + 1
    if device.state == "idle" then connection.start(device) end
  end
  run.pumping = false
end

local function is_over(fleet, run)
  local states = fleet.states
  return run.next > #run.queue
    and states.connecting + states.backoff + states.renewing == 0
end

-- Calls of the user's function do not overlap, and the last call has the last number.
local function tell(fleet, run)
  while run.told ~= fleet.states.online do
    run.told = fleet.states.online
    run.progress(run.told, fleet.count)
  end
end

local function tell_soon(fleet, run)
  if not run.progress or run.told == fleet.states.online then return end
  if run.teller and not run.teller:ended() then return end
  if run.teller and run.teller.status ~= "done" then return end
  run.teller = task.spawn(tell, fleet, run)
  run.teller.awaited = true -- at the end
end

--- Called by a device of the fleet when its state has changed.
function M.observe(fleet, device, old)
  local states, run = fleet.states, fleet.run
  states[old] = states[old] - 1
  states[device.state] = states[device.state] + 1
  local start = fleet.starts[device]
  if device.state == "online" and start then
    fleet.connects:record(math.max(0, core.now() - start))
  end
  fleet.starts[device] = device.state == "connecting" and core.now() or nil
  if not run or device.state == "connecting" then return end
  tell_soon(fleet, run)
  pump(fleet)
  if is_over(fleet, run) then task.finish(run.id, "over") end
end

-- The errors of devices that are not online, by name, and the first of these devices.
local function failures(fleet)
  local failed, first = {}, nil
  for _, device in ipairs(fleet.devices) do
    if device.state ~= "online" then
      failed[device.name] = device.last_error
      first = first or device
    end
  end
  return failed, first
end

local function error_of(fleet, timeout)
  local failed, first = failures(fleet)
  local last = first.last_error
  local online = ("%d of %d devices are online"):format(fleet.states.online,
    fleet.count)
  if timeout then online = ("%s after %g s"):format(online, timeout) end
  return errors.new {
    name = timeout and "Timeout" or last and last.name or "Closed",
    message = ("fleet: %s; %s: %s"):format(online, first.name,
      last and last.message or first.why or "it had no time to connect"),
    info = { online = fleet.states.online, failed = failed },
  }
end

-- However the wait ends, stop connecting.
local function finish(run)
  local fleet = run.fleet
  fleet.run = nil
  if run.timer then run.timer.cancel() end
  core.free_id(run.id)
  for _, device in ipairs(fleet.devices) do connection.give_up(device) end
end

local function new_run(fleet, progress)
  local run = setmetatable({
    fleet = fleet, queue = {}, next = 1, began = core.now(), id = core.new_id(),
    progress = progress, told = 0,
  }, { __close = finish })
  for _, device in ipairs(fleet.devices) do
    if device.state == "idle" then table.insert(run.queue, device) end
  end
  return run
end

--- Wait until every device is online or has failed for good.
---@return boolean? online
---@return directmethods.Error? err
function M.connect(fleet, timeout, progress)
  local outcome
  local run = new_run(fleet, progress)
  do
    local _ <close> = run
    fleet.run = run
    pump(fleet)
    outcome = is_over(fleet, run) and "over"
      or task.wait(run.id, function() end, timeout)
  end
  if run.teller then run.teller:await() end
  if progress and run.told ~= fleet.states.online then tell(fleet, run) end
  if fleet.is_closed then
    return nil, errors.new { name = "Closed", message = "the fleet was closed" }
  elseif fleet.states.online == fleet.count then
    return true
  end
  return nil, error_of(fleet, outcome ~= "over" and timeout or nil)
end

--- Start no more devices: the fleet is being closed.
function M.stop(fleet)
  local run = fleet.run
  if not run then return end
  run.next = #run.queue + 1
  task.finish(run.id, "over")
end

return M
