--- dm.fleet: many devices in one process, over one TLS context and without threads.

local calls = require "directmethods.fleet.connect"
local configs = require "directmethods.fleet.config"
local connection = require "directmethods.device.connection"
local core = require "directmethods.core"
local devices = require "directmethods.device"
local errors = require "directmethods.errors"
local histogram = require "directmethods.histogram"
local options = require "directmethods.options"
local task = require "directmethods.task"
local waits = require "directmethods.device.waits"

local M = {}

--- A fleet. `<close>` works on it.
---@class directmethods.Fleet
---@field count integer  how many devices it has
local Fleet = { __name = "directmethods.Fleet" }
Fleet.__index = Fleet

function Fleet:__tostring()
  return ("fleet of %d devices (%s)"):format(self.count,
    self.is_closed and "closed" or ("%d online"):format(self.states.online))
end

local function check_self(fleet, what)
  options.check_self(fleet, Fleet, what, 1)
end

-- Making one -------------------------------------------------------------------

local function make_devices(fleet, config)
  function config.shared.observer(device, old) calls.observe(fleet, device, old) end
  for i, each in ipairs(config.devices) do
    local device = devices.make(each)
    fleet.devices[i], fleet.by_name[device.name] = device, device
  end
end

--- Make a fleet. With a local hub its devices are registered there. They do nothing
-- before `fleet:connect()`. Raises on wrong options.
--- ```lua
--- local hub <close> = assert(dm.hub {})
--- local fleet <close> = assert(dm.fleet {
---   hub = hub, count = 1000, id = "dev-%04d",
---   handlers = { reboot = function(request) return 200, request.device_id end },
--- })
--- assert(fleet:connect(30, function(online, count) print(online, "of", count) end))
--- ```
---@param opts directmethods.FleetOptions
---@return directmethods.Fleet? fleet
---@return directmethods.Error? err  too few file descriptors ("LimitExceeded"), a bad
---  CA ("TlsFailed"), the hub's registry is full
function M.fleet(opts)
  local config, err = configs.read(opts)
  if not config then return nil, err end
  local shared, tls = config.shared, config.shared.tls or {}
  local engine, name, message = core.mqtt_engine(shared.tls, tls.ca, tls.verify)
  if not engine then return nil, errors.new { name = name, message = message } end
  shared.uv_engine = engine
  local count = #config.devices
  local fleet = setmetatable({
    count = count,
    hub = opts.hub, -- kept alive
    engine = engine,
    connect_rate = config.connect_rate,
    open_timeout = shared.open_timeout,
    devices = {},
    by_name = {},
    connects = histogram.new(),
    starts = {}, -- devices that connect, and since when
    is_closed = false,
    states = {
      idle = count, connecting = 0, online = 0, renewing = 0, backoff = 0, closed = 0,
    },
  }, Fleet)
  make_devices(fleet, config)
  return fleet
end

-- Using it ---------------------------------------------------------------------

--- Wait until every device is online. A device whose attempt fails tries again until
-- the time-out, unless the hub refuses it. After an error, devices that are online stay
-- online and reconnect without a limit; the others do nothing until the next call.
-- err.info has `online`, a number, and `failed`, a table of errors by device.
--- ```lua
--- local ok, err = fleet:connect(60)
--- if not ok then print(err, next(err.info.failed)) end
--- ```
---@param timeout number?  seconds; default: open_timeout (30), and the time that
---  connect_rate asks for
---@param progress fun(online: integer, count: integer)?  runs as a task, whenever
---  more devices are online
---@return directmethods.Fleet? fleet
---@return directmethods.Error? err
function Fleet:connect(timeout, progress)
  check_self(self, "fleet:connect")
  options.check_timeout(timeout, "fleet:connect")
  if progress ~= nil and type(progress) ~= "function" then
    error(("fleet:connect: progress must be a function or nil, not a %s"):format(
      type(progress)), 2)
  elseif self.is_closed then
    error("fleet:connect: attempt to use a closed fleet", 2)
  elseif self.run then
    error("fleet:connect: is under way already", 2)
  end
  task.current("fleet:connect")
  local rate = self.connect_rate
  timeout = timeout or self.open_timeout + (rate and self.count / rate or 0)
  local ok, err = calls.connect(self, timeout, progress)
  if not ok then return nil, err end
  return self
end

--- The names of all devices in their order: ids, "device/module" for modules.
---@return string[]
function Fleet:ids()
  check_self(self, "fleet:ids")
  local ids = {}
  for i, device in ipairs(self.devices) do ids[i] = device.name end
  return ids
end

--- One of the devices: as dm.device gives it.
--- ```lua
--- fleet:device(1):method("reboot", function() return 503 end)
--- fleet:device("dev-0007"):close()
--- ```
---@param which integer|string  its place, from 1, or its name
---@return directmethods.Device? device  nil: there is none
function Fleet:device(which)
  check_self(self, "fleet:device")
  if type(which) ~= "string" and not math.type(which) then
    error(("fleet:device: which must be a place or a name, not a %s"):format(
      type(which)), 2)
  end
  return self.devices[which] or self.by_name[which]
end

---@class directmethods.FleetStats
---@field count integer       devices
---@field idle integer        devices by their state
---@field connecting integer
---@field online integer
---@field renewing integer
---@field backoff integer
---@field closed integer
---@field calls integer       of all devices, as in device:stats()
---@field errors integer
---@field rejected integer
---@field dropped integer
---@field late integer
---@field reconnects integer
---@field why table<string, integer>  reasons, and how many devices each keeps offline
---@field connects directmethods.Histogram  how long connecting took

--- Statistics of the fleet. Works on a closed fleet, too.
--- ```lua
--- print(fleet:stats().online, fleet:stats().connects:percentile(95))
--- ```
---@return directmethods.FleetStats
function Fleet:stats()
  check_self(self, "fleet:stats")
  local stats = {
    count = self.count, why = {}, connects = self.connects,
    calls = 0, errors = 0, rejected = 0, dropped = 0, late = 0, reconnects = 0,
  }
  for state, n in pairs(self.states) do stats[state] = n end
  for _, device in ipairs(self.devices) do
    for name, n in pairs(device.counts) do stats[name] = stats[name] + n end
    if device.link then stats.dropped = stats.dropped + device.link.conn:dropped() end
    local why = device.why
    if why then stats.why[why] = (stats.why[why] or 0) + 1 end
  end
  return stats
end

-- Ending -----------------------------------------------------------------------

--- Start to disconnect all devices, as device:close() does. Returns at once; a second
-- call does nothing.
function Fleet:close()
  check_self(self, "fleet:close")
  if self.is_closed then return end
  self.is_closed = true
  calls.stop(self)
  for _, device in ipairs(self.devices) do connection.close(device) end
  self.engine:close()
end

Fleet.__close = Fleet.close

--- Wait until the fleet is closed and its resources are freed.
---@param timeout number?  seconds; default: none
---@return boolean? closed
---@return directmethods.Error? err
function Fleet:closed(timeout)
  check_self(self, "fleet:closed")
  options.check_timeout(timeout, "fleet:closed")
  task.current("fleet:closed")
  local deadline = timeout and core.now() + timeout
  for _, device in ipairs(self.devices) do
    local left = deadline and math.max(0, deadline - core.now())
    local gone, err = waits.gone(device, left)
    if not gone then return nil, err end
  end
  return true
end

return M
