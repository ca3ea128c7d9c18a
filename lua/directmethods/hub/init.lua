--- dm.hub: an Azure IoT Hub for direct methods in this process.
--
-- Calls are the C data plane's business and never come here; registry, twins and
-- certificates are.

local class = require "directmethods.hub.class"
local configs = require "directmethods.hub.config"
local differences = require "directmethods.hub.differences"
local errors = require "directmethods.errors"
local restore = require "directmethods.hub.restore"
local options = require "directmethods.options"
local life = require "directmethods.hub.life"
local tables = require "directmethods.tables"
local task = require "directmethods.task"

require "directmethods.hub.change"
require "directmethods.hub.clients"
require "directmethods.hub.cluster_calls"
require "directmethods.hub.deadlines"
require "directmethods.hub.device_list"
require "directmethods.hub.faults"
require "directmethods.hub.history"
require "directmethods.hub.reset"
require "directmethods.hub.snapshots"
require "directmethods.hub.throttles"

local M = {}

local STOP = 5 -- default seconds that pending requests have at hub:stop

local DIFFERENCES = { in_effect = { "boolean", default = false } }

local Hub = class.Hub
local check_self, check_open = class.check_self, class.check_open

function Hub:__tostring()
  local ports = self.state.ports
  if not self.state.open then return "directmethods.hub (closed)" end
  return ("directmethods.hub (%s, MQTT %d, HTTP %d)"):format(
    self.config.host, ports.mqtt, ports.https)
end

-- Facts --------------------------------------------------------------------

--- The path of a file with the CA certificate that clients must trust, made by the
-- first call. With a store in a file it is the one beside it, `{store}.ca.pem`, and
-- stays; else it is a temporary one, removed when the hub is closed.
---@return string? path nil without err: plain, or a certificate without `ca`
---@return directmethods.Error? err
function Hub:ca_file()
  check_open(self, "hub:ca_file")
  local state = self.state
  if state.ca_path or not state.ca then return state.ca_path end
  local path, temporary = restore.ca_file(state.store, state.ca)
  if not path then
    return nil, errors.new {
      name = "SystemError",
      message = "hub:ca_file: cannot write the file: " .. temporary,
    }
  end
  state.ca_path, state.ca_temporary = path, temporary
  return path
end

--- The ports it listens on.
---@return { mqtt: integer, https: integer, admin: integer? }
function Hub:ports()
  check_open(self, "hub:ports")
  local ports = self.state.ports
  return { mqtt = ports.mqtt, https = ports.https, admin = ports.admin }
end

--- What callers of the admin listener must show: `Authorization: Bearer {token}`.
---@return string? token nil: the hub has no admin_port
function Hub:admin_token()
  check_open(self, "hub:admin_token")
  return self.state.admin and self.state.admin.token
end

