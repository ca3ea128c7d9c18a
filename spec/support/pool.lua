--- Runs programs side by side, and ends those that hang.
--
-- A job has: argv, log (the file for its output; nil: where ours goes), alone
-- (nothing runs beside it), events (a file that grows as it gets on) and limit (the
-- seconds that it may take, from the last event where there are events). When it is
-- over it also has: seconds, status, signal and hung; or failure, why it could not be
-- started.

local uv = require "luv"

local M = {}

-- Seconds between SIGABRT, which sanitizers answer with a stack, and SIGKILL.
local GRACE = 5
local TICK = 500 -- ms between two looks for what hangs
local RIGHTS = 420 -- of files: 0644

local function now()
  return uv.hrtime() / 1e9
end

local function size_of(path)
  local stat = path and uv.fs_stat(path)
  return stat and stat.size or 0
end

-- End a job that has not got on for longer than its limit.
local function look_at(job)
  local size = size_of(job.events)
  if size ~= job.size then
    job.size, job.grew = size, now()
  end
  local idle = now() - job.grew
  if idle > job.limit + GRACE then
    job.handle:kill("sigkill")
  elseif idle > job.limit and not job.hung then
    job.hung = true
    job.handle:kill("sigabrt")
  end
end

-- Input and output of a job: ours, or a file.
local function open_stdio(job)
  if not job.log then return { 0, 1, 2 } end
  local file = assert(uv.fs_open(job.log, "w", RIGHTS))
  return { nil, file, file }, file
end

local function start(job, on_exit)
  if job.events then os.remove(job.events) end
  local stdio, file = open_stdio(job)
  job.began, job.grew, job.size = now(), now(), 0
  local handle, why = uv.spawn(job.argv[1], {
    args = table.move(job.argv, 2, #job.argv, 1, {}),
    stdio = stdio,
  }, function(status, signal)
    job.status, job.signal = status, signal
    job.seconds = now() - job.began
    job.handle:close()
    on_exit(job)
  end)
  if file then uv.fs_close(file) end
  if handle then
    job.handle = handle
  else
    job.failure = ("cannot start %s: %s"):format(job.argv[1], why)
    job.seconds = 0
  end
end

local function split(jobs)
  local together, alone = {}, {}
  for _, job in ipairs(jobs) do
    table.insert(job.alone and alone or together, job)
  end
  return together, alone
end

-- Run the jobs of a list, `width` at a time.
local function run_list(jobs, width, on_end)
  local running, count, next_job = {}, 0, 1
  local fill
  local function over(job)
    running[job] = nil
    count = count - 1
    on_end(job)
    fill()
  end
  function fill()
    while count < width and jobs[next_job] do
      local job = jobs[next_job]
      next_job = next_job + 1
      start(job, over)
      if job.failure then
        on_end(job)
      else
        running[job] = true
        count = count + 1
      end
    end
  end
  local timer = uv.new_timer()
  timer:start(TICK, TICK, function()
    for job in pairs(running) do look_at(job) end
  end)
  fill()
  while count > 0 do uv.run("once") end
  timer:close()
  uv.run("nowait")
end

--- Run all jobs, those that run alone at the end. Options: width (how many at a
-- time), on_end (called with each job that is over).
function M.run(jobs, o)
  local together, alone = split(jobs)
  run_list(together, o.width, o.on_end)
  run_list(alone, 1, o.on_end)
end

return M
