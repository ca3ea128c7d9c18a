--- The requests of the control plane. Each runs as a task of its own, so that it may
-- wait for the store. The requests of one connection run in their order, one at a
-- time; connections take turns; a bounded number of requests runs at a time.

local task = require "directmethods.task"

local M = {}

---@class directmethods.HubRequests
---@field slots integer how many requests may compute or wait for the store at a time
---@field used integer how many do
local Requests = {}
Requests.__index = Requests

-- What waits, in a list whose first and last index move.
local function new_queue()
  return { first = 1, last = 0 }
end

local function push(queue, value)
  queue.last = queue.last + 1
  queue[queue.last] = value
end

local function pop(queue)
  local value = queue[queue.first]
  if value == nil then return nil end
  queue[queue.first] = nil
  queue.first = queue.first + 1
  return value
end

---@param slots integer
---@return directmethods.HubRequests
function M.new(slots)
  return setmetatable({
    slots = slots,
    used = 0,
    lanes = {}, -- connection -> its requests that wait; one more may be running
    turns = new_queue(), -- lanes that have a request to start
    running = {}, -- requests -> their tasks
  }, Requests)
end

local function release(requests, request)
  if not request.has_slot then return end
  request.has_slot = false
  requests.used = requests.used - 1
end

local start_next

local HOOKS = {}

function HOOKS.on_end(request, status)
  local requests, lane = request.requests, request.lane
  requests.running[request] = nil
  release(requests, request)
  if lane.first > lane.last then
    requests.lanes[lane.connection] = nil
  else
    push(requests.turns, lane)
  end
  if status == "failed" then request.fail() end
  start_next(requests)
end

local function run(request)
  request.run(request)
end

function start_next(requests)
  while requests.used < requests.slots and not requests.closed do
    local lane = pop(requests.turns)
    if not lane then return end
    local request = pop(lane)
    request.has_slot = true
    requests.used = requests.used + 1
    requests.running[request] = task.start(run, HOOKS, request)
  end
end

--- Run `request.run(request)` as a task when the turn of its connection comes. When it
-- raises, the error is logged with its traceback and `request.fail()` is called, which
-- answers in the request's format. A request that begins to wait for something else
-- than the store calls `request:release()`, so that others may run meanwhile.
---@param connection any requests that name the same one run one after the other
---@param request { run: fun(request), fail: fun() }
function Requests:add(connection, request)
  if self.closed then return end
  request.requests = self
  function request.release() release(self, request) end
  local lane = self.lanes[connection]
  if not lane then
    lane = new_queue()
    lane.connection = connection
    self.lanes[connection] = lane
    push(self.turns, lane)
  end
  request.lane = lane
  push(lane, request)
  start_next(self)
end

--- End all: what runs is cancelled, what waits is never started. Harmless the second
-- time.
function Requests:close()
  self.closed = true
  self.lanes, self.turns = {}, new_queue()
  for _, running in pairs(self.running) do running:cancel() end
end

return M
