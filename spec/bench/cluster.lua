--- What it costs that there are two hubs of one name, with servers of their own: NATS,
-- and PostgreSQL without fsync. NATS and the hubs run on the first core, the load on
-- the second.
--
--     lua spec/bench/cluster.lua [DEVICES [SECONDS]]     default: 10000 1.5
--
-- Devices connect to eight addresses of loopback, which have ports enough for 100,000;
-- these need `ulimit -n 200000` as root.

local dm = require "directmethods"
local nats = require "spec.support.nats"
local postgres = require "spec.support.postgres"
local process = require "spec.bench.process"
local registered = require "spec.bench.registered"
local uv = require "luv"

local COUNT = math.tointeger(tonumber(arg[1] or 10000))
local SECONDS = tonumber(arg[2] or 1.5) -- of each run
local RUNS = 5
local LOAD = process.PROGRAMS .. "/load"
local ADDRESSES = 8
local MISSES = 2000 -- calls of a device that is not there
local PATIENCE = 600 -- seconds for all devices to connect
local CONNECTED =
  "SELECT COUNT() AS n FROM devices WHERE connectionState = 'Connected'"

local function row(name, value, target)
  print(("%-58s %10s   %s"):format(name, value, target or ""))
end

-- Calls ------------------------------------------------------------------------

-- A run of load.c; `others` are further processes whose CPU time counts.
local function measure(facts, callers, hub, ...)
  local pids = table.concat({ hub.pid, ... }, ",")
  local m = process.values(process.output_of(1, LOAD, "remote", pids, callers, SECONDS,
    facts))
  for _, name in ipairs { "cpu", "cpu1", "cpu2", "cpu3" } do
    m[name] = m[name] and m[name] * 1e6 / m.calls -- microseconds of a call
  end
  return m
end

-- FILE for a device at one hub and callers at another one.
local function write_remote(holding, calling)
  local path, lines = os.tmpname(), {}
  for line in io.lines(calling.facts) do lines[#lines + 1] = line end
  lines[1] = process.read_facts(holding.facts).mqtt_port
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(table.concat(lines, "\n"), "\n"))
  return path
end

local function measure_calls(world, callers)
  local runs = { alone = {}, here = {}, elsewhere = {} }
  local a, b = world.a, world.b
  for i = 1, RUNS do
    runs.alone[i] = measure(world.alone.facts, callers, world.alone)
    runs.here[i] = measure(a.facts, callers, a, b.pid)
    runs.elsewhere[i] = measure(world.remote, callers, a, b.pid, world.bus.pid)
  end
  return runs
end

local function print_calls(world)
  local one, many = measure_calls(world, 1), measure_calls(world, 64)
  local function p50(runs) return process.median_of(runs, "p50") end
  row("1 caller: p50 of a call of a device here", ("%.0f us"):format(p50(one.here)))
  row("1 caller: p50 added if the device is at another hub",
    ("%.0f us"):format(p50(one.elsewhere) - p50(one.here)), "<= 150 us")
  row("64 callers: CPU of a call here, two hubs to a hub alone",
    ("%.2f"):format(process.ratio_of(many.here, many.alone, "cpu")), "<= 1.1")
  for i, whose in ipairs { "the caller's hub", "the device's hub", "NATS" } do
    row("64 callers: CPU of a call elsewhere, " .. whose,
      ("%.1f us"):format(process.median_of(many.elsewhere, "cpu" .. i)))
  end
end

-- Devices ----------------------------------------------------------------------

local function connection_strings()
  local list = {}
  for i = 1, COUNT do
    local id, key = registered.device(i)
    list[i] = ("HostName=127.0.0.%d;DeviceId=%s;SharedAccessKey=%s"):format(
      1 + i % ADDRESSES, id, key)
  end
  return list
end

-- The times of calls that find no device, in microseconds, in order.
local function misses(service)
  local times = {}
  for i = 1, MISSES do
    local began = uv.hrtime()
    local _, err = service:invoke("idle", "echo")
    assert(err and err.code == 404103, tostring(err))
    times[i] = (uv.hrtime() - began) / 1e3
  end
  table.sort(times)
  return times
end

local function print_misses(service, devices)
  local times = misses(service)
  row(("404103 beside %d devices, p50"):format(devices),
    ("%.0f us"):format(times[MISSES // 2]))
  row(("404103 beside %d devices, p99"):format(devices),
    ("%.0f us"):format(times[MISSES * 99 // 100]), "<= 5000 us")
end

local function print_devices(world)
  local at = process.read_facts(world.a.facts)
  local service <close> = assert(dm.service {
    connection_string = at.service, port = at.http_port, tls = false,
  })
  print_misses(service, 0)
  local before = process.memory_of(world.a.pid)
  local bus = process.memory_of(world.bus.pid)
  local fleet <close> = assert(dm.fleet {
    connection_strings = connection_strings(), tls = false,
    port = process.read_facts(world.b.facts).mqtt_port,
    handlers = { who = function(request) return 200, request.device_id end },
  })
  assert(fleet:connect(PATIENCE))
  assert(dm.wait_until(function()
    local rows = assert(service:query(CONNECTED):all())
    return rows[1] and rows[1].n >= COUNT
  end, PATIENCE))
  local function each(now, was) return ("%.2f KB"):format((now - was) / COUNT) end
  row(("memory of a hub for a device elsewhere, %d of them"):format(COUNT),
    each(process.memory_of(world.a.pid), before))
  row(("memory of NATS for a device, %d of them"):format(COUNT),
    each(process.memory_of(world.bus.pid), bus))
  print_misses(service, COUNT)
  fleet:close()
  assert(fleet:closed(PATIENCE))
end

-- Servers ----------------------------------------------------------------------

local function start()
  local world = { database = postgres.server(), bus = nats.server() }
  os.execute(("taskset -acp 0 %d >/dev/null"):format(world.bus.pid))
  local url = world.database:url "cluster"
  local first = process.start_hub("plain", url, world.bus:url())
  first:__close() -- it has made the tables
  registered.fill(world.database, "cluster", COUNT)
  world.alone = process.start_hub("plain", world.database:url "alone")
  world.a = process.start_hub("plain", url, world.bus:url())
  world.b = process.start_hub("plain", url, world.bus:url())
  world.remote = write_remote(world.b, world.a)
  return setmetatable(world, {
    __close = function()
      os.remove(world.remote)
      for _, name in ipairs { "alone", "a", "b" } do world[name]:__close() end
      world.bus:close()
      world.database:close()
    end,
  })
end

local world <close> = start()
print(("\ntwo hubs of one name: medians of %d runs of %g s"):format(RUNS, SECONDS))
print_calls(world)
print_devices(world)
