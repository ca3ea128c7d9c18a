--- Unmodified Azure SDKs for Node with two hubs of one name: the device is connected to
-- one hub, the service calls at the other one.

local postgres = require "spec.support.postgres"
local stage = require "spec.interop.stage"

local OFFLINE = { error = "Error", status = 404, code = 404103 }

describe("Azure SDKs for Node at two hubs of one name", function()
  local database, seen

  setup(function()
    database = postgres.server()
    seen = stage.play("cluster_scenarios.lua", database:new_url())
  end)
  teardown(function() database:close() end)

  local function answered(status, payload)
    return { value = { status = status, payload = payload } }
  end

  it("tell the service that the device is not online", function()
    assert.same(OFFLINE, seen.before)
    assert.same(OFFLINE, seen.after)
  end)

  it("let a call wait until the device comes to the other hub", function()
    assert.same(answered(201, { n = 2 }), seen.waited)
  end)

  it("bring forty calls at once to the device, each answer to its caller", function()
    for i = 1, 40 do assert.same(answered(201, i - 1), seen.many[i]) end
  end)

  it("pass on the status of a device that has failed", function()
    assert.same(answered(500, { reason = "jammed" }), seen.failed)
  end)

  it("say that the device has left during a call", function()
    assert.same({ error = "Error", status = 404, code = 404104 }, seen.left)
  end)

  it("bring desired properties to the device, and reported ones back", function()
    assert.same({ reported = "2.1", state = "Connected", told = 40 }, seen.twins)
  end)

  it("make each call at the hub that has the device", function()
    assert.equal(42, seen.lent) -- waited, many and failed
    assert.is_true(seen.asked > 42)
  end)
end)
