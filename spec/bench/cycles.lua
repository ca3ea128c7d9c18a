--- What 1,000 devices that connect, answer a call and close leave in the process.
--
--     lua5.4 spec/bench/cycles.lua [CYCLES]
--
-- Prints resident memory, Lua's memory, descriptors and threads before and after, for
-- plain and TLS, and the milliseconds that a cycle takes.

local core = require "directmethods.core"
local dm = require "directmethods"

local CYCLES = tonumber(arg[1]) or 1000
local WARM_UP = 50

local function status(name)
  for line in io.lines("/proc/self/status") do
    local value = line:match("^" .. name .. ":%s+(%d+)")
    if value then return tonumber(value) end
  end
end

local function facts()
  collectgarbage()
  collectgarbage()
  return ("%6d KB resident, %5.0f KB in Lua, %2d descriptors, %2d threads"):format(
    status("VmRSS"), collectgarbage("count"), select(3, core.descriptors()),
    status("Threads"))
end

local function run(tls)
  local hub <close> = dm.hub { tls = tls }
  local service <close> = hub:service()
  hub:add_device("dev1")
  local function cycles(n)
    for _ = 1, n do
      local device = hub:device("dev1", { m = function() return 200 end })
      assert(device:connect(10))
      assert(service:invoke("dev1", "m"))
      device:close()
      assert(device:closed(10))
    end
  end
  local name = tls and "TLS  " or "plain"
  cycles(WARM_UP)
  print(name, "before", facts())
  local start = core.now()
  cycles(CYCLES)
  print(name, "after", facts())
  print(name, ("%.1f ms a cycle"):format((core.now() - start) * 1000 / CYCLES))
end

run(false)
run(true)
