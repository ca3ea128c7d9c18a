--- How long a hub takes to load identities from PostgreSQL, and what they weigh: on a
-- server of its own, without fsync. Each hub is a process of its own.
--
--     lua spec/bench/postgres.lua [IDENTITIES]

local dm = require "directmethods"
local postgres = require "spec.support.postgres"
local process = require "spec.bench.process"
local registered = require "spec.bench.registered"
local uv = require "luv"

local LUA = os.getenv("LUA") or "lua5.4"
local ROUNDS = 3

local function load_all(url, name, count)
  assert(dm.hub { tls = false }):close() -- what a hub needs without identities
  local before = process.memory_of(uv.os_getpid())
  local began, cpu = uv.hrtime(), os.clock()
  local hub = assert(dm.hub {
    tls = false, store = url, cluster = name == "cluster" and { name = "bench" } or nil,
  })
  local seconds = (uv.hrtime() - began) / 1e9
  cpu = os.clock() - cpu
  collectgarbage()
  print(("%-8s %.2f s, CPU %.2f s, %.0f bytes each"):format(name, seconds, cpu,
    (process.memory_of(uv.os_getpid()) - before) * 1024 / count))
  hub:close()
  assert(hub:closed(60))
end

if arg[2] then
  load_all(arg[2], arg[3], tonumber(arg[1]))
  os.exit(0)
end

local count = tonumber(arg[1] or 100000)
local server = postgres.server()
local url = server:url("bench")
local hub = assert(dm.hub { tls = false, store = url })
hub:close()
assert(hub:closed(60))
registered.fill(server, "bench", count)
for _, name in ipairs { "alone", "cluster" } do
  for _ = 1, ROUNDS do
    io.write(assert(dm.exec({ LUA, "spec/bench/postgres.lua", tostring(count), url,
      name }, { timeout = 300 })).stdout)
  end
end
server:close()
