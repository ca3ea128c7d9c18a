--- hub:cluster_calls: the calls of all hubs of a cluster.

local class = require "directmethods.hub.class"
local cluster_calls = require "directmethods.hub.cluster.calls"
local options = require "directmethods.options"
local task = require "directmethods.task"

local Hub, check_open = class.Hub, class.check_open

local TEXT_MAX = 1024 -- bytes

local function utf8_rule(value)
  return not utf8.len(value) and "must be UTF-8" or nil
end

local function text()
  return { "string", max = TEXT_MAX, check = utf8_rule }
end

local FILTER = {
  device = text(), module = text(), method = text(), outcome = text(), hub = text(),
  since = { "number", min = -1e15, max = 1e15 },
  id = { "integer" },
  last = { "integer", min = 0, max = cluster_calls.LAST, default = cluster_calls.LAST },
  payloads = { "boolean", default = true },
}

---@class directmethods.ClusterCallFilter
---@field device string?
---@field module string?
---@field method string?
---@field outcome string?
---@field since number? a time, as dm.time()
---@field id integer? calls with this id; each hub counts its own
---@field hub string? the id of a hub: ask only this one
---@field last integer? only the latest so many of all; 0 to 1000, default 1000
---@field payloads boolean? with payload and response; default true

---@class directmethods.ClusterCalls
---@field calls directmethods.HubCall[] from the oldest end to the newest, each with its
---  `hub`; of a payload over 8 KiB the beginning
---@field hubs { id: string, left_out: integer }[] that have replied, and how many of
---  the calls that the filter selects are not in `calls`
---@field missing string[] ids of hubs that have not replied within 2 s

local function check_cluster(state)
  if not state.cluster then
    error("hub:cluster_calls: the hub is in no cluster: the option cluster is not "
      .. "set", 3)
  elseif not state.bus then
    error("hub:cluster_calls: the hub cannot ask others: its option cluster.url is "
      .. "not set", 3)
  end
end

--- The latest calls that ended at this hub and at all others of its cluster, which are
--- asked for them. A call of one hub's caller to another hub's device has a record at
--- both: in the first `called_by` names the second hub, in the second `asked_by` names
--- the first, and `cluster_call` is the same. Times are by each hub's clock. Waits, at
--- most 2 s of real time for others. Raises if the hub is in no cluster.
--- ```lua
--- local found = assert(hub:cluster_calls { outcome = "GatewayTimeout", last = 20 })
--- for _, call in ipairs(found.calls) do print(call.hub, call.method) end
--- for _, id in ipairs(found.missing) do print("no reply of " .. id) end
--- ```
---@param filter directmethods.ClusterCallFilter?
---@return directmethods.ClusterCalls? found
---@return directmethods.Error? err ServiceUnavailable: there is no connection to NATS,
---  or eight such questions are under way
function Hub:cluster_calls(filter)
  check_open(self, "hub:cluster_calls")
  check_cluster(self.state)
  local f = options.check(filter, FILTER, "hub:cluster_calls")
  task.current "hub:cluster_calls"
  local only = f.hub
  f.hub = nil
  return cluster_calls.ask(self.state, f, only)
end

return Hub
