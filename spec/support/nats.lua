--- A NATS server for specs, on a free port of loopback, and clients that speak its
-- protocol by hand.

local dm = require "directmethods"
local folders = require "spec.support.folder"
local uv = require "luv"
local wires = require "spec.support.wire"

local M = {}

local PATIENCE = 20 -- seconds of real time

-- Debian has it where only root's PATH looks. It ends with the spec's process.
local PROGRAM = 'PATH=$PATH:/usr/sbin; exec setpriv --pdeathsig KILL nats-server "$@"'

---@class spec.NatsServer
---@field port integer it stays the same when the server is started again
---@field route string? the URL for other servers of its cluster, if it has one
---@field folder spec.Folder
local Server = {}
Server.__index = Server

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

-- What the server says when it listens, in a file named by its pid: the URLs.
local function listening(self)
  local name = ("%s/nats-server_%d.ports"):format(self.folder.path, self.pid)
  local found, facts = pcall(dm.json.decode, read(name) or "")
  return found and type(facts) == "table" and facts.nats and facts
end

--- Start, or start again. `config` are lines of its configuration, which stay.
---@param config string?
function Server:start(config)
  self.config = config or self.config or ""
  local path = self.folder:write("nats.conf", ("%s\nlisten: \"127.0.0.1:%d\"\n"
    .. "ports_file_dir: \"%s\"\npid_file: \"%s/pid\"\n"):format(self.config,
    self.port or -1, self.folder.path, self.folder.path))
  os.remove(self.folder.path .. "/pid")
  self.ended = false
  self.child = assert(uv.spawn("sh", { args = { "-c", PROGRAM, "sh", "-c", path } },
    function() self.ended = true end))
  local urls
  assert(wires.turn_until(function()
    self.pid = tonumber(read(self.folder.path .. "/pid"))
    urls = self.pid and listening(self)
    return urls or self.ended
  end, PATIENCE))
  assert(urls, "nats-server does not start: " .. path)
  self.port = math.tointeger(urls.nats[1]:match(":(%d+)$"))
  self.route = urls.cluster and urls.cluster[1]
  return self
end

function Server:url(scheme)
  return ("%s://127.0.0.1:%d"):format(scheme or "nats", self.port)
end

---@param signal "sigstop"|"sigcont"
function Server:signal(signal)
  assert(self.child:kill(signal))
end

--- End it at once.
function Server:stop()
  self.child:kill("sigkill")
  assert(wires.turn_until(function() return self.ended end, PATIENCE))
  self.child:close()
  uv.run("nowait")
end

function Server:close()
  if not self.child:is_closing() then self:stop() end
  getmetatable(self.folder).__close(self.folder)
end

--- A new server that runs.
---@param config string? lines of its configuration
---@param folder spec.Folder? files that these lines name; the server removes it
---@return spec.NatsServer
function M.server(config, folder)
  return setmetatable({ folder = folder or folders.new() }, Server):start(config)
end

-- A client ---------------------------------------------------------------------

local Client = {}
Client.__index = Client

--- Send a message. headers: "Name: value" lines.
function Client:publish(subject, bytes, reply)
  self.wire:send(("PUB %s %s%d\r\n"):format(subject, reply and reply .. " " or "",
    #bytes) .. bytes .. "\r\n")
  return self:flush()
end

--- Send what the server sends when nobody receives a message.
function Client:publish_nobody(subject)
  local header = "NATS/1.0 503\r\n\r\n"
  self.wire:send(("HPUB %s %d %d\r\n%s\r\n"):format(subject, #header, #header, header))
  return self:flush()
end

--- Wait until the server has seen all that was sent.
function Client:flush()
  self.wire:send("PING\r\n")
  assert(self:next(function(line) return line == "PONG" end))
  return self
end

function Client:subscribe(subject, group)
  self.subscriptions = (self.subscriptions or 0) + 1
  self.wire:send(("SUB %s %s%d\r\n"):format(subject, group and group .. " " or "",
    self.subscriptions))
  return self:flush()
end

-- A message with header lines: here it is the server's own, that nobody is there.
function Client:headed(line)
  local subject, size = line:match("^HMSG (%S+) .- (%d+)$")
  if not subject then return end
  local bytes = self.wire:read(tonumber(size) + 2)
  table.insert(self.messages, { subject = subject, nobody = bytes:find(" 503") ~= nil })
end

-- Read until a line fits; messages on the way are kept.
function Client:next(fits)
  while true do
    local line = self.wire:read_to("\r\n")
    if not line then return nil end
    line = line:sub(1, -3)
    local subject, rest = line:match("^MSG (%S+) %S+ (.+)$")
    if subject then
      local reply, size = rest:match("^(%S+) (%d+)$")
      local bytes = self.wire:read(tonumber(size or rest) + 2):sub(1, -3)
      table.insert(self.messages, { subject = subject, reply = reply, bytes = bytes })
    elseif line == "PING" then
      self.wire:send("PONG\r\n")
    else
      self:headed(line)
    end
    if fits(line) then return line end
  end
end

--- The next message that it has subscribed to: subject, reply, bytes; or nobody, if
-- there is no receiver of what it has published.
function Client:message()
  while not self.messages[1] do
    if not self:next(function() return self.messages[1] ~= nil end) then return nil end
  end
  return table.remove(self.messages, 1)
end

function Client:close()
  self.wire:close()
end

--- A client that is connected.
---@param server spec.NatsServer
---@param login string? further members of its CONNECT
function M.client(server, login)
  local wire = wires.connect(server.port)
  local self = setmetatable({ wire = wire, messages = {} }, Client)
  assert(self.wire:read_to("\r\n"))
  self.wire:send('CONNECT {"verbose":false,"pedantic":false,"headers":true,'
    .. '"no_responders":true' .. (login or "") .. "}\r\n")
  return self:flush()
end

--- A client that gets what is sent to the hub "h9" of the cluster "lab". It is added
-- to `clients`.
function M.foreign_hub(server, clients)
  local client = M.client(server)
  clients[#clients + 1] = client
  return client:subscribe "dm.lab.hub.h9"
end

-- Messages between hubs --------------------------------------------------------

local KINDS = { call = 1, cancel = 2, gone = 3, taken = 4, answered = 5, failed = 6,
  ping = 7, pong = 8, up = 9, seek = 10, hello = 11, presence = 12, question = 13,
  reply = 14 }

--- The bytes of a text field; nil: it has none.
function M.text(s)
  return s and string.pack(">I4", #s + 1) .. s or string.pack(">I4", 0)
end

--- The bytes of a message, with the fields as they are.
function M.wire(kind, cluster, hub, fields)
  return string.pack("BB", 1, KINDS[kind]) .. M.text(cluster) .. M.text(hub)
    .. (fields or "")
end

--- The fields of a call.
---@param o { id: integer, number: integer, device: string, method: string,
---  payload: string?, version: string?, name: string? }
function M.call(o)
  return string.pack(">I8I8", o.id, o.number) .. M.text(o.device) .. M.text(nil)
    .. M.text(o.method) .. M.text(o.payload) .. M.text(o.version) .. M.text(o.name)
    .. M.text(nil) .. string.pack(">i4", o.seconds or 30)
end

--- The kind of a message, and the number of the call that it is about.
function M.read(bytes)
  local kind, at = string.unpack("B", bytes, 2)
  for _ = 1, 2 do
    local size
    size, at = string.unpack(">I4", bytes, at)
    at = at + size - 1
  end
  for name, number in pairs(KINDS) do
    if number == kind then
      return name, at + 7 <= #bytes and string.unpack(">I8", bytes, at)
    end
  end
end

return M
