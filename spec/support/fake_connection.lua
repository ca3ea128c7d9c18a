--- Stands in for core.mqtt_connect: what a hub would do is said by the spec, and
-- what a device does is kept. Events come from the loop, as the real ones do.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

local Connection = {}
Connection.__index = Connection

--- Send an event to the device now; as the real one does, none but "gone" after close.
function Connection:event(name, ...)
  local handle = task.objects[self.event_id]
  if handle and (not self.closed or name == "gone") then handle(name, ...) end
end

function Connection:later(name, ...)
  local values = table.pack(...)
  task.after(0, function()
    self:event(name, table.unpack(values, 1, values.n))
  end)
end

function Connection:id() return self.event_id end

function Connection:subscribe()
  self:later("subscribed", self.granted)
  return true
end

function Connection:unsubscribe()
  self.unsubscribed = true
  self:later("unsubscribed")
  return true
end

function Connection:reply(rid, status, body)
  if self.full then return nil, "LimitExceeded", "too many answers wait" end
  table.insert(self.replies, { rid, status, body })
  return true
end

function Connection:seen(n) self.seen_count = self.seen_count + n end

function Connection:pending() return 0 end

function Connection:date() return self.peer_time, self.peer end

function Connection:dropped() return 0 end

function Connection:close(linger)
  if self.closed then return end
  self.closed = true
  self.linger = linger
  self:later("gone")
end

--- Answers so far as "rid status body", joined by a comma.
function Connection:said()
  local list = {}
  for i, reply in ipairs(self.replies) do list[i] = table.concat(reply, " ") end
  return table.concat(list, ", ")
end

--- What an attempt may come to: functions that are given the connection.
function M.accept(connection) connection:later("connected", false, true) end

local REFUSED = { -- as mqtt_client.c names them
  "ProtocolError", "Unauthorized", "ConnectFailed", "Unauthorized", "Unauthorized",
}

function M.refuse(connack)
  return function(connection)
    connection:later("failed", REFUSED[connack], "CONNACK " .. connack, connack)
  end
end

function M.fail(name)
  return function(connection) connection:later("failed", name, "it failed", 0) end
end

function M.suback(granted)
  return function(connection)
    connection.granted = granted
    M.accept(connection)
  end
end

function M.silent() end

--- Replace core.mqtt_connect. Attempt number i becomes `plan[i]`, which may be
-- replaced at any time; later ones are accepted. A string fails inside the call.
---@return table connections in the order they were asked for
---@return fun() restore
function M.install(plan)
  local original = core.mqtt_connect
  local connections = {}
  function core.mqtt_connect(fields)
    local outcome = plan[#connections + 1] or M.accept
    local connection = setmetatable({
      event_id = core.new_id(),
      fields = fields,
      asked_at = core.now(),
      granted = 0,
      replies = {},
      seen_count = 0,
    }, Connection)
    table.insert(connections, connection)
    if type(outcome) == "string" then
      connection.closed = true
      return nil, outcome, "it failed at once"
    end
    outcome(connection)
    return connection
  end
  return connections, function() core.mqtt_connect = original end
end

return M
