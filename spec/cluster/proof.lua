--- `make cluster-proof`: three hubs, three NATS servers and PostgreSQL in namespaces of
-- their own, and what can happen to them, at random.
--
--     proof.lua            run by namespaces.sh
--
-- ROUNDS of faults (default 200), at most LIMIT_S seconds (default 3600), by SEED. In
-- each round something fails while devices are called, and is mended; then what the
-- devices and callers have seen must agree. Fails when it does not.

package.path = "./?.lua;" .. package.path

local dm = require "directmethods"
local folders = require "spec.support.folder"
local loads = require "spec.cluster.load"
local worlds = require "spec.cluster.world"

local ROUNDS = tonumber(os.getenv("ROUNDS") or 200)
local LIMIT_S = tonumber(os.getenv("LIMIT_S") or 3600)
local SEED = tonumber(os.getenv("SEED") or os.time())
local CALLS = 20 -- before and after a fault

local random = math.random
math.randomseed(SEED)

local function node() return random(worlds.NODES) end

-- What can happen; each returns what it has done.
local FAULTS = {
  function(world)
    local i = node()
    world:kill_hub(i)
    return ("kill -9 hub%d"):format(i)
  end,
  function(world)
    local i, seconds = node(), random(1, 8)
    world:signal("hub" .. i, "sigstop")
    dm.sleep(seconds)
    return ("hub%d stopped for %d s"):format(i, seconds)
  end,
  function(world)
    local i = node()
    world:kill("nats" .. i)
    return ("kill -9 nats%d"):format(i)
  end,
  function(world)
    local i, seconds = node(), random(1, 8)
    local others = {}
    for k = 1, worlds.NODES do if k ~= i then others[#others + 1] = k end end
    world:cut(i, others)
    dm.sleep(seconds)
    return ("node %d cut off from the others for %d s"):format(i, seconds)
  end,
  function(world)
    local i, seconds = node(), random(1, 8)
    world:cut(i, { 9 })
    dm.sleep(seconds)
    return ("node %d cut off from PostgreSQL for %d s"):format(i, seconds)
  end,
  function(world)
    world:kill("postgres")
    return "kill -9 postgres"
  end,
  function() return "nothing" end,
}

local function round(world, load, number)
  load.round = number
  world.killed = {}
  load:work(CALLS, random)
  load:schedule(node())
  local work = dm.spawn(load.work, load, CALLS, random)
  local what = FAULTS[random(#FAULTS)](world)
  assert(work:await() == nil)
  world:heal()
  load:check()
  print(("round %3d: %s"):format(number, what))
end

local function report(load, done)
  print(("\nseed %d: %d rounds, %d calls"):format(SEED, done, load.last))
  local names = {}
  for name in pairs(load.answers) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    print(("  %-24s %6d"):format(name, load.answers[name]))
  end
  for _, text in ipairs(load.wrong) do print("WRONG: " .. text) end
end

local folder <close> = folders.new()
dm.log { level = "error" }
local world = worlds.new(folder.path)
local load = loads.new(world)
local ends, done = dm.now() + LIMIT_S, 0
io.stdout:setvbuf("line")
load:check() -- all devices are there
while done < ROUNDS and dm.now() < ends and not load.wrong[1] do
  done = done + 1
  round(world, load, done)
end
report(load, done)
load:close()
os.exit(done > 0 and not load.wrong[1], true)
