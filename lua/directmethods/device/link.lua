--- One MQTT connection of a device, from the attempt to connect to its end.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local task = require "directmethods.task"

local M = {}

local INBOX = 1024 -- requests kept between two turns of the loop
local OUTBOX = 4096 -- answers that may wait to be sent
local WEAK = { __mode = "k" }

---@class directmethods.Link
---@field live boolean      connected, and not closed by this device
---@field counted boolean   the hub is in this process
---@field open integer      requests without an answer whose handlers run or will run
---@field deferred table?   requests whose answers were deferred (weak: one that the
---                         user has forgotten does not count)
---@field drained fun()?    called when the last of all these is answered
local Link = {}
Link.__index = Link

-- What carries a device's connections, unless it is paho: a fleet's, or its own, made
-- for the first of them.
local function engine_of(device)
  local config = device.config
  if config.uv_engine or config.engine ~= "uv" then return config.uv_engine end
  if not device.engine then
    local tls, x509 = config.tls or {}, config.x509 or {}
    local engine, name, message = core.mqtt_engine(config.tls and true, tls.ca,
      tls.verify, x509.cert, x509.key, x509.password)
    if not engine then return nil, errors.new { name = name, message = message } end
    device.engine = engine
  end
  return device.engine
end

local function fields_of(config, password, engine)
  local tls = config.tls or {}
  local x509 = config.x509 or {}
  return {
    host = config.gateway_host_name or config.host_name,
    port = config.port,
    host_name = config.host_name,
    device_id = config.device_id,
    module_id = config.module_id,
    api_version = config.api_version,
    password = password,
    keepalive = config.keepalive,
    clean_session = config.clean_session,
    tls = config.tls and true,
    ca = tls.ca,
    verify = tls.verify,
    cert = x509.cert,
    key = x509.key,
    key_password = x509.password,
    websocket = config.transport == "websocket",
    proxy = config.proxy,
    engine = engine,
    connect_timeout = config.open_timeout,
    inbox = INBOX,
    outbox = OUTBOX,
  }
end

--- Start to connect. Events call the functions in `events` by their name, as
-- f(device, link, ...), inside the loop.
---@return directmethods.Link? link
---@return directmethods.Error? err
function M.open(device, password, events)
  local engine, err = engine_of(device)
  if err then return nil, err end
  local fields = fields_of(device.config, password, engine)
  local conn, name, message = core.mqtt_connect(fields)
  if not conn then return nil, errors.new { name = name, message = message } end
  local link = setmetatable({
    device = device,
    conn = conn,
    id = conn:id(), -- of its events
    live = false,
    counted = false,
    open = 0,
  }, Link)
  task.objects[link.id] = function(event, a, b, c)
    if event == "gone" then task.objects[link.id] = nil end
    local handle = events[event]
    if handle then handle(device, link, a, b, c) end
  end
  return link
end

--- Send an answer.
---@return boolean? sent
---@return directmethods.Error? err
function Link:reply(rid, status, body)
  local ok, name, message = self.conn:reply(rid, status, body)
  if ok then return true end
  return nil, errors.new { name = name, message = message }
end

--- A request's task has waited or ended: for dm.advance.
function Link:seen()
  if self.live then self.conn:seen(1) end
end

--- Is a request without an answer left?
---@return boolean
function Link:is_open()
  return self.open > 0 or self.deferred ~= nil and next(self.deferred) ~= nil
end

--- The answer of an open request was deferred, or could not be sent.
function Link:defer_request(request)
  request._open = false
  self.open = self.open - 1
  self.deferred = self.deferred or setmetatable({}, WEAK)
  self.deferred[request] = true
end

--- A request was answered, or its answer is not needed any longer.
function Link:close_request(request)
  if request._open then
    request._open = false
    self.open = self.open - 1
  else
    self.deferred[request] = nil
  end
  if self.drained and not self:is_open() then self.drained() end
end

--- Send queued answers for at most `linger` seconds, then disconnect. The last event
-- is "gone".
---@return integer dropped messages that were not handled
function Link:close(linger)
  local dropped = self.conn:dropped()
  self.live = false
  self.drained = nil
  self.conn:close(linger)
  return dropped
end

--- Release the engine of a closed device; its last connection keeps what it needs.
function M.close_engine(device)
  if device.engine then device.engine:close() end
  device.engine = nil
end

return M
