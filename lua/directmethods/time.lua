--- The clock in Lua: sleep, wait for a condition, move the clock, and let it run fast.
--
-- To move the clock: wait until real I/O has arrived, set the clock to the next
-- deadline, run what is due, and repeat.

local core = require "directmethods.core"
local errors = require "directmethods.errors"
local options = require "directmethods.options"
local scheduler = require "directmethods.scheduler"
local task = require "directmethods.task"
local run_queue = require "directmethods.run_queue"

local M = {}

local SETTLE_CAP = 5 -- seconds of real time that one settling may take
local WAIT_UNTIL = 5 -- default seconds of wait_until, of real time if nobody moves it
local STEPS_MAX = 1000000 -- deadlines one advance may pass
local SPEED_MAX = 1000000

--- Monotonic time of the movable clock.
---@return number seconds
function M.now()
  return core.now()
end

--- Wall time of the movable clock.
---@return number seconds since 1970-01-01T00:00:00Z
function M.time()
  return core.time()
end

--- Wait for some seconds of the movable clock.
---@param seconds number
function M.sleep(seconds)
  options.check_seconds(seconds, "dm.sleep", "seconds")
  task.current("dm.sleep")
  local id = core.timer(seconds)
  task.wait(id, function() core.cancel_timer(id) end)
end

--- Wait until `fn()` is true. It is called after every turn of the loop.
---@param fn fun(): any
---@param timeout? number seconds; default 5, at `dm.speed(n)` 5 times n
---@return any|nil value what fn returned; nil: time-out
---@return directmethods.Error? err
function M.wait_until(fn, timeout)
  if type(fn) ~= "function" then
    error(("dm.wait_until: function expected, got %s"):format(type(fn)), 2)
  end
  options.check_timeout(timeout, "dm.wait_until")
  timeout = timeout or WAIT_UNTIL * core.speed()
  local running = task.current("dm.wait_until")
  local deadline = core.now() + timeout
  while true do
    local value = fn()
    if value then return value end
    local left = deadline - core.now()
    if left <= 0 then
      return nil, errors.new {
        name = "Timeout",
        message = ("the condition did not hold within %g s"):format(timeout),
      }
    end
    if running then
      scheduler.wait_turn(running)
    else
      run_queue.turn(math.min(left, run_queue.CONDITION_POLL))
    end
  end
end

-- Go to the next deadline at or before `target`; false: there is none.
local function pass_deadline(target)
  local next_in = core.next_deadline()
  if not next_in or core.now() + next_in > target then return false end
  core.move(next_in)
  core.step(0)
  return true
end

local function advance(seconds, over)
  run_queue.settle(SETTLE_CAP)
  local target = core.now() + seconds -- for what has arrived, too
  for _ = 1, STEPS_MAX do
    if over and over() then return true end
    if not pass_deadline(target) then break end
    run_queue.settle(SETTLE_CAP)
  end
  core.move(math.max(0, target - core.now()))
  run_queue.settle(SETTLE_CAP)
  return over == nil or not not over()
end

-- Functions that say why the clock may not be moved, by their owners.
local guards = setmetatable({}, { __mode = "k" })

--- Ask `why` before the clock is moved, as long as its owner lives.
---@param owner table
---@param why fun(): string? nil: it may be moved
function M.guard(owner, why)
  guards[owner] = why
end

--- Why the clock may not be moved now; nil: it may.
---@return string?
function M.refusal()
  for _, why in pairs(guards) do
    local text = why()
    if text then return text end
  end
end

local function check_guards(what)
  local why = M.refusal()
  if why then error(("%s: %s"):format(what, why), 3) end
end

--- Move the clock. Everything that falls due within `seconds` happens in order; after
-- each deadline it waits for the real I/O that this set off. It moves time in this
-- process only. Raises an error while a hub of this process belongs to a cluster with
-- hubs in other processes.
---@param seconds number
function M.advance(seconds)
  options.check_seconds(seconds, "dm.advance", "seconds")
  check_guards "dm.advance"
  scheduler.on_main("dm.advance", function() return advance(seconds) end)
end

--- Move the clock deadline by deadline until `fn()` is true.
---@param fn fun(): any asked before each step; may not wait
---@param max number seconds to move at most
---@return boolean
function M.advance_until(fn, max)
  if type(fn) ~= "function" then
    error(("dm.advance_until: function expected, got %s"):format(type(fn)), 2)
  end
  options.check_seconds(max, "dm.advance_until", "max")
  check_guards "dm.advance_until"
  local held = scheduler.on_main("dm.advance_until", function()
    return advance(max, fn)
  end)
  return held
end

local function whole(n)
  return math.tointeger(n) or n
end

--- Let the clock run `n` times as fast as the real one: what moves with `dm.advance`
-- happens so much earlier, by itself. Limits of network traffic (TLS handshakes,
-- keep-alive) stay real. The clock goes on from where it is; it never goes back. It
-- runs in this process only; `directmethods hub --speed n -- COMMAND` takes other
-- programs along.
--- ```lua
--- dm.speed(600) -- ten minutes a second
--- dm.speed(1)   -- as usual
--- ```
---@param n number? 1 to 1e6, also with a fraction; default: change nothing
---@return number n how fast it runs now
function M.speed(n)
  if n == nil then return whole(core.speed()) end
  if type(n) ~= "number" or not (n >= 1 and n <= SPEED_MAX) then
    error(("dm.speed: n must be a number from 1 to %d"):format(SPEED_MAX), 2)
  end
  return whole(core.speed(n))
end

return M
