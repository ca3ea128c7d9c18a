-- worker.lua EVENTS FILE [busted option...] -- runs one spec file for run.lua.
--
-- Writes to the file EVENTS, one JSON document a line: {"event":"start"} before each
-- test, {"event":"test"} after it and for each error outside of tests, and
-- {"event":"end"} when all is done. A spec that leaves anything behind has failed, and
-- so has one that ran other modules than those of MODE.

package.path = "./?.lua;" .. package.path

local cjson = require "cjson".new()
local uv = require "luv"

local MODE = os.getenv("MODE")
local MODULES = { "core", "http_core", "hub_core" }
local RIGHTS = 420 -- of the file: 0644

local events = assert(uv.fs_open(arg[1], "a", RIGHTS))

local function tell(event)
  assert(uv.fs_write(events, cjson.encode(event) .. "\n", -1))
end

-- What is tested ------------------------------------------------------------------

local function quit(message)
  io.stderr:write("worker.lua: ", message, "\n")
  os.exit(1)
end

-- The modules that `require` will find must be those of MODE.
local function check_paths()
  for _, name in ipairs(MODULES) do
    local path, why = package.searchpath("directmethods." .. name, package.cpath)
    if not path then quit(why) end
    if not path:find("build/" .. MODE .. "/directmethods/", 1, true) then
      quit(("MODE is %s, but directmethods.%s is %s"):format(MODE, name, path))
    end
  end
end

local function loaded_objects()
  local seen = {}
  local file <close> = io.open("/proc/self/maps")
  if not file then return seen end -- not Linux
  for line in file:lines() do
    local path = line:match("/.*%.so[%.%d]*$")
    if path then seen[path] = true end
  end
  return seen
end

-- Those that are in the process must be, too, and their sanitizer with them.
local function check_loaded()
  local runtime = MODE == "release"
  local objects = loaded_objects()
  for path in pairs(objects) do
    local mode = path:match("/build/(%w+)/directmethods/[%w_]+%.so$")
    if mode and mode ~= MODE then
      error(("MODE is %s, but in use is %s"):format(MODE, path), 0)
    end
    if path:find("/lib" .. MODE .. ".so", 1, true) then runtime = true end
  end
  if next(objects) and not runtime then error("no runtime of MODE=" .. MODE, 0) end
end

local function collect_harder()
  local how = os.getenv("GC")
  if how == "stress" then
    collectgarbage("incremental", 0, 1000, 0)
  elseif how == "generational" then
    collectgarbage("generational", 5, 20)
  elseif how and how ~= "" then
    quit("GC is " .. how .. ": must be stress or generational")
  end
end

-- What busted says ----------------------------------------------------------------

-- busted asks no further subscriber unless the second result is true.
local function subscribe(channel, fn)
  require("busted").subscribe(channel, function(...)
    fn(...)
    return nil, true
  end)
end

local function full_name(element, parent)
  local busted = require "busted"
  local words = { tostring(element.name or element.descriptor) }
  while parent and parent.descriptor ~= "suite" and parent.descriptor ~= "file" do
    table.insert(words, 1, tostring(parent.name))
    parent = busted.parent(parent)
  end
  return table.concat(words, " ")
end

local function text_of(message)
  return type(message) == "string" and message or require("pl.pretty").write(message)
end

-- Tell of each test, and of errors outside of tests (a file's, a describe's).
local function report()
  local messages = {} -- by the test that is running
  subscribe({ "test", "start" }, function(test, parent)
    tell { event = "start", name = full_name(test, parent) }
  end)
  local function on_failure(element, parent, message)
    if element.descriptor == "it" then
      messages[element] = text_of(message)
    else
      tell { event = "test", name = full_name(element, parent), status = "error",
        seconds = 0, message = text_of(message) }
    end
  end
  subscribe({ "failure" }, on_failure)
  subscribe({ "error" }, on_failure)
  subscribe({ "test", "end" }, function(test, parent, status)
    tell { event = "test", name = full_name(test, parent), status = status,
      seconds = test.duration, message = messages[test] }
  end)
end

local function check_leftovers()
  local leaks = require "spec.support.leaks"
  local before
  subscribe({ "file", "start" }, function() before = leaks.before() end)
  subscribe({ "file", "end" }, function()
    if MODE then check_loaded() end
    leaks.check(before)
  end)
end

-- busted's own terminal output, and ours; it ends the process when the last test is
-- done, since busted's exit status wraps around at 256.
local function output(options)
  local handler = require "busted.outputHandlers.plainTerminal"(options)
  report()
  check_leftovers()
  require("busted").subscribe({ "exit" }, function()
    local failed = handler.failuresCount + handler.errorsCount
    tell { event = "end", passed = handler.successesCount, failed = failed,
      pending = handler.pendingsCount }
    os.exit(failed == 0, true)
  end)
  return handler
end

if MODE then check_paths() end
collect_harder()
package.preload["busted.outputHandlers.reporting"] = function() return output end
_G.arg = { [-1] = arg[-1], [0] = arg[0], "--output=reporting", "--verbose",
  table.unpack(arg, 2) }
require "busted.runner"({ standalone = false })
