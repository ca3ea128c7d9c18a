-- What devices leave in their process, and what they share in it.

local dm = require "directmethods"
local core = require "directmethods.core"
local growth = require "spec.support.growth"

local LUA = os.getenv("LUA") or arg[-1]
local MODE = os.getenv("MODE") or "release"
local SANITIZED = MODE ~= "release" -- its allocator keeps what was freed
local CYCLES = 1000
local WARM_UP = 300 -- until the allocator has found its places

local function open_files()
  return (select(3, core.descriptors()))
end

local function ids_in_use()
  return (core.ids())
end

describe("devices that come and go", function()
  it("leave no memory, file or thread behind", function()
    local before, after = growth.measure("spec.support.device_cycles", WARM_UP, CYCLES)
    for _, name in ipairs { "files", "threads", "handles", "ids", "registry" } do
      assert.equal(before[name], after[name], name)
    end
    assert.is_true(after.lua - before.lua < 50, "Lua's memory")
    if not SANITIZED then
      assert.is_true(after.kilobytes - before.kilobytes < 1024, "resident memory")
    end
  end)

  it("leave nothing when they never got anywhere", function()
    local function cycle(options)
      options.device_id, options.key, options.tls = "dev1", "a2V5", false
      local device = dm.device(options)
      local connecting = dm.spawn(device.connect, device, 10)
      dm.loop.step(0)
      connecting:cancel()
      device:close()
      assert(device:closed(10))
    end
    local function cycles(n)
      for _ = 1, n do
        cycle { host_name = "127.0.0.1", port = 1 }
        cycle { host_name = "no..host" }
        cycle { host_name = "localhost", port = 1 }
      end
    end
    cycles(2)
    local files, handles, ids = open_files(), core.handles(), ids_in_use()
    cycles(10)
    assert(dm.wait_until(function() return open_files() <= files end))
    assert.same({ handles, ids }, { core.handles(), ids_in_use() })
  end)
end)

describe("two Lua states in one process", function()
  it("have loops of their own, at once and one after the other", function()
    local program = ("build/%s/two_states"):format(MODE)
    local result = assert(dm.exec({ program, "spec/support/one_state.lua" },
      { timeout = 60 }))
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    local lines = {}
    for line in result.stdout:gmatch("[^\n]+") do table.insert(lines, line) end
    table.sort(lines)
    assert.same({ "state 1", "state 2", "state 3" }, lines)
  end)
end)

describe("a name server that does not answer", function()
  it("delays the devices alone that ask it", function()
    -- The machine's name servers are this namespace's own addresses.
    local OWN = [[ip link set lo up && for a in $(
      sed -n 's/^nameserver *//p' /etc/resolv.conf); do
      ip address add "$a" dev lo 2>/dev/null; done; exec "$@"]]
    local words = { "unshare", "--net" }
    if dm.exec({ "id", "-u" }).stdout ~= "0\n" then
      table.insert(words, "--user")
      table.insert(words, "--map-root-user")
    end
    for _, word in ipairs {
      "sh", "-c", OWN, "sh", LUA, "spec/support/slow_names.lua",
    } do
      table.insert(words, word)
    end
    local result = assert(dm.exec(words, { timeout = 60 }))
    assert.equal("", result.stderr)
    local seen = assert(dm.json.decode(result.stdout))
    assert.is_true(seen.questions >= 8)
    assert.equal(0, seen.ended)
    assert.is_true(seen.longest < 2, ("%g s"):format(seen.longest))
  end)
end)
