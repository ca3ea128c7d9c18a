--- How a hub loads its store: time, the longest that the loop was held, and what an
-- identity costs in memory.
--
--     store.lua [IDENTITIES]
--
-- Run with the interpreter and paths of the tree; default 100000.

local core = require "directmethods.core"
local dm = require "directmethods"
local stores = require "directmethods.hub.store"

local COUNT = math.tointeger(tonumber(arg[1] or 100000))
local RUNS = 5
local PAGE_BYTES = 4096

local function resident()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open("/proc/self/statm"))
  local _, pages = file:read("n", "n")
  return pages * PAGE_BYTES
end

local function new_key()
  return core.base64_encode(core.random(32))
end

local function id_of(i)
  return ("device-%09d"):format(i)
end

local function fill(path)
  local store = assert(stores.open(path))
  assert(store:batch(function()
    for i = 1, COUNT do
      assert(store:put {
        device_id = id_of(i), auth = "sas", primary_key = new_key(),
        secondary_key = new_key(), enabled = true, etag = "MTAwMDAwMDAw",
        generation_id = "639309598161630002",
      })
    end
  end))
  store:close()
end

-- Seconds to load it, and the longest between two turns of the loop.
local function load(path)
  local longest, last = 0, core.now()
  local beat = dm.spawn(function()
    while true do
      longest, last = math.max(longest, core.now() - last), core.now()
      dm.sleep(0)
    end
  end)
  dm.sleep(0)
  longest = 0
  local began = core.now()
  local hub = assert(dm.hub { tls = false, store = path })
  local seconds = core.now() - began
  beat:cancel()
  hub:close()
  assert(hub:closed(10))
  return seconds, longest
end

-- What an identity adds in the data plane: that is all there is of it in memory.
local function bytes_each()
  local config = require("directmethods.hub.config").read { tls = false }
  local plane = assert(require("directmethods.hub_core").hub(core.loop, config))
  local primary, secondary = new_key(), new_key()
  local before = resident()
  for i = 1, COUNT do
    assert(plane:put_identity(id_of(i), nil, "sas", primary, secondary, true))
  end
  return (resident() - before) / COUNT, plane:close()
end

local function median(list)
  table.sort(list)
  return list[#list // 2 + 1]
end

local bytes = bytes_each()
local path = os.tmpname()
fill(path)
local times, holds = {}, {}
for i = 1, RUNS do times[i], holds[i] = load(path) end
os.remove(path)
print(("store of %d identities, median of %d:"):format(COUNT, RUNS))
print(("%9.2f s to load"):format(median(times)))
print(("%9.1f ms, the longest that the loop was held"):format(median(holds) * 1000))
print(("%9.0f bytes of memory each"):format(bytes))
