--- The changes of twins that jobs make, each a task of its own: the twin, the device
-- job and the counts of the job change in one list of statements.

local counts = require "directmethods.hub.jobs.counts"
local registry = require "directmethods.hub.registry"
local job_store = require "directmethods.hub.jobs.job_store"
local row_store = require "directmethods.hub.jobs.row_store"
local task = require "directmethods.task"
local twins = require "directmethods.hub.twins"

local M = {}

local BROKEN = {
  name = "InternalServerError",
  text = "The hub failed to change the twin; its log says why.",
}

--- A change of one twin that is under way.
---@class directmethods.JobUpdate
---@field run directmethods.Run
---@field target directmethods.FoundTarget
---@field is_done boolean? the store has kept what it came to; else the device job may
---  have been in another state
---@field is_last boolean? and the job has ended with it

-- What ends the device job; the last statement ends its job, too, if nothing is left.
local function end_statements(update, how)
  local jobs, id = update.run.jobs, update.run.job.id
  local now, changes = jobs:now(), counts.new()
  how.started = update.started
  changes:move("pending", how.status)
  return {
    row_store.finish(id, update.target, "pending", how, now),
    job_store.add_counts(id, changes),
    job_store.finish(id, now),
  }
end

local function failed(problem)
  return { status = "failed", code = problem.name, text = problem.text }
end

-- What a change comes to, for Registry:change.
local function decide(update, changes)
  local target, sections = update.target, update.run.update
  local record, problem = registry.find(changes, target.device_id, target.module_id)
  local twin
  if record then
    twin, problem = twins.decide_update(changes, record, sections,
      { condition = sections.condition })
  end
  local statements = end_statements(update,
    twin and { status = "completed" } or failed(problem))
  local last = table.remove(statements)
  for _, statement in ipairs(statements) do changes:add(statement) end
  changes:add(last, function(result) update.is_last = result.changes == 1 end)
  return true
end

local function change(update)
  return update.run.jobs.hub.registry:change({ update.target }, function(changes)
    return decide(update, changes)
  end)
end

local function give_up(update, problem)
  local results = update.run.jobs.db:write(end_statements(update, failed(problem)))
  update.is_last = results and results[#results].changes == 1
  return results ~= nil
end

local function work(update)
  update.started = update.run.jobs:now()
  local ok, done, problem = xpcall(change, debug.traceback, update)
  if ok and not done and problem.is_damage then
    done = give_up(update, problem)
  elseif not ok then
    task.report("error", ("job %s: a twin cannot be changed: %s"):format(
      update.run.job.id, done))
    done = give_up(update, BROKEN)
  end
  update.is_done = done
end

local HOOKS = {}

function HOOKS.on_end(update)
  update.on_end(update)
end

--- Change the twin of a target. `on_end(update)` is called when the task has ended.
---@param run directmethods.Run
---@param target directmethods.FoundTarget
---@param on_end fun(update: directmethods.JobUpdate)
---@return directmethods.Task
function M.start(run, target, on_end)
  return task.start(work, HOOKS, { run = run, target = target, on_end = on_end })
end

return M
