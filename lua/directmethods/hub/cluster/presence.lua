--- Which identity is connected to which hub of the cluster: rows of the store that the
-- hubs share (the table `presence`, hub/postgres_shared.lua). Hubs tell each other of
-- changes over the bus. The bus may lose a message, so the rows decide.
--
-- Each connection has an epoch, drawn while its row is locked: of two connections of
-- one identity the one with the greater epoch stays, wherever they are. A statement of
-- a connection names its epoch, so that what comes late changes nothing.

local followers = require "directmethods.hub.cluster.follower"
local json = require "directmethods.json"
local time = require "directmethods.time"

local M = {}

local PAGE = 200 -- rows that are read at a time, or statements that are written

-- An epoch of VALUES would be drawn before the row is locked.
local CONNECT = "INSERT INTO presence "
  .. "(device_id, module_id, hub, epoch, connected, changed) "
  .. "VALUES (?, ?, ?, nextval('epochs'), 1, ?) "
  .. "ON CONFLICT (device_id, module_id) DO UPDATE SET hub = excluded.hub, "
  .. "epoch = nextval('epochs'), connected = 1, changed = excluded.changed "
  .. "RETURNING epoch"
-- also locks the row until the list is written
local IS_NEWEST = "UPDATE presence SET connected = 1 "
  .. "WHERE device_id = ? AND module_id = ? AND epoch = ?"
local LEAVE = "UPDATE presence SET connected = 0, changed = ? "
  .. "WHERE device_id = ? AND module_id = ? AND epoch = ?"
local RETURN = "UPDATE presence SET connected = 1, hub = ? "
  .. "WHERE device_id = ? AND module_id = ? AND epoch = ?"
local SESSION = "SELECT subscriptions FROM sessions "
  .. "WHERE device_id = ? AND module_id = ?"
local KEEP_SESSION = "INSERT INTO sessions (device_id, module_id, subscriptions) "
  .. "VALUES (?, ?, '[]') ON CONFLICT (device_id, module_id) DO NOTHING"
local ALL = "SELECT device_id, module_id, hub, epoch, changed FROM presence "
  .. "WHERE connected = 1 AND hub <> ? AND (device_id, module_id) > (?, ?) "
  .. "ORDER BY device_id, module_id LIMIT ?"
local NEWER = "SELECT device_id, module_id, hub, epoch, changed FROM presence "
  .. "WHERE connected = 1 AND hub <> ? AND epoch > ? ORDER BY epoch LIMIT ?"

-- Epochs are committed in another order than they are drawn in.
local OVERLAP = 200
-- Ticks between two readings of all rows. Without them, an identity whose last message
-- was lost would seem to be connected until it comes back.
local RELOAD = 60

---@class directmethods.Presence
---@field id string of this hub
---@field ended table[] statements for connections that have ended
---@field cursor integer the greatest epoch of other hubs that was read
---@field missed integer? the least epoch of those that were read before this hub knew
---  the identity: it follows identities and connections apart
---@field from integer? the next reading begins behind this epoch
---@field ticks integer seconds of its life
local Presence = {}
Presence.__index = Presence

local function now()
  return math.floor(time.time() * 1000)
end

