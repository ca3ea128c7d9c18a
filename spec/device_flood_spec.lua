-- More calls in one turn of the loop than a device can keep: those that it drops are
-- lost to their callers, and to nobody else.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local proxy = require "spec.support.proxy"
local uv = require "luv"
local wire = require "spec.support.wire"

local KEPT = 1024 + 1024 -- requests, and the $rids of others
local DROPPED = 150
local PATIENCE = 10e9 -- nanoseconds

describe("a device that gets too many calls at once", function()
  it("has dm.advance wait for none of those it dropped", function()
    local hub = fixture.hub { limits = { calls_per_device = 2 * KEPT } }
    local line = proxy.new(hub:ports().mqtt) -- it moves by luv's loop alone
    local device = hub:device("dev1", { m = function() return 200 end },
      { port = line.port })
    assert(proxy.await(dm.spawn(device.connect, device, 10)))
    for _ = 1, KEPT + DROPPED do
      assert(hub.state.plane:invoke("dev1", nil, "m", nil, 300, 0, false, "j"))
    end
    dm.loop.step(0) -- they leave the hub; now paho's thread gets them, and not ours
    local stop = uv.hrtime() + PATIENCE
    while device:stats().dropped < DROPPED and uv.hrtime() < stop do
      uv.run("nowait")
    end
    assert.equal(DROPPED, device:stats().dropped)
    assert.is_true(wire.turn_until(function() return core.outstanding() == 0 end, 10))
    dm.advance(1)
    assert.equal(KEPT, device:stats().calls)
    device:close()
    assert.is_true(wire.turn_until(function() return device:closed(0) end, 10))
    line:close()
    fixture.finish(hub)
  end)
end)
