-- hub:throttles and GET /throttles: what is left of a tier's rates and quota. The real
-- time that a test takes fills the buckets too, so levels have it as their slack.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"

local NAMES = { "methods", "connections", "registry", "queries", "jobs", "twin_reads",
  "twin_updates", "sends" }
local DAY = 86400

describe("the throttles of a hub", function()
  local hub

  local function open(o)
    o.admin_port = 0
    hub = fixture.hub(o)
  end

  after_each(function() fixture.finish(hub) end)

  local function bucket(name)
    for _, each in ipairs(hub:throttles().buckets) do
      if each.name == name then return each end
    end
  end

  it("are full at first, as the tier has them", function()
    open { tier = "S2", units = 2 }
    local throttles = hub:throttles()
    assert.same({ "S2", 2 }, { throttles.tier, throttles.units })
    for i, each in ipairs(throttles.buckets) do
      assert.equal(NAMES[i], each.name)
      assert.equal(each.capacity, each.left)
      assert.is_true(each.rate > 0)
    end
    assert.same({ name = "methods", capacity = 240.0, left = 240.0, rate = 240.0 },
      bucket "methods")
    assert.same({ 12000000, 12000000 }, { throttles.quota.capacity,
      throttles.quota.left })
  end)

  it("go down with what passes, below 0 when calls wait, and fill again", function()
    open { tier = "S1" }
    hub:add_device "d1"
    local began, tasks = dm.now(), {}
    local service <close> = hub:service("service", { api_version = fixture.NEW })
    local large = dm.json.raw('"' .. ("x"):rep(28 * 4096 - 2) .. '"') -- 28 of 40
    for i = 1, 4 do
      tasks[i] = dm.spawn(service.invoke, service, "d1", "m", large)
    end
    assert(dm.wait_until(function() return hub:counters().shaped >= 1 end))
    local left, quota = bucket("methods").left, hub:throttles().quota
    local calls = hub:counters().calls
    local slack = 40 * (dm.now() - began) + 1
    assert.is_true(left >= 40 - 28 * calls and left <= 40 - 28 * calls + slack, left)
    assert.is_true(quota.left < quota.capacity)
    dm.advance(10)
    for _, task in ipairs(tasks) do task:await() end
    assert.equal(40.0, bucket("methods").left)
  end)

  it("tell when the quota begins anew, and that it has", function()
    open { tier = "F1" }
    local service <close> = hub:service()
    service:invoke("nobody", "m")
    local quota = hub:throttles().quota
    assert.equal(8000, quota.capacity)
    assert.is_true(quota.left < 8000)
    assert.equal(0, quota.renews % DAY)
    assert.is_true(quota.renews > dm.time() and quota.renews <= dm.time() + DAY)
    dm.advance(quota.renews - dm.time() + 1)
    assert.equal(8000, hub:throttles().quota.left)
    assert.equal(quota.renews + DAY, hub:throttles().quota.renews)
  end)

  it("are none without a tier", function()
    open {}
    assert.same({ buckets = {} }, hub:throttles())
    local status, body = admin.ask(hub, "GET", "/throttles")
    assert.same({ 200, { buckets = {} } }, { status, body })
  end)

  it("are at the admin listener", function()
    open { tier = "S3" }
    local status, body = admin.ask(hub, "GET", "/throttles")
    assert.equal(200, status)
    assert.same({ "S3", 1, 8, 6144, 300000000 }, { body.tier, body.units,
      #body.buckets, body.buckets[1].capacity, body.quota.capacity })
  end)
end)
