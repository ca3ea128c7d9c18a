--- The calls of all hubs of a cluster: each is asked over the bus (hub/bus.lua) for
-- those that a filter selects. Question and replies are JSON. What another hub sends is
-- not trusted: each member is checked, and members that are not known are dropped.

local background = require "directmethods.hub.background"
local json = require "directmethods.json"
local readable = require "directmethods.hub.readable"

local M = {}

M.LAST = 1000 -- calls of a hub, at most
local BYTES = 512 * 1024 -- of a hub's calls as JSON, at most
local PART = 120 * 1024 -- of a part of a reply; the bus takes 128 KiB
local PAYLOAD = 8 * 1024 -- bytes of a payload that are sent

---@class directmethods.ClusterQuestion
---@field device string?
---@field module string?
---@field method string?
---@field outcome string?
---@field since number?
---@field id integer?
---@field last integer 0 to M.LAST
---@field payloads boolean

---@class directmethods.ClusterReply
---@field hub string
---@field found integer calls that the filter selects
---@field calls directmethods.HubCall[] of these, the newest first

-- What comes from another hub ---------------------------------------------------

local FAR = 1e15 -- seconds; nor is infinity a time

local function is_number(value)
  return type(value) == "number" and value > -FAR and value < FAR
end

local function all(value, fits)
  if type(value) ~= "table" then return false end
  for _, each in pairs(value) do
    if not fits(each) then return false end
  end
  return true
end

local IS = {
  string = function(value) return type(value) == "string" end,
  boolean = function(value) return type(value) == "boolean" end,
  integer = function(value) return math.type(value) == "integer" end,
  number = is_number,
  numbers = function(value) return all(value, is_number) end,
}
function IS.strings(value) return all(value, IS.string) end

local QUESTION = {
  device = "string", module = "string", method = "string", outcome = "string",
  since = "number", id = "integer", last = "integer", payloads = "boolean",
}

local CALL = {
  id = "integer", time = "number", device_id = "string", module_id = "string",
  method = "string", rid = "string", outcome = "string", status = "integer",
  code = "integer", http_status = "integer", reason = "string",
  azure_refuses = "string", elapsed = "number", stages = "numbers",
  faults = "strings", cluster_call = "string", called_by = "string",
  asked_by = "string", job_id = "string", response_timeout = "integer",
  connect_timeout = "integer", api_version = "string", request_size = "integer",
  response_size = "integer", payload = "string", response = "string",
  payload_cut = "boolean", response_cut = "boolean",
}
local ALWAYS = { "id", "time", "device_id", "method", "outcome", "status", "code",
  "http_status", "elapsed", "stages", "request_size", "response_size" }

-- The known members of an object; nil: one is of a wrong type.
local function read_members(value, shape)
  if type(value) ~= "table" then return nil end
  local read = {}
  for name, kind in pairs(shape) do
    if value[name] ~= nil then
      if not IS[kind](value[name]) then return nil end
      read[name] = value[name]
    end
  end
  return readable.copy(read)
end

local function read_call(value)
  local call = read_members(value, CALL)
  if not call then return nil end
  for _, name in ipairs(ALWAYS) do
    if call[name] == nil then return nil end
  end
  return call
end

local function read_question(text)
  local value = json.decode(text)
  local question = type(value) == "table" and read_members(value.calls, QUESTION)
  local last = question and question.last
  if not last or last < 0 or last > M.LAST then return nil end
  return question
end

-- Adds the calls of a part to a reply; false: it is malformed.
local function read_part(state, part, reply)
  local value = json.decode(part)
  if type(value) ~= "table" or math.type(value.found) ~= "integer"
    or type(value.calls) ~= "table" then
    return false
  end
  local deadline = background.deadline()
  for _, each in ipairs(value.calls) do
    local call = read_call(each)
    if not call then return false end
    table.insert(reply.calls, call)
    if os.clock() > deadline then deadline = state.background:pause() end
  end
  reply.found = value.found
  return true
end

local function read_reply(state, hub, parts)
  local reply = { hub = hub, found = 0, calls = {} }
  for _, part in ipairs(parts) do
    if not read_part(state, part, reply) then return nil end
  end
  return reply
end

-- What this hub has -------------------------------------------------------------

local function shorten(record, with_payloads)
  local call = readable.copy(record)
  for _, name in ipairs { "payload", "response" } do
    local text = call[name]
    if not with_payloads then
      call[name] = nil
    elseif text and #text > PAYLOAD then
      call[name], call[name .. "_cut"] = readable.cut(text, PAYLOAD), true
    end
  end
  return call
