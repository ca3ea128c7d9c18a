--- The bus of a hub that is one of several: NATS, over which a call reaches the hub
-- that has its device.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local task = require "directmethods.task"

local M = {}

local ASKING = 8 -- waits for replies, at most
local QUESTIONS = 64 -- of other hubs that wait for their turn here, at most

---@class directmethods.HubBus
---@field id string of this hub among the others: another one at each start
---@field core directmethods.ClusterBus
---@field on_question fun(hub: string, text: string, done: fun(parts: string[]?))?
---  another hub asks; call `done` once with the parts of the reply, or nil if the
---  question is malformed. It runs inside the loop
local Bus = {}
Bus.__index = Bus

local function failed(name, message)
  return nil, errors.new { name = name, message = "cluster: " .. message }
end

local function cluster_core()
  local found, module = pcall(require, "directmethods.cluster_core")
  if found and module.bus then return module end
  return nil, "several hubs need the module directmethods.cluster_core with NATS: it "
    .. "comes with the rock or Debian package directmethods-cluster, or is built from "
    .. "the sources where libpq and libnats are"
end

-- Questions ---------------------------------------------------------------------

local function reply(self, hub, id, parts)
  self.questions = self.questions - 1
  if self.closed then return end
  if not parts then return self.core:drop(hub, "malformed") end
  for i, part in ipairs(parts) do
    if not self.core:reply(hub, id, i, i < #parts, part) then return end
  end
end

local function end_question(asked)
  local asking = asked.asking
  asking.left = asking.left - 1
  if asking.left == 0 then task.finish(asking.id, true) end
end

local EVENTS = {}

function EVENTS.question(self, hub, id, text)
  if not text then return self.core:drop(hub, "malformed") end
  if self.questions >= QUESTIONS or not self.on_question then
    return self.core:drop(hub, "full")
  end
  self.questions = self.questions + 1
  self.on_question(hub, text, function(parts) reply(self, hub, id, parts) end)
end

function EVENTS.reply(self, id, text, more)
  local asked = self.asked[id]
  table.insert(asked.parts, text or "")
  if more then return end
  self.asked[id] = nil
  asked.asking.replies[asked.hub] = asked.parts
  end_question(asked)
end

function EVENTS.silent(self, id)
  local asked = self.asked[id]
  self.asked[id] = nil
  end_question(asked)
end

-- Sends the question to each of the hubs that can be reached.
local function ask_each(self, hubs, text, asking)
  for _, hub in ipairs(hubs) do
    local id = self.core:ask(hub, text)
    if id then
      self.asked[id] = { asking = asking, hub = hub, parts = {} }
      asking.left = asking.left + 1
    end
  end
end

local function busy(message)
  return nil, errors.new {
    name = "ServiceUnavailable", code = 503001, message = message,
  }
end

--- Ask other hubs, all at once. Waits, at most 2 s of real time. A hub that is not in
--- `replies` has not replied in time, or not whole.
---@param hubs string[]
---@param text string at most 128 KiB
---@return table<string, string[]>? replies parts of each reply, by the hub's id
---@return directmethods.Error? err there is no connection to NATS, or too many ask
function Bus:ask(hubs, text)
  if not self.core:connected() then
    return busy("this hub has no connection to a NATS server, so it cannot ask "
      .. "the others")
  elseif self.waits >= ASKING then
    return busy(("%d questions to the other hubs are under way already"):format(ASKING))
  end
  self.waits = self.waits + 1
  local _ <close> = setmetatable({}, {
    __close = function() self.waits = self.waits - 1 end,
  })
  local name <close> = task.name()
  local asking = { id = name.id, left = 0, replies = {} }
  ask_each(self, hubs, text, asking)
  if asking.left > 0 then task.wait(name.id) end
  if self.closed then return busy "the hub was closed" end
  return asking.replies
end

--- Drop what a hub has replied, because it is malformed.
---@param hub string
function Bus:drop(hub)
  self.core:drop(hub, "malformed")
end

-- Beginning and end -------------------------------------------------------------

--- Connect to the NATS server. Waits.
---@param cluster directmethods.HubClusterOptions
---@param id string of this hub
---@return directmethods.HubBus? bus
---@return directmethods.Error? err ConnectFailed, Unauthorized, TlsFailed
function M.open(cluster, id)
  local module, why = cluster_core()
  if not module then return failed("SystemError", why) end
  local bus, event, message = module.bus(core.loop, {
    urls = cluster.url,
    cluster = cluster.name,
    hub = id,
    user = cluster.user,
    password_file = cluster.password_file,
    credentials_file = cluster.credentials_file,
    ca_file = cluster.ca_file,
    cert_file = cluster.cert_file,
    key_file = cluster.key_file,
  })
  if not bus then return failed(event, message) end
  local self = setmetatable({
    id = id, core = bus, events = event,
    asked = {}, -- question -> { asking, hub, parts }
    waits = 0, questions = 0,
  }, Bus)
  local opened = false
  task.objects[event] = function(what, ...) EVENTS[what](self, ...) end
  -- also when the task is cancelled
  local _ <close> = setmetatable({}, {
    __close = function() if not opened then self:close() end end,
  })
  local name, text
  event, name, text = task.wait(event)
  opened = event == "open"
  if opened then return self end
  return failed(name, text)
end

--- Join it to the hub's data plane, before that listens.
---@param plane userdata
function Bus:join(plane)
  local functions, context = self.core:join(plane:bus_events())
  plane:join(functions, context, self.id)
end

--- Is there a connection to a NATS server now?
---@return boolean
function Bus:connected()
  return self.core:connected()
end

--- Add how many messages were dropped, by the reason, to the hub's counters.
---@param counters table<string, integer>
---@return table<string, integer> counters
function Bus:count(counters)
  for reason, count in pairs(self.core:dropped()) do
    counters["bus_" .. reason] = count
  end
  return counters
end

--- Disconnect; silent the second time. Those who wait for replies wait no longer.
function Bus:close()
  if self.closed then return end
  self.closed = true
  task.objects[self.events] = nil
  self.core:close()
  for _, asked in pairs(self.asked) do end_question(asked) end
  self.asked = {}
end

return M
