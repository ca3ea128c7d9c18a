--- What a process has more of after it did the same many times: memory, files, threads.
-- Measured in a process of its own, after a long warm-up, so that it does not matter
-- what ran before.

local core = require "directmethods.core"
local dm = require "directmethods"

local M = {}

local LUA = os.getenv("LUA") or arg[-1]
local COLLECT_EVERY = 50 -- times
local PATIENCE = 300 -- seconds for the process

-- A line of /proc/self/status, in kilobytes or as a number.
local function status(name)
  for line in io.lines("/proc/self/status") do
    local value = line:match("^" .. name .. ":%s+(%d+)")
    if value then return math.tointeger(tonumber(value)) end
  end
end

local function open_files()
  return (select(3, core.descriptors()))
end

local function entries(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

-- What there is now; files of connections on their way out do not count.
local function facts(files)
  dm.wait_until(function() return open_files() <= files end)
  collectgarbage()
  collectgarbage()
  return {
    files = open_files(), threads = status("Threads"), handles = core.handles(),
    ids = (core.ids()), registry = entries(debug.getregistry()),
    kilobytes = status("VmRSS"), lua = collectgarbage("count"),
  }
end

-- Garbage is collected as often in the warm-up as later: how much memory the allocator
-- gives back to the system then depends on what was freed before.
local function do_work(work, from, to)
  for i = from, to do
    work(i)
    if i % COLLECT_EVERY == 0 then collectgarbage() end
  end
end

--- In the process: do the work of a module, and print what there was before and after.
-- The module's `start()` returns what does the work once, given the count so far, and
-- what ends it.
---@param name string
---@param warm_up integer
---@param times integer
function M.report(name, warm_up, times)
  local work, finish = require(name).start()
  do_work(work, 1, warm_up)
  local before = facts(open_files())
  do_work(work, warm_up + 1, warm_up + times)
  print(dm.json.encode { before = before, after = facts(before.files) })
  finish()
  os.exit(true, true)
end

--- The facts before and after.
---@param name string the module
---@param warm_up integer times before
---@param times integer
---@return table before
---@return table after
function M.measure(name, warm_up, times)
  local code = ("require('spec.support.growth').report(%q, %d, %d)"):format(name,
    warm_up, times)
  local result = assert(dm.exec({ LUA, "-e", code }, { timeout = PATIENCE }))
  assert(result.status == 0, result.stderr)
  local report = assert(dm.json.decode(result.stdout))
  return report.before, report.after
end

return M