end

-- This hub's reply, and each call of it as JSON. Waits.
local function gather(state, question)
  local q = question
  local list, others = state.plane:calls(q.device, q.module, q.method, q.outcome,
    q.since, q.id, q.last)
  local reply = { found = #list + others, calls = {} }
  local texts, bytes, deadline = {}, 0, background.deadline()
  for i = #list, 1, -1 do
    local call = shorten(list[i], q.payloads)
    local text = json.encode(call)
    bytes = bytes + #text
    if bytes > BYTES then break end
    if #text <= PART then
      table.insert(reply.calls, call)
      table.insert(texts, text)
    end
    if os.clock() > deadline then deadline = state.background:pause() end
  end
  return reply, texts
end

-- A reply in parts that the bus takes; one at least.
local function parts_of(found, texts)
  local parts, from, bytes = {}, 1, 0
  local function close(to)
    parts[#parts + 1] = ('{"found":%d,"calls":['):format(found)
      .. table.concat(texts, ",", from, to) .. "]}"
    from, bytes = to + 1, 0
  end
  for i, text in ipairs(texts) do
    if bytes > 0 and bytes + #text > PART then close(i - 1) end
    bytes = bytes + #text + 1
  end
  close(#texts)
  return parts
end

--- The function that answers the questions of other hubs (HubBus.on_question).
---@param state directmethods.HubState
---@return fun(hub: string, text: string, done: fun(parts: string[]?))
function M.answerer(state)
  local lane = {} -- one question at a time
  return function(_, text, done)
    local question = read_question(text)
    if not question then return done(nil) end
    state.requests:add(lane, {
      run = function()
        local reply, texts = gather(state, question)
        done(parts_of(reply.found, texts))
      end,
      fail = function() done {} end,
    })
  end
end

-- All hubs ----------------------------------------------------------------------

local function ended(call)
  return call.time + call.elapsed
end

-- The reply whose next call is the newest; nil: all are shown.
local function newest(replies)
  local found
  for _, reply in ipairs(replies) do
    local call = reply.calls[reply.shown + 1]
    if call and (not found or ended(call) > ended(found.calls[found.shown + 1])) then
      found = reply
    end
  end
  return found
end

-- The last calls of all replies, from the oldest to the newest.
local function merge(state, replies, last)
  local calls, deadline = {}, background.deadline()
  for _, reply in ipairs(replies) do reply.shown = 0 end
  while #calls < last do
    local reply = newest(replies)
    if not reply then break end
    reply.shown = reply.shown + 1
    local call = reply.calls[reply.shown]
    call.hub = reply.hub
    calls[#calls + 1] = call
    if os.clock() > deadline then deadline = state.background:pause() end
  end
  for i = 1, #calls // 2 do
    local mirrored = #calls + 1 - i
    calls[i], calls[mirrored] = calls[mirrored], calls[i]
  end
  return calls
end

-- Which other hubs are to be asked, and whether this one is.
local function select_hubs(cluster, hub)
  if not hub then return cluster:others(), true end
  if hub == cluster.id then return {}, true end
  return { hub }, false
end

local function add_others(state, hubs, answers, replies)
  local missing = {}
  for _, hub in ipairs(hubs) do
    local reply = answers[hub] and read_reply(state, hub, answers[hub])
    if answers[hub] and not reply then state.bus:drop(hub) end
    if reply then
      replies[#replies + 1] = reply
    else
      missing[#missing + 1] = hub
    end
  end
  return missing
end

--- Ask all hubs, or one of them. Waits, for another hub at most 2 s of real time.
---@param state directmethods.HubState with `cluster` and `bus`
---@param question directmethods.ClusterQuestion
---@param hub string? only this one
---@return directmethods.ClusterCalls? found
---@return directmethods.Error? err
function M.ask(state, question, hub)
  local hubs, is_asked = select_hubs(state.cluster, hub)
  local answers, err = state.bus:ask(hubs, json.encode { calls = question })
  if not answers then return nil, err end
  local replies = {}
  if is_asked then
    replies[1] = gather(state, question)
    replies[1].hub = state.cluster.id
  end
  local missing = add_others(state, hubs, answers, replies)
  local calls, places = merge(state, replies, question.last), {}
  for i, reply in ipairs(replies) do
    places[i] = { id = reply.hub, left_out = math.max(0, reply.found - reply.shown) }
  end
  return { calls = calls, hubs = places, missing = missing }
end

return M
