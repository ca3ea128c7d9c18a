-- A device at the real hub of this process.

local dm = require "directmethods"
local core = require "directmethods.core"
local task = require "directmethods.task"

local OTHER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

local function connected(hub, id)
  for _, entry in ipairs(hub:devices()) do
    if entry.device_id == id then return entry.connected, entry.subscribed end
  end
end

-- Open files of this process.
local function open_files()
  local list = assert(io.popen("ls /proc/$PPID/fd | wc -l"))
  local count = list:read("n")
  list:close()
  return count
end

-- Over plain TCP and TLS, by both engines.
local WAYS = {
  { name = "" }, { name = " over TLS", tls = true },
  { name = ", engine uv", engine = "uv" },
  { name = " over TLS, engine uv", tls = true, engine = "uv" },
}

for _, way in ipairs(WAYS) do
  local tls = way.tls or false
  describe("a device" .. way.name, function()
    local hub, service, open

    -- A device that is closed when the test ends.
    local function make(id, handlers, options)
      options = options or {}
      options.engine = way.engine
      local device = assert(hub:device(id, handlers, options))
      table.insert(open, device)
      return device
    end

    before_each(function()
      open = {}
      hub = assert(dm.hub { tls = tls })
      service = assert(hub:service())
    end)

    after_each(function()
      for _, device in ipairs(open) do device:close() end
      for _, device in ipairs(open) do assert.is_true(device:closed(10)) end
      service:close()
      hub:close()
      assert.is_true(hub:closed(10))
      dm.advance(0)
      assert.equal(0, task.count())
      assert.equal(0, core.outstanding())
    end)

    it("is online when the hub takes calls for it", function()
      local device = make("dev1")
      assert.is_false((connected(hub, "dev1")))
      assert.equal(device, device:connect(10))
      assert.same({ true, true }, { connected(hub, "dev1") })
      device:close()
      assert.is_true(device:closed(10))
      assert.is_true(dm.wait_until(function() return not connected(hub, "dev1") end))
    end)

    it("answers calls", function()
      local device = make("dev1", {
        reboot = function(request) return 201, { rebooted = request.payload.delay } end,
        fail = function() error("no") end,
      })
      dm.log { level = "off" }
      assert(device:connect(10))
      local reply = assert(service:invoke("dev1", "reboot", { delay = 3 }))
      assert.same({ 201, '{"rebooted":3}' }, { reply.status, reply.body })
      assert.equal(500, assert(service:invoke("dev1", "fail")).status)
      assert.equal(501, assert(service:invoke("dev1", "nothing")).status)
      dm.log { level = "warn" }
      assert.same({ 3, 1 }, { device:stats().calls, device:stats().errors })
    end)

    it("answers many calls at once and in a row", function()
      local device = make("dev1", { double = function(request)
        dm.sleep(0.001 * (10 - request.payload % 10))
        return 200, request.payload * 2
      end })
      assert(device:connect(10))
      for round = 1, 16 do
        local calls = {}
        for i = 1, 20 do
          calls[i] = function()
            return service:invoke("dev1", "double", round * 100 + i)
          end
        end
        for i, reply in ipairs((dm.all(calls))) do
          assert.equal((round * 100 + i) * 2, reply.payload)
        end
      end
      assert.equal(320, device:stats().calls)
    end)

    it("is told apart from its modules", function()
      make("dev1", { who = function() return 200, "device" end }):connect(10)
      make("dev1/m1", { who = function(request) return 200, request.module_id end })
        :connect(10)
      assert.equal("device", assert(service:invoke("dev1", "who")).payload)
      assert.equal("m1",
        assert(service:invoke("dev1", "who", nil, { module_id = "m1" })).payload)
    end)

    it("is refused at once with a wrong key", function()
      assert(hub:add_device("dev1"))
      local device = dm.device {
        connection_string = hub:connection_string("dev1"):gsub("SharedAccessKey=.*",
          "SharedAccessKey=" .. OTHER_KEY),
        port = hub:ports().mqtt,
        tls = tls and { ca = hub:ca_file() }, engine = way.engine,
      }
      table.insert(open, device)
      local before = dm.now()
      local ok, err = device:connect(30)
      assert.is_nil(ok)
      assert.equal("Unauthorized", err.name)
      assert.is_true(dm.now() - before < 5)
      assert.equal("idle", device.state)
      assert.is_nil(tostring(err):find(OTHER_KEY, 1, true))
    end)

    it("comes back when another one took its place and went", function()
      local device = make("dev1", { who = function() return 200, "first" end },
        { reconnect = { min = 60, jitter = 0 } })
      assert(device:connect(10))
      local second = make("dev1", { who = function() return 200, "second" end })
      assert(second:connect(10))
      assert.is_true(dm.wait_until(function() return device.state == "backoff" end))
      assert.equal("second", assert(service:invoke("dev1", "who")).payload)
      second:close()
      assert.is_true(second:closed(10))
      dm.advance(61)
      assert.equal("online", device.state)
      assert.equal("first", assert(service:invoke("dev1", "who")).payload)
    end)

    it("keeps its connection for a day by renewing its token", function()
      local device = make("dev1", { who = function() return 200 end })
      assert(device:connect(10))
      dm.advance(86400)
      assert.equal("online", device.state)
      assert.equal(26, device:stats().reconnects)
      assert.equal(200, assert(service:invoke("dev1", "who")).status)
    end)

    it("answers calls in flight before it renews its token", function()
      local device = make("dev1", { slow = function() dm.sleep(4) return 202 end },
        { token_ttl = 100, token_renew = 50 })
      assert(device:connect(10))
      dm.advance(48)
      local call = dm.spawn(service.invoke, service, "dev1", "slow")
      dm.advance(10)
      assert.equal(202, assert(call:await(5)).status)
      assert.equal(1, device:stats().reconnects)
      assert.equal(0, device:stats().late)
    end)

    it("sends the answers that were given before it closes", function()
      local device, pending = nil, {}
      device = make("dev1", { m = function(request)
        table.insert(pending, request:defer())
        if #pending < 50 then return end
        for i, each in ipairs(pending) do assert(each:reply(200, i)) end
        device:close()
      end })
      assert(device:connect(10))
      local calls = {}
      for i = 1, 50 do
        calls[i] = function() return service:invoke("dev1", "m") end
      end
      local replies = dm.all(calls)
      local sum = 0
      for i = 1, 50 do sum = sum + replies[i].payload end
      assert.equal(1275, sum)
    end)

    it("leaves nothing behind", function()
      local function cycle()
        local device <close> = assert(hub:device("dev1"))
        assert(device:connect(10))
        device:close()
        assert.is_true(device:closed(10))
      end
      cycle()
      dm.advance(0)
      collectgarbage()
      local files, handles = open_files(), core.handles()
      local deadline = core.next_deadline() -- of the hub: its certificate is renewed
      for _ = 1, 20 do cycle() end
      dm.advance(0)
      assert.is_true(dm.wait_until(function() return core.handles() <= handles end))
      assert.is_true(dm.wait_until(function() return open_files() <= files end))
      local left = core.next_deadline()
      assert.is_true(left == deadline or left > deadline - 3600)
    end)
  end)
