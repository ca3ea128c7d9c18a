--- `make bench`: the clients against Azure's SDKs for Node, and against bare
-- programs in C on curl and paho. See README.md.
--
--     clients.lua [CALLERS]     default: 16
--
-- Needs the right to make a network namespace: the SDKs insist on ports 443 and 8883.
-- What is measured runs on the second core, all else on the first.

local process = require "spec.bench.process"

local RUNS = 5
local WARM_UP, SECONDS = 0.5, 1.0 -- of each run
local IDLE_SECONDS = 10
local SETTLE_SECONDS = 11 -- the hub's timer for a CONNECT runs on once
local SDKS = "spec/interop/node_modules"

if arg[1] ~= "inside" then
  local line = process.shell_line(process.LUA, "spec/bench/clients.lua", "inside",
    arg[1] or 16)
  local user = process.is_root() and "" or "--user --map-root-user "
  os.exit(os.execute("exec unshare --net " .. user
    .. process.shell_line("sh", "-c", "ip link set lo up && exec " .. line)))
end

local CALLERS = assert(tonumber(arg[2]), "CALLERS must be a number")

-- Who is measured by which hub: ours over TLS against the SDKs, which know no
-- other, and ours over plain TCP against the bare programs.
local PAIRS = {
  { hub = "sdk", other = "node", name = "Azure SDK" },
  { hub = "plain", other = "c", name = "bare C" },
}

-- The words of a command: role "caller" or "echo", kind "lua", "c" or "node"; "uv" is
-- the device of echo.lua with that engine.
local function words(role, kind, hub, ...)
  if kind == "c" then
    return process.PROGRAMS .. "/" .. role, hub.facts, ...
  elseif kind == "lua" then
    return process.LUA, ("spec/bench/%s.lua"):format(role), hub.facts, ...
  elseif kind == "uv" then
    return process.LUA, "spec/bench/echo.lua", hub.facts, "uv"
  end
  local ca = process.read_facts(hub.facts).ca
  return "env", "NODE_PATH=" .. SDKS, "NODE_EXTRA_CA_CERTS=" .. ca, "node",
    ("spec/bench/%s.js"):format(role), hub.facts, ...
end

local function start_echo(core, kind, hub)
  return process.start("exec " .. process.command(core, words("echo", kind, hub)))
end

local function load(core, kind, hub, warm_up, seconds)
  return process.values(process.output_of(core,
    words("caller", kind, hub, CALLERS, warm_up, seconds)))
end

-- CPU time of the caller's process, in us a call.
local function measure_service(kind, hub)
  local _ <close> = start_echo(0, "c", hub)
  local m = load(1, kind, hub, WARM_UP, SECONDS)
  return { cpu = m.cpu * 1e6 / m.calls, rate = m.calls / SECONDS }
end

-- CPU time of the device's process, in us a call.
local function measure_device(kind, hub)
  local echo <close> = start_echo(1, kind, hub)
  load(0, "c", hub, 0, WARM_UP)
  local before = process.cpu_of(echo.pid)
  local m = load(0, "c", hub, 0, SECONDS)
  return {
    cpu = (process.cpu_of(echo.pid) - before) * 1e6 / m.all,
    rate = m.calls / SECONDS,
    memory = process.memory_of(echo.pid),
  }
end

-- One line: medians of ours and theirs, and of the ratios of neighbours in time.
local function print_line(title, format, name, runs)
  local ours, theirs, ratios = {}, {}, {}
  for i, run in ipairs(runs) do
    ours[i], theirs[i] = run.ours[name], run.theirs[name]
    ratios[i] = ours[i] / theirs[i]
  end
  print(("  %-34s" .. format .. "  " .. format .. "  %9.3f"):format(title,
    process.median(ours), process.median(theirs), process.median(ratios)))
end

local function compare(pair)
  local runs = { service = {}, device = {}, uv = {} }
  for _ = 1, RUNS do
    local hub <close> = process.start_hub(pair.hub)
    table.insert(runs.service,
      { ours = measure_service("lua", hub), theirs = measure_service(pair.other, hub) })
    local ours, theirs = measure_device("lua", hub), measure_device(pair.other, hub)
    table.insert(runs.device, { ours = ours, theirs = theirs })
    table.insert(runs.uv, { ours = measure_device("uv", hub), theirs = theirs })
  end
  print(("\n%s, %d callers: medians of %d runs of %g s"):format(
    pair.hub == "sdk" and "TLS" or "plain TCP", CALLERS, RUNS, SECONDS))
  print(("%45s  %9s      ratio"):format("ours", pair.name))
  print_line("service: us of CPU per call", "%9.1f", "cpu", runs.service)
  print_line("service: calls/s", "%9.0f", "rate", runs.service)
  print_line("device: us of CPU per call", "%9.1f", "cpu", runs.device)
  print_line("device: calls/s", "%9.0f", "rate", runs.device)
  print_line("device after it: KB resident", "%9.0f", "memory", runs.device)
  print_line("device, engine uv: us of CPU", "%9.1f", "cpu", runs.uv)
  print_line("device, engine uv: calls/s", "%9.0f", "rate", runs.uv)
  print_line("device, uv after it: KB resident", "%9.0f", "memory", runs.uv)
end

-- Idle processes: all at once, so that they cost the time once.

local IDLE = {
  { name = "our device", hub = "plain", kind = "lua" },
  { name = "our device, TLS", hub = "tls", kind = "lua" },
  { name = "our device, TLS, uv", hub = "tls", kind = "uv" },
  { name = "bare paho", hub = "plain", kind = "c" },
  { name = "Azure SDK", hub = "sdk", kind = "node" },
}

local function start_all()
  local started = setmetatable({}, {
    __close = function(list)
      for i = #list, 1, -1 do getmetatable(list[i].program).__close(list[i].program) end
    end,
  })
  for _, one in ipairs(IDLE) do
    local hub = process.start_hub(one.hub)
    table.insert(started, { name = "hub of " .. one.name, program = hub })
    table.insert(started,
      { name = one.name, program = start_echo(1, one.kind, hub) })
  end
  return started
end

local function print_idle()
  local started <close> = start_all()
  os.execute("sleep " .. SETTLE_SECONDS)
  for _, one in ipairs(started) do
    one.main, one.others = process.wakes_of(one.program.pid)
  end
  os.execute("sleep " .. IDLE_SECONDS)
  print(("\nidle for %d s: wake-ups per second\n%34s  %9s  %9s"):format(IDLE_SECONDS,
    "main thread", "others", "KB"))
  for _, one in ipairs(started) do
    local main, others = process.wakes_of(one.program.pid)
    print(("  %-22s  %8.1f  %9.1f  %9d"):format(one.name,
      (main - one.main) / IDLE_SECONDS, (others - one.others) / IDLE_SECONDS,
      process.memory_of(one.program.pid)))
  end
end

for _, pair in ipairs(PAIRS) do compare(pair) end
print_idle()
