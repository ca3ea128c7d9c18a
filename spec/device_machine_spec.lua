-- The states of a device, whatever happens in whatever order: random news from a hub
-- that does what it is told, a clock that is moved, and calls of the user.

local dm = require "directmethods"
local core = require "directmethods.core"
local fake = require "spec.support.fake_connection"
local task = require "directmethods.task"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local SEED = tonumber(os.getenv("FUZZ_SEED")) or 20261122
local ROUNDS, STEPS = 100, 80

-- From each state to which others; "closed" from all.
local WAYS = {
  idle = "connecting backoff",
  connecting = "online backoff idle",
  online = "renewing backoff",
  renewing = "online backoff",
  backoff = "connecting idle",
  closed = "",
}

describe("a device's state", function()
  local device, plan, connections, restore, wall, step, news, waiting, rid

  local function pick(list) return list[math.random(#list)] end

  before_each(function()
    plan, news, waiting, step, rid = {}, {}, {}, 0, 0
    connections, restore = fake.install(plan)
    wall = core.time
    core.time = function() return wall() + step end
    dm.log { level = "off" }
  end)

  after_each(function()
    core.time = wall
    restore()
    dm.log { level = "warn" }
  end)

  local OUTCOMES = {
    fake.accept, fake.accept, fake.refuse(5), fake.refuse(3), fake.silent,
    fake.fail "ConnectFailed", fake.fail "TlsFailed", fake.suback(0x80), "TlsFailed",
    function(connection)
      connection.subscribe = function() return nil, "Closed", "not connected" end
      fake.accept(connection)
    end,
    function(connection)
      connection.subscribe = function() return true end -- never acknowledged
      fake.accept(connection)
    end,
    function(connection)
      connection.unsubscribe = function() return true end -- never acknowledged
      fake.accept(connection)
    end,
  }

  local function begin()
    setmetatable(plan, { __index = function() return pick(OUTCOMES) end })
    device = dm.device {
      connection_string = "HostName=hub.test;DeviceId=d1;SharedAccessKey=" .. KEY,
      reconnect = { min = 0.5, max = 30 }, open_timeout = 10,
      probe = math.random(2) == 1 and 20 or nil,
      handlers = {
        quick = function() return 200 end,
        slow = function() dm.sleep(7) return 200 end,
        later = function(request) request:defer() end,
      },
    }
    device:on("state", function(...) table.insert(news, table.pack(...)) end)
  end

  -- The connection that the device has, if it has one.
  local function current()
    local last = connections[#connections]
    return last and device.link and not last.closed and last or nil
  end

  local EVENTS = {
    { "lost", "ConnectFailed", "the line broke" }, { "subscribed", 0x80 },
    { "unsubscribed" }, { "overflow", "ff" },
  }

  local function hub_says()
    local connection = current()
    if not connection or not device.link.live then return end
    if math.random(3) > 1 then
      rid = rid + 1
      local method = pick { "quick", "slow", "later", "unknown" }
      return connection:event("request", method, ("%x"):format(rid), "")
    end
    connection:event(table.unpack(pick(EVENTS)))
  end

  local function clock_steps()
    step = pick { 0, 0, 86400, -86400, 1000 - wall() }
    task.objects[core.clock_id]("clock")
  end

  local function connect()
    table.insert(waiting, dm.spawn(device.connect, device, math.random(0, 40)))
  end

  local STEP = {
    hub_says, hub_says, hub_says, clock_steps, connect,
    function() device:reconnect() end,
    function() if waiting[1] then table.remove(waiting):cancel() end end,
    function() dm.advance(math.random() * 3) end,
    function() dm.advance(math.random(0, 4000)) end,
  }

  -- What holds between any two things that happen.
  local function check()
    local state, stats = device.state, device:stats()
    if state == "idle" then assert.is_nil(device.timer) end
    if state == "connecting" or state == "backoff" then
      assert.is_truthy(device.timer)
    elseif state == "renewing" then
      assert.is_true(device.timer ~= nil or device.leaving > 0)
    end
    assert.equal(state == "backoff", stats.retry_in ~= nil)
    if state ~= "online" and #connections > 0 then assert.is_string(stats.why) end
    local open = 0
    for _, connection in ipairs(connections) do
      if not connection.closed then open = open + 1 end
    end
    assert.is_true(open <= 1, "two connections")
  end

  -- Each change began where the one before had ended, by a way that there is.
  local function check_news()
    local last = "idle"
    for _, each in ipairs(news) do
      local new, old, why = table.unpack(each, 1, 3)
      assert.equal(last, old)
      assert.is_truthy(new == "closed" or WAYS[old]:find(new, 1, true),
        old .. " -> " .. new)
      assert.equal(new == "online", why == nil)
      last = new
    end
    assert.equal(device.state, last)
  end

  -- From now on the hub is a good one.
  local function heal()
    setmetatable(plan, nil)
    step = 0
    if device.state == "idle" then connect() end
    for _ = 1, 3 do dm.advance(100) end
    if device.state == "idle" then connect() end
    dm.advance(100)
    assert.equal("online", device.state)
    assert.is_nil(device:stats().why)
  end

  local function finish()
    dm.advance(0) -- every connect has begun
    device:close()
    assert.is_true(device:closed(5))
    for _, each in ipairs(waiting) do
      local ok, err = each:await(1)
      assert(ok == device or err, "connect still waits")
    end
    dm.advance(10)
    check_news()
    for _, each in ipairs(connections) do core.free_id(each.event_id) end
    assert.equal(0, task.count())
    assert.is_nil(core.next_deadline())
  end

  it("is reached on its way, and ends well; seed " .. SEED, function()
    math.randomseed(SEED)
    for _ = 1, ROUNDS do
      begin()
      for _ = 1, STEPS do
        pick(STEP)()
        check()
      end
      if math.random(3) > 1 then heal() end
      finish()
      connections, news, waiting = {}, {}, {}
      restore()
      connections, restore = fake.install(plan)
    end
  end)
end)
