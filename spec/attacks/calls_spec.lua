-- Attack 37: more calls at once than a device or a hub takes.

local callers = require "spec.support.callers"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

describe("calls under way", function()
  it("37 are at most so many at a device, then 403", function()
    local pair = callers.pair { limits = { calls_per_device = 2 } }
    local other = pair:add("dev2")
    local first, rid = pair:pending()
    local second, rid_2 = pair:pending()
    callers.is_error(pair:refused(), 403800, "DeviceMaximumInflightMethodExceeded",
      nil, {})
    assert.equal(1, pair.hub:counters().calls_over_limit)
    assert.equal(200, pair:call({ device = "dev2", at = other }).status)
    pair.device:answer(rid, 200, "1")
    assert.equal(200, http.read(first).status)
    assert.equal(200, pair:call({ wire = first }).status)
    pair.device:answer(rid_2, 200, "1")
    assert.equal(200, http.read(second).status)
    for _, closable in ipairs { first, second, other } do closable:close() end
    pair:finish()
  end)

  it("37 are at most 100 at a device unless told otherwise", function()
    local pair, waiting = callers.pair(), {}
    for i = 1, 100 do waiting[i] = pair:pending() end
    callers.is_error(pair:refused(), 403800, "DeviceMaximumInflightMethodExceeded",
      nil, {})
    waiting[1]:close()
    assert(wires.turn_until(function() return pair.hub:counters().http_gone == 1 end))
    assert.equal(200, pair:call().status)
    for _, wire in ipairs(waiting) do wire:close() end
    pair:finish()
  end)

  it("37 are at most so many at a hub, whether they wait or run", function()
    local pair = callers.pair { limits = { calls = 2 } }
    assert(pair.hub:add_device("offline"))
    local waiting = pair:send {
      device = "offline", body = callers.body('"connectTimeoutInSeconds":300'),
    }
    local running = pair:pending()
    callers.is_error(pair:refused(), 403800, "DeviceMaximumInflightMethodExceeded",
      nil, {})
    running:close()
    assert(wires.turn_until(function() return pair.hub:counters().http_gone == 1 end))
    assert.equal(200, pair:call().status)
    waiting:close()
    pair:finish()
  end)
end)
