-- paho's queue of commands is one for all clients, and its destroy does not lock it.
-- The child's paho (spec/c/paho_queue.c) dies of a command that comes meanwhile.

local dm = require "directmethods"

local LUA = os.getenv("LUA") or "lua5.4"
local MODE = os.getenv("MODE") or "release"

describe("a device that closes", function()
  it("is not destroyed while another queues a command", function()
    local result = assert(dm.exec({
      "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath,
      "ASAN_OPTIONS=verify_asan_link_order=0", -- the preloaded one is first
      ("LD_PRELOAD=build/%s/paho_queue.so"):format(MODE),
      LUA, "spec/support/queue_calls.lua",
    }, { timeout = 60 }))
    assert.equal("", result.stderr)
    assert.same({ 0, "done\n" }, { result.status, result.stdout })
  end)
end)
