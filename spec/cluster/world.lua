--- Three hubs of one name, each with a NATS server beside it, and PostgreSQL, in the
-- namespaces of namespaces.sh; and what can happen to them.

local dm = require "directmethods"
local shell = require "directmethods.shell"
local uv = require "luv"

local LUA = os.getenv("LUA") or "lua5.4"
local START = 60 -- seconds that a process has to start
local MQTT, HTTP = 1883, 8080
local DATABASE =
  "postgres://proof@10.9.0.9/proof?connect_timeout=3&tcp_user_timeout=3000"

local M = {}

M.NODES = 3

---@class spec.ClusterWorld
---@field folder string
---@field pids table<string, integer> of what runs: "hub1", "nats1", "postgres"
---@field facts table<integer, table> the hubs' ready files
---@field killed table<integer, boolean> hubs, in this round
local World = {}
World.__index = World

local function address(i)
  return "10.9.0." .. i
end

local function run(...)
  local done = assert(dm.exec({ ... }, { timeout = START }))
  assert(done.status == 0, shell.line { ... } .. ": " .. done.stderr)
  return done.stdout
end

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

-- Start a program in a namespace, and remember its process.
function World:spawn(name, namespace, words)
  local log = ("%s/%s.log"):format(self.folder, name)
  local argv = { "netns", "exec", namespace, "sh", "-c",
    'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", log }
  table.move(words, 1, #words, #argv + 1, argv)
  local handle
  handle, self.pids[name] = uv.spawn("ip", { args = argv }, function()
    self.pids[name] = nil
    handle:close()
  end)
  assert(handle, self.pids[name])
end

function World:signal(name, signal)
  if self.pids[name] then uv.kill(self.pids[name], signal) end
end

local function wait(what, fn, seconds)
  if not dm.wait_until(fn, seconds or START) then error("no " .. what, 0) end
end

function World:kill(name)
  self:signal(name, "sigkill")
  wait("end of " .. name, function()
    uv.run("nowait")
    return not self.pids[name]
  end)
end

--- Kill a hub; what its callers learn is not known in this round.
function World:kill_hub(i)
  self.killed[i] = true
  self:kill("hub" .. i)
end

---@return boolean
function World:was_killed(i)
  return self.killed[i] == true
end

function World:start_nats(i)
  local function route(k) return ("nats://%s:6222"):format(address(k)) end
  local routes = {}
  for k = 1, M.NODES do if k ~= i then routes[#routes + 1] = route(k) end end
  self:spawn("nats" .. i, "n" .. i, { "/usr/sbin/nats-server", "-a", address(i),
    "-p", "4222", "--cluster_name", "proof", "--cluster", route(i), "--routes",
    table.concat(routes, ",") })
end

function World:ready_file(i)
  return ("%s/ready%d"):format(self.folder, i)
end

-- Its own NATS server first.
local function urls(i)
  local list = {}
  for k = 0, M.NODES - 1 do
    list[#list + 1] = ("nats://%s:4222"):format(address((i - 1 + k) % M.NODES + 1))
  end
  return table.concat(list, ",")
end

function World:begin_hub(i)
  self.facts[i] = nil
  os.remove(self:ready_file(i))
  self:spawn("hub" .. i, "n" .. i, { LUA, "build-aux/directmethods", "hub",
    "--plain", "--insecure", "--host", address(i), "--hostname", "hub", "--quiet",
    "--mqtt-port", tostring(MQTT), "--https-port", tostring(HTTP),
    "--cluster", urls(i), "--cluster-name", "proof", "--cluster-insecure",
    "--store", DATABASE, "--failed-logins", "0", "--ready-file", self:ready_file(i) })
end

-- Wait until a hub serves.
function World:await_hub(i)
  wait("start of hub" .. i, function()
    uv.run("nowait")
    local text = read(self:ready_file(i))
    self.facts[i] = text and dm.json.decode(text)
    return self.facts[i] or not self.pids["hub" .. i]
  end)
  if self.facts[i] then return end
  local log = read(("%s/hub%d.log"):format(self.folder, i))
  error(("hub%d has ended: %s"):format(i, log))
end

local function postgres_folder()
  return (run("sh", "-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1")
    :gsub("%s+$", ""))
end

local AS_NOBODY = { "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
  "--" }

local function as_nobody(...)
  local words = table.move(AS_NOBODY, 1, #AS_NOBODY, 1, {})
  return table.move({ ... }, 1, select("#", ...), #words + 1, words)
end

function World:start_postgres()
  self:spawn("postgres", "db", as_nobody(self.bin .. "/postgres", "-D", self.data, "-k",
    self.folder, "-c", "listen_addresses=10.9.0.9"))
  wait("PostgreSQL", function()
    uv.run("nowait")
    local asked = assert(dm.exec { self.bin .. "/pg_isready", "-q", "-h", self.folder })
    return asked.status == 0
  end)
end

function World:make_database()
  run(table.unpack(as_nobody(self.bin .. "/initdb", "-D", self.data, "-U", "proof",
    "-A", "trust", "-E", "UTF8", "--no-sync")))
  local rules = self.data .. "/pg_hba.conf"
  write(rules, read(rules) .. "host all all 10.9.0.0/24 trust\n")
  self:start_postgres()
  run("psql", "-Xq", "-h", self.folder, "-U", "proof", "-d", "postgres", "-c",
    "CREATE DATABASE proof")
end

--- Cut a node off from others, or from all: what comes from them is dropped.
---@param i integer
---@param others integer[] last numbers of addresses
function World:cut(i, others)
  for _, other in ipairs(others) do
    local rule = "add rule inet proof in ip saddr %s drop"
    run("ip", "netns", "exec", "n" .. i, "nft", rule:format(address(other)))
    if other <= M.NODES then
      run("ip", "netns", "exec", "n" .. other, "nft", rule:format(address(i)))
    end
  end
end

--- Mend everything: no rules, and all processes run.
function World:heal()
  for i = 1, M.NODES do
    run("ip", "netns", "exec", "n" .. i, "nft", "flush chain inet proof in")
  end
  if not self.pids.postgres then self:start_postgres() end
  for i = 1, M.NODES do
    if not self.pids["nats" .. i] then self:start_nats(i) end
    self:signal("nats" .. i, "sigcont")
    self:signal("hub" .. i, "sigcont")
    if not self.pids["hub" .. i] then self:begin_hub(i) end
  end
  for i = 1, M.NODES do self:await_hub(i) end
end

--- The connection string of a policy, or of a device.
function World:string_of(name)
  return self.facts[1].connection_strings[name] or self.facts[1].devices[name]
end

function World:service(i)
  return assert(dm.service {
    connection_string = self:string_of "iothubowner", connect_host = address(i),
    port = HTTP, tls = false, max_connections = 200,
  })
end

---@param string_of_device string
---@param i integer the hub to connect to
---@param handlers table<string, function>
function World.device(string_of_device, i, handlers)
  return dm.device {
    connection_string = string_of_device, gateway_host_name = address(i), port = MQTT,
    tls = false, engine = "uv", handlers = handlers, keepalive = 3, open_timeout = 3,
    reconnect = { min = 0.2, max = 1 }, persist = true,
  }
end

--- Start all of it.
---@param folder string
---@return spec.ClusterWorld
function M.new(folder)
  local self = setmetatable({ folder = folder, pids = {}, facts = {}, killed = {},
    data = folder .. "/data", bin = postgres_folder() }, World)
  run("chmod", "777", folder)
  self:make_database()
  for i = 1, M.NODES do self:start_nats(i) end
  self:begin_hub(1)
  self:await_hub(1)
  for i = 2, M.NODES do self:begin_hub(i) end
  for i = 2, M.NODES do self:await_hub(i) end
  return self
end

return M
