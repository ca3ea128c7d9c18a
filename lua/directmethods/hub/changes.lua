--- Changes of identities and twins: what they were when a decision was made, the
-- statements that the decision comes to, and what the data plane is told once they are
-- kept. The list is written whole or not at all.

local documents = require "directmethods.hub.twin_document"
local statements = require "directmethods.hub.identity_statements"

local M = {}

---@class directmethods.Changes
---@field added integer identities that are new: how much room the data plane needs
---@field shared boolean other hubs use the store: each hub hears of desired properties
---  from the store, in the order of the commits
---@field has_unusable boolean? one is disabled or removed
local Changes = {}
Changes.__index = Changes

-- Whatever is in the ids: nobody has checked them yet.
local function key(device_id, module_id)
  if not module_id then return "device " .. device_id end
  return ("module %d %s%s"):format(#device_id, device_id, module_id)
end

--- A text that names one identity and no other.
M.key = key

-- A module is looked at together with its device, whose modules are counted.
local function with_devices(ids)
  local all, seen, devices = {}, {}, {}
  local function add(device_id, module_id)
    local name = key(device_id, module_id)
    if seen[name] then return end
    seen[name] = true
    all[#all + 1] = { device_id = device_id, module_id = module_id }
  end
  for _, id in ipairs(ids) do
    add(id.device_id)
    if id.module_id then
      add(id.device_id, id.module_id)
      if not devices[id.device_id] then
        devices[id.device_id] = true
        devices[#devices + 1] = id.device_id
      end
    end
  end
  return all, devices
end

--- Read the identities that may be changed, with their twins. Waits.
---@param store directmethods.Store
---@param ids { device_id: string, module_id: string? }[]
---@return directmethods.Changes? changes
---@return directmethods.Error? err
function M.read(store, ids)
  local all, devices = with_devices(ids)
  local found, counts = store:pairs(all, devices)
  if not found then return nil, counts end
  local known, modules, module_keys = {}, {}, {}
  for i, device_id in ipairs(devices) do
    modules[device_id], module_keys[device_id] = counts[i], {}
  end
  for i, id in ipairs(all) do
    local pair, name = found[i], key(id.device_id, id.module_id)
    known[name] = pair and { record = pair.record, twin = pair.twin } or false
    if id.module_id then table.insert(module_keys[id.device_id], name) end
  end
  return setmetatable({
    known = known, modules = modules, module_keys = module_keys, list = {},
    effects = {}, on_kept = {}, added = 0, shared = store.shared,
  }, Changes)
end

--- Has the device room for one module more, when all changes so far are kept?
---@param device_id string of a module that was read
---@return boolean
function Changes:has_room(device_id)
  return self.modules[device_id] < statements.MODULES_MAX
end

-- A module comes (1) or goes (-1); the modules of a device go with it.
local function count_module(self, record, count)
  local device_id = record.device_id
  if record.module_id then
    self.modules[device_id] = self.modules[device_id] + count
  elseif count < 0 then
    self.modules[device_id] = 0
  end
end

--- The identity, as it will be when all changes so far are kept.
---@return directmethods.IdentityRecord?
function Changes:find(device_id, module_id)
  local each = self.known[key(device_id, module_id)]
  return each and each.record or nil
end

--- Its twin likewise; an empty one where nobody has changed it yet.
---@return directmethods.Twin
function Changes:twin(device_id, module_id)
  local each = self.known[key(device_id, module_id)]
  return each and each.twin or documents.BLANK
end

local function add(self, statement)
  self.list[#self.list + 1] = statement
end

local function add_effect(self, kind, record, ...)
  self.effects[#self.effects + 1] = { kind, record, ... }
end

-- Statements of identities need the next version, once.
local function change_identities(self)
  if self.versioned then return end
  self.versioned = true
  table.insert(self.list, 1, statements.NEXT_VERSION)
end

---@param record directmethods.IdentityRecord of an identity that is not there
function Changes:insert(record)
  change_identities(self)
  if record.module_id then add(self, statements.module_room(record.device_id)) end
  add(self, statements.insert(record))
  self.known[key(record.device_id, record.module_id)] = { record = record }
  self.added = self.added + 1
  count_module(self, record, 1)
  add_effect(self, "put", record)
end

---@param record directmethods.IdentityRecord takes the place of the one that was read
function Changes:update(record)
  change_identities(self)
  local each = self.known[key(record.device_id, record.module_id)]
  add(self, statements.update(record, each.record))
  each.record = record
  self.has_unusable = self.has_unusable or not record.enabled
  add_effect(self, "put", record)
end

---@param record directmethods.IdentityRecord that was read
function Changes:remove(record)
  change_identities(self)
  for _, statement in ipairs(statements.remove(record)) do add(self, statement) end
  self.known[key(record.device_id, record.module_id)] = false
  if not record.module_id then
    for _, name in ipairs(self.module_keys[record.device_id] or {}) do
      self.known[name] = false
    end
  end
  self.has_unusable = true
  count_module(self, record, -1)
  add_effect(self, "remove", record)
end

--- Put another twin in the place of an identity's.
---@param record directmethods.IdentityRecord
---@param twin directmethods.Twin
---@param notification string? what the device is told of its desired properties: JSON
function Changes:put_twin(record, twin, notification)
  local each = self.known[key(record.device_id, record.module_id)]
  add(self, statements.put_twin(record, twin, each.twin))
  each.twin = twin
  if notification and self.shared then
    add(self, statements.tell_desired(record, twin.desired_version, notification))
  elseif notification then
    add_effect(self, "desired", record, twin.desired_version, notification)
  end
end

--- Add a statement of the caller's own. `on_kept(result)` is called when the list was
--- written.
---@param statement directmethods.SqlStatement
---@param on_kept fun(result: directmethods.SqlResult)?
function Changes:add(statement, on_kept)
  add(self, statement)
  self.on_kept[statement] = on_kept
end

--- Drop the changes so far, because a later one cannot be made.
function Changes:discard()
  self.list, self.effects, self.on_kept, self.added = {}, {}, {}, 0
end

--- Keep the stored session of an identity with these filters, or nothing of it.
---@param record directmethods.IdentityRecord
---@param filters string[]? nil: there is to be none
function Changes:put_session(record, filters)
  add(self, filters and statements.put_session(record, filters)
    or statements.remove_session(record))
end

local TELL = {}

function TELL.put(plane, version, record)
  return plane:put_identity(record.device_id, record.module_id, record.auth,
    record.primary_key or record.primary_thumbprint,
    record.secondary_key or record.secondary_thumbprint, record.enabled, version)
end

function TELL.remove(plane, version, record)
  return plane:remove_identity(record.device_id, record.module_id, version)
end

function TELL.desired(plane, _, record, version, notification)
  return plane:twin_desired(record.device_id, record.module_id, version, notification)
end

--- Tell the data plane what was kept, in the order of the changes. It ignores what is
-- older than what it knows.
---@param plane userdata
---@param results directmethods.SqlResult[] what writing `list` gave
function Changes:tell(plane, results)
  local version = self.versioned and results[1][1][1]
  for _, effect in ipairs(self.effects) do
    TELL[effect[1]](plane, version, table.unpack(effect, 2))
  end
  for i, statement in ipairs(self.list) do
    local on_kept = self.on_kept[statement]
    if on_kept then on_kept(results[i]) end
  end
end

--- Let the data plane know of an identity that is in the store.
---@param plane userdata
---@param record directmethods.IdentityRecord
---@return boolean? done
---@return string? name "LimitExceeded": there is no room
---@return string? message
function M.adopt(plane, record)
  return TELL.put(plane, record.version, record)
end

return M
