--- The targets of a run that may be called: those that the store names pending, page by
-- page, and before them the devices that came. Events only put ids in here; the pump
-- reads the store and takes.

local identity_name = require "directmethods.identity_name"
local row_store = require "directmethods.hub.jobs.row_store"

local M = {}

local PAGE = 256 -- targets that are read at a time
local READY_MAX = 1024 -- devices that came; when more come, the store is read again
local READY_CHECKED = 128 -- of which the store is asked at a time
local LOOKS = 15 -- at a job that changes all the time, until its targets are read again

---@class directmethods.TargetQueue
---@field job_id string
---@field flying table<string, string> key -> "flying", or "woken": its device has come
---  since its call began
local Queue = {}
Queue.__index = Queue

--- The name of a target in a run.
---@param target directmethods.JobTarget
---@return string
function M.key(target)
  return identity_name(target.device_id, target.module_id)
end

local key = M.key

---@param job_id string
---@return directmethods.TargetQueue
function M.new(job_id)
  return setmetatable({
    job_id = job_id,
    flying = {},
    ready = {}, -- targets whose devices came, and in `queued` their keys
    queued = {},
    found = {}, -- targets that were pending when the store was read
    first = 1, -- of `found`
    after = nil, -- the last id of the page before: the next page begins after it
    all_read = false,
    again = false, -- read the store from its beginning once all is read
    version = nil, -- of the job's row when it was last looked at
    read_version = nil, -- and when all pending targets were last read again for it
    looks = 0, -- since then, that found another version
  }, Queue)
end

--- A device has come: it may be called, if it is a target and still pending.
---@param target directmethods.JobTarget
function Queue:add(target)
  local name = key(target)
  if self.flying[name] then
    self.flying[name] = "woken"
  elseif #self.ready == READY_MAX then
    self.again = true
  elseif not self.queued[name] then
    self.queued[name] = true
    self.ready[#self.ready + 1] = target
  end
end

--- Read all pending targets again: what was found of some is outdated.
function Queue:read_again()
  self.again = true
end

--- Look at a job whose targets other hubs call, too. When a device connects to this
--- hub, another hub may have its device job, and give it back later without an event.
--- So read all pending targets again once the job's row has changed and then stays as
--- it is.
---@param version string of the row
function Queue:follow(version)
  if version == self.read_version then return end
  local rests = version == self.version
  self.version, self.looks = version, self.looks + 1
  if not rests and self.looks < LOOKS then return end
  self.read_version, self.looks = version, 0
  self:read_again()
end

--- Is there something to take or to read?
---@return boolean
function Queue:has_more()
  return self.found[self.first] ~= nil or self.ready[1] ~= nil or not self.all_read
    or self.again
end

--- The next target that was pending when it was read, is not flying and not damaged.
---@return directmethods.FoundTarget? target nil: fill the queue first
function Queue:take()
  local found = self.found
  while found[self.first] do
    local target = found[self.first]
    found[self.first] = nil
    self.first = self.first + 1
    if not (target.is_damaged or self.flying[key(target)]) then return target end
  end
end

--- Look at a target again that was taken and not called.
---@param target directmethods.FoundTarget
function Queue:put_back(target)
  self.flying[key(target)] = nil
  if self.first == 1 then
    table.insert(self.found, 1, target)
  else
    self.first = self.first - 1
    self.found[self.first] = target
  end
end

-- Those of the devices that came whose device jobs are pending.
local function read_ready(self, db)
  local list = {}
  for i = 1, math.min(#self.ready, READY_CHECKED) do
    list[i] = { job_id = self.job_id, target = self.ready[i] }
  end
  local states, err = row_store.states(db, list)
  if not states then return err end
  table.move(self.ready, #list + 1, #self.ready + #list, 1)
  for i, each in ipairs(list) do
    self.queued[key(each.target)] = nil
    each.target.is_usable = true
    if states[i] == "pending" then self.found[#self.found + 1] = each.target end
  end
end

local function read_page(self, db)
  if self.all_read then self.after, self.all_read, self.again = nil, false, false end
  local page, err = row_store.in_state(db, self.job_id, "pending", self.after, PAGE)
  if not page then return err end
  self.found = page
  self.after = page[#page]
  self.all_read = #page < PAGE
end

--- Read more when all that was read is taken. Waits for the store.
---@param db directmethods.Sql
---@return boolean? done
---@return directmethods.Error? err
function Queue:fill(db)
  if self.found[self.first] then return true end
  self.found, self.first = {}, 1
  local err
  if self.ready[1] then
    err = read_ready(self, db)
  elseif not self.all_read or self.again then
    err = read_page(self, db)
  end
  if err then return nil, err end
  return true
end

return M
