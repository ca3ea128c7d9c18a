-- watchdog.lua PID SECONDS -- ends a test run that hangs; a child of run.lua.
--
-- Reads names of tests, a line each, from its input. When none came for so many
-- seconds it names the last one and ends its parent: with SIGABRT first, which a
-- sanitized build answers with its stack. The line "end" and the end of the input
-- end it.

local uv = require "luv"

local GRACE = 5 -- seconds between SIGABRT and SIGKILL

local parent = assert(math.tointeger(arg[1]))
local limit = assert(tonumber(arg[2]))
local running, rest = "?", ""
local timer = uv.new_timer()

local function kill()
  if uv.os_getppid() == parent then uv.kill(parent, "sigkill") end
  os.exit(1)
end

local function bark()
  if uv.os_getppid() ~= parent then os.exit(1) end
  io.stderr:write(("\nno end after %g s: %s\n"):format(limit, running))
  uv.kill(parent, "sigabrt")
  timer:start(GRACE * 1000, 0, kill)
end

local function on_line(line)
  if line == "end" then os.exit(0) end
  running = line
  timer:start(math.floor(limit * 1000), 0, bark)
end

local input = uv.new_pipe()
input:open(0)
input:read_start(function(_, data)
  if not data then os.exit(0) end
  rest = rest .. data
  for line in rest:gmatch("([^\n]*)\n") do on_line(line) end
  rest = rest:match("[^\n]*$")
end)
on_line("before the first test")
uv.run()
