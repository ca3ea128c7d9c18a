--- The life of a hub, from start to close: its C data plane, and what Lua keeps of it.
-- The state of a hub is a table of its own, so that the hub itself is collected, and
-- closed, while the loop still holds the state.

local admin = require "directmethods.hub.admin"
local buses = require "directmethods.hub.bus"
local cluster_calls = require "directmethods.hub.cluster.calls"
local core = require "directmethods.core"
local errors = require "directmethods.errors"
local jobs = require "directmethods.hub.jobs"
local requests = require "directmethods.hub.requests"
local restore = require "directmethods.hub.restore"
local recordings = require "directmethods.hub.recordings"
local plane_events = require "directmethods.hub.plane_events"
local presences = require "directmethods.hub.cluster.presence"
local policies = require "directmethods.hub.policies"
local renewal = require "directmethods.hub.renewal"
local registry = require "directmethods.hub.registry"
local clusters = require "directmethods.hub.cluster"
local background = require "directmethods.hub.background"
local sessions = require "directmethods.hub.sessions"
local streams = require "directmethods.hub.streams"
local stores = require "directmethods.hub.store"
local task = require "directmethods.task"
local watchers = require "directmethods.hub.watchers"

local M = {}

---@class directmethods.HubState
---@field plane userdata       the C hub
---@field open boolean         neither stopped nor closed
---@field gone boolean         closed, and nothing of it is left
---@field store directmethods.Store
---@field cluster directmethods.Cluster? hubs that share the store; nil: it is alone
---@field presence directmethods.Presence? of the hubs of a bus; nil: it is alone
---@field bus directmethods.HubBus? the way to these hubs
---@field registry directmethods.Registry
---@field requests directmethods.HubRequests those of the control plane
---@field background directmethods.Background
---@field jobs directmethods.Jobs
---@field policies table<string, string> name -> primary key
---@field secondary_keys table<string, string> of policies, by name
---@field ports { mqtt: integer, https: integer, admin: integer? }
---@field renewal { cancel: fun() }? of its own certificate
---@field ca string?           PEM that clients trust
---@field ca_path string?      the file that holds it
---@field ca_temporary boolean? it goes with the hub
---@field watchers directmethods.HubWatchers of calls
---@field device_watchers directmethods.HubWatchers of events of devices
---@field recordings directmethods.HubRecordings
---@field streams directmethods.Streams of the admin listener
---@field on_reset function?   called at the end of a reset
---@field faults table<integer, directmethods.Fault> rules by their numbers
---@field last_fault integer number of the latest rule
---@field snapshots table<string, directmethods.SnapshotContents> by their names
---@field devices table<directmethods.Device, boolean> made by hub:device, weak
---@field services table<directmethods.Service, boolean> made by hub:service, weak
---@field admin directmethods.HubAdmin? what the admin listener keeps
---@field hub { [1]: directmethods.Hub? } weak: the hub is collected before its state
---@field waiting table<integer, boolean> ids of who waits for the end

-- Jobs first: that the calls under way end now is nothing the devices have done.
local function close_work(state)
  renewal.stop(state)
  state.jobs:close()
  if state.presence then state.presence:close() end
  if state.cluster then state.cluster:close() end
  state.requests:close()
  state.background:close()
  state.watchers:close()
  state.device_watchers:close()
  state.recordings:close()
end

-- Nothing is left of the data plane.
local function on_closed(state)
  task.objects[state.plane:id()] = nil
  if state.bus then state.bus:close() end
  if state.admin then state.admin.clients:close() end
  close_work(state)
  state.store:close()
  state.gone = true
  for id in pairs(state.waiting) do
    task.finish(id, true)
    core.free_id(id)
  end
  state.waiting = {}
end

local function make(plane, config, store, cluster)
  local state = {
    plane = plane,
    open = true,
    gone = false,
    store = store,
    cluster = cluster,
    registry = registry.new(store, plane, config.dev_keys),
    requests = requests.new(plane:limits().control_requests),
    background = background.new(),
    watchers = watchers.new(function(on) plane:watch_calls(on) end),
    device_watchers = watchers.new(function(on) plane:watch_devices(on) end),
    policies = {},
    secondary_keys = {},
    ports = {},
    devices = setmetatable({}, { __mode = "k" }),
    services = setmetatable({}, { __mode = "k" }),
    faults = {},
    last_fault = 0,
    snapshots = {},
    hub = setmetatable({}, { __mode = "v" }),
    waiting = {},
  }
  state.recordings = recordings.new(state.watchers)
  state.streams = streams.new(state)
  state.jobs = jobs.new(state, config)
  state.registry.on_unusable = function() state.jobs:look_again() end
  task.objects[plane:id()] = plane_events.handler(state, on_closed)
  return state
end

local LISTENERS = { { "mqtt", "mqtt_port" }, { "https", "https_port" } }

