--- A hub under siege, and what a healthy device's method call takes meanwhile.
--
--     siege.lua [SECONDS [NAME]]              of each siege, default 2; NAME: that one
--     siege.lua --fill STORE COUNT            identities for a hub's store
--     siege.lua --hub FACTS STORE             a hub, started by the first form
--     siege.lua --besiege NAME FACTS SECONDS  started by it, too (besiegers.lua)
--
-- The hub is a process of its own on the first core, its store in a file. Beside each
-- siege 500 calls a second are due (load.c), on the second core, which the besiegers
-- share with a lower priority. Sieges are done with the machine's fsync and with one
-- that is slowed (spec/c/slow_fsync.c).

local bench = require "spec.bench.process"
local besiegers = require "spec.bench.besiegers"
local core = require "directmethods.core"
local dm = require "directmethods"
local identities = require "spec.bench.identities"
local uv = require "luv"

local SLOW_FSYNC = "build/release/slow_fsync.so"
local CALLERS = 10
local TOKEN_SECONDS = 3600
local STAYS = 1 -- seconds that besiegers stay longer than the calls are measured
local MATCHES = 100 -- identities with the tag
local FEW, MANY = 1000, 100000 -- identities of a store
local SETTLE = 0.5 -- seconds, so that nothing is left of what was before

-- The processes ------------------------------------------------------------------

local function fill(store, count)
  local hub <close> = assert(dm.hub { tls = false, dev_keys = true, store = store })
  assert(hub:add_device("bench"))
  identities.fill(hub, count, MATCHES)
  hub:close()
  assert(hub:closed(30))
end

local function token(hub, name, resource, policy)
  local key = assert(core.connstr(hub:connection_string(name))).key
  local expiry = math.floor(dm.time()) + TOKEN_SECONDS
  return assert(core.sas_sign(resource, key, expiry, policy)), key
end

-- FACTS: the first four lines are load.c's.
local function serve(facts, store)
  local began = os.clock()
  local hub <close> = assert(dm.hub { tls = false, dev_keys = true, store = store })
  local loaded = os.clock() - began
  local ports = hub:ports()
  local device, key = token(hub, "bench", "localhost/devices/bench")
  local file <close> = assert(io.open(facts, "w"))
  assert(file:write(table.concat({
    ports.mqtt, ports.https, device,
    (token(hub, "iothubowner", "localhost", "iothubowner")), key, loaded,
  }, "\n"), "\n"))
  file:close()
  collectgarbage("incremental", 0, 25) -- as `directmethods hub` does
  bench.print_id()
  dm.run()
end