local function decode_filters(text)
  local found = json.decode(text)
  local filters = {}
  for _, filter in ipairs(type(found) == "table" and found or {}) do
    if type(filter) == "string" then filters[#filters + 1] = filter end
  end
  return filters
end

-- Decisions on a session ----------------------------------------------------------

-- The session that the device comes back to is that of the store: another hub may have
-- changed it.
local function connect(self, changes, record, request)
  local device_id, module_id = record.device_id, record.module_id or ""
  changes:add({ CONNECT, { device_id, module_id, self.id, now() }, expect = 1 },
    function(result) request.epoch = result[1][1] end)
  changes:add({ SESSION, { device_id, module_id } }, function(result)
    request.found = result[1] and decode_filters(result[1][1])
  end)
  if request.stored then
    changes:add { KEEP_SESSION, { device_id, module_id } }
  else
    changes:put_session(record, nil)
  end
end

--- Add what the store must know of a session to the changes of its identity.
---@param changes directmethods.Changes
---@param record directmethods.IdentityRecord
---@param request table of hub/sessions.lua; gets `epoch` and `found`, its subscriptions
---  in the store, once the changes are written
function Presence:decide(changes, record, request)
  if request.connects then return connect(self, changes, record, request) end
  changes:add { IS_NEWEST, { record.device_id, record.module_id or "", request.epoch },
    expect = 1 }
  changes:put_session(record, request.stored and request.filters or nil)
end

-- Ends ------------------------------------------------------------------------------

local function write_ends(self)
  while self.ended[1] do
    local list = table.move(self.ended, 1, math.min(#self.ended, PAGE), 1, {})
    -- what cannot be written now is written when the store is back
    if not self.db:write(list) then return end
    table.move(self.ended, #list + 1, #self.ended + #list, 1)
  end
end

--- A connection of this hub has ended.
---@param device_id string
---@param module_id string?
---@param epoch integer
function Presence:left(device_id, module_id, epoch)
  self.ended[#self.ended + 1] = { LEAVE, { now(), device_id, module_id or "", epoch } }
  self.ends:wake()
end

-- What other hubs have ----------------------------------------------------------------

local function put(self, row)
  local module_id = row[2] ~= "" and row[2] or nil
  if not self.plane:put_presence(row[1], module_id, row[3], row[4], row[5]) then
    self.missed = math.min(self.missed or row[4], row[4])
  end
  self.cursor = math.max(self.cursor, row[4])
end

--- Read the connections of all other hubs, and forget those that have ended. Waits.
---@return boolean? done
---@return directmethods.Error? err
function Presence:load()
  local last = { "", "" }
  self.plane:begin_presence()
  while last do
    local results, err = self.db:read { { ALL, { self.id, last[1], last[2], PAGE } } }
    if not results then return nil, err end
    for _, row in ipairs(results[1]) do put(self, row) end
    last = results[1][PAGE]
  end
  self.plane:end_presence()
  return true
end

-- Read the new connections, because a message may have been lost.
local function follow(self)
  local from = self.from or self.cursor
  local after = math.min(self.cursor - OVERLAP, from)
  self.from = nil -- it may be set again while the rows are read
  while after do
    local results = self.db:read { { NEWER, { self.id, after, PAGE } } }
    if not results then
      self.from = math.min(self.from or from, from)
      return
    end
    for _, row in ipairs(results[1]) do put(self, row) end
    after = results[1][PAGE] and results[1][PAGE][4]
  end
end

local function work(self)
  if self.stale then
    self.stale = false -- it may become true again while the rows are read
    if not self:load() then self.stale = true end
  else
    follow(self)
  end
  if self.ended[1] then self.ends:wake() end
end

--- The bus works again: messages were lost.
function Presence:bus_is_up()
  self.stale = true
  self.follower:wake()
end

-- The hub knows identities that it did not know before: read their connections, which
-- may be older than what `follow` reads.
local function identities_came(self)
  if not self.missed then return end
  self.from, self.missed = self.missed - 1, nil
  self.follower:wake()
end

-- Each second.
local function tick(self)
  self.ticks = self.ticks + 1
  if self.ticks % RELOAD == 0 then self.stale = true end
  self.follower:wake()
end

--- Another hub has ended: it has no connections.
---@param hub string
function Presence:hub_ended(hub)
  self.plane:drop_presence(hub)
end

-- Other hubs had found this one dead, and have forgotten its connections.
local function write_back(self)
  local place = 0
  repeat
    local first, list, page = place, {} -- its statements
    page, place = self.plane:connections_after(first, PAGE)
    for i, each in ipairs(page) do
      list[i] = { RETURN, { self.id, each[1], each[2] or "", each[3] } }
    end
    if list[1] and not self.db:write(list) then return end
    self.plane:tell_presence(first, PAGE)
  until not place
end

--- End: nothing more is read or written. Harmless the second time.
function Presence:close()
  self.ends:close()
  self.follower:close()
  self.returning:close()
end

--- Begin, when the data plane has joined a bus and knows the store's identities. Waits.
---@param state directmethods.HubState with `cluster`; gets `presence`
---@return boolean? done
---@return directmethods.Error? err the store has failed
function M.begin(state)
  local cluster = state.cluster
  local self = setmetatable({
    plane = state.plane, db = state.store.db, id = cluster.id,
    ended = {}, cursor = 0, ticks = 0,
  }, Presence)
  self.ends = followers.new(function() write_ends(self) end)
  self.follower = followers.new(function() work(self) end)
  self.returning = followers.new(function() write_back(self) end)
  state.presence = self
  cluster.on_ended = function(hub) self:hub_ended(hub) end
  cluster.on_returned = function() self.returning:wake() end
  cluster.on_tick = function() tick(self) end
  cluster.on_followed = function() identities_came(self) end
  return self:load()
end

return M
