--- What a snapshot holds: taken from the store and the rules, and put back.

local background = require "directmethods.hub.background"
local documents = require "directmethods.hub.twin_document"
local errors = require "directmethods.errors"
local json = require "directmethods.json"
local tables = require "directmethods.tables"

local M = {}

local IDENTITIES_MAX = 5000
local TARGETS_MAX = 20000 -- of jobs
local SOME = 100 -- identities that are changed by one list of statements
local SECTIONS = { "tags", "desired", "reported" }

local JOB = "id, type, status, condition, method, update_twin, created, start, ended, "
  .. "max_seconds, selected, reason, total, pending, running, succeeded, failed"
local TARGET = "job_id, device_id, module_id, state, owner, lease, started, ended, "
  .. "updated, answer_status, answer, error_code, error_text"

local COUNT = { "SELECT (SELECT count(*) FROM identities), "
  .. "(SELECT count(*) FROM device_jobs)" }
local READ_JOBS = { ("SELECT %s FROM jobs"):format(JOB) }
local READ_TARGETS = { ("SELECT %s FROM device_jobs"):format(TARGET) }

-- A statement that inserts rows of these columns, and how many they are.
local function insert_of(name, columns)
  local count = 1 + select(2, columns:gsub(",", ""))
  return ("INSERT INTO %s (%s) VALUES (%s?)"):format(name, columns,
    ("?, "):rep(count - 1)), count
end

local INSERT_JOB, JOB_COLUMNS = insert_of("jobs", JOB)
local INSERT_TARGET, TARGET_COLUMNS = insert_of("device_jobs", TARGET)

---@class directmethods.SnapshotContents
---@field pairs { record: directmethods.IdentityRecord, twin: directmethods.Twin? }[]
---  a device before its modules
---@field jobs any[][] rows
---@field targets any[][] rows
---@field faults { rule: directmethods.FaultRule, hits: integer }[]
---@field answers table<string, table> canned answers of the admin listener
---@field bytes integer

-- Bytes of the texts in tables.
local function bytes_of(value)
  if type(value) == "string" then return #value end
  if type(value) ~= "table" then return 8 end
  local bytes = 0
  for _, each in pairs(value) do bytes = bytes + bytes_of(each) end
  return bytes
end

local function check_counts(db)
  local results, err = db:read { COUNT }
  if not results then return err end
  local identities, targets = results[1][1][1], results[1][1][2]
  if identities <= IDENTITIES_MAX and targets <= TARGETS_MAX then return nil end
  return errors.new {
    name = "LimitExceeded",
    message = ("hub:snapshot: %d identities and %d targets of jobs are the most")
      :format(IDENTITIES_MAX, TARGETS_MAX),
  }
end

local function faults_of(hub)
  local list = {}
  for i, fault in ipairs(hub:faults()) do
    list[i] = { rule = tables.copy(fault.rule), hits = fault.hits }
  end
  return list
end

--- Take a snapshot of what there is. Waits.
---@param hub directmethods.Hub
---@return directmethods.SnapshotContents? contents
---@return directmethods.Error? err
function M.take(hub)
  local store, admin = hub.state.store, hub.state.admin
  local err = check_counts(store.db)
  if err then return nil, err end
  local results
  results, err = store.db:read { store:all_pairs(), READ_JOBS, READ_TARGETS }
  if not results then return nil, err end
  local found, deadline = {}, background.deadline()
  for i, row in ipairs(results[1]) do
    found[i], err = store:pair_of(row)
    if err then return nil, err end
    if os.clock() > deadline then deadline = hub.state.background:pause() end
  end
  local contents = {
    pairs = found,
    jobs = results[2],
    targets = results[3],
    faults = faults_of(hub),
    answers = admin and tables.copy(admin.clients.answers) or {},
  }
  contents.bytes = bytes_of(contents)
  return contents
end

-- Identities and twins ---------------------------------------------------------------

local function same(a, b)
  for name, value in pairs(a) do
    if name ~= "version" and name ~= "parent_scopes" and b[name] ~= value then
      return false
    end
  end
  return json.encode(a.parent_scopes or {}) == json.encode(b.parent_scopes or {})
end

local function is_same_record(a, b)
  return same(a, b) and same(b, a)
end

-- The twin with its old sections and with versions that go on counting, and the change
-- to send to the device; nil: nothing has changed.
local function twin_again(now, wanted)
  local twin, changed = tables.copy(now), {}
  for _, name in ipairs(SECTIONS) do
    if now[name] ~= wanted[name] then
      changed[name] = true
      twin[name] = wanted[name]
      if name ~= "tags" then
        twin[name .. "_metadata"] = wanted[name .. "_metadata"]
        twin[name .. "_version"] = now[name .. "_version"] + 1
      end
    end
  end
  if not next(changed) then return nil end
  twin.version, twin.changes = now.version + 1, now.changes + 1
  local notification = changed.desired and documents.notification(
    documents.replacement(json.decode(now.desired), json.decode(wanted.desired)),
    twin.desired_version) or nil
  return twin, notification
end

