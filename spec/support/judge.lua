--- What came of the jobs of run.lua: how many tests passed, and why a file has
-- failed as a whole.

local cjson = require "cjson"

local M = {}

local KIND = { success = "passed", pending = "pending", failure = "failed",
  error = "failed" }

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a") or ""
end

-- The events that a worker has written; a killed one may have left half a line.
local function read_events(path)
  local events = {}
  for line in read(path):gmatch("([^\n]*)\n") do
    events[#events + 1] = cjson.decode(line)
  end
  return events
end

local function how_it_ended(job)
  if job.hung then return ("no end after %g s"):format(job.limit) end
  if job.signal ~= 0 then return ("ended by signal %d"):format(job.signal) end
  return ("ended with status %d"):format(job.status)
end

-- Take the events of a worker into `result`: whether it came to its end, and what
-- it did last.
local function take_events(result, events)
  local ended, running = false, "what comes before the first test"
  for _, event in ipairs(events) do
    if event.event == "start" then
      running = event.name
    elseif event.event == "test" then
      table.insert(result.tests, event)
      local kind = KIND[event.status]
      result[kind] = result[kind] + 1
      running = "what comes after " .. event.name
    else
      ended = true
    end
  end
  return ended, running
end

local function judge_spec(job, result)
  local ended, running = take_events(result, read_events(job.events))
  if not ended or job.hung or job.signal ~= 0 then
    return ("%s, in: %s"):format(how_it_ended(job), running)
  elseif job.status ~= 0 and result.failed == 0 then
    return how_it_ended(job)
  elseif #result.tests == 0 and not job.filtered then
    return "no spec ran"
  end
end

-- A program prints what failed and ends with "N passed, N failed".
local function judge_program(job, result)
  local passed, failed = M.output(job):match("(%d+) passed, (%d+) failed%s*$")
  result.passed, result.failed = tonumber(passed) or 0, tonumber(failed) or 0
  if not passed or job.hung or job.status ~= 0 and result.failed == 0 then
    return how_it_ended(job)
  elseif result.passed + result.failed == 0 then
    return "no test ran"
  end
end

--- What a job has printed.
function M.output(job)
  return read(job.log)
end

--- The result of a job that is over: passed, failed, pending, tests (a list of name,
-- status, seconds, message), problem (why the file has failed as a whole, or nil).
function M.result(job)
  local result = { passed = 0, failed = 0, pending = 0, tests = {} }
  if job.failure then
    result.problem = job.failure
  else
    result.problem = (job.is_spec and judge_spec or judge_program)(job, result)
  end
  if result.problem then
    result.failed = result.failed + 1
    table.insert(result.tests, { name = "the whole file", status = "error",
      seconds = job.seconds, message = result.problem })
  end
  return result
end

return M
