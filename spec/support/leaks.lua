--- What a spec file leaves behind: everything is counted before it and after it.

local lfs = require "lfs"
local uv = require "luv"

local M = {}

local forgiven = 0 -- events that failed as a spec wanted
local PATIENCE = 5 -- seconds of real time for what is on its way out
local WAKER = 2 -- sockets of paho's waker, made once a process
local OURS = "^directmethods%f[\0.]"

-- Call `fn` with modules of the library that the spec's own `require` never sees.
local function apart(fn)
  local before = {}
  for name, module in pairs(package.loaded) do before[name] = module end
  local results = table.pack(pcall(fn))
  for name in pairs(package.loaded) do
    if name:find(OURS) then package.loaded[name] = before[name] end
  end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local function entries(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

-- luaL_ref's own: integers that lead to integers are its list of free places.
local function references()
  local n = 0
  for key, value in pairs(debug.getregistry()) do
    if math.type(key) and not math.type(value) then n = n + 1 end
  end
  return n
end

local function luv_handles()
  local n = 0
  uv.walk(function(handle)
    if not handle:is_closing() then n = n + 1 end
  end)
  return n
end

-- Sockets alone: libraries open pipes and files of their own once a process.
local function sockets()
  local n = 0
  for name in lfs.dir("/proc/self/fd") do
    local path = "/proc/self/fd/" .. name
    local target = lfs.symlinkattributes(path, "target")
    if target and target:find("^socket:") then n = n + 1 end
  end
  return n
end

-- Those of core itself (log, signals, clock) stay once they are there.
local function objects(core)
  local n = entries(core.state.objects or {})
  for _, id in ipairs { core.log_id, core.signal_id, core.clock_id } do
    if (core.state.objects or {})[id] then n = n - 1 end
  end
  return n
end

local function count(core)
  local state = core.state
  local ids, tokens = core.ids()
  return {
    ["tasks"] = entries(require("directmethods.task").all()),
    ["waits"] = entries(state.waiting or {}),
    ["tasks in wait_until"] = entries(state.conditions or {}),
    ["objects with events"] = objects(core),
    ["jobs of the driver"] = entries(state.jobs or {}),
    ["operations outstanding"] = core.outstanding(),
    ["contract timers"] = core.next_deadline() and 1 or 0,
    ["handles of the loop"] = core.handles(),
    ["events that failed"] = core.failed_events() - forgiven,
    ["ids of the loop"] = ids,
    ["tokens"] = tokens,
    ["handles of luv"] = luv_handles(),
    ["references in the registry"] = references(),
    ["sockets"] = sockets(),
  }
end

local function grown(before, after)
  local list = {}
  for what, n in pairs(after) do
    if n > before[what] then
      list[#list + 1] = ("%s: %d, were %d"):format(what, n, before[what])
    end
  end
  table.sort(list)
  return list
end

-- Until nothing is more than before: what is closed but not yet gone gets its turns.
local function wait_for_the_end(core, before)
  local run_queue = require "directmethods.run_queue"
  local stop = uv.hrtime() + PATIENCE * 1e9
  local list
  repeat
    collectgarbage()
    uv.run("nowait")
    run_queue.turn(0.001)
    list = grown(before, count(core))
  until #list == 0 or uv.hrtime() > stop
  return list
end

local sockets_allowed -- of the whole process

--- Count what is there before a spec.
---@return table<string, integer>
function M.before()
  return apart(function()
    require "directmethods" -- what it makes once is no leak
    local counts = count(require "directmethods.core")
    sockets_allowed = sockets_allowed or counts.sockets + WAKER
    counts.sockets = math.max(counts.sockets, sockets_allowed)
    return counts
  end)
end

--- The events that have failed up to now had no memory: the spec wanted it so.
function M.forgive_events()
  forgiven = require("directmethods.core").failed_events()
end

--- Raise when the spec has left anything that was not there before.
function M.check(before)
  apart(function()
    local list = wait_for_the_end(require "directmethods.core", before)
    if #list > 0 then error("the spec leaves " .. table.concat(list, "; "), 0) end
  end)
end

return M