local function listen(state, config, tls)
  for _, listener in ipairs(LISTENERS) do
    local service, option = table.unpack(listener)
    local port, name, message = state.plane:listen(service, config.host, config[option],
      tls.cert, tls.key, config.x509_ca)
    if not port then
      return nil, errors.new { name = name, message = option .. ": " .. message }
    end
    state.ports[service] = port
  end
  return true
end

local function listen_admin(state, config, tls)
  if not config.admin_port then return true end
  state.admin = admin.new(config.admin_token)
  state.admin.session = state.plane:admin_token(state.admin.token)
  local cert = config.admin_tls and tls or {}
  local port, name, message = state.plane:listen("admin", config.admin_host,
    config.admin_port, cert.cert, cert.key)
  state.ports.admin = port
  if port then return true end
  return nil, errors.new { name = name, message = "admin_port: " .. message }
end

local function certificates(config, state)
  if config.tls == true then return renewal.own(state, config) end
  return config.tls or {}
end

-- What the store holds.
local function load(state)
  local ok, err = restore.load(state.registry, state.store)
  if ok then ok, err = sessions.load(state.store, state.plane) end
  if ok and state.bus then ok, err = presences.begin(state) end
  if ok then ok, err = state.jobs:load() end
  return ok, err
end

local NO_URL = "cluster.url is not set: calls do not reach devices that are "
  .. "connected to other hubs of '%s'"

-- The way to the hubs that share the store.
local function join_bus(state, config)
  if not state.cluster then return true end
  if not config.cluster.url then
    core.log("warn", NO_URL:format(state.cluster.name))
    return true
  end
  local err
  state.bus, err = buses.open(config.cluster, state.cluster.id)
  if not state.bus then return nil, err end
  state.bus:join(state.plane)
  state.bus.on_question = cluster_calls.answerer(state)
  return true
end

-- What it needs to serve: certificates, policies, identities, jobs, ports.
local function prepare(state, config)
  local tls, err = certificates(config, state)
  if not tls then return nil, err end
  if config.tls == true then renewal.start(state, config, tls) end
  state.ca = tls.ca
  config.tls = config.tls and true
  local ok
  ok, err = policies.add(state, config)
  if not ok then return nil, err end
  ok, err = join_bus(state, config)
  if not ok then return nil, err end
  if state.cluster then
    ok, err = state.cluster:begin(state, config)
    if not ok then return nil, err end
  end
  ok, err = load(state)
  if not ok then return nil, err end
  if state.cluster then state.cluster:open() end
  ok, err = listen(state, config, tls)
  if not ok then return nil, err end
  return listen_admin(state, config, tls)
end

--- Start a data plane with what its store holds, its policies and listeners. With a
-- store in a file, it waits until all is loaded.
---@param config table of hub/config.lua; its `tls` becomes a boolean
---@return directmethods.HubState? state
---@return directmethods.Error? err
function M.start(config)
  local store, err = stores.open(config.store, config.cluster ~= nil)
  if not store then return nil, err end
  local cluster
  cluster, err = clusters.join(store, config)
  if cluster == nil then
    store:close()
    return nil, err
  end
  local plane, name, message = require "directmethods.hub_core".hub(core.loop, config)
  if not plane then
    if cluster then cluster:close() end
    store:close()
    return nil, errors.new { name = name, message = message }
  end
  local state, ready = make(plane, config, store, cluster or nil), nil
  -- also when something raises, or the task is cancelled
  local _ <close> = setmetatable({}, {
    __close = function()
      if not ready then M.close(state) end
    end,
  })
  ready, err = prepare(state, config)
  if ready then return state end
  return nil, restore.blame(store, err)
end

local function remove_ca_file(state)
  if state.ca_temporary then os.remove(state.ca_path) end
  state.ca_path, state.ca_temporary = nil, nil
end

---@param seconds number that pending requests have
function M.stop(state, seconds)
  state.recordings:finish()
  state.open = false
  state.jobs:stop()
  state.watchers:stop() -- admin requests that wait would hold the stop
  state.device_watchers:stop()
  state.streams:close()
  state.plane:stop(seconds)
  remove_ca_file(state)
end

--- Close at once; harmless the second time.
function M.close(state)
  state.open = false
  if state.admin then state.admin.clients:close() end
  if not state.gone then state.streams:close() end
  close_work(state)
  state.plane:close()
  state.store:close()
  remove_ca_file(state)
end

-- Until nothing is left of the data plane.
local function wait_gone(state, timeout)
  if state.gone then return true end
  local id = core.new_id()
  state.waiting[id] = true
  return task.wait(id, function()
    state.waiting[id] = nil
    core.free_id(id)
  end, timeout)
end

--- Wait for the end of a closed hub, and of the devices with canned answers.
---@param timeout number? seconds
function M.wait_closed(state, timeout)
  local closed, err = wait_gone(state, timeout)
  if closed and state.admin then return state.admin.clients:wait_closed(timeout) end
  return closed, err
end

return M
