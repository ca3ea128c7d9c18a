-- run.lua [--c PROGRAM... --] [SPEC or busted option...] -- the test runner.
--
-- Runs the C test programs, then busted in this process on the specs named, or
-- on all of spec/, and prints one total for both on a line of its own. After
-- "--c" with "--none" instead of "--" no specs run.

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

-- busted's own terminal output, counting what it saw; it ends the process when
-- the last spec is done, since busted's exit status wraps around at 256.
local function counting_handler(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)
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
