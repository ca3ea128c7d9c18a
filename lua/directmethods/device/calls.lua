--- The calls of a device: each starts a handler's task, waits in the queue, or is
-- answered at once. One object for each device.
--
-- Answers without a handler's result have these bodies:
--   429 {"error":"the device is busy"}                    queue full
--   500 {"error":"the method failed"}                     the handler raised
--   500 {"error":"the method gave no valid answer"}       wrong status or payload
--   500 {"error":"the method was cancelled"}              its task was cancelled
--   501 (empty)                                           no handler, no fallback
--   504 {"error":"the method timed out"}                  handler_timeout

local core = require "directmethods.core"
local requests = require "directmethods.device.request"
local task = require "directmethods.task"

local M = {}

local BUSY = '{"error":"the device is busy"}'
local FAILED = '{"error":"the method failed"}'
local NO_ANSWER = '{"error":"the method gave no valid answer"}'
local CANCELLED = '{"error":"the method was cancelled"}'
local TIMED_OUT = '{"error":"the method timed out"}'

-- The error that dm.reject raises.
local Rejection = { __name = "directmethods.Rejection" }

function Rejection:__tostring()
  return ("dm.reject(%d) outside of a method's handler"):format(self.status)
end

--- End a handler with an answer, also from a function that the handler calls.
--- ```lua
--- if type(request.payload) ~= "table" then
---   dm.reject(400, { error = "an object is needed" })
--- end
--- ```
---@param status integer  of 32 bits
---@param payload any     nil: an empty body; dm.null: JSON null
function M.reject(status, payload)
  local code = requests.status_of(status)
  if not code then
    error(("dm.reject: status must be an integer of 32 bits, not a %s"):format(
      type(status)), 2)
  end
  error(setmetatable({ status = code, payload = payload }, Rejection))
end

---@class directmethods.Calls
---@field running integer  handlers that run
---@field queued integer   calls that wait for a handler to end
---@field first integer    place of the queue's first entry; the last is
---                         first + queued - 1
---@field queue table?     nil: no call has waited yet
local Calls = { running = 0, queued = 0, first = 1 } -- defaults, to save memory
Calls.__index = Calls

--- The calls of a device.
---@return directmethods.Calls
function M.new(device)
  return setmetatable({ device = device }, Calls)
end

local function count(calls, what)
  local counts = calls.device.counts
  counts[what] = counts[what] + 1
end

local function place_of(calls, request)
  return ("device %s: method '%s'"):format(calls.device.name, request.method)
end

local function report(calls, level, request, text)
  task.report(level, ("%s: %s"):format(place_of(calls, request), text))
end

-- Send an answer. If it cannot be sent, log why.
local function answer(calls, request, status, body)
  local sent, err = requests.send(request, status, body)
  if sent then return end
  local level = err.name == "Closed" and "debug" or "error"
  report(calls, level, request, "no answer was sent: " .. err.message)
end

local function fail(calls, request, body, why)
  count(calls, "errors")
  task.keep_error(place_of(calls, request), why)
  if not request.answered then answer(calls, request, 500, body) end
end

local function answer_value(calls, request, status, payload)
  local body, err = requests.encode(calls.device.config, payload)
  if not body then return fail(calls, request, NO_ANSWER, err.message) end
  answer(calls, request, status, body)
end

-- The error of a handler with its traceback; a rejection is returned unchanged.
local function describe(err)
  if getmetatable(err) == Rejection then return err end
  return debug.traceback(tostring(err), 2)
end

local function show(value)
  if math.type(value) == nil then return "a " .. type(value) end
  return ("the number %.14g"):format(value)
end

-- Answer when the handler raised.
local function conclude_failed(calls, request, err)
  if getmetatable(err) ~= Rejection then
    return fail(calls, request, FAILED, "the handler failed: " .. err)
  end
  if not request.answered then
    answer_value(calls, request, err.status, err.payload)
  end
end

