-- Attack 73: a device whose cable was pulled, as the hub sees it: nothing comes any
-- more, not even the end of its connection.

local dm = require "directmethods"

local LUA = os.getenv("LUA") or "lua5.4"
local LATE = 10 -- seconds, on a busy machine; without a limit of ours it takes minutes

describe("a device whose packets are lost", function()
  it("is away after 1.5 keep-alives; calls end at their time-out until then", function()
    local words = { "unshare", "--net" }
    if dm.exec({ "id", "-u" }).stdout ~= "0\n" then
      table.insert(words, "--user")
      table.insert(words, "--map-root-user")
    end
    for _, word in ipairs {
      "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
      LUA, "spec/support/dropped_peer.lua",
    } do
      table.insert(words, word)
    end
    local result = assert(dm.exec(words, { timeout = 60 }))
    assert.equal("", result.stderr)
    local seen = assert(dm.json.decode(result.stdout))
    assert.equal("GatewayTimeout", seen.outcome)
    assert.is_true(seen.call > 0.9 and seen.call < 1 + LATE, seen.call)
    local away = 1.5 * seen.keepalive
    assert.is_true(seen.connection >= away, seen.connection)
    assert.is_true(seen.lost < away + LATE, seen.lost)
    assert.same({ 504101, 404103 }, { seen.caller, seen.after })
  end)
end)
