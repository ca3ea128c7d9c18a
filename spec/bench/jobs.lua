--- What a job costs, and a selection among many identities.
--
--     jobs.lua [IDENTITIES]                   default 100000
--     jobs.lua --hub FILE DEVICES [STORE]     a hub, started by the first form
--     jobs.lua --select IDENTITIES TITLE [STORE]   selections, started by that one
--     jobs.lua --query|--job POLICY PORT      who asks for them, started by this one
--
-- Calls: a hub in a process of its own on the first core; 1,000 devices, a fleet, and
-- the caller on the second. The same calls one by one (256 at a time), and as a job;
-- compared is the hub's CPU, since the caller's work is not the same.

local bench = require "spec.bench.process"
local core = require "directmethods.core"
local dm = require "directmethods"
local identities = require "spec.bench.identities"

local DEVICES = 1000
local ROUNDS = 10
local ASKED = 6 -- times
local AT_A_TIME = 256
local MATCHES = 100
local PAUSE = 0.3 -- seconds, so that nothing is left of what was before

local id_of = identities.id_of

-- The hub's process ------------------------------------------------------------

local function serve(path, count, store)
  local hub <close> = assert(dm.hub { tls = false, dev_keys = true, store = store })
  local owner <close> = hub:service("iothubowner")
  local ids = {}
  for i = 1, count do ids[i] = id_of(i) end
  assert(assert(owner.registry:bulk(ids)).ok)
  local file <close> = assert(io.open(path, "w"))
  local ports = hub:ports()
  assert(file:write(dm.json.encode {
    mqtt = ports.mqtt, https = ports.https, service = hub:connection_string("service"),
    device = hub:connection_string(id_of(1)),
  }))
  file:close()
  bench.print_id()
  dm.run()
end

local function start_hub(store)
  local path = os.tmpname()
  local hub = bench.start("exec " .. bench.command(0, bench.LUA, "spec/bench/jobs.lua",
    "--hub", path, DEVICES, store), { path })
  local file <close> = assert(io.open(path))
  return hub, assert(dm.json.decode(file:read("a")))
end

-- Calls ------------------------------------------------------------------------

local function start_devices(facts)
  local strings = {}
  for i = 1, DEVICES do
    strings[i] = facts.device:gsub(id_of(1), id_of(i))
  end
  local fleet = assert(dm.fleet {
    connection_strings = strings, port = facts.mqtt, tls = false,
    handlers = { echo = function(request) return 200, request.payload end },
  })
  assert(fleet:connect(30))
  return fleet
end

local function one_by_one(service, ids)
  local start = dm.now()
  local results = assert(service:invoke_many(ids, "echo", "payload",
    { concurrency = AT_A_TIME }))
  assert(results.ok == DEVICES)
  return dm.now() - start
end

local function as_job(service)
  local job = assert(service.jobs:schedule {
    method = "echo", payload = "payload", query = "*",
  })
  local status = assert(job:await(60))
  assert(status.succeeded == DEVICES, status.succeeded)
  return status.ended - status.start
end