-- Answer with what the handler returned.
local function conclude(calls, request, ok, ...)
  local first, payload = ...
  if not ok then return conclude_failed(calls, request, first) end
  if not request._open then return end
  local status = requests.status_of(first)
  if status then return answer_value(calls, request, status, payload) end
  if select("#", ...) == 0 then return answer(calls, request, 200, "") end
  fail(calls, request, NO_ANSWER, "the handler must return an integer status of 32"
    .. " bits (and a payload), or nothing; it returned " .. show(first))
end

-- The body of a handler's task.
local function run(request)
  local calls = request._link.device.calls
  conclude(calls, request, xpcall(request._handler, describe, request))
end

local function pop(calls)
  local entry = calls.queue[calls.first]
  calls.queue[calls.first] = nil
  calls.first = calls.first + 1
  calls.queued = calls.queued - 1
  return entry
end

local function time_out(calls, request)
  count(calls, "errors")
  report(calls, "warn", request, "the handler timed out")
  if not request.answered then answer(calls, request, 504, TIMED_OUT) end
  request.cancelled = true
  request._task:cancel()
end

local HOOKS = {} -- of a handler's task
local COUNTED_HOOKS = {} -- of one whose hub is in this process, for dm.advance

local function start(calls, request, hooks)
  local seconds = calls.device.config.handler_timeout
  calls.running = calls.running + 1
  local handling = task.start(run, hooks, request)
  if seconds then
    request._task = handling
    request.deadline = core.now() + seconds
    request._timer = task.after(seconds, function()
      request._timer = nil
      time_out(calls, request)
    end)
  end
end

-- The callers of a dead connection have their error already, from the hub.
local function start_next(calls)
  while calls.queued > 0 and calls.running < calls.device.config.max_concurrent do
    local request = pop(calls)
    if request.cancelled then
      count(calls, "dropped")
    else
      start(calls, request, HOOKS)
    end
  end
end

-- The task has ended without an answer.
local function abandon(calls, request, status)
  if status ~= "done" and not request.cancelled then
    count(calls, "errors")
    answer(calls, request, 500, CANCELLED)
  end
  if request._open then request._link:defer_request(request) end
end

-- The handler's task has ended: start the next call of the queue.
local function leave(request, status)
  local calls = request._link.device.calls
  calls.running = calls.running - 1
  if calls.device.config.handler_timeout and request._timer then
    request._timer.cancel()
  end
  if request._open then abandon(calls, request, status) end
  if calls.queued > 0 then start_next(calls) end
end

HOOKS.on_end, COUNTED_HOOKS.on_end = leave, leave

function COUNTED_HOOKS.on_wait(request)
  request._link:seen()
end

local function refuse(calls, link, rid, status, body)
  local sent, err = link:reply(rid, status, body)
  link:seen()
  if not sent then
    core.log("error", ("device %s: no answer was sent: %s"):format(
      calls.device.name, err.message))
  end
end

local function enqueue(calls, request)
  calls.queue = calls.queue or {}
  calls.queue[calls.first + calls.queued] = request
  calls.queued = calls.queued + 1
end

--- A call has arrived. Runs inside the loop, so it starts a task and calls no handler.
function Calls:accept(link, method, rid, body)
  local device = self.device
  local handler = device.handlers[method] or device.fallback_handler
  local counts = device.counts
  counts.calls = counts.calls + 1
  if not handler then return refuse(self, link, rid, 501, "") end
  local busy = self.running >= device.config.max_concurrent
  if busy and self.queued >= device.config.max_queue then
    count(self, "rejected")
    return refuse(self, link, rid, 429, BUSY)
  end
  local request = requests.new(link, handler, method, rid, body, core.now())
  if not busy then
    return start(self, request, link.counted and COUNTED_HOOKS or HOOKS)
  end
  link:seen() -- for dm.advance: it waits for other handlers now
  enqueue(self, request)
end

--- A call that was too much for the inbox: only its rid is known. Answer 429.
function Calls:overflow(link, rid)
  count(self, "calls")
  count(self, "rejected")
  refuse(self, link, rid, 429, BUSY)
end

--- Drop the calls that wait in the queue.
function Calls:clear()
  while self.queued > 0 do
    pop(self)
    count(self, "dropped")
  end
end

return M
