--- Where a hub keeps its identities and twins. This one is memory, the one of
-- hub/sqlite_store.lua a file, and has the same methods. All are synchronous: none
-- waits, none runs the loop.
--
-- Records and twins are values: who gets one does not change it, and puts a new one
-- in its place. All their fields are texts, integers and booleans.
--
--   find(device, module?)        the record; nil: there is none
--   put(record)                  in the place of the one with its ids, if there is
--                                one; a module's device is there already
--   remove(device, module?)      with its twin; a device's modules go with it
--   devices(after?, limit)       at most `limit` devices, ordered by id, from behind
--                                the id `after`: a page
--   modules(device)              all modules of a device, ordered by id
--   count()                      how many devices there are, and how many enabled
--   twin(device, module?)        nil: nobody has changed it yet
--   put_twin(device, module, twin)
--   setting(name)                a text of the hub's own; nil: there is none
--   put_setting(name, text)
--   scan(modules, after?, limit, see)
--                                see(device, module or nil, enabled, tags) of some
--                                identities, as far as most selections ask, behind the
--                                ids in `after`; true, and what `after` is next (nil:
--                                these were the last). There may be none. When `see`
--                                gives true it goes no further
--   job(id)                      nil: there is none
--   put_job(job)
--   jobs(after?, limit)          a page, ordered by id
--   device_job(job, device, module?)
--   put_device_jobs(list)        of jobs that are there
--   device_jobs(after?, limit)   a page of all, ordered by job, device and module, from
--                                behind the ids in `after` ("": before all of them)
--   remove_job(id, limit)        at most `limit` of its device jobs, and then itself;
--                                returns true, and whether something of it is left
--   batch(fn)                    calls fn(), whose puts and removes are kept all
--                                or none
--   close()                      harmless the second time
--
-- What changes something (put, remove, put_..., batch) returns true when it is
-- kept for good; nil, err: nothing was changed. Reads return nil, err when they fail.
--
-- One that outlives the hub has a field `path`, and a method more:
--
--   identities(after?, limit)    at most `limit` devices and modules, a device before
--                                its modules, from behind the record `after`

local sorted = require "directmethods.hub.sorted"
local store_jobs = require "directmethods.hub.store_jobs"

local M = {}

---@class directmethods.IdentityRecord
---@field device_id string
---@field module_id string?     nil: a device
---@field auth "sas"|"selfSigned"|"certificateAuthority"|"none"
---@field primary_key string?   base64; of auth sas alone, there always
---@field secondary_key string?
---@field primary_thumbprint string?  hexadecimal; of auth selfSigned, one or both
---@field secondary_thumbprint string?
---@field enabled boolean
---@field status_reason string?
---@field status_time string?   when the status last changed; nil: never
---@field etag string           another one after each change
---@field generation_id string  another one when an id is used again

---@class directmethods.Twin
---@field tags string              JSON object
---@field desired string           JSON object, without $version and $metadata
---@field reported string          likewise
---@field desired_metadata string  JSON object: when each member was changed
---@field reported_metadata string
---@field desired_version integer  from 1
---@field reported_version integer
---@field version integer          of the whole twin
---@field changes integer          of tags and desired properties: what the etag tells

---@class directmethods.Store
---@field path string? of a store in a file
local Store = {}
Store.__index = Store
store_jobs.extend(Store)

function M.new()
  return setmetatable({
    entries = {},
    order = sorted.new(),
    total = 0,
    enabled = 0,
    settings = {},
    jobs_kept = store_jobs.new(),
  }, Store)
end

-- An entry: { record, twin, modules = id -> entry }.
local function entry_of(self, device_id, module_id)
  local entry = self.entries[device_id]
  if entry and module_id then return entry.modules[module_id] end
  return entry
end

---@param device_id string
---@param module_id string? nil: the device itself
---@return directmethods.IdentityRecord? record
---@return directmethods.Error? err
function Store:find(device_id, module_id)
  local entry = entry_of(self, device_id, module_id)
  return entry and entry.record
end

local function count(self, record, by)
  if not record or record.module_id then return end
  self.total = self.total + by
  if record.enabled then self.enabled = self.enabled + by end
end

