-- Host names where libcurl was built without asynchronous look-ups, as OpenWrt's is.
-- The child's libcurl says so, and its names are those of spec/c/old_curl.c.

local dm = require "directmethods"
local stores = require "spec.support.stores"

local LUA = os.getenv("LUA") or "lua5.4"
local MODE = os.getenv("MODE") or "release"

describe("a libcurl that would wait for a name", function()
  it("never does: names are looked up before, each on a thread of its own", function()
    local folder = stores.folder()
    finally(function() stores.remove(folder) end)
    local fifo = folder .. "/slow"
    assert(dm.exec { "mkfifo", fifo })
    local result = assert(dm.exec({
      "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath,
      "ASAN_OPTIONS=verify_asan_link_order=0", -- the preloaded one is first
      "DM_SLOW=" .. fifo, ("LD_PRELOAD=build/%s/old_curl.so"):format(MODE),
      LUA, "spec/support/old_curl_calls.lua", fifo,
    }, { timeout = 60 }))
    assert.equal("", result.stderr)
    assert.same({ 0, "done\n" }, { result.status, result.stdout })
  end)
end)
