--- Which targets of a job can be called now, and why one was not called.

local M = {}

--- What IoT Hub says of a device that has not come.
M.TOO_LATE = "Timed out waiting for device to connect."
local NOT_REACHED = "The job's time was over before the device was called."

--- Can the target be called now? If its device was removed or disabled, it is called,
--- so that its device job fails; if the device is only offline, the job waits for it.
---@param jobs directmethods.Jobs
---@param target directmethods.FoundTarget
---@return boolean
function M.can_be_called(jobs, target)
  local _, is_subscribed = jobs.plane:connected(target.device_id, target.module_id)
  return is_subscribed or not target.is_usable
end

--- Shall this hub call the target now? Each hub of a cluster calls the targets that are
--- connected to it. The owner of the job calls those that are connected to no hub, so
--- that their device jobs fail.
---@param run directmethods.Run
---@param target directmethods.FoundTarget
---@param hold boolean the job waits for devices that are away
---@return boolean
function M.is_to_call(run, target, hold)
  local jobs = run.jobs
  if not jobs.cluster then return not hold or M.can_be_called(jobs, target) end
  local is_connected, is_subscribed, _, _, is_here = jobs.plane:connected(
    target.device_id, target.module_id)
  if is_here and (is_subscribed or not hold) then return true end
  if not run.is_owner then return false end
  if hold then return not target.is_usable end
  return not is_connected
end

--- Has the job waited for it? Its device has come since the job's start.
---@param jobs directmethods.Jobs
---@param target directmethods.FoundTarget
---@param start integer unix ms
---@return boolean
function M.was_held(jobs, target, start)
  local _, is_subscribed, changed =
    jobs.plane:connected(target.device_id, target.module_id)
  return is_subscribed and changed * 1000 > start
end

--- The end of a device job whose target will not be called.
---@param run directmethods.Run
---@param is_away boolean its device is not there
---@return directmethods.RowEnd
function M.end_uncalled(run, is_away)
  if run.over ~= "expired" then return { status = "canceled" } end
  if is_away then
    return { status = "failed", code = "DeviceNotOnline", text = M.TOO_LATE }
  end
  return { status = "failed", code = "Timeout", text = NOT_REACHED }
end

return M
