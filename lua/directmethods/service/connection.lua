--- The HTTP side of a service: requests with a token, over a bounded number of
-- connections.

local core = require "directmethods.core"
local credentials = require "directmethods.service.credentials"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local task = require "directmethods.task"

local M = {}

local FILE_MAX = 4 * 1024 * 1024 -- bytes of a CA file that are looked at

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

-- What http_core.client wants to know.
local function client_config(opts, level)
  local tls = opts.tls == true and { verify = true } or opts.tls or nil
  local config = {
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
      "must be a certificate in PEM form, or a file of such", level)
  end
  return config
end

---@class directmethods.ServiceConnection
---@field host string
local Connection = {}
Connection.__index = Connection

--- Raises on what is wrong with the options, `level` frames above the caller's
--- caller.
---@param opts table checked options of dm.service
---@param level integer
---@return directmethods.ServiceConnection? connection
---@return directmethods.Error? err
function M.new(opts, level)
  local host, authorize = credentials.read(opts, level + 1)
  local config = client_config(opts, level + 1)
  local http = require "directmethods.http_core"
  local client, name, message = http.client(core.loop, config)
  if not client then return nil, errors.new { name = name, message = message } end
  return setmetatable({
    host = host,
    port = opts.port,
    connect_host = opts.connect_host,
    authorize = authorize,
    client = client, -- nil: closed
    free = opts.max_connections, -- requests that may start now
    line = { first = 1, last = 0 }, -- slots that wait for their turn
    waiting = {}, -- ids that are to be told of the end
  }, Connection)
end

local function closed()
  return errors.new { name = "Closed", message = "the service client was closed" }
end

--- End all requests with Closed. Harmless again.
function Connection:close()
  local client = self.client
  if not client then return end
  self.client = nil
  client:close()
  for id in pairs(self.waiting) do
    task.finish(id, "closed")
  end
end

-- Wait for the events of an id; "closed" when the connection ends before; nil, err
-- after `seconds`, if they are given.
local function wait(self, id, cancel, seconds)
  self.waiting[id] = true
  local event, a, b, c = task.wait(id, function()
    self.waiting[id] = nil
    cancel()
  end, seconds)
  self.waiting[id] = nil
  return event, a, b, c
end

-- Slots: a request's time runs from when a connection is free for it, so that it
-- is not lost to waiting in line. A slot is given back when its variable closes,
-- also by the cancellation of the task.
local Slot = {}

function Slot.__close(slot)
  if slot.id then core.free_id(slot.id) end
  if not slot.granted then return end
  local connection = slot.connection
  local line = connection.line
  while line.first <= line.last do
    local next_slot = line[line.first]
    line[line.first] = nil
    line.first = line.first + 1
    if not next_slot.cancelled then
      next_slot.granted = true
      task.finish(next_slot.id, "granted")
      return
    end
  end
  connection.free = connection.free + 1
end

local function wait_in_line(slot, seconds)
  local connection = slot.connection
  local line = connection.line
  slot.id = core.new_id()
  line.last = line.last + 1
  line[line.last] = slot
  wait(connection, slot.id, function()
    slot.cancelled = true
  end, seconds)
end

-- Without a grant: the client was closed, or its time was over.
local function take(slot, seconds)
  local connection = slot.connection
  if connection.free == 0 then return wait_in_line(slot, seconds) end
  connection.free = connection.free - 1
  slot.granted = true
end

local NOT_SENT = { Timeout = true, NameNotResolved = true, ConnectFailed = true }

local function too_late()
  return errors.new {
    name = "Timeout",
    message = "the deadline was over before a connection was free for the request",
    retriable = true,
  }
end

-- The seconds that a request may take.
local function time_of(request)
  if not request.stop then return request.timeout end
  return math.min(request.timeout, math.max(0.001, request.stop - core.now()))
end

-- What every request has; made once for a token.
local function common_fields(self, token)
  if self.token ~= token then
    self.token = token
    self.fields = {
      "Authorization: " .. token,
      "User-Agent: directmethods/" .. core.version,
      "Accept: application/json",
      "Content-Type: application/json; charset=utf-8",
    }
  end
  return self.fields
end

local function start(self, request, token)
  local fields = common_fields(self, token)
  if request.fields then
    fields = table.move(fields, 1, #fields, 1, {})
    table.move(request.fields, 1, #request.fields, #fields + 1, fields)
  end
  return self.client:send(request.method, self.host, self.port, self.connect_host,
    request.target, fields, request.body, time_of(request), request.answer_max, true)
end

--- Send a request and wait for the answer, whatever its status.
---@param request table method, target, fields (lines), body, timeout (seconds),
---  answer_max (bytes of its body), stop (contract time by which it ends, or nil)
---@return table? answer status, fields (header block), body
---@return directmethods.Error? err
function Connection:send(request)
  local slot <close> = setmetatable({ connection = self, granted = false }, Slot)
  take(slot, request.stop and math.max(0, request.stop - core.now()))
  if not self.client then return nil, closed() end
  if not slot.granted then return nil, too_late() end
  local token, why = self.authorize()
  if not token then return nil, why end
  local client = self.client
  local id, name, message = start(self, request, token)
  if not id then return nil, errors.new { name = name, message = message } end
  local event, a, b, c = wait(self, id, function() client:cancel(id) end)
  if event == "answer" then return { status = a, fields = b, body = c } end
  if event == "closed" then return nil, closed() end
  return nil, errors.new {
    name = a, message = b, retriable = not c and NOT_SENT[a] or false,
  }
end

return M
