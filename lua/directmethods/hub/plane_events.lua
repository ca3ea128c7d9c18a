--- The events of the data plane, and what takes each: a request becomes a task of the
-- control plane; the other events go to the part of the hub that waits for them.

local admin = require "directmethods.hub.admin"
local changes = require "directmethods.hub.changes"
local routes = require "directmethods.hub.routes"
local sessions = require "directmethods.hub.sessions"
local twins = require "directmethods.hub.twins"

local M = {}

local EVENTS = {}

function EVENTS.http(state, id, method, path, query, fields, body, rights)
  local handler = rights.Admin and admin or routes
  local request = {
    state = state,
    id = id,
    method = method,
    path = path,
    query = query,
    fields = fields,
    body = body,
    rights = rights,
    run = handler.handle,
    fail = function() handler.fail(state, id) end,
  }
  -- a connection has one unanswered HTTP request at a time, so it needs no other name
  state.requests:add(request, request)
end

function EVENTS.twin(state, connection, device_id, module_id, kind, rid, payload,
    version)
  local request = {
    state = state, connection = connection,
    device_id = device_id, module_id = module_id,
    kind = kind,
    rid = rid,
    payload = payload,
    version = version,
    run = twins.handle,
  }
  function request.fail() twins.fail(request) end
  state.requests:add(connection, request)
end

function EVENTS.session(state, connection, device_id, module_id, stored, filters,
    model_id, connects, epoch)
  local request = {
    state = state, connection = connection,
    device_id = device_id, module_id = module_id,
    stored = stored,
    filters = filters,
    model_id = model_id,
    connects = connects, epoch = epoch,
    run = sessions.handle,
  }
  function request.fail() sessions.fail(request) end
  -- those of an identity run in their order, whatever connections they come from
  state.requests:add(changes.key(device_id, module_id), request)
end

function EVENTS.call(state, record)
  state.watchers:tell(record)
end

function EVENTS.device(state, event)
  state.device_watchers:tell(event)
end

function EVENTS.left(state, device_id, module_id, epoch)
  if state.presence then state.presence:left(device_id, module_id, epoch) end
end

function EVENTS.bus(state, is_up)
  if state.presence and is_up then state.presence:bus_is_up() end
end

function EVENTS.tick(state)
  state.streams:tick()
end

function EVENTS.invoked(state, ...)
  state.jobs:invoked(...)
end

function EVENTS.ready(state, device_id, module_id)
  state.jobs:ready(device_id, module_id)
end

--- The event function of a hub: C calls it with the name of an event and its values.
---@param state directmethods.HubState
---@param on_closed fun(state: directmethods.HubState) takes the last event
---@return fun(event: string, ...)
function M.handler(state, on_closed)
  return function(event, ...)
    if event == "closed" then return on_closed(state) end
    EVENTS[event](state, ...)
  end
end

return M