local function read_facts(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return {
    mqtt_port = math.tointeger(tonumber(lines[1])),
    http_port = math.tointeger(tonumber(lines[2])),
    owner = lines[4], key = lines[5], loaded = tonumber(lines[6]),
  }
end

local function besiege(name, facts, seconds)
  local field = read_facts(facts)
  field.done, field.refused, field.seconds = 0, 0, {}
  besiegers[name](field)
  local began, stop = uv.hrtime(), uv.new_timer()
  stop:start(math.floor(seconds * 1000), 0, uv.stop)
  bench.print_id()
  uv.run()
  table.sort(field.seconds)
  print(("done=%d refused=%d seconds=%f longest=%f"):format(field.done, field.refused,
    (uv.hrtime() - began) / 1e9, field.seconds[#field.seconds] or 0))
  os.exit() -- whatever is under way
end

-- A hub on a store; fsync takes so many milliseconds longer.
local function start_hub(store, slow)
  local facts = os.tmpname()
  local hub = bench.start("exec " .. bench.shell_line("env",
    "LD_PRELOAD=" .. SLOW_FSYNC, "DISK_FILE=" .. store, "DISK_SYNC_MS=" .. slow,
    "taskset", "-c", "0", bench.LUA, "spec/bench/siege.lua", "--hub", facts, store),
    { facts })
  hub.facts = facts
  return hub
end

-- A siege of so many seconds: what the calls took, what was done, and the hub's memory.
local function siege(store, slow, name, seconds)
  local hub <close> = start_hub(store, slow)
  local before = bench.memory_of(hub.pid)
  local pipe <close> = assert(io.popen(bench.command(1, "nice", "-n", "19", bench.LUA,
    "spec/bench/siege.lua", "--besiege", name, hub.facts, seconds + STAYS)))
  assert(pipe:read("n"), "no besieger")
  local calls = bench.values(bench.output_of(1, bench.PROGRAMS .. "/load", "paced",
    hub.pid, CALLERS, seconds, hub.facts))
  local done = bench.values(pipe:read("a"))
  calls.memory = (calls.peak - before) / 1024
  calls.done, calls.refused = done.done / done.seconds, done.refused / done.seconds
  calls.asked, calls.loaded = done.longest, read_facts(hub.facts).loaded
  uv.sleep(math.floor(SETTLE * 1000))
  return calls
end

-- The table ----------------------------------------------------------------------

local function bound(value, limit, form)
  return (form .. "%s"):format(value, value > limit and " missed" or "")
end

local HEAD = ("%-42s %5s %8s %8s %8s %9s %8s  %s"):format("siege", "fsync", "p50 us",
  "p99 ms", "longest", "done/s", "memory", "target")
local LINE = "%-42s %5s %8.0f %8.2f %8.1f %9.0f %+6.0fMB  %s"

local function show(title, slow, calls, target)
  print(LINE:format(title, slow == 0 and "" or "+" .. slow, calls.p50, calls.p99 / 1000,
    calls.longest / 1000, calls.done + calls.refused, calls.memory, target))
end

local HEALTHY, BUSY, ROOM = 20, 10, 80 -- p99 in ms, likewise, MB
local ASKED, LOADED = 0.5, 0.5 -- seconds
local HELD = 10 -- ms of a call, which waits for two turns of the loop, of 5 ms each
local GAIN = 10

local SIEGES = {
  { "nobody", "nobody" },
  { "flood", "a device: 5,000 reported updates a write" },
  { "lists", "4 callers list 1,000 devices" },
  { "pipelines", "the same, pipelined 100 on 30 connections" },
  { "posters", "800 connections post 1 MB, no token" },
}

local function sieges(store, seconds, list)
  for _, each in ipairs(list) do
    for _, slow in ipairs { 0, 2 } do
      local calls = siege(store, slow, each[1], seconds)
      local target = bound(calls.p99 / 1000, HEALTHY, "p99 %.1f <= 20 ms")
      if each[1] == "posters" then
        target = target .. bound(calls.memory, ROOM, ", %+.0f <= 80 MB")
      end
      show(each[2], slow, calls, target)
    end
  end
end

local WRITERS = {
  { "report", "reported updates" },
  { "put", "PUT /devices" },
}

-- One at a time against 100 at once.
local function writers(store, seconds, each)
  local name, title = table.unpack(each)
  for _, slow in ipairs { 0, 5, 50 } do
    local one = siege(store, slow, name .. "_1", seconds)
    show(title .. ", one at a time", slow, one, "")
    local many = siege(store, slow, name .. "_100", seconds)
    local target = bound(many.p99 / 1000, BUSY, "p99 %.1f <= 10 ms")
    local gain = many.done / one.done
    if slow > 0 then
      target = target .. (", %.1f >= 10 x%s"):format(gain, gain < GAIN and " missed"
        or "")
    end
    show(title .. ", 100 at once", slow, many, target)
  end
end

local QUERIES = {
  { "groups", "GROUP BY over 100,000 devices" },
  { "tags", "100 of 100,000 devices by a tag" },
  { "pages", "SELECT *, pages of 1,000" },
}

local function queries(store, seconds, list)
  local loaded
  for _, each in ipairs(list) do
    local calls = siege(store, 0, each[1], seconds)
    loaded = math.min(loaded or math.huge, calls.loaded)
    local target = bound(calls.asked, ASKED, "%.2f <= 0.5 s each")
    show(each[2], 0, calls, target .. bound(calls.longest / 1000, HELD,
      ", a call %.1f <= 10 ms"))
  end
  print(("%-42s %s"):format("100,000 identities loaded", bound(loaded, LOADED,
    "%.2f <= 0.5 s of the hub's CPU")))
end

local function new_store(folder, count)
  local store = ("%s/%d.db"):format(folder, count)
  bench.output_of(0, bench.LUA, "spec/bench/siege.lua", "--fill", store, count)
  return store
end

-- The entry of a list that has the name; nil: all of them.
local function named(list, name)
  local found = {}
  for _, each in ipairs(list) do
    if not name or each[1] == name then found[#found + 1] = each end
  end
  return found
end

local function main(seconds, name)
  local folder = assert(uv.fs_mkdtemp("/tmp/siege.XXXXXX"))
  print(HEAD)
  local store = new_store(folder, FEW)
  sieges(store, seconds, named(SIEGES, name))
  for _, each in ipairs(named(WRITERS, name)) do writers(store, seconds, each) end
  local asked = named(QUERIES, name)
  if asked[1] then queries(new_store(folder, MANY), seconds, asked) end
  assert(os.execute(bench.shell_line("rm", "-rf", folder)))
end

local what, a, b, c = table.unpack(arg)
if what == "--fill" then
  fill(a, math.tointeger(tonumber(b)))
elseif what == "--hub" then
  serve(a, b)
elseif what == "--besiege" then
  besiege(a, b, tonumber(c))
else
  main(math.tointeger(tonumber(what or 2)), a)
end
