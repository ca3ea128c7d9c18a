--- Repeats calls that provably did not run: the device was not online (404103), the hub
-- throttled (429), or the connection to the hub failed.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

local FIELDS = {
  max = { "integer", default = 3, min = 0, max = 1000 },
  wait = { "number", default = 0.5, min = 0.001, max = 3600 },
  wait_max = { "number", default = 30, min = 0.001, max = 3600 },
  jitter = { "number", default = 0.5, min = 0, max = 1 },
  deadline = { "number", min = 0.001, max = 1e6 },
}

---@class directmethods.RetryOptions
---@field max integer?      how many retries at most; default 3
---@field wait number?      seconds before the first retry, doubled by each; default 0.5
---@field wait_max number?  seconds; a longer Retry-After ends the retries; default 30
---@field jitter number?
-- chance shortens each wait by up to this part of it, 0 to 1; default 0.5
---@field deadline number?
-- seconds for all attempts and waits together; default: none

--- The rule of the option `retry`.
---@type directmethods.OptionSpec
M.OPTION = { "table|boolean", fields = FIELDS }

local DEFAULTS = {}
for name, rule in pairs(FIELDS) do DEFAULTS[name] = rule.default end

--- The policy of a checked option; nil: no retries.
---@param option table|boolean|nil
---@param otherwise table? policy when the option is not given
---@return table?
function M.policy(option, otherwise)
  if option == nil then return otherwise end
  if option == true then return DEFAULTS end
  return option or nil
end

local NOT_CONNECTED = { ConnectFailed = true, NameNotResolved = true }

local function did_not_run(err)
  return err.code == 404103 or err.http_status == 429
    or err.retriable and NOT_CONNECTED[err.name]
end

-- Seconds to wait before retry number `n`; nil: give up.
local function pause_before(policy, n, err)
  if n > policy.max or not did_not_run(err) then return nil end
  local pause = math.min(policy.wait_max, policy.wait * 2.0 ^ (n - 1))
    * (1 - policy.jitter * math.random())
  local asked = err.retry_after
  if not asked then return pause end
  if asked > policy.wait_max then return nil end
  return math.max(asked, pause)
end

local function sleep(seconds)
  local id = core.timer(seconds)
  task.wait(id, function() core.cancel_timer(id) end)
end

--- Call attempt(stop, ...) until it returns a value, or an error that is not retriable.
---@param policy table? nil: once
---@param attempt fun(stop: number?, ...): any, directmethods.Error? stop: when it must
---  end
---@return any value
---@return directmethods.Error? err the last one
function M.run(policy, attempt, ...)
  if not policy then return attempt(nil, ...) end
  local stop = policy.deadline and core.now() + policy.deadline
  for n = 1, math.huge do
    local value, err = attempt(stop, ...)
    if value ~= nil then return value end
    local pause = pause_before(policy, n, err)
    if not pause or stop and core.now() + pause >= stop then return nil, err end
    core.log("debug", ("service: %s; again in %.3g s"):format(tostring(err), pause))
    sleep(pause)
  end
end

return M
