-- Random calls of the public face, with right and wrong arguments, in any order and
-- after close: each returns or raises an error that is meant; nothing hangs.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local folder = require "spec.support.folder"
local task = require "directmethods.task"
local uv = require "luv"

local SECONDS, STEPS = 1.5, 501 -- at least
local SEED = tonumber(os.getenv("FUZZ_SEED")) or 20261122
local PARALLEL = 50 -- calls that may wait at a time
local OBJECTS = 12 -- alive at a time, beside hubs

local INTERNAL = { -- for the scheduler and the like
  resume = true,
}

-- Methods whose first argument names a file, which belongs into a folder of the spec.
local WRITES_FILE = { record = true }

local function methods_of(object)
  local index = getmetatable(object).__index
  if type(index) ~= "table" then return { "defer", "reply" } end -- a request
  local names = {}
  for name, value in pairs(index) do
    local public = type(name) == "string" and not name:find("^_")
    if public and type(value) == "function" and not INTERNAL[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function do_nothing() end

describe("80 random calls", function()
  local hub, connection_string, objects, running, requests, files
  local found = {} -- errors that nobody meant

  local function pick(list) return list[math.random(#list)] end

  local VALUES = {
    function() return nil end,
    function() return true end,
    function() return false end,
    function() return pick { 0, 1, -1, 200, 65536, math.maxinteger } end,
    function() return pick { 0.5, -0.5, 1e308, math.huge, -math.huge, 0 / 0 } end,
    function() return pick { "", "dev1", "dev2", "echo", "a\0b", "\xff", "state" } end,
    function() return ("x"):rep(pick { 129, 70000 }) end,
    function() return {} end,
    function() return { 1, 2, pick { "dev1", "echo" } } end,
    function() return { response_timeout = pick { 5, 0, "x" } } end,
    function() return { retry = pick { true, 7, { max = 2 } } } end,
    function() return { echo = function(r) return 200, r.payload end } end,
    function() return { reconnect = { min = 0.01 }, tls = pick { false, 3 } } end,
    function() return { connection_string = connection_string } end,
    function() return function(...) return 200, ... end end,
    function() return function() error("meant") end end,
    function() return coroutine.create(print) end,
    function() return io.stdout end,
    function() return dm.null end,
    function() return dm.json.raw('{"a":1}') end,
    function() return pick(objects) end,
  }

  -- Answers at once, later, never, or by what else the test does with it.
  local function handler(request)
    requests[#requests % OBJECTS + 1] = request
    if math.random(2) == 1 then request:defer() end
    return pick { 200, 404, "x", 70000 }, pick(VALUES)()
  end

  -- What a method takes; without such, and half of the time, anything.
  local RIGHT = {
    add_device = function() return "dev" .. math.random(2, 9) end,
    closed = function() return 0.05 end,
    connect = function() return 0.2 end,
    connection_string = function() return pick { "dev1", "service" } end,
    device = function()
      return "dev1", { echo = handler }, { reconnect = { min = 0.01 } }
    end,
    fallback = function() return handler end,
    invoke = function()
      return "dev1", "echo", pick(VALUES)(), { response_timeout = 5 }
    end,
    invoke_many = function() return { "dev1", "dev2" }, "echo", { 1 } end,
    method = function() return "echo", pick { handler, false } or nil end,
    on = function() return pick { "state", "call" }, do_nothing end,
    reply = function() return 200, { 1 } end,
    stop = function() return 0.05 end,
  }

  local function arguments(first, name)
    if RIGHT[name] and math.random(2) == 1 then
      return table.pack(first, RIGHT[name]())
    end
    local list = { first, n = 1 + math.random(0, 4) }
    for i = 2, list.n do list[i] = pick(VALUES)() end
    if WRITES_FILE[name] and type(list[2]) == "string" then
      list[2] = files.path .. "/" .. #list[2]
    end
    return list
  end

  local function keep(object)
    local meta = getmetatable(object)
    if type(object) ~= "table" or not (meta and meta.__close) then return end
    if #objects >= OBJECTS then
      local place = math.random(2, #objects) -- the first is the hub
      objects[place]:close() -- else a device goes on, as it should
      objects[place] = object
    else
      objects[#objects + 1] = object
    end
  end

  -- An error of somebody's own code, not one that says what the caller did wrong.
  local function is_internal(err)
    local text = tostring(err)
    local closed = text:find("attempt to use a closed", 1, true)
    return not closed and text:find("attempt to %l+ ") ~= nil and text
  end

  local function call(what, right, fn, list)
    local t = dm.spawn(function()
      local results = table.pack(pcall(fn, table.unpack(list, 1, list.n)))
      if results[1] then keep(results[2]) end
      local wrong = right and not results[1] and is_internal(results[2])
      if wrong then found[#found + 1] = what .. ": " .. wrong end
    end)
    running[#running + 1] = t
    if #running > PARALLEL then table.remove(running, 1):cancel() end
  end

  local MAKERS = {
    function() return "dm.device", dm.device, arguments(pick(VALUES)()) end,
    function() return "dm.service", dm.service, arguments(pick(VALUES)()) end,
    function() return "dm.hub", dm.hub, arguments({ tls = false }) end,
    function() return "dm.hub", dm.hub, arguments(pick(VALUES)()) end,
    function() return "hub:device", hub.device, arguments(hub, "device") end,
    function() return "hub:service", hub.service, table.pack(hub) end,
    function()
      return "dm.fleet", dm.fleet, table.pack({ hub = hub, count = pick { 1, 3, 0 },
        id = pick { "f%d", "x%d", "%d/", 7 }, handlers = { echo = handler } })
    end,
    function() return "dm.fleet", dm.fleet, arguments(pick(VALUES)()) end,
    function()
      return "dm.exec", dm.exec, arguments(pick { { "cat" }, { "no-such-program" } })
    end,
    function() return "dm.exec", dm.exec, arguments(pick(VALUES)()) end,
    function() return "dm.sleep", dm.sleep, table.pack(pick { 0, 0.01, -1, "x" }) end,
    function() return "dm.wait_until", dm.wait_until, arguments(pick(VALUES)()) end,
    function() return "dm.advance", dm.advance, table.pack(pick { 0, 0.5, -1 }) end,
    function() return "dm.loop.step", dm.loop.step, arguments(pick(VALUES)()) end,
    function() return "dm.all", dm.all, arguments(pick(VALUES)()) end,
    function() return "dm.timeout", dm.timeout, arguments(pick { 0, 0.01, "x" }) end,
    function() return "dm.json.encode", dm.json.encode, arguments(pick(VALUES)()) end,
    function() return "dm.json.decode", dm.json.decode, arguments(pick(VALUES)()) end,
  }

  local function step()
    local chance = math.random(20)
    local object = pick(pick { objects, objects, objects, running, requests })
    if chance <= 3 or not object then
      local what, fn, list = pick(MAKERS)()
      call(what, true, fn, list)
    elseif chance == 4 then
      collectgarbage()
    else
      local name = pick(methods_of(object))
      local right = math.random(20) > 1
      local self = right and object or pick(VALUES)()
      if object == hub and (name == "close" or name == "stop") then return end
      call(tostring(object) .. ":" .. name, right, object[name], arguments(self, name))
    end
    dm.loop.step(0)
    dm.wait_until(function() return true end)
  end

  local function finish()
    task.cancel_all()
    for _, object in ipairs(objects) do
      if object ~= hub then object:close() end
    end
    for _, object in ipairs(objects) do
      if object ~= hub and object.closed then object:closed(10) end
    end
    objects, running, requests = {}, {}, {}
    collectgarbage()
    fixture.finish(hub)
  end

  it("return or raise what is meant, and end; seed " .. SEED, function()
    math.randomseed(SEED)
    dm.log { level = "error", sink = function(_, line)
      if is_internal(line) then found[#found + 1] = line end
    end }
    local folder_of_files <close> = folder.new()
    files = folder_of_files
    hub = fixture.hub()
    hub:add_device("dev1")
    connection_string = hub:connection_string("dev1")
    objects, running, requests = { hub }, {}, {}
    local stop, steps = uv.hrtime() + SECONDS * 1e9, 0
    while uv.hrtime() < stop or steps < STEPS do
      step()
      steps = steps + 1
    end
    finish()
    dm.log { level = "warn" }
    assert.same({}, found)
  end)
end)