local function put_pair(changes, pair)
  local wanted, id, module = pair.record, pair.record.device_id, pair.record.module_id
  local now = changes:find(id, module)
  local record = tables.copy(wanted)
  record.version = nil
  if not now then
    changes:insert(record)
    if pair.twin then changes:put_twin(record, pair.twin) end
    return
  end
  if is_same_record(now, wanted) then record = now else changes:update(record) end
  local twin, notification = twin_again(changes:twin(id, module),
    pair.twin or documents.BLANK)
  if twin then changes:put_twin(record, twin, notification) end
end

-- Change identities, some at a time: `one(changes, item)` is called for each item,
-- which is an id, or has one in its record. Returns what has gone wrong.
local function each_identity(state, list, one)
  for first = 1, #list, SOME do
    local ids, last = {}, math.min(first + SOME - 1, #list)
    for i = first, last do ids[#ids + 1] = list[i].record or list[i] end
    local _, problem = state.registry:change(ids, function(changes)
      for i = first, last do one(changes, list[i]) end
      return true
    end)
    if problem then
      return errors.new {
        name = problem.name, code = problem.code, message = problem.text,
      }
    end
  end
end

-- The ids in the hub that are not among these pairs.
local function others(store, list)
  local results, err = store.db:read {
    { "SELECT device_id, module_id FROM identities ORDER BY device_id, module_id" },
  }
  if not results then return nil, err end
  local ids, wanted = {}, {}
  for _, pair in ipairs(list) do
    wanted[pair.record.device_id .. "/" .. (pair.record.module_id or "")] = true
  end
  for _, row in ipairs(results[1]) do
    if not wanted[row[1] .. "/" .. row[2]] then
      ids[#ids + 1] = { device_id = row[1], module_id = row[2] ~= "" and row[2] or nil }
    end
  end
  return ids
end

local function put_identities(state, list)
  local ids, err = others(state.store, list)
  if not ids then return err end
  return each_identity(state, ids, function(changes, id)
    local record = changes:find(id.device_id, id.module_id)
    if record then changes:remove(record) end
  end) or each_identity(state, list, put_pair)
end

-- Jobs, rules, canned answers ---------------------------------------------------

local LIST = 500 -- rows that are inserted by one list

local function put_rows(db, insert, columns, list)
  for first = 1, #list, LIST do
    local statements = {}
    for i = first, math.min(first + LIST - 1, #list) do
      local values = table.move(list[i], 1, columns, 1, { n = columns })
      statements[#statements + 1] = { insert, values, expect = 1 }
    end
    local done, err = db:write(statements)
    if not done then return err end
  end
end

local function put_jobs(state, snapshot)
  local db = state.store.db
  local err = put_rows(db, INSERT_JOB, JOB_COLUMNS, snapshot.jobs)
    or put_rows(db, INSERT_TARGET, TARGET_COLUMNS, snapshot.targets)
  if err then return err end
  return select(2, state.jobs:load())
end

-- A rule that has acted keeps the rest of its `times`, and ignores no events first.
local function put_fault(hub, kept)
  local rule = tables.copy(kept.rule)
  if kept.hits > 0 then rule.after = nil end
  if rule.times then rule.times = rule.times - kept.hits end
  if not rule.times or rule.times > 0 then hub:fault(rule) end
end

-- Does one of the methods have a sequence of answers, which must start again?
local function has_sequence(methods)
  for _, answer in pairs(methods) do
    if answer[1] ~= nil then return true end
  end
  return false
end

local function is_as_it_was(hub, name, methods)
  local clients = hub.state.admin.clients
  local device, module = name:match "^([^/]*)/?(.*)$"
  return clients.answers[name] == methods and not has_sequence(methods)
    and (hub.state.plane:connected(device, module ~= "" and module or nil))
end

-- Close the devices with canned answers that had none.
local function drop_answers(hub, answers)
  local clients = hub.state.admin.clients
  for name in pairs(tables.copy(clients.answers)) do
    if not answers[name] then clients:drop(name) end
  end
end

-- Connect the devices that had canned answers, if their answers have changed, if they
-- are gone, or if a sequence must start again.
local function put_answers(hub, answers)
  local clients = hub.state.admin.clients
  for name, methods in pairs(answers) do
    if not is_as_it_was(hub, name, methods) then
      clients.answers[name] = methods
      local client = hub:device(name, methods)
      clients:put(name, client)
      client:connect() -- fails where the device was disabled
    end
  end
end

--- Put a snapshot back. Waits.
---@param hub directmethods.Hub
---@param snapshot directmethods.SnapshotContents
---@return boolean? done
---@return directmethods.Error? err
function M.put(hub, snapshot)
  local state = hub.state
  if state.admin then drop_answers(hub, snapshot.answers) end
  local done, err = state.jobs:reset()
  if done then err = put_identities(state, snapshot.pairs) end
  err = err or put_jobs(state, snapshot)
  if err then return nil, err end
  hub:clear_faults()
  for _, kept in ipairs(snapshot.faults) do put_fault(hub, kept) end
  if state.admin then put_answers(hub, snapshot.answers) end
  return true
end

return M
