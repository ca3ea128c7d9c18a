-- run.lua [--c PROGRAM... --] [SPEC or busted option...] -- the test runner.
--
-- Runs the C test programs, then busted in this process on the specs named, or
-- on all of spec/, and prints one total for both on a line of its own. After
-- "--c" with "--none" instead of "--" no specs run. A spec file that leaves
-- anything behind fails, and so does a run of other modules than those of MODE;
-- a test that hangs ends the run with its name.
--
-- GC=stress collects without a pause, GC=generational in generations.

local MODE = os.getenv("MODE")
local MODULES = { "core", "http_core", "hub_core" }
-- seconds that a test may take
local LIMIT = { asan = 180, tsan = 180 }
local LIMIT_RELEASE = 60

local total = { passed = 0, failed = 0, pending = 0 }

local function finish()
  if total.pending > 0 then
    print(("%d pending"):format(total.pending))
  end
  print(("%d passed, %d failed"):format(total.passed, total.failed))
  io.stdout:flush()
  os.exit(total.failed == 0 and total.passed > 0, true)
end

-- A program prints what failed and ends with "N passed, N failed"; one that
-- dies before has failed as a whole.
local function run_program(program)
  local pipe = assert(io.popen(program .. " 2>&1"))
  local output = pipe:read("a")
  local ended_well = pipe:close()
  local passed, failed = output:match("(%d+) passed, (%d+) failed%s*$")
  passed, failed = tonumber(passed) or 0, tonumber(failed) or 0
  if not ended_well and failed == 0 then failed = 1 end
  if failed > 0 then io.write(program, ":\n", output) end
  total.passed = total.passed + passed
  total.failed = total.failed + failed
  return passed, failed
end

local function run_programs(programs)
  local passed, failed = 0, 0
  for _, program in ipairs(programs) do
    local p, f = run_program(program)
    passed, failed = passed + p, failed + f
  end
  print(("C tests: %d passed, %d failed, in %d programs"):format(
    passed, failed, #programs))
end

-- Split the arguments into C programs and what busted gets; nil: no specs.
local function split(args)
  local programs, rest = {}, {}
  local into = rest
  for _, word in ipairs(args) do
    if word == "--c" then
      into = programs
    elseif word == "--" and into == programs then
      into = rest
    elseif word == "--none" and into == programs then
      return programs, nil
    else
      into[#into + 1] = word
    end
  end
  return programs, rest
end

local function find_specs()
  local files = {}
  local find = "find spec -name node_modules -prune -o -name '*_spec.lua' -print"
  local pipe <close> = assert(io.popen(find .. " | sort"))
  for path in pipe:lines() do files[#files + 1] = path end
  return files
end

local function names_a_spec(words)
  for _, word in ipairs(words) do
    if word:find("%.lua$") or word:find("^spec/") then return true end
  end
  return false
end

-- What is tested ------------------------------------------------------------------

local function quit(message)
  io.stderr:write("run.lua: ", message, "\n")
  os.exit(1)
end

-- The modules that `require` will find must be those of MODE.
local function check_paths()
  for _, name in ipairs(MODULES) do
    local path, why = package.searchpath("directmethods." .. name, package.cpath)
    if not path then quit(why) end
    if not path:find("build/" .. MODE .. "/directmethods/", 1, true) then
      quit(("MODE is %s, but directmethods.%s is %s"):format(MODE, name, path))
    end
  end
end

local function loaded_objects()
  local seen = {}
  local file <close> = io.open("/proc/self/maps")
  if not file then return seen end -- not Linux
  for line in file:lines() do
    local path = line:match("/.*%.so[%.%d]*$")
    if path then seen[path] = true end
  end
  return seen
end

-- Those that are in the process must be, too, and their sanitizer with them.
local function check_loaded()
  local runtime = MODE == "release"
  local objects = loaded_objects()
  for path in pairs(objects) do
    local mode = path:match("/build/(%w+)/directmethods/[%w_]+%.so$")
    if mode and mode ~= MODE then
      error(("MODE is %s, but in use is %s"):format(MODE, path), 0)
    end
    if path:find("/lib" .. MODE .. ".so", 1, true) then runtime = true end
  end
  if next(objects) and not runtime then error("no runtime of MODE=" .. MODE, 0) end
end

-- Running specs --------------------------------------------------------------------

local function collect_harder()
  local how = os.getenv("GC")
  if how == "stress" then
    collectgarbage("incremental", 0, 1000, 0)
  elseif how == "generational" then
    collectgarbage("generational", 5, 20)
  elseif how and how ~= "" then
    quit("GC is " .. how .. ": must be stress or generational")
  end
end

-- A process that ends this one when it hangs; what it is told is a test's name.
local function start_watchdog()
  local command = ("exec '%s' spec/support/watchdog.lua %d %d"):format(arg[-1],
    require("luv").os_getpid(), LIMIT[MODE] or LIMIT_RELEASE)
  local pipe = assert(io.popen(command, "w"))
  pipe:setvbuf("no")
  return function(name)
    pipe:write((name:gsub("\n", " ")), "\n")
  end
end

local function full_name(test, parent)
  local busted = require "busted"
  local words = { test.name }
  while parent and parent.descriptor ~= "suite" do
    table.insert(words, 1, tostring(parent.name))
    parent = busted.parent(parent)
  end
  return table.concat(words, " ")
end

-- busted asks no further subscriber unless the second result is true.
local function subscribe(busted, channel, fn)
  busted.subscribe(channel, function(...)
    fn(...)
    return nil, true
  end)
end

local function watch(busted)
  local tell = start_watchdog()
  subscribe(busted, { "file", "start" }, function(file) tell(file.name) end)
  subscribe(busted, { "test", "start" }, function(test, parent)
    tell(full_name(test, parent))
  end)
  subscribe(busted, { "test", "end" }, function(test, parent)
    tell("after " .. full_name(test, parent))
  end)
  subscribe(busted, { "exit" }, function() tell("end") end)
end

local function check_files(busted)
  local leaks = require "spec.support.leaks"
  local before
  subscribe(busted, { "file", "start" }, function() before = leaks.before() end)
  subscribe(busted, { "file", "end" }, function()
    if MODE then check_loaded() end
    leaks.check(before)
  end)
end

-- busted's own terminal output, counting what it saw; it ends the process when
-- the last spec is done, since busted's exit status wraps around at 256.
local function counting_handler(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)
  watch(busted)
  check_files(busted)
  busted.subscribe({ "exit" }, function()
    total.passed = total.passed + handler.successesCount
    total.failed = total.failed + handler.failuresCount + handler.errorsCount
    total.pending = total.pending + handler.pendingsCount
    finish()
  end)
  return handler
end

local function run_busted(words)
  if not names_a_spec(words) then
    table.move(find_specs(), 1, 4096, #words + 1, words)
  end
  if #words == 0 then return finish() end
  if MODE then check_paths() end
  collect_harder()
  package.preload["busted.outputHandlers.counting"] = function()
    return counting_handler
  end
  _G.arg = { [-1] = arg[-1], [0] = arg[0], "--output=counting", "--verbose",
    table.unpack(words) }
  require "busted.runner"({ standalone = false })
end

local programs, words = split(arg)
if #programs > 0 then run_programs(programs) end
if words then run_busted(words) end
finish()
