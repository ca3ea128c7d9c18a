--- The bus of a hub that is one of several: NATS, over which a call reaches the hub
-- that has its device.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local task = require "directmethods.task"

local M = {}

---@class directmethods.HubBus
---@field id string of this hub among the others: another one at each start
---@field core directmethods.ClusterBus
local Bus = {}
Bus.__index = Bus

local function failed(name, message)
  return nil, errors.new { name = name, message = "cluster: " .. message }
end

local function cluster_core()
  local found, module = pcall(require, "directmethods.cluster_core")
  if found and module.bus then return module end
  return nil, "several hubs need the module directmethods.cluster_core with NATS: it "
    .. "comes with the rock or Debian package directmethods-cluster, or is built from "
    .. "the sources where libpq and libnats are"
end

--- Connect to the NATS server. Waits.
---@param cluster directmethods.HubClusterOptions
---@param id string of this hub
---@return directmethods.HubBus? bus
---@return directmethods.Error? err ConnectFailed, Unauthorized, TlsFailed
function M.open(cluster, id)
  local module, why = cluster_core()
  if not module then return failed("SystemError", why) end
  local bus, event, message = module.bus(core.loop, {
    urls = cluster.url,
    cluster = cluster.name,
    hub = id,
    user = cluster.user,
    password_file = cluster.password_file,
    credentials_file = cluster.credentials_file,
    ca_file = cluster.ca_file,
    cert_file = cluster.cert_file,
    key_file = cluster.key_file,
  })
  if not bus then return failed(event, message) end
  local self, opened = setmetatable({ id = id, core = bus }, Bus), false
  -- also when the task is cancelled
  local _ <close> = setmetatable({}, {
    __close = function() if not opened then self:close() end end,
  })
  local name, text
  event, name, text = task.wait(event)
  opened = event == "open"
  if opened then return self end
  return failed(name, text)
end

--- Join it to the hub's data plane, before that listens.
---@param plane userdata
function Bus:join(plane)
  local functions, context = self.core:join(plane:bus_events())
  plane:join(functions, context, self.id)
end

--- Is there a connection to a NATS server now?
---@return boolean
function Bus:connected()
  return self.core:connected()
end

--- Add how many messages were dropped, by the reason, to the hub's counters.
---@param counters table<string, integer>
---@return table<string, integer> counters
function Bus:count(counters)
  for reason, count in pairs(self.core:dropped()) do
    counters["bus_" .. reason] = count
  end
  return counters
end

--- Disconnect; silent the second time.
function Bus:close()
  self.core:close()
end

return M