-- Seconds of each round, and the hub's CPU for each call, in microseconds.
local function measure(hub, round)
  local seconds, cpu = {}, bench.cpu_of(hub.pid)
  for i = 1, ROUNDS do seconds[i] = round() end
  dm.sleep(PAUSE)
  table.sort(seconds)
  cpu = bench.cpu_of(hub.pid) - cpu
  return seconds[ROUNDS // 2], cpu / ROUNDS / DEVICES * 1e6
end

local function calls(store)
  local hub <close>, facts = start_hub(store)
  local fleet <close> = start_devices(facts)
  local service <close> = assert(dm.service {
    connection_string = facts.service, port = facts.https, tls = false,
    max_connections = AT_A_TIME,
  })
  local ids = {}
  for i = 1, DEVICES do ids[i] = id_of(i) end
  one_by_one(service, ids)
  as_job(service)
  local plain, plain_cpu = measure(hub, function() return one_by_one(service, ids) end)
  local memory = bench.memory_of(hub.pid)
  local job, job_cpu = measure(hub, function() return as_job(service) end)
  print(("\n%d devices, %s"):format(DEVICES,
    store and "store in a file" or "in memory"))
  print(("one by one    %8.0f calls/s  %6.1f us of the hub's CPU each"):format(
    DEVICES / plain, plain_cpu))
  print(("as a job      %8.0f calls/s  %6.1f us of the hub's CPU each"):format(
    DEVICES / job, job_cpu))
  print(("the hub's memory after %d jobs: %+d KB (it keeps %d results)"):format(ROUNDS,
    bench.memory_of(hub.pid) - memory, ROUNDS * DEVICES))
  fleet:close()
  assert(fleet:closed(30))
end

-- Selections ---------------------------------------------------------------------

-- A hub with so many devices; in a file they are loaded from there.
local function many(count, path)
  local opts = { tls = false, dev_keys = true, store = path }
  local hub = assert(dm.hub(opts))
  identities.fill(hub, count, MATCHES)
  if not path then return hub end
  hub:close()
  assert(hub:closed(10))
  return assert(dm.hub(opts))
end

-- Seconds that fn tells, and the longest between two turns of the loop until then: by
-- the clock, and of this process's CPU (which others on the machine do not lengthen).
local function watched(fn)
  local held, held_cpu, last, last_cpu = 0, 0, core.now(), os.clock()
  local beat = dm.spawn(function()
    while true do
      held = math.max(held, core.now() - last)
      held_cpu = math.max(held_cpu, os.clock() - last_cpu)
      last, last_cpu = core.now(), os.clock()
      dm.sleep(0)
    end
  end)
  local work = dm.spawn(fn)
  dm.sleep(PAUSE) -- starting a process holds it, too
  held, held_cpu = 0, 0
  local seconds = work:await()
  dm.sleep(0)
  beat:cancel()
  return seconds, held, held_cpu
end

local TEXT = "SELECT * FROM devices WHERE tags.site = 'north'"
local ASK = {}

ASK["--query"] = function(service)
  return #assert(service:query(TEXT, { page_size = 1000 }):all())
end

ASK["--job"] = function(service)
  local job = assert(service.jobs:schedule {
    update = { tags = { seen = true } }, query = "tags.site = 'north'",
  })
  return assert(job:await(60)).succeeded
end

-- In a process of its own: what it costs who asks is not the hub's.
local function ask(what, policy, port)
  local service <close> = dm.service {
    connection_string = policy, port = tonumber(port), tls = false,
  }
  assert(service.jobs:list { page_size = 1 }:all())
  dm.sleep(PAUSE)
  local began = core.now()
  assert(ASK[what](service) == MATCHES)
  print(core.now() - began)
end

local function selections(count, title, path)
  local hub <close> = many(count, path)
  collectgarbage()
  print(("\n%d of %d devices by a tag, %s"):format(MATCHES, count, title))
  for _, each in ipairs { { "--query", "a query" }, { "--job", "a job" } } do
    local seconds, held, held_cpu = {}, {}, {}
    for i = 1, ASKED do
      seconds[i], held[i], held_cpu[i] = watched(function()
        local asked = assert(dm.exec({ "taskset", "-c", "1", bench.LUA,
          "spec/bench/jobs.lua", each[1], hub:connection_string("service"),
          tostring(hub:ports().https) }, { timeout = 60 }))
        return assert(tonumber(asked.stdout), asked.stderr)
      end)
    end
    for _, list in ipairs { seconds, held, held_cpu } do table.sort(list) end
    print(("%-14s%8.2f s; the loop held for %.0f ms at most, %.0f ms of CPU"):format(
      each[2], seconds[ASKED // 2], held[ASKED] * 1000, held_cpu[ASKED] * 1000))
  end
end

-- In a process of its own, so that the collector has that hub alone.
local function select_apart(...)
  assert(os.execute(bench.shell_line(bench.LUA, "spec/bench/jobs.lua", "--select",
    ...)))
end

local function main(count)
  local folder = assert(dm.exec { "mktemp", "-d" }).stdout:match("[^\n]+")
  calls()
  calls(folder .. "/calls.db")
  select_apart(count, "in memory")
  select_apart(count, "store in a file", folder .. "/selections.db")
  assert(dm.exec { "rm", "-rf", folder })
end

local what, a, b, c = table.unpack(arg)
if what == "--hub" then
  serve(a, math.tointeger(tonumber(b)), c)
elseif what == "--select" then
  selections(math.tointeger(tonumber(a)), b, c)
elseif ASK[what] then
  ask(what, a, b)
else
  main(math.tointeger(tonumber(what or 100000)))
end
