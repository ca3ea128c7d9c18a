--- Notices when somebody sets the machine's clock, or when the machine was suspended.
-- Timers run on the monotonic clock, which does not change then; objects that plan by
-- wall time compute their timers again.

local core = require "directmethods.core"
local task = require "directmethods.task"

local M = {}

-- Object -> function, however often this file is loaded.
local watchers = core.state.clock_watchers or setmetatable({}, { __mode = "k" })
core.state.clock_watchers = watchers

task.objects[core.clock_id] = function()
  for object, look in pairs(watchers) do look(object) end
end

--- Call `look(object)` each time, from the loop, as long as the object lives.
---@param object table
---@param look fun(object: table)
function M.watch(object, look)
  watchers[object] = look
end

return M