---@param record directmethods.IdentityRecord
---@return boolean? kept
---@return directmethods.Error? err
function Store:put(record)
  local entry = entry_of(self, record.device_id, record.module_id)
  count(self, entry and entry.record, -1)
  count(self, record, 1)
  if entry then
    entry.record = record
  elseif record.module_id then
    self.entries[record.device_id].modules[record.module_id] = { record = record }
  else
    self.entries[record.device_id] = { record = record, modules = {} }
    self.order:add(record.device_id)
  end
  return true
end

---@return boolean? kept
---@return directmethods.Error? err
function Store:remove(device_id, module_id)
  if module_id then
    self.entries[device_id].modules[module_id] = nil
    return true
  end
  count(self, self:find(device_id), -1)
  self.entries[device_id] = nil
  self.order:remove(device_id)
  return true
end

local function sorted_ids(entries)
  local ids = {}
  for id in pairs(entries) do ids[#ids + 1] = id end
  table.sort(ids)
  return ids
end

---@param after string? nil: from the first
---@param limit integer
---@return directmethods.IdentityRecord[]? page
---@return directmethods.Error? err
function Store:devices(after, limit)
  local page = self.order:page(after, limit)
  for i, id in ipairs(page) do page[i] = self.entries[id].record end
  return page
end

---@param device_id string
---@return directmethods.IdentityRecord[]? modules
---@return directmethods.Error? err
function Store:modules(device_id)
  local entry = self.entries[device_id]
  local list = {}
  for i, id in ipairs(sorted_ids(entry and entry.modules or {})) do
    list[i] = entry.modules[id].record
  end
  return list
end

---@return integer? total devices, without modules
---@return integer|directmethods.Error enabled
function Store:count()
  return self.total, self.enabled
end

---@return directmethods.Twin? twin
---@return directmethods.Error? err
function Store:twin(device_id, module_id)
  local entry = entry_of(self, device_id, module_id)
  return entry and entry.twin
end

---@param twin directmethods.Twin of an identity that is there
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_twin(device_id, module_id, twin)
  entry_of(self, device_id, module_id).twin = twin
  return true
end

---@param name string
---@return string? text
---@return directmethods.Error? err
function Store:setting(name)
  return self.settings[name]
end

---@param name string
---@param text string
---@return boolean? kept
---@return directmethods.Error? err
function Store:put_setting(name, text)
  self.settings[name] = text
  return true
end

-- Reading all ----------------------------------------------------------------

-- True: no further.
local function show(entry, see)
  local record, twin = entry.record, entry.twin
  return see(record.device_id, record.module_id, record.enabled,
    twin and twin.tags or "{}")
end

-- The place of the module behind which to go on, if it is to go no further.
local function show_modules(entry, device_id, after, see)
  for _, id in ipairs(sorted_ids(entry and entry.modules or {})) do
    if id > after and show(entry.modules[id], see) then
      return { device_id = device_id, module_id = id }
    end
  end
end

-- Pages end with a device, unless they are stopped.
local function scan_modules(self, after, ids, see)
  local stopped = after and after.module_id and show_modules(
    self.entries[after.device_id], after.device_id, after.module_id, see)
  for _, id in ipairs(ids) do
    if stopped then return stopped end
    stopped = show_modules(self.entries[id], id, "", see)
  end
  return stopped or nil
end

local function scan_devices(self, ids, see)
  for _, id in ipairs(ids) do
    if show(self.entries[id], see) then return { device_id = id } end
  end
end

---@param modules boolean else devices
---@param after { device_id: string, module_id: string? }?
---@param limit integer of devices that are looked at
---@param see fun(device_id: string, module_id: string?, enabled: boolean, tags: string)
---  : boolean? stop
---@return boolean? done
---@return { device_id: string, module_id: string? }|directmethods.Error|nil next
function Store:scan(modules, after, limit, see)
  local ids = self.order:page(after and after.device_id, limit)
  local stopped
  if modules then
    stopped = scan_modules(self, after, ids, see)
  else
    stopped = scan_devices(self, ids, see)
  end
  return true, stopped or #ids == limit and { device_id = ids[limit] } or nil
end

---@param fn fun()
---@return boolean? kept
---@return directmethods.Error? err
function Store:batch(fn)
  fn()
  return true
end

function Store:close() end

return M
