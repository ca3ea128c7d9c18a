--- Membership in the cluster of hubs that share a database. The hub counts up in its
-- row each second, so that the others see that it lives, and it follows what they
-- change.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local followers = require "directmethods.hub.cluster.follower"
local identities = require "directmethods.hub.cluster.identities"
local members = require "directmethods.hub.cluster.members"
local notices = require "directmethods.hub.cluster.notices"
local owners = require "directmethods.hub.jobs.owners"
local policies = require "directmethods.hub.policies"
local shared = require "directmethods.hub.postgres_shared"
local task = require "directmethods.task"
local time = require "directmethods.time"

local M = {}

local ID_BYTES = 8
local LOOK = 2 -- ticks between two looks at jobs
local PURGE = 60 -- ticks between two removals of old rows (shared.PURGE)

---@class directmethods.Cluster
---@field id string of this hub, another one at each start: 16 hexadecimal digits
---@field name string of the cluster
---@field members directmethods.ClusterMembers
---@field on_ended fun(hub: string)? another hub has ended: it has no connections now
---@field on_returned fun()? the others had found this hub dead, and it is back: the
---  table `presence` says that its connections have ended
---@field on_tick fun()? called each second
---@field on_followed fun()? the data plane knows what other hubs have registered
local Cluster = {}
Cluster.__index = Cluster

-- Joining ----------------------------------------------------------------------

local function refuse(store, text, ...)
  return nil, errors.new {
    name = "StorageFailed",
    message = ("store %s: "):format(store.name) .. text:format(...),
  }
end

-- The name of the cluster that the database belongs to; the first hub writes it.
local function check_name(store, name)
  while true do
    local found, err = store:setting("cluster")
    if err then return nil, err end
    if found == name then return true end
    if found and name then
      return refuse(store, "it belongs to the cluster '%s', not '%s'", found, name)
    elseif found then
      return refuse(store,
        "it belongs to the cluster '%s': set the option cluster.name", found)
    end
    local done
    done, err = store:put_setting("cluster", name)
    if done then return true end
    if err.name ~= "Conflict" then return nil, err end
  end
end

local function prepare(store)
  local results, err = store.db:read { { shared.HAS_VERSIONS } }
  if not results then return nil, err end
  if results[1][1][1] == 1 then return true end
  local done
  done, err = store.db:write { { shared.VERSIONS } }
  if done then return true end
  results = store.db:read { { shared.HAS_VERSIONS } } -- another hub was faster
  if results and results[1][1][1] == 1 then return true end
  return nil, err
end

local here = {} -- ids of the hubs of this process

-- Why dm.advance is refused, nil if it is not: time would move only in this process.
local function why_time_stays(self)
  if self.closed then return nil end
  for id in pairs(self.members.others) do
    if not here[id] then
      return ("hub %s of '%s' is in another process, where time would not move"):format(
        id, self.name)
    end
  end
end

