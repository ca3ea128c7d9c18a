-- How a device gets online and stays there, on a hub that does what it is told and a
-- clock that is moved.

local dm = require "directmethods"
local core = require "directmethods.core"
local fake = require "spec.support.fake_connection"
local task = require "directmethods.task"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

describe("a device's connection", function()
  local device, plan, connections, restore, news

  local function make(options)
    options = options or {}
    options.connection_string = "HostName=hub.test;DeviceId=d1;SharedAccessKey=" .. KEY
    options.reconnect = options.reconnect or { jitter = 0 }
    device = dm.device(options)
    device:on("state", function(new, _, why)
      table.insert(news, new)
      news.why = why
    end)
    return device
  end

  local function states()
    dm.advance(0)
    return table.concat(news, " ")
  end

  before_each(function()
    plan, news = {}, {}
    connections, restore = fake.install(plan)
  end)

  after_each(function()
    device:close()
    assert.is_true(device:closed(1))
    dm.advance(0)
    restore()
    for _, connection in ipairs(connections) do
      assert.is_nil(task.objects[connection.event_id])
      core.free_id(connection.event_id)
    end
    assert.equal(0, task.count())
    assert.is_nil(core.next_deadline())
  end)

  it("stands when the subscription is acknowledged", function()
    plan[1] = function(connection)
      connection.subscribe = function() return true end
      fake.accept(connection)
    end
    make()
    local connecting = dm.spawn(device.connect, device, 10)
    dm.advance(1)
    assert.equal("connecting", device.state)
    connections[1]:event("subscribed", 0)
    assert.equal(device, connecting:await(1))
    assert.equal("online", device.state)
    assert.is_nil(device:stats().why)
    assert.equal(device, device:connect())
    assert.equal("connecting online", states())
    assert.equal(1, #connections)
  end)

  it("hands over what the options say", function()
    make { port = 4711, keepalive = 30, clean_session = true, tls = { verify = false } }
    assert(device:connect())
    local fields = connections[1].fields
    assert.same({ "hub.test", 4711, "hub.test", "d1", "2018-06-30", 30, true, true,
      false, 30 }, {
      fields.host, fields.port, fields.host_name, fields.device_id, fields.api_version,
      fields.keepalive, fields.clean_session, fields.tls, fields.verify,
      fields.connect_timeout,
    })
    local se = math.tointeger(fields.password:match("&se=(%d+)"))
    assert.is_true(math.abs(se - dm.time() - 3600) < 5)
  end)

  it("connects to the gateway and means the hub", function()
    device = dm.device {
      host_name = "hub.test", gateway_host_name = "gate.test", device_id = "d1",
      module_id = "m1", key = KEY,
    }
    assert(device:connect())
    local fields = connections[1].fields
    assert.same({ "gate.test", "hub.test", "d1", "m1" },
      { fields.host, fields.host_name, fields.device_id, fields.module_id })
    assert.is_truthy(fields.password:find(
      "sr=hub.test%2Fdevices%2Fd1%2Fmodules%2Fm1&", 1, true))
  end)

  for _, connack in ipairs { 1, 2, 4, 5 } do
    it("gives up at once on CONNACK " .. connack, function()
      plan[1] = fake.refuse(connack)
      make()
      local before = dm.now()
      local ok, err = device:connect(30)
      assert.is_nil(ok)
      assert.equal(connack == 1 and "ProtocolError" or "Unauthorized", err.name)
      assert.same({ connack = connack }, err.info)
      assert.is_true(dm.now() - before < 1)
      dm.advance(600)
      assert.equal("connecting idle", states())
      local why, clock = device:stats().why:gsub(" Is the clock right%?.+%)$", ")")
      assert.equal(connack >= 4 and 1 or 0, clock)
      assert.equal(("CONNACK %d (%s)"):format(connack, connack == 1
        and "is it a hub, and does it speak MQTT 3.1.1?" or "is the device registered "
        .. "and enabled, and are its credentials right?"), why)
      assert.equal(1, #connections)
    end)
  end

  it("gives up at once on a bad certificate", function()
    plan[1] = "TlsFailed"
    plan[2] = fake.fail("TlsFailed")
    make()
    for _ = 1, 2 do
      local ok, err = device:connect(30)
      assert.is_nil(ok)
      assert.equal("TlsFailed", err.name)
      assert.equal("idle", device.state)
    end
  end)

  it("gives up at once when the hub refuses the subscription", function()
    plan[1] = fake.suback(0x80)
    make()
    local ok, err = device:connect(30)
    assert.is_nil(ok)
    assert.is_truthy(err.message:find("SUBACK 0x80", 1, true))
    assert.is_true(connections[1].closed)
  end)

  it("tries again with back-off until it stands", function()
    plan[1], plan[2] = fake.fail("ConnectFailed"), fake.refuse(3)
    plan[3] = fake.fail("NameNotResolved")
    make()
    local began = dm.now()
    local connecting = dm.spawn(device.connect, device, 30)
    dm.advance(6.9)
    assert.is_true(#connections == 3 or dm.now() - began >= 7)
    dm.advance(0.2)
    assert.equal(device, connecting:await(1))
    local function gap(i)
      return connections[i + 1].asked_at - connections[i].asked_at
    end
    assert.is_true(math.abs(gap(1) - 1) < 0.1 and math.abs(gap(2) - 2) < 0.1
      and math.abs(gap(3) - 4) < 0.1)
    assert.equal(0, device:stats().reconnects)
  end)

  it("ends with the last reason when the time is up", function()
    for i = 1, 20 do plan[i] = fake.fail("ConnectFailed") end
    make()
    local connecting = dm.spawn(device.connect, device, 5)
    dm.advance(5.1)
    local ok, err = connecting:await(1)
    assert.is_nil(ok)
    assert.equal("ConnectFailed", err.name)
    assert.is_truthy(err.message:find("no connection within 5 s: it failed", 1, true))
    local attempts = #connections
    dm.advance(600)
    assert.equal(attempts, #connections)
    assert.equal("idle", device.state)
    assert.equal("it failed (is the network up, and is the hub's port open to it?)",
      device:stats().why)
  end)

  it("does not wait longer than open_timeout for one answer", function()
    plan[1] = fake.silent
    make { open_timeout = 3 }
    local began = dm.now()
    local connecting = dm.spawn(device.connect, device, 10)
    dm.advance(2.9)
    assert.is_true(device.state == "connecting" or dm.now() - began >= 3)
    dm.advance(0.2)
    assert.equal("backoff", device.state)
    assert.is_true(connections[1].closed)
    dm.advance(1.1)
    assert.equal(device, connecting:await(1))
  end)

  it("stops when the task that connects is cancelled", function()
    plan[1] = fake.silent
    make()
    local connecting = dm.spawn(device.connect, device, 30)
    dm.advance(1)
    connecting:cancel()
    dm.advance(100)
    assert.equal("idle", device.state)
    assert.equal(1, #connections)
  end)

  it("goes on while one of two still waits", function()
    plan[1] = fake.silent
    make { open_timeout = 5 }
    local short = dm.spawn(device.connect, device, 1)
    local long = dm.spawn(device.connect, device, 20)
    dm.advance(2)
    assert.is_nil(short:await(1))
    assert.equal("connecting", device.state)
    dm.advance(5)
    assert.equal(device, long:await(1))
  end)

  it("comes back for ever, however the hub refuses", function()
    make()
    assert(device:connect())
    plan[2], plan[3], plan[4] = fake.refuse(5), fake.suback(0x80), "TlsFailed"
    connections[1]:event("lost", "ConnectFailed", "the line broke")
    assert.equal("backoff", device.state)
    assert.equal("the line broke (is the network up, and is the hub's port open to "
      .. "it?)",
      device:stats().why)
    dm.advance(30)
    assert.equal("online", device.state)
    assert.equal(5, #connections)
    assert.equal(1, device:stats().reconnects)
    assert.equal(0, device.leaving)
  end)

  it("waits at most reconnect.max, less the jitter", function()
    make { reconnect = { min = 2, max = 8, jitter = 0.5 } }
    assert(device:connect())
    for i = 2, 40 do plan[i] = fake.fail("ConnectFailed") end
    connections[1]:event("lost", "ConnectFailed", "the line broke")
    dm.advance(200)
    local least, most = 1e9, 0
    for i = 5, #connections - 1 do
      local gap = connections[i + 1].asked_at - connections[i].asked_at
      least, most = math.min(least, gap), math.max(most, gap)
    end
    assert.is_true(#connections >= 20 and least >= 3.9 and most <= 8.1)
    assert.is_true(most - least > 0.5)
  end)

  it("connects anew on reconnect", function()
    make()
    assert(device:connect())
    device:reconnect()
    assert.equal("renewing", device.state)
    device:reconnect()
    dm.advance(0)
    assert.equal("connecting online renewing online", states())
    plan[3] = fake.fail("ConnectFailed")
    connections[2]:event("lost", "ConnectFailed", "the line broke")
    dm.advance(1.1)
    assert.equal("backoff", device.state)
    device:reconnect()
    dm.advance(0)
    assert.equal("online", device.state)
    assert.equal(4, #connections)
  end)

  it("renews its token before it expires, for days", function()
    make { token_ttl = 3600, token_renew = 600 }
    assert(device:connect())
    dm.advance(86400)
    assert.equal("online", device.state)
    assert.equal(29, #connections)
    for i = 2, #connections do
      local gap = connections[i].asked_at - connections[i - 1].asked_at
      assert.is_true(math.abs(gap - 3000) < 2)
      local se = math.tointeger(connections[i].fields.password:match("&se=(%d+)"))
      local now = dm.time() - dm.now() + connections[i].asked_at
      assert.is_true(math.abs(se - now - 3600) < 2)
    end
  end)

  it("lets calls in flight finish before it renews", function()
    make { token_ttl = 100, token_renew = 50, handlers = {
      slow = function() dm.sleep(3) return 200 end,
    } }
    assert(device:connect())
    dm.advance(48)
    connections[1]:event("request", "slow", "1", "")
    dm.advance(2.5)
    assert.equal("renewing", device.state)
    assert.is_nil(connections[1].closed)
    connections[1]:event("request", "other", "2", "")
    dm.advance(0.6)
    assert.equal("2 501 , 1 200 ", connections[1]:said())
    assert.equal(5, connections[1].linger)
    assert.equal("online", device.state)
    assert.equal(2, #connections)
  end)

  it("renews after 5 s although a call is not answered", function()
    make { token_ttl = 100, token_renew = 50, handlers = {
      slow = function() dm.sleep(30) return 200 end,
    } }
    assert(device:connect())
    dm.advance(48) -- the token's last second is a whole one: renewal at 49 to 50
    connections[1]:event("request", "slow", "1", "")
    dm.advance(5.5)
    assert.equal("renewing", device.state)
    dm.advance(2)
    assert.equal("online", device.state)
    dm.advance(30)
    assert.same({ "", "" }, { connections[1]:said(), connections[2]:said() })
    assert.equal(1, device:stats().late)
  end)

  it("does not renew a given token and says when it has expired", function()
    local expiry = math.floor(dm.time() + 100)
    device = dm.device {
      host_name = "hub.test", device_id = "d1",
      sas = "SharedAccessSignature sr=hub.test%2Fdevices%2Fd1&sig=x&se=" .. expiry,
    }
    assert(device:connect())
    dm.advance(90)
    assert.is_nil(device:stats().why)
    local lines = {}
    dm.log { level = "warn", sink = function(_, line) table.insert(lines, line) end }
    dm.advance(3600)
    dm.log { level = "warn" }
    local expired = "the given SAS token has expired: a new one is needed"
    assert.same({ "device d1: " .. expired }, lines)
    assert.same({ "online", expired }, { device.state, device:stats().why })
    assert.equal(1, #connections)
    connections[1]:event("lost", "ConnectFailed", "the hub closed the connection")
    assert.same({ "backoff", expired }, { device.state, device:stats().why })
    dm.advance(10)
    assert.equal("backoff", device.state)
    assert.equal(expired, device:stats().why)
    assert.equal(1, #connections)
  end)

  it("does not connect with a given token that has expired", function()
    local expiry = math.floor(dm.time() - 1)
    device = dm.device {
      host_name = "hub.test", device_id = "d1",
      sas = "SharedAccessSignature sr=hub.test%2Fdevices%2Fd1&sig=x&se=" .. expiry,
    }
    local ok, err = device:connect(30)
    assert.is_nil(ok)
    assert.equal("Unauthorized", err.name)
    assert.equal("the given SAS token has expired: a new one is needed", err.message)
    assert.same({ "idle", err.message, 0 },
      { device.state, device:stats().why, #connections })
  end)

  it("tries again when the subscription is never acknowledged", function()
    plan[1] = function(connection)
      connection.subscribe = function() return true end
      fake.accept(connection)
    end
    make { open_timeout = 3 }
    local connecting = dm.spawn(device.connect, device, 10)
    dm.advance(3.1)
    assert.equal("backoff", device.state)
    assert.is_truthy(device:stats().why:find("did not accept the device within 3 s", 1,
      true))
    dm.advance(1.1)
    assert.equal(device, connecting:await(1))
  end)

  it("sums up the messages that connections dropped", function()
    make()
    for i, expected in ipairs { 2, 5 } do
      assert(device:connect())
      local dropped = i + 1
      connections[i].dropped = function() return dropped end
      assert.equal(expected, device:stats().dropped)
      connections[i]:event("lost", "ConnectFailed", "the line broke")
      assert.equal(expected, device:stats().dropped)
    end
  end)

  it("is closed from any state", function()
    plan[1] = fake.silent
    make()
    local connecting = dm.spawn(device.connect, device, 30)
    dm.advance(1)
    device:close()
    local ok, err = connecting:await(1)
    assert.is_nil(ok)
    assert.equal("Closed", err.name)
    assert.is_true(connections[1].closed)
    assert.is_true(device:closed(1))
    dm.advance(100)
    assert.equal(1, #connections)
  end)

  it("closes with <close> and lets queued answers go out", function()
    do
      local scoped <close> = make()
      assert(scoped:connect())
    end
    assert.equal("closed", device.state)
    assert.equal(5, connections[1].linger)
    assert.is_true(device:closed(1))
  end)
end)
