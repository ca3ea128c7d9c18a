--- The registry: identities that are created, changed and removed. The data plane
-- holds what it needs of each to let devices in; the store holds all of it.

local change_sets = require "directmethods.hub.changes"
local identity = require "directmethods.hub.identity"
local identity_document = require "directmethods.hub.identity_document"
local identity_records = require "directmethods.hub.identity_records"
local locks = require "directmethods.hub.locks"
local problems = require "directmethods.hub.problems"
local statements = require "directmethods.hub.identity_statements"
local time = require "directmethods.time"

local M = {}

local ROOM = "The hub has no room for another identity."
local MODULES = ("A device must not have more than %d modules."):format(
  statements.MODULES_MAX)
local TRIES = 5 -- of a change that others come before
-- Hubs that share a store do not wait for each other's locks: they try more often, each
-- after a pause of its own.
local SHARED_TRIES, PAUSE = 30, 0.02 -- seconds at most

---@class directmethods.Registry
---@field store directmethods.Store
---@field on_unusable fun()? called when identities were disabled or removed
local Registry = {}
Registry.__index = Registry

--- `plane` is the C hub; dev_keys: an identity without keys gets the published ones.
function M.new(store, plane, dev_keys)
  return setmetatable({
    store = store,
    plane = plane,
    records = identity_records.new(dev_keys, store.shared),
    locks = locks.new(),
    reserved = 0, -- room of the data plane for identities that are being written
  }, Registry)
end

-- Reading ------------------------------------------------------------------------

--- Identities with their twins, as of one moment. Waits.
---@param ids { device_id: string, module_id: string? }[]
---@return directmethods.Changes? found nothing will be changed by it
---@return directmethods.Problem? problem the store has failed
function Registry:read(ids)
  local found, err = change_sets.read(self.store, ids)
  if not found then return nil, problems.unavailable(err) end
  return found
end

