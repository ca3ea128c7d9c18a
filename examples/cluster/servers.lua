-- What the demonstration of several hubs runs: a PostgreSQL and a NATS server, and
-- hubs, in a folder of their own. All of them end with this process.

local dm = require "directmethods"

local LUA = os.getenv "LUA" or "lua5.4"
local PASSWORD = "only for this demonstration"
local PATIENCE = 30 -- seconds of real time until a server is ready

local M = {}

local function run(words)
  local done = assert(dm.exec(words))
  if done.status ~= 0 then
    error(("%s: %s"):format(table.concat(words, " "), done.stderr), 0)
  end
  return done.stdout
end

-- By the shell's own kill: a small system has no other.
local function kill(pid)
  run { "sh", "-c", 'kill -KILL "$1"', "sh", tostring(pid) }
end

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  return path
end

-- PostgreSQL does not run as root.
local function as_user(words)
  if run { "id", "-u" } ~= "0\n" then return words end
  return table.move(words, 1, #words, 6, { "setpriv", "--reuid=nobody",
    "--regid=nogroup", "--clear-groups", "--" })
end

---@class World
---@field folder string
---@field nats_port integer
local World = {}
World.__index = World

-- PostgreSQL: a socket in the folder, no TCP port.
local function start_postgres(world)
  local bin = run { "sh", "-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1" }
  bin = bin:gsub("%s+$", "")
  local data = world.folder .. "/postgresql"
  function world.postgres(...)
    return run(as_user { bin .. "/pg_ctl", "-D", data, "-s", "-w", ... })
  end
  run(as_user { bin .. "/initdb", "-D", data, "-U", "hub", "-A", "trust", "-E", "UTF8",
    "--no-sync" })
  world.postgres("-l", world.folder .. "/postgresql.log", "-o",
    ("-k %s -c listen_addresses="):format(world.folder), "start")
  run { "psql", "-XAtq", "-h", world.folder, "-U", "hub", "-d", "postgres", "-c",
    "CREATE DATABASE hub" }
  world.store = ("postgres:///hub?host=%s&user=hub"):format(world.folder)
end

-- Run a program until it is killed: it is a child of this process, and ends with it.
local function start(words)
  local argv = { "setpriv", "--pdeathsig", "KILL", "--" }
  return dm.spawn(dm.exec, table.move(words, 1, #words, #argv + 1, argv))
end

-- NATS writes the address that it has got into a file with its process's number.
local function nats_port(world)
  local pid = tonumber(read(world.folder .. "/nats.pid"))
  local text = pid and read(("%s/nats-server_%d.ports"):format(world.folder, pid))
  local facts = text and dm.json.decode(text) -- nil: it is being written
  return facts and math.tointeger(facts.nats[1]:match(":(%d+)$")), pid
end

local function start_nats(world)
  world.password_file = write(world.folder .. "/password", PASSWORD .. "\n")
  local config = write(world.folder .. "/nats.conf", ([[
listen: "127.0.0.1:-1"
ports_file_dir: "%s"
pid_file: "%s/nats.pid"
authorization { user: hub, password: "%s" }
]]):format(world.folder, world.folder, PASSWORD))
  world.nats = start { "sh", "-c", 'PATH=$PATH:/usr/sbin; exec nats-server -c "$0"',
    config }
  assert(dm.wait_until(function()
    world.nats_port, world.nats_pid = nats_port(world)
    return world.nats_port or world.nats:ended()
  end, PATIENCE))
  assert(world.nats_port, "nats-server has ended")
end

function World:stop_nats()
  kill(self.nats_pid)
  self.nats:await()
end

---@class HubProcess what its ready file says, and:
---@field task any
local HubProcess = {}
HubProcess.__index = HubProcess

function HubProcess:kill()
  kill(self.pid)
  self.task:await()
end

--- Start a hub of this name in the demonstration, and wait until it serves.
---@param name string
---@param devices string[]
---@return HubProcess
function World:hub(name, devices)
  local ready = ("%s/%s.json"):format(self.folder, name)
  local words = { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath,
    LUA, "build-aux/directmethods", "hub", "--plain", "--quiet", "--mqtt-port", "0",
    "--https-port", "0", "--store", self.store,
    "--cluster", "nats://127.0.0.1:" .. self.nats_port, "--cluster-name", "demo",
    "--cluster-user", "hub", "--cluster-password-file", self.password_file,
    "--ready-file", ready, "--log-file", ("%s/%s.log"):format(self.folder, name) }
  for _, id in ipairs(devices) do
    table.move({ "--device", id }, 1, 2, #words + 1, words)
  end
  local task = start(words)
  assert(dm.wait_until(function() return read(ready) or task:ended() end, PATIENCE))
  if task:ended() then error(task:await().stderr, 0) end
  local hub = setmetatable(dm.json.decode(read(ready)), HubProcess)
  hub.task = task
  self.hubs[#self.hubs + 1] = hub
  return hub
end

function World:__close()
  for _, hub in ipairs(self.hubs) do hub.task:cancel() end
  if self.nats then self.nats:cancel() end
  if self.postgres then pcall(self.postgres, "-m", "immediate", "stop") end
  run { "rm", "-rf", self.folder }
end

--- Start both servers.
---@return World
function M.start()
  local folder = run({ "mktemp", "-d" }):match("[^\n]+")
  local world = setmetatable({ folder = folder, hubs = {} }, World)
  run { "chmod", "777", folder }
  local ok, why = pcall(function()
    start_postgres(world)
    start_nats(world)
  end)
  if ok then return world end
  world:__close()
  error(why, 0)
end

return M
