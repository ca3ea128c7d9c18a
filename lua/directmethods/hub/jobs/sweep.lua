--- Going through all rows of a run: what is not to be called any more ends, and so
-- does what a hub before this one has called and not seen the end of.

local M = {}

--- What IoT Hub says of a device that has not come.
M.TOO_LATE = "Timed out waiting for device to connect."
local NOT_REACHED = "The job's time was over before the device was called."
local UNKNOWN = "The hub ended while the call was under way: whether the device has "
  .. "run it is not known."

local function ended_row(run, row, status, code, text)
  local copy = {}
  for name, value in pairs(row) do copy[name] = value end
  copy.status, copy.error_code, copy.error_text = status, code, text
  copy.ended = run.jobs:now()
  copy.updated = copy.ended
  return copy
end

-- What a row that nobody is to call any more becomes.
local function swept(run, row)
  if run.over == "cancelled" then return ended_row(run, row, "canceled") end
  if run:can_be_called(row) then
    return ended_row(run, row, "failed", "Timeout", NOT_REACHED)
  end
  return ended_row(run, row, "failed", "DeviceNotOnline", M.TOO_LATE)
end

-- The row that takes the place of this one; nil: it stays.
local function sweep_row(run, row, draft)
  if row.status == "pending" and run.over then
    draft.pending = draft.pending - 1
    if run.over == "expired" then draft.failed = draft.failed + 1 end
    return swept(run, row)
  elseif row.status == "running" and not run:is_flying(row) then
    draft.running, draft.failed = draft.running - 1, draft.failed + 1
    return ended_row(run, row, "failed", "UnknownOutcome", UNKNOWN)
  end
end

--- Go through all rows. `done` is called with the last of them behind it.
---@param run directmethods.Run
---@param done fun(last: { job_id: string, device_id: string, module_id: string? })
function M.run(run, done)
  local after = run:before_first()
  run:work(function()
    local page, more = run:rows_behind(after)
    if not page then return nil end
    local rows, draft = {}, run:draft()
    for _, row in ipairs(page) do rows[#rows + 1] = sweep_row(run, row, draft) end
    if rows[1] and not run:keep(rows, draft) then return nil end
    after = page[#page] or after
    if not more then done(after) end
    return more
  end)
end

--- End what was not called: its time is over, or it was cancelled.
---@param run directmethods.Run
function M.finish(run)
  M.run(run, function()
    if run.job.ended then return end
    local draft = run:draft()
    draft.selected = true
    if run:keep({}, draft) then return end
    run:retry(function() M.finish(run) end)
  end)
end

return M
