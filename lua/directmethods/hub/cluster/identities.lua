--- Follows the identities and desired properties that other hubs change. Each change of
-- identities has the next version, and takes effect in the order of the versions; what
-- was removed is kept for a day.

local core = require "directmethods.core"
local rows = require "directmethods.hub.identity_rows"

local M = {}

local PAGE = 500 -- rows that are read at a time

---@class directmethods.ClusterIdentities
---@field followed integer? the version up to which the data plane knows all
local Identities = {}
Identities.__index = Identities

---@param hub directmethods.HubState
---@return directmethods.ClusterIdentities
function M.new(hub)
  return setmetatable({ hub = hub, db = hub.store.db }, Identities)
end

local VERSION = "SELECT version FROM counts"

--- Begin before the store is loaded: what changes from now on will be read.
---@return boolean? done
---@return directmethods.Error? err
function Identities:begin()
  local results, err = self.db:read { { VERSION } }
  if not results then return nil, err end
  self.followed = results[1][1][1]
  return true
end

local REMOVED = "SELECT device_id, module_id, version FROM removed_identities "
  .. "WHERE version <= ? AND (version, device_id, module_id) > (?, ?, ?) "
  .. "ORDER BY version, device_id, module_id LIMIT ?"
local CHANGED = "SELECT " .. rows.KNOWN_COLUMNS .. " FROM identities i "
  .. "WHERE i.version <= ? AND (i.version, i.device_id, i.module_id) > (?, ?, ?) "
  .. "ORDER BY i.version, i.device_id, i.module_id LIMIT ?"
local DEVICE = "SELECT " .. rows.KNOWN_COLUMNS .. " FROM identities i "
  .. "WHERE i.device_id = ? AND i.module_id = ''"

-- Call fn(row) for the rows of all changes between two versions; nil, err: the store
-- has failed.
local function each_row(self, statement, version_column, last, fn)
  local after = { self.followed + 1, "", "" }
  -- a device id is never empty, so this begins before all rows of that version
  repeat
    local results, err = self.db:read {
      { statement, { last, after[1], after[2], after[3], PAGE } },
    }
    if not results then return nil, err end
    local page = results[1]
    self.hub.background:each(page, fn)
    local row = page[#page]
    if row then after = { row[version_column], row[1], row[2] } end
  until #page < PAGE
  return true
end

local function remove(self, row)
  local module_id = row[2] ~= "" and row[2] or nil
  if self.hub.plane:remove_identity(row[1], module_id, row[3]) then
    self.unusable = true
  end
end

local function put(self, record)
  local done, _, why = self.hub.registry:adopt { record }
  if not record.enabled then self.unusable = true end
  if not done then
    core.log("error", ("identity '%s', which another hub has changed, cannot be "
      .. "followed: %s"):format(record.device_id, why))
  end
end

-- A module may have changed before its device, which is then not there yet.
local function put_device_of(self, record)
  local plane = self.hub.plane
  if not record.module_id or plane:identity(record.device_id) then return true end
  local results, err = self.db:read { { DEVICE, { record.device_id } } }
  if not results then return nil, err end
  local device = results[1][1] and rows.known(results[1][1])
  if device then put(self, device) end
  return device ~= nil
end

local function adopt(self, row)
  local record, why = rows.known(row)
  if not record then return core.log("error", why) end
  if put_device_of(self, record) then put(self, record) end
end

local function follow_to(self, last)
  local done, err = each_row(self, REMOVED, 3, last,
    function(row) remove(self, row) end)
  if done then
    done, err = each_row(self, CHANGED, #rows.KNOWN, last,
      function(row) adopt(self, row) end)
  end
  if not done then return nil, err end
  self.followed = last
  return true
end

--- Let the data plane know of all that has changed. Waits. If the store fails, the next
--- call reads the same changes again.
---@return boolean? done true: there were changes, and all of them are known now
function Identities:follow()
  local results = self.db:read { { VERSION } }
  local last = results and results[1][1][1]
  if not last or last <= self.followed then return end
  self.unusable = false
  local done = follow_to(self, last)
  local on_unusable = self.hub.registry.on_unusable
  if self.unusable and on_unusable then on_unusable() end
  return done
end

local NOTICES = "SELECT n, device_id, module_id, version, message FROM desired_notices "
  .. "WHERE n > ? ORDER BY n LIMIT ?"

--- Tell devices of the desired properties of the last minutes, which this hub may not
--- have heard. The data plane ignores what it has told already. Waits.
function Identities:tell_desired()
  local last = 0
  repeat
    local results = self.db:read { { NOTICES, { last, PAGE } } }
    if not results then return end
    local page = results[1]
    self.hub.background:each(page, function(row)
      local module_id = row[3] ~= "" and row[3] or nil
      self.hub.plane:twin_desired(row[2], module_id, row[4], row[5])
      last = row[1]
    end)
  until #page < PAGE
end

return M
