--- A fleet: how long connecting takes, what a device costs, how calls fare.
--
--     fleet.lua [COUNT...] [tls]      default: 1000 10000
--     fleet.lua --hub FILE COUNT [tls]    the hub's process, started by the first form
--
-- The hub runs in a process of its own: COUNT descriptors each, see `ulimit -n`.

local core = require "directmethods.core"
local dm = require "directmethods"

local CALLS = 10000 -- after connecting
local CALLERS = 64
local LUA = os.getenv("LUA") or "lua5.4"

-- The hub's process ------------------------------------------------------------

local function process_id()
  local file <close> = assert(io.open("/proc/self/stat"))
  return file:read("n")
end

local function serve(path, count, tls)
  local hub <close> = assert(dm.hub { tls = tls })
  local ports = hub:ports()
  local file <close> = assert(io.open(path, "w"))
  local function line(text) assert(file:write(text, "\n")) end
  line(ports.mqtt)
  line(ports.https)
  line(hub:ca_file() or "")
  line(hub:connection_string("service"))
  for i = 1, count do
    local id = ("dev-%05d"):format(i)
    assert(hub:add_device(id))
    line(hub:connection_string(id))
  end
  file:close()
  print(process_id())
  io.stdout:flush()
  dm.run()
end

local Server = {}
Server.__index = Server

function Server:__close()
  os.execute("kill " .. self.pid)
  self.pipe:close()
end

local function start_server(path, count, tls)
  local command = ("exec taskset -c 0 %s spec/bench/fleet.lua --hub %s %d %s"):format(
    LUA, path, count, tls and "tls" or "")
  local pipe = assert(io.popen(command))
  return setmetatable({ pipe = pipe, pid = assert(pipe:read("n"), "no hub") }, Server)
end

local function read_facts(path)
  local strings = {}
  for text in io.lines(path) do strings[#strings + 1] = text end
  os.remove(path)
  local mqtt, https, ca, service = table.unpack(strings, 1, 4)
  return {
    mqtt = math.tointeger(mqtt),
    https = math.tointeger(https),
    tls = ca ~= "" and { ca = ca } or false,
    service = service,
    devices = table.move(strings, 5, #strings, 1, {}),
  }
end

-- Measuring --------------------------------------------------------------------

-- Resident memory and what Lua has of it, in bytes.
local function memory()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("n", "n")
  return pages * 4096, collectgarbage("count") * 1024
end

local function call(service, fleet, histogram)
  local device = fleet:device(math.random(fleet.count))
  local start = dm.now()
  local reply = assert(service:invoke(device.name, "who"))
  assert(reply.payload == device.name)
  histogram:record(dm.now() - start)
end

-- Calls to random devices by many callers; the rate and a histogram.
local function measure_calls(facts, fleet)
  local service <close> = assert(dm.service {
    connection_string = facts.service, port = facts.https, tls = facts.tls,
    max_connections = CALLERS,
  })
  local histogram = dm.histogram()
  local callers, left, start = {}, CALLS, dm.now()
  for i = 1, CALLERS do
    callers[i] = function()
      while left > 0 do
        left = left - 1
        call(service, fleet, histogram)
      end
    end
  end
  dm.all(callers)
  return CALLS / (dm.now() - start), histogram
end

local function check_descriptors(count)
  local soft = core.descriptors()
  if soft > count + 100 then return true end
  print(("%d devices: skipped, the limit of descriptors is %d"):format(count, soft))
end

local function measure(count, tls)
  if not check_descriptors(count) then return end
  local path = os.tmpname()
  local server <close> = start_server(path, count, tls)
  local facts = read_facts(path)
  local resident, lua = memory()
  local fleet <close> = assert(dm.fleet {
    connection_strings = facts.devices, port = facts.mqtt, tls = facts.tls,
    handlers = { who = function(request) return 200, request.device_id end },
  })
  local start, cpu = dm.now(), os.clock()
  assert(fleet:connect(60))
  local seconds = dm.now() - start
  cpu = os.clock() - cpu
  local resident_now, lua_now = memory()
  local rate, histogram = measure_calls(facts, fleet)
  print(("\n%d devices, %s, hub process %d"):format(count, tls and "TLS" or "plain",
    server.pid))
  print(("connected in     %8.2f s  (%.2f s of CPU here)"):format(seconds, cpu))
  print(("memory of each   %8.0f bytes resident, %.0f of them Lua's"):format(
    (resident_now - resident) / count, (lua_now - lua) / count))
  print(("calls            %8.0f per second by %d callers, one process for service and"
    .. " devices"):format(rate, CALLERS))
  print("connecting: " .. tostring(fleet:stats().connects))
  print("calling: " .. tostring(histogram))
  fleet:close()
  assert(fleet:closed(30))
end

if arg[1] == "--hub" then
  serve(arg[2], math.tointeger(tonumber(arg[3])), arg[4] == "tls")
else
  local counts, tls = {}, false
  for _, word in ipairs(arg) do
    if word == "tls" then
      tls = true
    else
      counts[#counts + 1] = math.tointeger(tonumber(word))
    end
  end
  if #counts == 0 then counts = { 1000, 10000 } end
  for _, count in ipairs(counts) do measure(count, tls) end
end