--- The known differences between this hub and IoT Hub, those that let a wrong test
-- pass first. With `in_effect` those alone that an option of this hub causes.
--- ```lua
--- for _, row in ipairs(hub:differences { in_effect = true }) do
---   print(row.kind, row.option, row.case, row.advice)
--- end
--- ```
---@param filter { in_effect: boolean? }?
---@return directmethods.Difference[]
function Hub:differences(filter)
  check_open(self, "hub:differences")
  local in_effect = options.check(filter, DIFFERENCES, "hub:differences").in_effect
  local list = {}
  for _, row in ipairs(differences.ROWS) do
    local is_cause = row.option and differences.CAUSES[row.option]
    if not in_effect or is_cause and is_cause(self.config) then
      list[#list + 1] = tables.copy(row)
    end
  end
  return list
end

--- What the hub has counted since it began: each drop and refusal by its reason.
---@return table<string, integer>
function Hub:counters()
  check_open(self, "hub:counters")
  local counters, bus = self.state.plane:counters(), self.state.bus
  return bus and bus:count(counters) or counters
end

local LISTEN = {
  call = function(state, fn) state.watchers:on(fn) end,
  reset = function(state, fn) state.on_reset = fn end,
  device = function(state, fn) state.device_watchers:on(fn) end,
}

--- Be told of events; nil ends it. "call": a method call has ended; fn runs as a task
-- with its record, one of hub:calls. "device": a device came, went or was refused, or a
-- caller was; fn runs as a task with the event. "reset": hub:reset has removed
-- everything; it calls fn and waits for it, so that fn can put back what is always to
-- be there. fn gets "devices" when these were kept.
--- ```lua
--- hub:on("call", function(call) print(call.device_id, call.method, call.outcome) end)
--- hub:on("device", function(event) print(event.event, event.device_id) end)
--- hub:on("reset", function() assert(hub:add_device("dev1")) end)
--- ```
---@param event "call"|"device"|"reset"
---@param fn fun(what: directmethods.HubCall|directmethods.HubDeviceEvent|string|nil)?
function Hub:on(event, fn)
  check_open(self, "hub:on")
  if not LISTEN[event] then
    error("hub:on: event must be 'call', 'device' or 'reset'", 2)
  end
  if fn ~= nil and type(fn) ~= "function" then
    error(("hub:on: fn must be a function or nil, not a %s"):format(type(fn)), 2)
  end
  LISTEN[event](self.state, fn)
end

-- Ending -------------------------------------------------------------------

--- Take no new connections, let pending requests be answered for at most so many
-- seconds of real time, and wait until the hub is closed. Devices and services stay
-- open.
---@param seconds number? default 5
---@return boolean? closed
---@return directmethods.Error? err
function Hub:stop(seconds)
  check_open(self, "hub:stop")
  seconds = seconds or STOP
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= 3600) then
    error("hub:stop: seconds must be a number from 0 to 3600", 2)
  end
  task.current("hub:stop")
  life.stop(self.state, seconds)
  return life.wait_closed(self.state)
end

local CLOSE = { clients = { "boolean", default = true } }

--- Close at once, with the devices and services that hub:device and hub:service made:
-- connections are dropped, pending calls end unanswered. Returns before the last is
-- gone; silent the second time.
---@param opts { clients: boolean? }? clients = false: leave devices and services open
function Hub:close(opts)
  check_self(self, "hub:close")
  opts = options.check(opts, CLOSE, "hub:close")
  local state = self.state
  if opts.clients then
    for service in pairs(state.services) do service:close() end
    for device in pairs(state.devices) do device:close() end
  end
  life.close(state)
end

function Hub:__close()
  self:close()
end

-- A client keeps its hub alive, so a hub that is collected has none.
function Hub:__gc()
  life.close(self.state)
end

--- Wait until the hub was closed and nothing of it is left.
---@param timeout number? seconds; default: none
---@return boolean? closed
---@return directmethods.Error? err
function Hub:closed(timeout)
  check_self(self, "hub:closed")
  options.check_timeout(timeout, "hub:closed")
  task.current("hub:closed")
  return life.wait_closed(self.state, timeout)
end

-- Beginning ----------------------------------------------------------------

--- Start a hub: it waits until the store is open, its identities are loaded, and the
-- hub listens. Raises on wrong options, and when tls is true and luaossl is not
-- installed.
--- ```lua
--- local hub <close> = assert(dm.hub { tls = false })
--- ```
---@param opts directmethods.HubOptions?
---@return directmethods.Hub? hub
---@return directmethods.Error? err a port is taken or not allowed; a bad certificate;
---  a store that is damaged, of a newer version, or in use
function M.hub(opts)
  local config = configs.read(opts)
  task.current("dm.hub")
  local state, err = life.start(config)
  if not state then return nil, err end
  local hub = setmetatable({
    hostname = config.hostname,
    gateway = (config.device_hostname or config.hostname) ~= "localhost"
      and configs.reach(config) or nil,
    config = config,
    state = state,
  }, Hub)
  state.hub[1] = hub
  return hub
end

return M
