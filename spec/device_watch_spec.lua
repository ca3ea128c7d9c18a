-- What a device does about its clock, its methods' subscription and another client of
-- the same id, on a hub that does what it is told and clocks that are moved.

local dm = require "directmethods"
local core = require "directmethods.core"
local fake = require "spec.support.fake_connection"
local task = require "directmethods.task"
local tokens = require "directmethods.device.token"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local DAY = 86400

describe("a device", function()
  local device, plan, connections, restore, wall, step

  local function make(options)
    options.connection_string = "HostName=hub.test;DeviceId=d1;SharedAccessKey=" .. KEY
    options.reconnect = { jitter = 0 }
    device = dm.device(options)
    return device
  end

  local function expiry_of(connection)
    return math.tointeger(connection.fields.password:match("&se=(%d+)"))
  end

  -- What the kernel tells the loop.
  local function clock_was_set()
    task.objects[core.clock_id]("clock")
  end

  before_each(function()
    plan = {}
    connections, restore = fake.install(plan)
    wall, step = core.time, 0
    core.time = function() return wall() + step end
  end)

  after_each(function()
    device:close()
    assert.is_true(device:closed(1))
    dm.advance(0)
    restore()
    core.time = wall
    for _, connection in ipairs(connections) do core.free_id(connection.event_id) end
    assert.equal(0, task.count())
    assert.is_nil(core.next_deadline())
  end)

  it("waits for a clock that is not set, and says so", function()
    step = 120 - wall()
    make {}
    local connecting = dm.spawn(device.connect, device, 30)
    dm.advance(10)
    assert.same({ "backoff", 0 }, { device.state, #connections })
    assert.equal("the clock of this machine is not set: it shows 1970-01-01 00:02 UTC;"
      .. " the device waits until it is", (device:stats().why:gsub("00:0%d", "00:02")))
    assert.is_true(device:stats().retry_in <= 1)
    step = 86400 - wall()
    dm.advance(1.1)
    assert.is_truthy(device:stats().why:find("it shows 1970-01-02 00:0", 1, true))
    step = 0
    dm.advance(1.1)
    assert.equal(device, connecting:await(1))
    assert.is_true(math.abs(expiry_of(connections[1]) - wall() - 3600) < 5)
  end)

  it("gives the clock as the reason when connect's time is up", function()
    step = tokens.BUILT - 10000 - wall()
    make {}
    local connecting = dm.spawn(device.connect, device, 5)
    dm.advance(5.1)
    local ok, err = connecting:await(1)
    assert.is_nil(ok)
    assert.equal("SystemError", err.name)
    assert.is_truthy(err.message:find("within 5 s: the clock of this machine is not "
      .. "set: it shows 2023-12-31", 1, true))
    assert.equal("idle", device.state)
  end)

  for words, jump in pairs { forward = DAY, back = -DAY, ["by 31 s"] = 31 } do
    it("signs a new token when the clock was set " .. words, function()
      make {}
      assert(device:connect())
      step = jump
      clock_was_set()
      dm.advance(1)
      assert.same({ 2, "online" }, { #connections, device.state })
      assert.is_true(math.abs(expiry_of(connections[2]) - core.time() - 3600) < 65)
      dm.advance(600)
      assert.equal(2, #connections)
    end)
  end

  it("is told by the kernel when the clock is set", function()
    local watching = 0
    local list = assert(dm.exec { "sh", "-c", "cat /proc/$PPID/fdinfo/*" })
    for _ in list.stdout:gmatch("settime flags: 03") do
      watching = watching + 1
    end
    assert.equal(1, watching)
  end)

  it("has nothing to look at while a certificate keeps it in", function()
    make {}
    device.config.key, device.config.x509 = nil, {}
    assert(device:connect())
    assert.is_nil(core.next_deadline())
  end)

  it("does not mind a clock that is adjusted", function()
    make {}
    assert(device:connect())
    for _ = 1, 10 do
      step = step + 20
      clock_was_set()
      dm.advance(1)
    end
    assert.equal(1, #connections)
  end)

  it("keeps a certificate's connection when the clock was set", function()
    make {}
    device.config.key, device.config.x509 = nil, {}
    assert(device:connect())
    assert.is_nil(connections[1].fields.password)
    step = DAY
    clock_was_set()
    dm.advance(2 * DAY)
    assert.equal(1, #connections)
  end)

  it("leaves its subscription alone without `probe`", function()
    make {}
    assert(device:connect())
    connections[1].subscribe = function() error("again") end
    dm.advance(1000)
    assert.equal("online", device.state)
  end)

  it("subscribes anew every `probe` seconds", function()
    local asked = {}
    make { probe = 100, token_ttl = 10000 }
    assert(device:connect())
    local first = dm.now()
    local subscribe = connections[1].subscribe
    connections[1].subscribe = function(self)
      table.insert(asked, math.floor((dm.now() - first) / 10 + 0.5))
      return subscribe(self)
    end
    dm.advance(350)
    assert.same({ 10, 20, 30 }, asked)
    assert.same({ "online", 0 }, { device.state, device:stats().reconnects })
  end)

  it("connects anew when a probe is not acknowledged, or refused", function()
    make { probe = 100, open_timeout = 30, token_ttl = 10000 }
    assert(device:connect())
    connections[1].subscribe = function() return true end
    dm.advance(129)
    assert.equal("online", device.state)
    dm.advance(1.5)
    assert.same({ "backoff", "the hub did not acknowledge the subscription to methods"
      .. " within 30 s (is the network slow, or does a firewall drop what is sent?)" },
      { device.state, device:stats().why })
    dm.advance(2)
    assert.equal("online", device.state)
    connections[2].granted = 0x80
    dm.advance(99)
    assert.same({ "backoff", "the hub refused the subscription to methods (SUBACK 0x80)"
      .. " (is the device registered and enabled, and are its credentials right?)" },
      { device.state, device:stats().why })
    dm.advance(2)
    assert.same({ "online", 2 }, { device.state, device:stats().reconnects })
  end)

  it("backs off when it is thrown out each time", function()
    make {}
    assert(device:connect())
    local gaps = {}
    for i = 1, 4 do
      connections[i]:event("lost", "ConnectFailed", "the connection was lost")
      gaps[i] = math.floor(device:stats().retry_in + 0.5)
      if i > 1 then
        assert.equal("the connection was lost (does another client use the same device "
          .. "id?)", device:stats().why)
      end
      dm.advance(gaps[i] + 0.1)
      assert.equal("online", device.state)
    end
    assert.same({ 1, 2, 4, 8 }, gaps)
    dm.advance(11)
    connections[5]:event("lost", "ConnectFailed", "the connection was lost")
    assert.is_true(device:stats().retry_in <= 1)
    assert.is_nil(device:stats().why:find("another client", 1, true))
  end)
end)
