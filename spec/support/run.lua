-- run.lua [--none] [WORD...] -- the test runner.
--
-- A WORD is a spec file, a folder of them, a C test program, or an option of
-- busted. Where no spec is named, all of spec/ run; with --none, no spec runs.
-- Each file has a process of its own (worker.lua), and as many run side by side
-- as there are cores. A file with a comment "-- alone: REASON" runs when nothing
-- else does. The last line is the total, "N passed, N failed".
--
-- A file that crashes, hangs, leaves anything behind, or runs no spec has failed.
-- Variables: JOBS (how many side by side), ORDER=random or SEED=N (a random order),
-- JUNIT=FILE (a report), SPEC_LIMIT (seconds until a test counts as hanging),
-- GC=stress|generational, MODE.

package.path = "./?.lua;" .. package.path

local cjson = require "cjson"
local folders = require "spec.support.folder"
local judge = require "spec.support.judge"
local junit = require "spec.support.junit"
local lfs = require "lfs"
local pool = require "spec.support.pool"
local uv = require "luv"

local MODE = os.getenv("MODE") or "release"
local BUILD = "build/" .. MODE
local TIMES = BUILD .. "/times.json" -- seconds that each file took when it last ran
local LIMIT = tonumber(os.getenv("SPEC_LIMIT")) or 300
local WIDTH = tonumber(os.getenv("JOBS")) or #uv.cpu_info()
local JUNIT = os.getenv("JUNIT")
local BYTES_PER_SECOND = 2000 -- a guess for files that never ran

-- What to run ---------------------------------------------------------------------

local function is_folder(path)
  return lfs.attributes(path, "mode") == "directory"
end

-- Add the spec files of a folder and of the folders in it.
local function find_specs(folder, files)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if name:find("_spec%.lua$") then
      files[#files + 1] = path
    elseif not name:find("^%.") and name ~= "node_modules" and is_folder(path) then
      find_specs(path, files)
    end
  end
end

-- Split the arguments: spec files, C test programs, options of busted; and whether
-- specs are wanted at all.
local function parse(words)
  local specs, programs, options, named, wanted = {}, {}, {}, false, true
  for _, word in ipairs(words) do
    if word == "--none" then
      named, wanted = true, false
    elseif word:find("^%-") then
      options[#options + 1] = word
    elseif is_folder(word) then
      named = true
      find_specs(word, specs)
    elseif word:find("%.lua$") then
      named = true
      specs[#specs + 1] = word
    else
      programs[#programs + 1] = word
    end
  end
  if not named then find_specs("spec", specs) end
  return specs, programs, options, wanted
end

-- Whether a spec file says that nothing may run beside it.
local function runs_alone(path)
  local file <close> = io.open(path)
  return file ~= nil and file:read("a"):find("\n%-%- alone: %S") ~= nil
end

local function spec_job(path, options, base)
  local events = base .. ".events"
  return {
    name = path, is_spec = true, events = events, log = base .. ".log",
    alone = runs_alone(path), filtered = #options > 0, limit = LIMIT,
    argv = { arg[-1], "spec/support/worker.lua", events, path, table.unpack(options) },
  }
end

local function program_job(path, base)
  return { name = path, log = base .. ".log", limit = LIMIT, argv = { path } }
end

-- In which order --------------------------------------------------------------------

local function read_times()
  local file <close> = io.open(TIMES)
  local ok, times = pcall(cjson.decode, file and file:read("a") or "{}")
  return ok and times or {}
end

local function write_times(times, jobs)
  for _, job in ipairs(jobs) do
    if not job.failure then times[job.name] = job.seconds end
  end
  for name in pairs(times) do
    if not lfs.attributes(name) then times[name] = nil end
  end
  local file <close> = assert(io.open(TIMES, "w"))
  assert(file:write(cjson.encode(times)))
end

-- What takes longest comes first, so that nothing long is left for the end.
local function longest_first(jobs, times)
  local function seconds(job)
    local size = lfs.attributes(job.name, "size") or 0
    return times[job.name] or job.is_spec and size / BYTES_PER_SECOND or 0
  end
  table.sort(jobs, function(a, b)
    local first, second = seconds(a), seconds(b)
    if first ~= second then return first > second end
    return a.name < b.name
  end)
end

local function shuffle(jobs, seed)
  table.sort(jobs, function(a, b) return a.name < b.name end)
  math.randomseed(seed)
  for i = #jobs, 2, -1 do
    local j = math.random(i)
    jobs[i], jobs[j] = jobs[j], jobs[i]
  end
end

-- The seed of a random order; nil: the longest first.
local function seed_wanted()
  local order, seed = os.getenv("ORDER") or "", os.getenv("SEED") or ""
  if seed ~= "" then
    return math.tointeger(seed) or error("SEED is " .. seed .. ": must be a number", 0)
  end
  if order == "random" then return os.time() end
  if order ~= "" then error("ORDER is " .. order .. ": must be random", 0) end
end

-- The run ---------------------------------------------------------------------------

local total = { passed = 0, failed = 0, pending = 0 }
local specs_run = 0 -- tests, not files

-- The run has failed, whatever its tests say.
local function fail(message)
  print(message)
  total.failed = math.max(total.failed, 1)
end

local function summary(result)
  local words = { result.passed .. " passed" }
  if result.failed > 0 then words[#words + 1] = result.failed .. " failed" end
  if result.pending > 0 then words[#words + 1] = result.pending .. " pending" end
  return table.concat(words, ", ")
end

-- Print what came of a job, with its output when that was kept and it has failed.
local function finish(job)
  local result = judge.result(job)
  job.result = result
  for kind, n in pairs(total) do total[kind] = n + result[kind] end
  if job.is_spec and not job.failure then specs_run = specs_run + #result.tests end
  if result.failed > 0 and job.log then io.write("\n", judge.output(job)) end
  print(("%7.1f s  %s: %s"):format(job.seconds, job.name, summary(result)))
  if result.problem then print(("FAILED %s: %s"):format(job.name, result.problem)) end
  io.stdout:flush()
end

local function put_in_order(jobs, times)
  local seed = seed_wanted()
  if seed then
    print("random order: SEED=" .. seed)
    shuffle(jobs, seed)
  else
    longest_first(jobs, times)
  end
end

local function run_jobs(jobs)
  local times = read_times()
  put_in_order(jobs, times)
  pool.run(jobs, { width = WIDTH, on_end = finish })
  write_times(times, jobs)
  if JUNIT then junit.write(JUNIT, jobs) end
end

local function main()
  local specs, programs, options, wanted = parse(arg)
  local folder <close> = folders.new(BUILD) -- for output and events of each file
  local jobs = {}
  local function base() return ("%s/%d"):format(folder.path, #jobs) end
  for _, path in ipairs(programs) do jobs[#jobs + 1] = program_job(path, base()) end
  for _, path in ipairs(specs) do jobs[#jobs + 1] = spec_job(path, options, base()) end
  if #jobs == 1 and #specs == 1 then jobs[1].log = nil end -- shown as it comes
  run_jobs(jobs)
  if wanted and #specs == 0 then
    fail("no spec found")
  elseif wanted and specs_run == 0 then
    fail("no spec ran")
  end
end

local ok, why = xpcall(main, debug.traceback)
if not ok then fail("run.lua: " .. why) end
if total.pending > 0 then print(("%d pending"):format(total.pending)) end
print(("%d passed, %d failed"):format(total.passed, total.failed))
os.exit(total.failed == 0 and total.passed > 0, true)
