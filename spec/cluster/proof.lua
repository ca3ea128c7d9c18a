--- `make cluster-proof`: three hubs, three NATS servers and PostgreSQL in namespaces of
-- their own, and what can happen to them, at random.
--
--     proof.lua            run by namespaces.sh
--
-- ROUNDS of faults (default 200), at most LIMIT_S seconds (default 3600). In each
-- round something fails while devices are called, and is mended; then what the devices
-- and callers have seen must agree. Fails when it does not.
-- SEED repeats the faults, but not which calls meet them.

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

-- What can happen to a node, for so many seconds; each returns what it has done.
local FAULTS = {
  function(world, i)
    world:kill_hub(i)
    return ("kill -9 hub%d"):format(i)
  end,
  function(world, i, seconds)
    world:signal("hub" .. i, "sigstop")
    dm.sleep(seconds)
    return ("hub%d stopped for %d s"):format(i, seconds)
  end,
  function(world, i)
    world:kill("nats" .. i)
    return ("kill -9 nats%d"):format(i)
  end,
  function(world, i, seconds)
    local others = {}
    for k = 1, worlds.NODES do if k ~= i then others[#others + 1] = k end end
    world:cut(i, others)
    dm.sleep(seconds)
    return ("node %d cut off from the others for %d s"):format(i, seconds)
  end,
  function(world, i, seconds)
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

-- What happens in each round. All of it is drawn before anything runs: later, tasks
-- draw in the order in which they happen to go on.
local function draw()
  local plan = {}
  math.randomseed(SEED)
  for i = 1, ROUNDS do
    plan[i] = {
      fault = FAULTS[random(#FAULTS)], node = random(worlds.NODES),
      seconds = random(1, 8), job_node = random(worlds.NODES),
    }
  end
  return plan
end

local function round(world, load, number, drawn)
  load.round = number
  world.killed = {}
  load:work(CALLS, random)
  load:schedule(drawn.job_node)
  local work = dm.spawn(load.work, load, CALLS, random)
  local what = drawn.fault(world, drawn.node, drawn.seconds)
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

local plan = draw()
local folder <close> = folders.new()
dm.log { level = "error" }
local world = worlds.new(folder.path)
local load = loads.new(world)
local ends, done = dm.now() + LIMIT_S, 0
io.stdout:setvbuf("line")
load:check() -- all devices are there
while done < ROUNDS and dm.now() < ends and not load.wrong[1] do
  done = done + 1
  round(world, load, done, plan[done])
end
report(load, done)
load:close()
os.exit(done > 0 and not load.wrong[1], true)
