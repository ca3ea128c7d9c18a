--- MQTT sessions of clean=0, which outlive their connection and the hub: a row of the
-- store for each, with what it is subscribed to. The data plane does not tell a device
-- that it has a session or a subscription before it was kept (csrc/hub/keep.h).

local json = require "directmethods.json"
local registry = require "directmethods.hub.registry"
local tables = require "directmethods.tables"
local task = require "directmethods.task"

local M = {}

-- The model id that the device has named, if it is another one than before.
local function decide_model(changes, record, model_id)
  local twin = changes:twin(record.device_id, record.module_id)
  if not model_id or twin.model_id == model_id then return end
  local copy = tables.copy(twin)
  copy.model_id, copy.version = model_id, twin.version + 1
  changes:put_twin(record, copy)
end

local function decide(changes, request)
  local record, problem = registry.find(changes, request.device_id, request.module_id)
  if not record then return nil, problem end
  local presence = request.state.presence
  if presence then
    presence:decide(changes, record, request)
  else
    changes:put_session(record, request.stored and request.filters or nil)
  end
  decide_model(changes, record, request.model_id)
  return true
end

--- Keep a session as it is now, and tell the data plane. A task of its own runs this.
---@param request { state: directmethods.HubState, connection: integer,
---  device_id: string, module_id: string?, stored: boolean, filters: string[],
---  model_id: string?, connects: boolean, epoch: integer }
function M.handle(request)
  local state = request.state
  local kept = state.registry:change({ request }, function(changes)
    return decide(changes, request)
  end)
  local is_new = kept and state.presence and request.connects
  local is_there = state.plane:session_kept(request.connection, kept or false,
    is_new and request.epoch or nil, is_new and request.found or nil)
  if is_new and not is_there then
    state.presence:left(request.device_id, request.module_id, request.epoch)
  end
end

--- Answer a request that raised.
function M.fail(request)
  request.state.plane:session_kept(request.connection, false)
end

local PAGE = 200 -- sessions that are read at a time

local SESSIONS = "SELECT device_id, module_id, subscriptions FROM sessions "
  .. "WHERE (device_id, module_id) > (?, ?) ORDER BY device_id, module_id LIMIT ?"

-- One that cannot be read is left out: its device begins anew.
local function restore(plane, row)
  local device_id, module_id, text = row[1], row[2], row[3]
  local are_texts = type(device_id) == "string" and type(module_id) == "string"
    and type(text) == "string"
  local filters = are_texts and json.decode(text)
  if module_id == "" then module_id = nil end
  if type(filters) ~= "table" then
    task.report("error", "the store is damaged: a session cannot be read")
    return
  end
  plane:restore_session(device_id, module_id)
  for _, filter in ipairs(filters) do
    if type(filter) == "string" then
      plane:restore_session(device_id, module_id, filter)
    end
  end
end

--- Let the data plane know of all sessions in the store; their identities are there
--- already. Waits.
---@param store directmethods.Store
---@param plane userdata
---@return boolean? loaded
---@return directmethods.Error? err
function M.load(store, plane)
  local last = { "", "" }
  while last do
    local results, err = store.db:read { { SESSIONS, { last[1], last[2], PAGE } } }
    if not results then return nil, err end
    local page = results[1]
    for _, row in ipairs(page) do restore(plane, row) end
    last = page[PAGE]
  end
  return true
end

return M
