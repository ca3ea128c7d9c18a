--- Checks the model of the protocol between hubs, calls.pml, with Spin.
--
--     run.lua FOLDER           all bounds, liveness, and all planted mistakes
--     run.lua --short FOLDER   small bounds, and the first five planted mistakes
--
-- FOLDER takes what Spin generates and prints. A row names the bounds of the model; for
-- a mistake, Spin must find an error within them. Fails when the model has an error, a
-- mistake has none, or Spin could not look at all states.

local MODEL = "spec/model/calls.pml"
local MEMORY = 3000 -- MB for one run, at most
local DEPTH = 100000 -- steps of one run, at most

local SAFETY = { compile = "-O2 -DSAFETY -DNOCLAIM", run = "" }
-- Compiling takes longer than looking at few states.
local QUICK = { compile = "-O0 -DSAFETY -DNOCLAIM", run = "" }

-- Spin's option for weak fairness: a process that can go on goes on.
local function liveness(claim)
  return { compile = "-O2 -DNFAIR=3", run = "-a -f -N " .. claim }
end

local SHORT = {
  { "a call that waits", "LOSSES=0 QUIET PATIENT CONNECTS=1", QUICK },
  { "time-outs at any time", "LOSSES=0", QUICK },
}
local LONG = {
  { "nothing lost", "LOSSES=0 QUIET", SAFETY },
  { "time-outs at any time, one message lost", "LOSSES=1", SAFETY },
  { "two messages lost", "LOSSES=2", SAFETY },
  { "a call that waits, two connects", "LOSSES=0 QUIET PATIENT", SAFETY },
  { "three connects", "LOSSES=0 QUIET CONNECTS=3", SAFETY },
  { "a hub crashes", "LOSSES=0 CRASHES=1", SAFETY },
  { "a slow hub is given up", "LOSSES=0 SWEEPS=1", SAFETY },
  { "liveness: each call ends", "LOSSES=0", liveness "call_ends" },
  { "liveness: one hub has the device in the end", "LOSSES=0", liveness "one_holder" },
}
local MISTAKES = {
  { "LOCAL_TOO", "LOSSES=0" },
  { "GONE_AT_CLOSE", "LOSSES=1" },
  { "ASK_AGAIN_AT_SILENCE", "LOSSES=1" },
  { "SILENT_TAKE_OVER", "LOSSES=0 QUIET" },
  { "FORGET_WHAT_WAS_HEARD", "LOSSES=0" },
  { "PLAIN_SUBSCRIPTION", "LOSSES=0" },
  { "RESEND_WHEN_LOST", "LOSSES=1" },
  { "TOLD_ONCE", "LOSSES=1" },
  { "LEAVE_ANY_EPOCH", "LOSSES=0" },
  { "CONNECT_DEADLINE_WHILE_ASKED", "LOSSES=0 PATIENT" },
  { "WAIT_FOR_UP_ONLY", "LOSSES=0 QUIET PATIENT" },
}

local function sh(line, ...)
  return os.execute(line:format(...)) == true
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- Generate, compile and run the verifier; the number of errors and of states.
local function verify(folder, bounds, how)
  local defines = bounds:gsub("%S+", "-D%0")
  assert(sh("mkdir -p '%s' && cp %s '%s'", folder, MODEL, folder))
  assert(sh("cd '%s' && spin -a %s calls.pml >spin.log 2>&1", folder, defines),
    "spin refuses the model: see " .. folder .. "/spin.log")
  assert(sh("cd '%s' && gcc -w -DCOLLAPSE -DMEMLIM=%d %s -o pan pan.c", folder,
    MEMORY, how.compile), "the verifier does not compile")
  local ran = sh("cd '%s' && ./pan -m%d %s >pan.log 2>&1", folder, DEPTH, how.run)
  local log = read(folder .. "/pan.log")
  local errors = math.tointeger(log:match("errors: (%d+)"))
  local is_whole = not log:find("max search depth too small", 1, true)
    and not log:find("Search not completed", 1, true)
  return ran and errors or nil, log:match("(%d+) states, stored") or "?", is_whole
end

local is_short = arg[1] == "--short"
local folder = assert(arg[is_short and 2 or 1], "run.lua: the folder is missing")
local is_good = true

local function row(name, is_well, states, what)
  is_good = is_good and is_well
  print(("  MODEL  %-52s %9s states  %s"):format(name, states, what))
end

local function check(list)
  for _, item in ipairs(list) do
    local name, bounds, how = table.unpack(item)
    local place = ("%s/%s"):format(folder, (name:gsub("%W+", "-")))
    local errors, states, is_whole = verify(place, bounds, how)
    local is_well = errors == 0 and is_whole
    row(name, is_well, states, is_well and "holds" or "FAILS: see " .. place)
  end
end

check(SHORT)
if not is_short then check(LONG) end
for i = 1, is_short and 5 or #MISTAKES do
  local name, bounds = table.unpack(MISTAKES[i])
  local place = ("%s/%s"):format(folder, name)
  local errors, states = verify(place, bounds .. " MISTAKE_" .. name, QUICK)
  local is_found = errors ~= nil and errors > 0
  row("planted: " .. name, is_found, states, is_found and "found" or "NOT FOUND")
end
os.exit(is_good)
