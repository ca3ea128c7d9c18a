--- The HTTP side of a service: requests with a token, over a bounded number of
-- connections.

local core = require "directmethods.core"
local credentials = require "directmethods.service.credentials"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local task = require "directmethods.task"

local M = {}

local FILE_MAX = 4 * 1024 * 1024 -- bytes of a CA file that are read

local function read_file(path, level)
  local file, why = io.open(path)
  local text
  if file then
    text, why = file:read(FILE_MAX)
    file:close()
  end
  if not text then
    options.fail("dm.service", "option 'tls.ca'",
      "cannot be read: " .. (why or "the file is empty"), level + 1)
  end
  return text
end

-- The configuration of http_core.client.
local function client_config(opts, host, level)
  local tls = opts.tls == true and { verify = true } or opts.tls or nil
  local config = {
    host = host,
    port = opts.port,
    connect_host = opts.connect_host,
    tls = tls ~= nil,
    verify = tls ~= nil and tls.verify,
    proxy = opts.proxy,
    connections = opts.max_connections,
  }
  if not tls or not tls.ca then return config end
  local pem = tls.ca:find("-----BEGIN", 1, true) ~= nil
  config[pem and "ca" or "ca_file"] = tls.ca
  local text = pem and tls.ca or read_file(tls.ca, level)
  if not text:find("-----BEGIN [%u ]*CERTIFICATE-----") then
    options.fail("dm.service", "option 'tls.ca'",
      "must be a certificate in PEM, or the path of one", level)
  end
  return config
end

---@class directmethods.ServiceConnection
---@field host string
local Connection = {}
Connection.__index = Connection

--- Raises if an option is wrong, `level` frames above the caller's caller.
---@param opts table checked options of dm.service
---@param level integer
---@return directmethods.ServiceConnection? connection
---@return directmethods.Error? err
function M.new(opts, level)
  local host, authorize = credentials.read(opts, level + 1)
  local config = client_config(opts, host, level + 1)
  local http = require "directmethods.http_core"
  local client, name, message = http.client(core.loop, config)
  if not client then return nil, errors.new { name = name, message = message } end
  return setmetatable({
    host = host,
    authorize = authorize,
    client = client, -- nil: closed
    free = opts.max_connections, -- requests that may start now
    line = { first = 1, last = 0 }, -- slots that wait for their turn
    waiting = {}, -- ids of waits that end when the client is closed
  }, Connection)
end

local function closed()
  return errors.new { name = "Closed", message = "the service client was closed" }
end

--- End all requests with Closed. A second call does nothing.
function Connection:close()
  local client = self.client
  if not client then return end
  self.client = nil
  client:close()
  for id in pairs(self.waiting) do
    task.finish(id, "closed")
  end
end

-- Slots: the time of a request starts when a connection is free for it, so waiting for
-- a slot costs none of it. A slot is released when its variable is closed, also when
-- the task is cancelled; that ends the request, too.
local Slot = {}

local function pass_on(connection)
  local line = connection.line
  while line.first <= line.last do
    local slot = line[line.first]
    line[line.first] = nil
    line.first = line.first + 1
    if not slot.cancelled then
      slot.granted = true
      task.finish(slot.id, "granted")
      return
    end
  end
  connection.free = connection.free + 1
end

function Slot.__close(slot)
  local connection, request = slot.connection, slot.request
  if request and connection.client then
    connection.waiting[request] = nil
    connection.client:cancel(request)
  end
  if slot.id then core.free_id(slot.id) end
  if slot.granted then pass_on(connection) end
end

-- If there is no grant after the wait, the client was closed or the time was over.
local function wait_in_line(slot, seconds)
  local connection = slot.connection
  local line, id = connection.line, core.new_id()
  slot.id = id
  line.last = line.last + 1
  line[line.last] = slot
  connection.waiting[id] = true
  task.wait(id, function()
    connection.waiting[id] = nil
    slot.cancelled = true
  end, seconds)
  connection.waiting[id] = nil
end

local NOT_SENT = { Timeout = true, NameNotResolved = true, ConnectFailed = true }

local function too_late()
  return errors.new {
    name = "Timeout",
    message = "the deadline was over before a connection was free for the request",
    retriable = true,
  }
end

-- The header lines of every request; made once for a token.
local function use_token(self, token)
  self.client:fields {
    "Authorization: " .. token,
    "User-Agent: directmethods/" .. core.version,
    "Accept: application/json",
    "Content-Type: application/json; charset=utf-8",
  }
  self.token = token -- after the lines, in case memory runs out while making them
end

-- Start a request; its id or nil, err. A hub in this process counts it for dm.advance.
local function start(self, method, target, fields, body, timeout, answer_max)
  local token, why = self.authorize()
  if not token then return nil, why end
  if token ~= self.token then use_token(self, token) end
  local id, name, message = self.client:send(method, target, fields, body, timeout,
    answer_max, package.loaded["directmethods.hub_core"] ~= nil)
  if not id then return nil, errors.new { name = name, message = message } end
  return id
end

--- Send a request and wait for the answer, whatever its status.
---@param method string
---@param target string path and query
---@param fields string[]? header lines, besides those that all have
---@param body string?
---@param timeout number seconds, from when a connection is free
---@param answer_max integer bytes of the answer's body
---@param stop number? contract time by which it ends
---@return integer? status
---@return string|directmethods.Error fields header block of the answer; or the error
---@return string? body
function Connection:send(method, target, fields, body, timeout, answer_max, stop)
  local slot <close> = setmetatable(
    { connection = self, granted = false, id = false, request = false }, Slot)
  if self.free > 0 then
    self.free = self.free - 1
    slot.granted = true
  else
    wait_in_line(slot, stop and math.max(0, stop - core.now()))
  end
  if not self.client then return nil, closed() end
  if not slot.granted then return nil, too_late() end
  if stop then timeout = math.min(timeout, math.max(0.001, stop - core.now())) end
  local id, err = start(self, method, target, fields, body, timeout, answer_max)
  if not id then return nil, err end
  slot.request = id
  self.waiting[id] = true
  local event, a, b, c = task.wait(id)
  self.waiting[id] = nil
  slot.request = false
  if event == "answer" then return a, b, c end
  if event == "closed" then return nil, closed() end
  return nil, errors.new {
    name = a, message = b, retriable = not c and NOT_SENT[a] or false,
  }
end

return M