local function names_of(ids)
  local names, seen = {}, {}
  for _, id in ipairs(ids) do
    local name = change_sets.key(id.device_id, id.module_id)
    if not seen[name] then names[#names + 1] = name end
    seen[name] = true
  end
  return names
end

--- Read identities after the changes of them that have begun. Waits for these, too.
---@param ids { device_id: string, module_id: string? }[]
---@return directmethods.Changes? found
---@return directmethods.Problem? problem
function Registry:read_settled(ids)
  local _ <close> = self.locks:take(names_of(ids))
  return self:read(ids)
end

--- One identity. Waits.
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:get(device_id, module_id)
  local record, err = self.store:find(device_id, module_id)
  if record then return record end
  local device
  if not err and module_id then device, err = self.store:find(device_id) end
  if err then return nil, problems.unavailable(err) end
  return nil, problems.new(device and "ModuleNotFound" or "DeviceNotFound")
end

-- Changing -----------------------------------------------------------------------

-- Room in the data plane, until the result is closed; nil: there is not so much.
local function reserve(self, count)
  if self.plane:room() - self.reserved < count then return nil end
  self.reserved = self.reserved + count
  return setmetatable({}, {
    __close = function() self.reserved = self.reserved - count end,
  })
end

-- Keep what was decided, then tell the data plane; nil, err.
local function write(self, changes)
  local results, err = self.store:write(changes.list)
  if not results then return nil, err end
  changes:tell(self.plane, results)
  if changes.has_unusable and self.on_unusable then self.on_unusable() end
  return true
end

--- Change identities and twins. `decide(changes)` looks at them and makes changes;
-- they are kept all or none. It may pause but not read the store, and is called again
-- when somebody else was faster. Changes of the same identity run one after the other.
---@param ids { device_id: string, module_id: string? }[] all that `decide` looks at
---@param decide fun(changes): any, directmethods.Problem? of Changes
---@return any result of `decide`; nil: it made no changes
---@return directmethods.Problem? problem its own, or the store's
function Registry:change(ids, decide)
  local _ <close> = self.locks:take(names_of(ids))
  local err
  for try = 1, self.store.shared and SHARED_TRIES or TRIES do
    if try > 2 and self.store.shared then time.sleep(math.random() * PAUSE) end
    local changes, problem = self:read(ids)
    if not changes then return nil, problem end
    local result
    result, problem = decide(changes)
    if not changes.list[1] then return result, problem end
    local room <close> = reserve(self, changes.added)
    if not room then return nil, problems.new("TooManyDevices", ROOM) end
    local done
    done, err = write(self, changes)
    if done then return result, problem end
    if err.name ~= "Conflict" then break end
  end
  return nil, problems.unavailable(err)
end

local function check_ids(device_id, module_id)
  local wrong = identity.wrong_id(device_id)
  if wrong then return problems.invalid("the device id " .. wrong) end
  wrong = module_id and identity.wrong_id(module_id)
  if wrong then return problems.invalid("the module id " .. wrong) end
end

--- Tell the data plane of the identities that are in the store.
---@param records directmethods.IdentityRecord[] a device before its modules
---@return boolean? adopted
---@return string? name "LimitExceeded": there is no room
---@return string? message
function Registry:adopt(records)
  for _, record in ipairs(records) do
    local ok, name, message = change_sets.adopt(self.plane, record)
    if not ok then return nil, name, message end
  end
  return true
end

-- Decisions ----------------------------------------------------------------------

--- Does a value of If-Match ('*' or an etag, either also in double quotes, marked
-- as weak or not) fit an etag?
---@param condition string
---@param etag string
---@return boolean
function M.matches(condition, etag)
  local wanted = condition:gsub("^W/", ""):gsub('^"(.*)"$', "%1")
  return wanted == "*" or wanted == etag
end

--- The present record of an identity, for decisions.
---@param changes directmethods.Changes
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function M.find(changes, device_id, module_id)
  local record = changes:find(device_id, module_id)
  if record then return record end
  local device = module_id and changes:find(device_id)
  return nil, problems.new(device and "ModuleNotFound" or "DeviceNotFound")
end

-- The same, if the condition holds.
local function find_if(changes, device_id, module_id, condition)
  local old, problem = M.find(changes, device_id, module_id)
  if old and condition and not M.matches(condition, old.etag) then
    return nil, problems.new("PreconditionFailed")
  end
  return old, problem
end

--- The decision to create an identity, for Registry:change; keys that are not given
--- are made.
---@param changes directmethods.Changes
---@param device_id string
---@param module_id string? of a device that is there
---@param fields table what identity_document.read gives
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:decide_create(changes, device_id, module_id, fields)
  local wrong = check_ids(device_id, module_id)
  if wrong then return nil, wrong end
  if changes:find(device_id, module_id) then
    return nil, problems.new(module_id and "ModuleAlreadyExistsOnDevice"
      or "DeviceAlreadyExists")
  elseif module_id and not changes:find(device_id) then
    return nil, problems.new("DeviceNotFound")
  elseif module_id and not changes:has_room(device_id) then
    return nil, problems.new("TooManyModulesOnDevice", MODULES)
  end
  local record, problem = self.records:make(device_id, module_id, fields, {})
  if not record then return nil, problem end
  changes:insert(record)
  return record
end

--- The decision to change one: keys and status that are not given stay as they are.
---@param condition string? value of If-Match; nil: whatever the etag
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:decide_update(changes, device_id, module_id, fields, condition)
  local old, problem = find_if(changes, device_id, module_id, condition)
  if not old then return nil, problem end
  local record
  record, problem = self.records:make(device_id, module_id, fields, old)
  if not record then return nil, problem end
  changes:update(record)
  return record
end

--- The decision to remove one; the modules of a device go with it.
---@param condition string? value of If-Match; nil: whatever the etag
---@return boolean? removed
---@return directmethods.Problem? problem
function Registry:decide_remove(changes, device_id, module_id, condition)
  local old, problem = find_if(changes, device_id, module_id, condition)
  if not old then return nil, problem end
  changes:remove(old)
  return true
end

-- A decision about one identity, carried out.
local function change_one(self, decide, device_id, module_id, ...)
  local more = table.pack(...)
  return self:change({ { device_id = device_id, module_id = module_id } },
    function(changes)
      return decide(self, changes, device_id, module_id,
        table.unpack(more, 1, more.n))
    end)
end

--- Create an identity: see decide_create. Waits, as the next two.
---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:create(device_id, module_id, fields)
  return change_one(self, self.decide_create, device_id, module_id, fields)
end

---@return directmethods.IdentityRecord? record
---@return directmethods.Problem? problem
function Registry:update(device_id, module_id, fields, condition)
  return change_one(self, self.decide_update, device_id, module_id, fields, condition)
end

---@return boolean? removed
---@return directmethods.Problem? problem
function Registry:remove(device_id, module_id, condition)
  return change_one(self, self.decide_remove, device_id, module_id, condition)
end

-- Documents ----------------------------------------------------------------------

--- What documents tell of an identity.
---@param record directmethods.IdentityRecord
---@return table<string, any>
function Registry:facts(record)
  local connected, _, changed, active = self.plane:connected(
    record.device_id, record.module_id)
  return identity.facts(record, {
    connected = connected, changed = changed, active = active,
  })
end

--- The JSON document of a record.
---@param record directmethods.IdentityRecord
---@return string
function Registry:document(record)
  return identity_document.write(self:facts(record))
end

return M
