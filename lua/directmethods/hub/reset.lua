--- hub:reset: back to what a hub was when it began.

local class = require "directmethods.hub.class"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local problems = require "directmethods.hub.problems"
local task = require "directmethods.task"
local time = require "directmethods.time"

local Hub, check_open = class.Hub, class.check_open

local PAGE = 50 -- devices that are removed at a time

-- Remove one page of devices; how many there were, or nil and a problem.
local function remove_page(state)
  local page, err = state.store:devices(nil, PAGE)
  if not page then return nil, problems.unavailable(err) end
  if not page[1] then return 0 end
  local _, problem = state.registry:change(page, function(changes)
    for _, record in ipairs(page) do
      -- another request may have removed it meanwhile: that is no problem
      state.registry:decide_remove(changes, record.device_id)
    end
  end)
  if problem then return nil, problem end
  return #page
end

-- Remove all devices. `pause`, if there is one, is called between pages of them.
local function remove_devices(state, pause)
  repeat
    local count, problem = remove_page(state)
    if not count then
      return nil, errors.new {
        name = problem.name, code = problem.code, message = problem.text,
      }
    end
    if pause and count == PAGE then pause() end
  until count < PAGE
  return true
end

-- Remove jobs before devices, so that no job calls a device that is about to go.
local function clear(state, keeps_devices, pause)
  local done, err = state.jobs:reset()
  if not done or keeps_devices then return done, err end
  return remove_devices(state, pause)
end

local RESET = { keep = { "string", choices = { "devices" } } }

--- Back to what it was when it began: devices and modules with their twins, rules for
-- faults, jobs, calls, messages and what was counted are gone, connections of devices
-- closed, calls under way failed. Ports, certificates, policies with their keys, and
-- functions of hub:on stay. It waits: the loop goes on between pages of devices.
--- With keep = "devices", devices and modules stay as they are, with their twins and
--- connections; calls to them go on.
--- ```lua
--- before_each(function() assert(hub:reset { keep = "devices" }) end)
--- ```
--- While other hubs of its cluster live, nothing is done: they have the same devices
--- and jobs.
---@param opts { keep: "devices"? }?
---@return boolean? done
---@return directmethods.Error? err the store does not let go, or the hub was closed;
---  Conflict: another hub of the cluster lives
function Hub:reset(opts)
  check_open(self, "hub:reset")
  local keep = options.check(opts, RESET, "hub:reset").keep
  task.current("hub:reset")
  local state = self.state
  local refused = state.cluster and state.cluster:refusal("hub:reset")
  if refused then return nil, refused end
  if state.admin and not keep then state.admin.clients:close() end
  local done, err = clear(state, keep, function() time.sleep(0) end)
  if done then done, err = clear(state, keep) end -- what came meanwhile
  if not state.open then
    return nil, errors.new { name = "Closed", message = "the hub was closed" }
  elseif not done then
    return nil, err
  end
  self:clear_faults()
  state.plane:forget()
  state.streams:reset()
  if state.on_reset then state.on_reset(keep) end
  return true
end

return Hub
