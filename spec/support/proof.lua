--- The long forms of specs, one after the other, and one table of what came out.
--
--     proof.lua            run by `make proof`
--
-- A row names a spec and the variables that make it long; add yours to ROWS. What each
-- run printed is in build/MODE/proof. Fails when a row fails.

package.path = "./?.lua;" .. package.path

local lfs = require "lfs"
local uv = require "luv"

local ROWS = {
  { "jobs against a model, 300 seeds", "spec/jobs_model_spec.lua",
    { MODEL_SEEDS = 300 } },
  { "jobs of a hub that is killed 100 times", "spec/job_crash_spec.lua",
    { KILL_ROUNDS = 100, SPEC_LIMIT = 600 } },
  { "a hub under load that is killed 100 times", "spec/kill_spec.lua",
    { KILL_ROUNDS = 100, SPEC_LIMIT = 600 } },
  { "the inspector at 1,000 calls/s for 60 s", "spec/inspector/pages_spec.lua",
    { LOAD_S = 60, SPEC_LIMIT = 600 } },
  { "a disk that is slow, full or broken", "spec/disk_spec.lua", {} },
}

local FOLDER = ("build/%s/proof"):format(os.getenv("MODE") or "release")

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

-- Run a spec; how many of its tests passed and failed.
local function run(spec, variables, log)
  local words = { "env" }
  for name, value in pairs(variables) do words[#words + 1] = name .. "=" .. value end
  for _, word in ipairs { arg[-1], "spec/support/run.lua", spec } do
    words[#words + 1] = word
  end
  for i, word in ipairs(words) do words[i] = quote(word) end
  local line = ("%s >%s 2>&1"):format(table.concat(words, " "), quote(log))
  local ended_well = os.execute(line)
  local file <close> = assert(io.open(log))
  local passed, failed = file:read("a"):match("(%d+) passed, (%d+) failed%s*$")
  return ended_well == true, math.tointeger(passed) or 0, math.tointeger(failed) or 0
end

lfs.mkdir(FOLDER)
local lines, all_well = {}, true
for i, row in ipairs(ROWS) do
  local title, spec, variables = table.unpack(row)
  local log = ("%s/%d.log"):format(FOLDER, i)
  local began = uv.hrtime()
  local is_well, passed, failed = run(spec, variables, log)
  all_well = all_well and is_well
  lines[i] = ("%-50s %6d %6d %7.0f s%s"):format(title, passed, failed,
    (uv.hrtime() - began) / 1e9, is_well and "" or "   see " .. log)
  print(lines[i])
end
print(("\n%-50s %6s %6s %9s"):format("proof", "passed", "failed", "time"))
print(table.concat(lines, "\n"))
os.exit(all_well)
