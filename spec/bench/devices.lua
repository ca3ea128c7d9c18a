--- What connected devices cost a server, and what they cost a call.
--
--     devices.lua [COUNT [TLS-COUNT]]      default: 10000 1000
--     devices.lua --hub FILE COUNT [tls]   the hub's process, started by the first form
--
-- The same devices, of a fleet in this process, connect to a hub and to Mosquitto in
-- processes of their own on the first core. Memory is the growth of the server's
-- resident set: Mosquitto's from before the first connects, the hub's from before the
-- first is registered, to when all are subscribed and idle.

local uv = require "luv"
local dm = require "directmethods"
local process = require "spec.bench.process"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" -- of all devices

local function id_of(i)
  return ("dev-%05d"):format(i)
end

-- The hub's process ------------------------------------------------------------

-- Devices are told to the data plane alone: what the registry keeps in Lua, or in a
-- file, is no part of what they cost here.
local function serve(path, count, tls)
  local hub <close> = assert(dm.hub { tls = tls })
  local ports, pid = hub:ports(), math.tointeger(uv.os_getpid())
  local file <close> = assert(io.open(path, "w"))
  collectgarbage()
  file:write(process.memory_of(pid), "\n", ports.mqtt, "\n", ports.https, "\n",
    hub:ca_file() or "", "\n", hub:connection_string("service"), "\n")
  for i = 1, count do
    assert(hub.state.plane:put_identity(id_of(i), nil, "sas", KEY, KEY, true))
  end
  assert(file:close())
  process.print_id()
  dm.run()
end

if arg[1] == "--hub" then
  serve(arg[2], math.tointeger(tonumber(arg[3])), arg[4] == "tls")
  os.exit()
end

-- Measuring --------------------------------------------------------------------

local COUNT = math.tointeger(tonumber(arg[1] or 10000))
local TLS_COUNT = math.tointeger(tonumber(arg[2] or 1000))
local FEW = 10
local ROUNDS, CALLS = 7, 1000 -- calls one after another, in turns with few and many

-- A server of this many devices: its process, their connection strings, ports.
local function start_hub(count, tls)
  local facts = os.tmpname()
  local line = process.command(0, process.LUA, "spec/bench/devices.lua", "--hub", facts,
    count, tls and "tls" or "")
  local hub = process.start("exec " .. line, { facts })
  local lines = {}
  for text in io.lines(facts) do lines[#lines + 1] = text end
  hub.memory = tonumber(lines[1])
  hub.mqtt, hub.https = math.tointeger(lines[2]), math.tointeger(lines[3])
  hub.tls = tls and { ca = lines[4] } or false
  hub.service = lines[5]
  hub.devices = {}
  for i = 1, count do
    hub.devices[i] = ("HostName=localhost;DeviceId=%s;SharedAccessKey=%s"):format(
      id_of(i), KEY)
  end
  return hub
end

local function connect(server, hub)
  local fleet = assert(dm.fleet {
    connection_strings = hub.devices, port = server.mqtt, tls = server.tls,
    handlers = { who = function(request) return 200, request.device_id end },
  })
  assert(fleet:connect(60))
  return fleet
end

-- KB of the server for each of the hub's devices.
local function memory_each(server, hub)
  local before = server.memory or process.memory_of(server.pid)
  local fleet <close> = connect(server, hub)
  local after = process.memory_of(server.pid)
  fleet:close()
  assert(fleet:closed(60))
  return (after - before) / #hub.devices
end

local function print_memory(name, kb, more)
  print(("%-34s %6.2f KB each%s"):format(name, kb, more or ""))
end

local function measure_memory()
  local hub <close> = start_hub(COUNT, false)
  local broker <close> = process.start_broker()
  broker.tls = false
  local of_broker, of_hub = memory_each(broker, hub), memory_each(hub, hub)
  print(("\nan idle device that is connected, %d of them:"):format(COUNT))
  print_memory("Mosquitto, plain", of_broker)
  print_memory("hub, plain", of_hub, (", ratio %.2f"):format(of_hub / of_broker))
end

local function measure_tls_memory()
  local hub <close> = start_hub(TLS_COUNT, true)
  print_memory(("hub, TLS, %d of them"):format(TLS_COUNT), memory_each(hub, hub))
end

-- Devices that are connected, and a service to call them.
local function open(count)
  local side = { server = start_hub(count, false), count = count }
  side.fleet = connect(side.server, side.server)
  side.service = assert(dm.service {
    connection_string = side.server.service, port = side.server.https, tls = false,
  })
  return setmetatable(side, {
    __close = function()
      side.service:close()
      side.fleet:close()
      assert(side.fleet:closed(60))
      side.server:__close()
    end,
  })
end

-- The median of calls to random devices, in microseconds.
local function median_call(side)
  local times = {}
  for i = 1, CALLS do
    local device = side.fleet:device(math.random(side.count))
    local start = uv.hrtime()
    local reply = assert(side.service:invoke(device.name, "who"))
    times[i] = (uv.hrtime() - start) / 1000
    assert(reply.payload == device.name)
  end
  return process.median(times)
end

local function measure_calls()
  local few <close> = open(FEW)
  local many <close> = open(COUNT)
  local ratios, of_few, of_many = {}, {}, {}
  for i = 1, ROUNDS do
    of_few[i], of_many[i] = median_call(few), median_call(many)
    ratios[i] = of_many[i] / of_few[i]
  end
  print(("\na call to a random one of %d devices, and of %d:"):format(FEW, COUNT))
  print(("p50 %.0f us, and %.0f us: ratio %.2f"):format(process.median(of_few),
    process.median(of_many), process.median(ratios)))
end

measure_memory()
measure_tls_memory()
measure_calls()
