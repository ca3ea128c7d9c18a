-- The option `retry`: what provably did not run is tried again, and nothing else.

local core = require "directmethods.core"
local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"
local task = require "directmethods.task"
local wire = require "spec.support.wire"

local OK = '{"status":200,"payload":null}'

describe("retry", function()
  local fake, service

  before_each(function() fake = fake_hub.new() end)

  after_each(function()
    if service then service:close() end
    service = nil
    fake:close()
    assert.equal(0, task.count())
    assert.is_nil(core.next_deadline())
  end)

  local function connect(retry, opts)
    local o = {
      connection_string = "HostName=localhost;SharedAccessKeyName=service;"
        .. "SharedAccessKey=" .. fake_hub.KEY,
      port = fake:port(), tls = false, retry = retry,
    }
    for k, v in pairs(opts or {}) do o[k] = v end
    service = assert(dm.service(o))
    return service
  end

  local function invoke(opts)
    return dm.spawn(function() return service:invoke("d", "m", nil, opts) end)
  end

  -- Answer the next request.
  local function answer(o)
    local w = fake.wires[1] or fake:accept()
    fake_hub.read_request(w)
    w:send(fake_hub.answer(o))
    return w
  end

  -- Let the client take what was sent.
  local function pump(done)
    return wire.turn_until(done, 5)
  end

  local function waits()
    return pump(function() return core.next_deadline() and core.outstanding() == 0 end)
  end

  -- The next request comes after so many seconds of the clock, and not before.
  local function comes_after(seconds)
    local began = dm.now()
    assert.is_true(waits())
    local w = fake.wires[1]
    core.move(seconds - 0.5)
    assert.is_true(w:quiet_until(began + seconds))
    core.move(0.5)
    assert.is_true(pump(function() return #w.bytes > 0 end))
  end

  local THROTTLED = { status = 429, body = '{"Message":"ErrorCode:ThrottlingException;'
    .. 'wait","ExceptionMessage":"Tracking ID:t"}' }

  local function throttled(after)
    return { status = 429, body = THROTTLED.body,
      headers = { "Retry-After: " .. after } }
  end

  it("is off unless it is asked for", function()
    connect()
    local call = invoke()
    answer(THROTTLED)
    assert.is_true(pump(function() return call:ended() end))
    local _, err = call:await()
    assert.equal(429001, err.code)
  end)

  it("waits twice as long each time, up to wait_max", function()
    connect { max = 4, wait = 10, wait_max = 25, jitter = 0 }
    local call = invoke()
    for _, seconds in ipairs { 10, 20, 25, 25 } do
      answer(THROTTLED)
      comes_after(seconds)
    end
    answer(THROTTLED)
    assert.is_true(pump(function() return call:ended() end))
    local reply, err = call:await()
    assert.is_nil(reply)
    assert.equal("ThrottlingException", err.name)
  end)

  it("takes a part of each wait away by chance", function()
    connect { max = 1000, wait = 10, wait_max = 10, jitter = 0.4 }
    local call = invoke()
    local seen = {}
    for i = 1, 12 do
      answer(THROTTLED)
      assert.is_true(waits())
      seen[i] = core.next_deadline()
      core.move(10)
    end
    answer { status = 200, body = OK }
    assert.is_true(pump(function() return call:ended() end))
    table.sort(seen)
    assert.is_true(seen[1] >= 5.9 and seen[12] <= 10)
    assert.is_true(seen[12] - seen[1] > 0.1)
  end)

  it("G05 honours Retry-After", function()
    connect { wait = 1, jitter = 0 }
    local call = invoke()
    answer(throttled(7))
    comes_after(7)
    answer(throttled(0))
    comes_after(2)
    answer { status = 200, body = OK }
    assert.is_true(pump(function() return call:ended() end))
    local reply = call:await()
    assert.equal(200, reply.status)
    assert.is_true(reply.elapsed >= 9)
  end)

  it("ends when Retry-After is longer than it would wait", function()
    connect { wait_max = 30 }
    local call = invoke()
    answer(throttled(31))
    assert.is_true(pump(function() return call:ended() end))
    local _, err = call:await()
    assert.equal(31, err.retry_after)
  end)

  it("leaves alone what may have run, or would fail again", function()
    connect(true)
    for _, name in ipairs { "GatewayTimeout", "DeviceConnectionClosedRemotely",
      "ConnectionForcefullyClosedOnNewConnection", "DeviceNotFound", "ServerError",
      "IotHubUnauthorizedAccess", "InvalidResponseWhileProxying", "ServiceUnavailable",
      "IotHubQuotaExceeded" } do
      local call = invoke()
      answer { status = 400, body = ('{"Message":"ErrorCode:%s;x"}'):format(name) }
      assert.is_true(pump(function() return call:ended() end), name)
      local _, err = call:await()
      assert.equal(name, err.name)
    end
  end)

  it("leaves alone a request that was sent and not answered", function()
    connect(true)
    local call = invoke()
    local w = fake:accept()
    fake_hub.read_request(w)
    w:close()
    assert.is_true(pump(function() return call:ended() end))
    local _, err = call:await()
    assert.equal("ConnectFailed", err.name)
    assert.is_false(err.retriable)
    assert.is_nil(fake.listener:accept(0.05))
  end)

  it("tries again when nobody listens", function()
    fake:close()
    connect { max = 3, wait = 1, jitter = 0 }
    local started = dm.now()
    local call = invoke()
    dm.advance(6.5)
    assert.is_true(not call:ended() or dm.now() - started >= 7)
    dm.advance(0.6)
    assert.is_true(call:ended())
    local _, err = call:await()
    assert.equal("ConnectFailed", err.name)
    assert.is_true(err.retriable)
    assert.is_true(dm.now() - started >= 7)
    fake = fake_hub.new()
  end)

  it("has a deadline for all of it", function()
    connect { max = 100, wait = 4, jitter = 0, deadline = 10 }
    local call = invoke()
    answer(THROTTLED)
    comes_after(4)
    answer(THROTTLED) -- the next would begin after 12 s
    assert.is_true(pump(function() return call:ended() end))
    local _, err = call:await()
    assert.equal(429001, err.code)
  end)

  it("cuts an attempt off at the deadline", function()
    connect { deadline = 5 }
    local call = invoke()
    fake_hub.read_request(fake:accept())
    core.move(4.5)
    assert.is_true(fake.wires[1]:stays_quiet())
    assert.is_false(call:ended())
    core.move(0.5)
    assert.is_true(pump(function() return call:ended() end))
    local _, err = call:await()
    assert.equal("Timeout", err.name)
    assert.is_false(err.retriable)
  end)

  it("counts waiting in line into the deadline", function()
    connect(nil, { max_connections = 1 })
    local first = invoke()
    fake_hub.read_request(fake:accept())
    local second = invoke { retry = { deadline = 5 } }
    dm.sleep(0)
    core.move(5)
    assert.is_true(pump(function() return second:ended() end))
    local _, err = second:await()
    assert.equal("Timeout", err.name)
    assert.is_true(err.retriable)
    assert.matches("before a connection was free", err.message)
    first:cancel()
    dm.sleep(0)
    local third = invoke()
    fake_hub.read_request(fake:accept())
    third:cancel()
    dm.sleep(0)
  end)

  it("ends with its task", function()
    connect { wait = 10 }
    local call = invoke()
    answer(THROTTLED)
    assert.is_true(waits())
    call:cancel()
    local _, err = call:await(5)
    assert.equal("Cancelled", err.name)
  end)

  it("of a call goes before that of the service", function()
    connect(true)
    local call = invoke { retry = false }
    answer(THROTTLED)
    assert.is_true(pump(function() return call:ended() end))
    service:close()
    connect(false)
    call = invoke { retry = { wait = 3, jitter = 0 } }
    table.remove(fake.wires):close()
    answer(THROTTLED)
    comes_after(3)
    answer { status = 200, body = OK }
    assert.is_true(pump(function() return call:ended() end))
    assert.equal(200, call:await().status)
  end)

  it("holds for the registry, too", function()
    connect { wait = 3, jitter = 0 }
    local call = dm.spawn(function() return service.registry:get("d") end)
    answer(throttled(4))
    comes_after(4)
    answer { status = 200, body = '{"deviceId":"d"}' }
    assert.is_true(pump(function() return call:ended() end))
    assert.equal("d", call:await().device_id)
  end)

  it("refuses wrong options", function()
    for rule, retry in pairs {
      ["unknown option 'retry.maximum'"] = { maximum = 1 },
      ["option 'retry.max' must be of type integer, not a number with a fraction"] =
        { max = 1.5 },
      ["option 'retry.max' must be from 0 to 1000, not -1"] = { max = -1 },
      ["option 'retry.wait' must be from 0.001 to 3600, not 0"] = { wait = 0 },
      ["option 'retry.jitter' must be from 0 to 1, not 2"] = { jitter = 2 },
      ["option 'retry' must be of type table or boolean, not an integer"] = 3,
    } do
      local ok, message = pcall(connect, retry)
      assert.is_false(ok)
      assert.matches("dm.service: " .. rule, message, 1, true)
    end
  end)

  it("calls a device that comes late", function()
    local hub = fixture.hub()
    hub:add_device("d")
    local caller = hub:service("service",
      { retry = { max = 1, wait = 10, jitter = 0 } })
    local call = dm.spawn(function() return caller:invoke("d", "m") end)
    dm.advance(9)
    assert.is_false(call:ended())
    local device = fixture.device(hub, "d")
    core.move(1)
    local method, rid = device:request()
    assert.equal("m", method)
    device:answer(rid, 201, "{}")
    assert.is_true(pump(function() return call:ended() end))
    assert.equal(201, call:await().status)
    fixture.finish(hub, caller, device)
  end)
end)
