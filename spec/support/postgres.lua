--- A PostgreSQL server for specs: its own data folder, a socket in it, no TCP port.

local dm = require "directmethods"
local stores = require "spec.support.stores"

local M = {}

local function run(words)
  local done = assert(dm.exec(words))
  assert(done.status == 0, table.concat(words, " ") .. ": " .. (done.stderr or ""))
  return done.stdout
end

-- Where Debian keeps initdb and pg_ctl, which no PATH has.
local function programs()
  local list = "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1"
  local found = run { "sh", "-c", list }
  return (found:gsub("%s+$", ""))
end

-- PostgreSQL does not run as root.
local function as_user(words)
  if run { "id", "-u" } ~= "0\n" then return words end
  return table.move(words, 1, #words, 6, { "setpriv", "--reuid=nobody",
    "--regid=nogroup", "--clear-groups", "--" })
end

---@class spec.PostgresServer
local Server = {}
Server.__index = Server

function Server:control(...)
  return run(as_user { self.bin .. "/pg_ctl", "-D", self.data, "-s", "-w", ... })
end

--- Start, or start again. `settings` are given to the server.
function Server:start(settings)
  self:control("-l", self.folder .. "/log", "-o",
    ("-k %s -c listen_addresses= -c fsync=off %s"):format(self.folder, settings or ""),
    "start")
end

---@param how "fast"|"immediate"|nil
function Server:stop(how)
  self:control("-m", how or "immediate", "stop")
end

local function make(self, database)
  self:sql("postgres", ('CREATE DATABASE "%s"'):format(database))
  return ("postgres:///%s?host=%s&user=test"):format(database, self.folder)
end

--- The URL of a new database, in place of an older one.
function Server:url(database)
  self:sql("postgres", ('DROP DATABASE IF EXISTS "%s"'):format(database))
  return make(self, database)
end

--- What psql prints.
function Server:sql(database, text)
  return run { "psql", "-XAtq", "-h", self.folder, "-U", "test", "-d", database, "-c",
    text }
end

--- The URL of a database that no other spec has.
function Server:new_url()
  self.count = (self.count or 0) + 1
  return make(self, ("hub_%d_%d"):format(require("luv").os_getpid(), self.count))
end

function Server:close()
  pcall(self.stop, self)
  stores.remove(self.folder)
end

local servers = {}

--- The server that another process has started in this folder.
function M.at(folder)
  servers[folder] = servers[folder] or setmetatable({ folder = folder }, Server)
  return servers[folder]
end

--- A new server that runs.
---@return spec.PostgresServer
function M.server()
  local folder = stores.folder()
  local self = setmetatable({ bin = programs(), folder = folder,
    data = folder .. "/data" }, Server)
  run { "chmod", "777", folder }
  run(as_user { self.bin .. "/initdb", "-D", self.data, "-U", "test", "-A", "trust",
    "-E", "UTF8", "--no-sync" })
  self:start()
  return self
end

return M
