--- hub:snapshot and hub:restore keep in memory what a test has set up, and bring it
-- back. After that the hub is as if it had started on a copy of the store.

local class = require "directmethods.hub.class"
local contents = require "directmethods.hub.snapshot_contents"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local suggestion = require "directmethods.suggestion"
local task = require "directmethods.task"
local time = require "directmethods.time"

local Hub, check_open = class.Hub, class.check_open

local M = {}

local SNAPSHOTS_MAX = 16
local BYTES_MAX = 16 * 1024 * 1024 -- of all snapshots together
local NAME_MAX = 64

---@class directmethods.HubSnapshot
---@field name string
---@field time number when it was made, as dm.time()
---@field identities integer devices and modules
---@field jobs integer
---@field faults integer
---@field bytes integer of texts that it keeps

--- The rule that the name of a snapshot breaks, or nil.
---@param name any
---@return string?
function M.wrong_name(name)
  if type(name) ~= "string" then return options.no_text(name) end
  if #name <= NAME_MAX and name:find "^[%w%-_.]+$" then return nil end
  return ("must be 1 to %d characters of A-Z a-z 0-9 - _ ."):format(NAME_MAX)
end

local function check_name(name, what)
  local wrong = M.wrong_name(name)
  if wrong then options.fail(what, "name", wrong, 1) end
end

local function find(hub, name, what)
  check_name(name, what)
  local kept = hub.state.snapshots
  if kept[name] then return kept[name] end
  options.fail(what, ("'%s'"):format(name), "is no snapshot of this hub"
    .. suggestion(name, kept), 1)
end

local function limit(message)
  return errors.new { name = "LimitExceeded", message = "hub:snapshot: " .. message }
end

-- Why this cannot be done while other hubs have the same devices and jobs.
local function refusal(hub, what)
  local cluster = hub.state.cluster
  return cluster and cluster:refusal(what) or nil
end

-- Is there room for one of this name?
local function check_room(kept, name, bytes)
  local count = 0
  for each, snapshot in pairs(kept) do
    if each ~= name then count, bytes = count + 1, bytes + snapshot.bytes end
  end
  if count >= SNAPSHOTS_MAX then
    return limit(("%d snapshots are the most"):format(SNAPSHOTS_MAX))
  elseif bytes > BYTES_MAX then
    return limit(("all snapshots together may have %d bytes"):format(BYTES_MAX))
  end
end

--- Keep devices and modules with their twins, jobs, and fault rules under a name, in
--- the place of what had the name. It stays in memory until the hub is closed; a reset
--- leaves it. At most 16, 16 MiB together, each of 5000 identities and 20000 targets of
--- jobs. Waits.
--- ```lua
--- assert(hub:snapshot "ready")
--- -- ... a test changes devices, twins, rules ...
--- assert(hub:restore "ready")
--- ```
---@param name string 1 to 64 characters of A-Z a-z 0-9 - _ .
---@return boolean? done
---@return directmethods.Error? err LimitExceeded, or the store has failed; Conflict:
---  another hub of the cluster lives
function Hub:snapshot(name)
  check_open(self, "hub:snapshot")
  check_name(name, "hub:snapshot")
  task.current("hub:snapshot")
  local refused = refusal(self, "hub:snapshot")
  if refused then return nil, refused end
  local kept = self.state.snapshots
  local snapshot, err = contents.take(self)
  err = err or check_room(kept, name, snapshot.bytes)
  if err then return nil, err end
  snapshot.name, snapshot.time = name, time.time()
  kept[name] = snapshot
  return true
end

--- Bring back what hub:snapshot kept. Devices that are as they were stay connected, and
--- are told of desired properties that change. Devices that came later are removed, and
--- those whose keys or status were changed are disconnected. Versions of twins go on
--- counting, and the clock does not go back. A job that was running goes on, as after
--- a restart of the hub. Waits.
---@param name string
---@return boolean? done
---@return directmethods.Error? err the store has failed, with a part brought back;
---  Conflict: another hub of the cluster lives, and nothing was changed
function Hub:restore(name)
  check_open(self, "hub:restore")
  local snapshot = find(self, name, "hub:restore")
  task.current("hub:restore")
  local refused = refusal(self, "hub:restore")
  if refused then return nil, refused end
  return contents.put(self, snapshot)
end

--- What hub:snapshot has kept, ordered by name.
---@return directmethods.HubSnapshot[]
function Hub:snapshots()
  check_open(self, "hub:snapshots")
  local list = {}
  for _, snapshot in pairs(self.state.snapshots) do
    list[#list + 1] = {
      name = snapshot.name,
      time = snapshot.time,
      identities = #snapshot.pairs,
      jobs = #snapshot.jobs,
      faults = #snapshot.faults,
      bytes = snapshot.bytes,
    }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- Forget a snapshot.
---@param name string
function Hub:drop_snapshot(name)
  check_open(self, "hub:drop_snapshot")
  find(self, name, "hub:drop_snapshot")
  self.state.snapshots[name] = nil
end

return M