end

describe("a device whose hub ends", function()
  it("comes back when the hub comes back", function()
    local first = assert(dm.hub { tls = false })
    local device <close> = assert(first:device("dev1",
      { who = function() return 200 end }, { reconnect = { min = 0.01, max = 0.1 } }))
    local identity = first:connection_string("dev1")
    assert(device:connect(10))
    local port = first:ports().mqtt
    first:close { clients = false }
    assert.is_true(first:closed(10))
    assert.is_true(dm.wait_until(function() return device.state == "backoff" end))
    assert.is_string(device:stats().why)
    local second <close> = assert(dm.hub { tls = false, mqtt_port = port })
    assert(second:add_device("dev1",
      { primary_key = identity:match("SharedAccessKey=(.*)") }))
    assert(device:connect(10))
    local service <close> = assert(second:service())
    assert.equal(200, assert(service:invoke("dev1", "who")).status)
    assert.equal(1, device:stats().reconnects)
  end)
end)

describe("a device that cannot be let in", function()
  it("says at once that the certificate is not trusted", function()
    local hub <close> = assert(dm.hub {})
    local other <close> = assert(dm.hub {})
    local device <close> = assert(hub:device("dev1", nil,
      { tls = { ca = other:ca_file() } }))
    local before = dm.now()
    local ok, err = device:connect(30)
    assert.is_nil(ok)
    assert.equal("TlsFailed", err.name)
    assert.is_true(dm.now() - before < 10)
    assert.equal("idle", device.state)
  end)

  it("says what it could not reach when the time is up", function()
    local device <close> = dm.device {
      host_name = "127.0.0.1", device_id = "dev1", key = OTHER_KEY, port = 1,
      reconnect = { min = 0.01, max = 0.05 },
    }
    local ok, err = device:connect(0.5)
    assert.is_nil(ok)
    assert.equal("ConnectFailed", err.name)
    assert.is_truthy(err.message:find("127.0.0.1:1", 1, true))
    assert.equal("idle", device.state)
    assert.is_true(device:closed(0) == nil)
  end)

  it("serves others while a name does not resolve", function()
    local hub <close> = assert(dm.hub { tls = false })
    local lost <close> = dm.device {
      host_name = "no-such-host.invalid", device_id = "dev1", key = OTHER_KEY,
    }
    local connecting = dm.spawn(lost.connect, lost, 2)
    local device <close> = assert(hub:device("dev2"))
    assert(device:connect(1))
    connecting:cancel()
  end)
end)
