--- The log: lines of the C core and of this library, to stderr or to a sink.

local core = require "directmethods.core"
local options = require "directmethods.options"
local stderr = require "directmethods.stderr"
local task = require "directmethods.task"

local M = {}

local state = core.state

local function to_stderr(level, line)
  stderr.write(("directmethods: %s: %s"):format(level, line), level)
end

-- The failure of a sink is not logged to the sink: that would never end.
local function hand_over(sink, level, line)
  local ok, err = pcall(sink, level, line)
  if ok then return end
  to_stderr(level, line)
  to_stderr("error", "the log's sink failed: " .. task.text_of(err))
end

-- A user's sink runs as a task like all user code; lines keep their order
-- because tasks start in the order they were made.
local function on_line(_, level, line)
  local sink = state.log_sink
  if sink then task.spawn(hand_over, sink, level, line) else to_stderr(level, line) end
end

task.objects[core.log_id] = on_line

local SPEC = {
  level = { "string", choices = { "debug", "info", "warn", "error", "off" } },
  sink = { "function" },
}

---@class directmethods.LogOptions
---@field level? "debug"|"info"|"warn"|"error"|"off" lines below it are not made;
--  default: as it is, at first "warn"
---@field sink? fun(level: string, line: string) runs as a task; default: stderr

--- Set what is logged and where it goes.
--
--     dm.log { level = "debug", sink = function(level, line) print(level, line) end }
--
---@param opts directmethods.LogOptions
function M.set(opts)
  opts = options.check(opts, SPEC, "dm.log")
  if opts.level then core.log_level(opts.level) end
  state.log_sink = opts.sink
end

return M