local function new_id()
  return (core.random(ID_BYTES):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

--- Join the hubs that share a store. Waits.
---@param store directmethods.Store
---@param config table of hub/config.lua
---@return directmethods.Cluster|false|nil cluster false: this hub is alone
---@return directmethods.Error? err the database belongs to another cluster
function M.join(store, config)
  local name = config.cluster and config.cluster.name
  if not store.in_database then return false end
  local done, err = check_name(store, name)
  if not done then return nil, err end
  if not name then return false end
  local self = setmetatable({ id = new_id(), name = name, store = store, ticks = 0 },
    Cluster)
  self.members = members.new(store.db, self.id)
  done, err = prepare(store)
  if done then done, err = self.members:enter() end
  if not done then return nil, err end
  here[self.id] = true
  time.guard(self, function() return why_time_stays(self) end)
  return self
end

-- Following --------------------------------------------------------------------

local function return_to(self)
  local done = self.members:enter()
  if not done then return end
  core.log("warn", ("hub %s: the other hubs of '%s' had found it dead; it is back")
    :format(self.id, self.name))
  if self.on_returned then self.on_returned() end
end

local function bury(self, dead)
  if self.members:bury(dead) then
    core.log("warn", ("hub %s of '%s' is dead: its jobs go on elsewhere"):format(
      dead.id, self.name))
  end
end

local function beat(self)
  local seen, err = self.members:beat()
  if not seen then
    if err.name == "Conflict" then return_to(self) end
    return
  end
  for _, dead in ipairs(seen.dead) do bury(self, dead) end
  if seen.version > self.identities.followed then self.followers.i:wake() end
  if self.ticks % PURGE == 0 then
    for _, text in ipairs(shared.PURGE) do self.store.db:write { { text } } end
  end
  if self.ticks % LOOK == 0 then self.followers.j:wake() end
end

local function handlers_of(self, state)
  local work = self.followers
  return {
    changed = function(kind) work[kind]:wake() end,
    ended = function(hub)
      if self.on_ended and hub ~= self.id then self.on_ended(hub) end
      work.j:wake()
    end,
    desired = function(device_id, module_id, version, text)
      state.plane:twin_desired(device_id, module_id, version, text)
    end,
    listening = function()
      for _, kind in ipairs { "i", "s", "j", "desired" } do work[kind]:wake() end
    end,
    tick = function()
      self.ticks = self.ticks + 1
      work.beat:wake()
      if self.on_tick then self.on_tick() end
    end,
  }
end

--- Follow what changes from now on; the store's identities are loaded after that.
--- Waits.
---@param state directmethods.HubState
---@param config table
---@return boolean? done
---@return directmethods.Error? err
function Cluster:begin(state, config)
  self.identities = identities.new(state)
  local done, err = self.identities:begin()
  if not done then return nil, err end
  self.followers = {
    i = followers.new(function()
      if self.identities:follow() and self.on_followed then self.on_followed() end
    end),
    s = followers.new(function() policies.follow(state, config) end),
    j = followers.new(function()
      if self.is_open then owners.follow(state.jobs) end
    end),
    desired = followers.new(function() self.identities:tell_desired() end),
    beat = followers.new(function() beat(self) end),
  }
  local listener, name, message = require "directmethods.cluster_core".listen(core.loop,
    config.store, shared.CHANNEL)
  if not listener then return nil, errors.new { name = name, message = message } end
  self.listener = listener
  task.objects[listener:id()] = notices.handler(handlers_of(self, state))
  return true
end

--- The hub has loaded everything from the store: it takes part in jobs from now on.
function Cluster:open()
  self.is_open = true
  self.followers.j:wake()
end

--- Look at the jobs of all hubs soon.
function Cluster:look_at_jobs()
  self.followers.j:wake()
end

--- The ids of the other hubs that lived when this hub last counted, in order. Does not
--- wait.
---@return string[]
function Cluster:others()
  local ids = {}
  for id in pairs(self.members.others) do ids[#ids + 1] = id end
  table.sort(ids)
  return ids
end

--- The ids of the hubs that live. Waits.
---@param db directmethods.Sql
---@return table<string, boolean>? ids
---@return directmethods.Error? err
function Cluster.living(db)
  local results, err = db:read { { "SELECT id FROM hubs" } }
  if not results then return nil, err end
  local ids = {}
  for _, row in ipairs(results[1]) do ids[row[1]] = true end
  return ids
end

--- Why this hub may not change all that the hubs share, now; nil: no other hub lives.
--- Waits.
---@param what string the function that would change it
---@return directmethods.Error? err Conflict, or the store has failed
function Cluster:refusal(what)
  local ids, err = Cluster.living(self.store.db)
  if not ids then return err end
  ids[self.id] = nil
  local other = next(ids)
  if not other then return nil end
  return errors.new {
    name = "Conflict",
    message = ("%s: hub %s of '%s' is alive and has the same devices and jobs: end the "
      .. "other hubs first"):format(what, other, self.name),
  }
end

--- Leave the cluster. Waits for nothing; harmless the second time.
function Cluster:close()
  if self.closed then return end
  self.closed = true
  for _, follower in pairs(self.followers or {}) do follower:close() end
  if self.listener then
    task.objects[self.listener:id()] = nil
    self.listener:close()
  end
  self.store.db:queue { members.end_statement(self.id) }
end

return M
