--- The admin listener: what users in other languages do to a hub, as JSON over HTTP
-- (admin/openapi.json). The data plane has checked Host and token.

local actions = require "directmethods.hub.admin_routes"
local clients = require "directmethods.hub.admin_clients"
local core = require "directmethods.core"
local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"
local requests = require "directmethods.hub.admin.request"
local routes = require "directmethods.hub.routes"
local task = require "directmethods.task"

local M = {}

local TOKEN_BYTES = 16 -- random bytes of the bearer token
local JSON_TYPE = "Content-Type: application/json; charset=utf-8\r\n"

local ROUTES = routes.compile(actions.ROUTES)

local function answer(state, id, status, value, fields)
  local body = type(value) == "string" and value or value and json.encode(value) or ""
  state.plane:answer(id, value and status or 204, fields or JSON_TYPE, body)
end

local function answer_wrong(state, id, status, why, fields)
  answer(state, id, status, { Message = why }, (fields or "") .. JSON_TYPE)
end

-- An error that is no refusal is a defect: its place is known here alone.
local function keep_refusal(err)
  if getmetatable(err) == requests.Refusal then return err end
  return debug.traceback(task.text_of(err), 2)
end

local function act(hub, action, request)
  for name in pairs(request.query) do
    if not action[name] then
      requests.refuse(400, ("unknown parameter %q"):format(readable.text(name)))
    end
  end
  return action[1](hub, request)
end

local function run(hub, ask, action, request)
  request.body, request.query = ask.body, routes.read_query(ask.query)
  request.release, request.ask_id = ask.release, ask.id
  request.fields = ask.fields
  local ok, value, fields = xpcall(act, keep_refusal, hub, action, request)
  if ok and value == requests.ANSWERED then return end
  if ok then return answer(hub.state, ask.id, 200, value, fields) end
  if getmetatable(value) ~= requests.Refusal then error(value, 0) end
  answer_wrong(hub.state, ask.id, value.status, value.why)
end

--- Answer a request that raised.
---@param state directmethods.HubState
---@param id integer
function M.fail(state, id)
  answer_wrong(state, id, 500, "The request failed.")
end

--- Answer a request of the admin listener. A task of its own runs this.
---@param ask directmethods.HubAsk
function M.handle(ask)
  local state = ask.state
  local hub = state.open and state.hub[1]
  if not hub then return answer_wrong(state, ask.id, 503, "The hub is closing.") end
  local verbs, request = routes.find(ROUTES, ask.path)
  if not verbs then
    return answer_wrong(state, ask.id, 404, "No route has the path.")
  end
  local action = routes.is_verb(ask.method) and verbs[ask.method]
  if not action then
    return answer_wrong(state, ask.id, 405,
      ("The path does not support http method '%s'."):format(ask.method),
      routes.allow(ROUTES, ask.path))
  end
  run(hub, ask, action, request)
end

---@class directmethods.HubAdmin
---@field token string  what callers must show
---@field session string?  what a browser's cookie has in its place; of the data plane
---@field clients directmethods.AdminClients devices with canned answers

local function new_token()
  return (core.random(TOKEN_BYTES):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

--- What a hub keeps for its admin listener.
---@param token string? the one that was given
---@return directmethods.HubAdmin
function M.new(token)
  token = token or new_token()
  return { token = token, clients = clients.new() }
end

return M
