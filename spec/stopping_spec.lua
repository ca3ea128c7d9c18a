--- hub:stop, as SIGTERM has it: what is in progress is answered, nothing new begins,
-- and all connections end in good order.

local callers = require "spec.support.callers"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local websocket = require "spec.support.websocket"
local wires = require "spec.support.wire"

local METHODS = "/twins/dev1/methods?api-version=" .. fixture.NEW

describe("a hub that is stopped", function()
  local pair, stopping, token

  before_each(function()
    pair = callers.pair { admin_port = 0 }
    stopping = nil
    token = "Authorization: " .. fixture.service_token(pair.hub)
  end)

  after_each(function()
    if stopping then assert(stopping:await(10)) end
    pair.device:close()
    if not stopping then pair:finish() end
    assert(pair.hub:closed(10))
  end)

  local function stop(seconds)
    stopping = dm.spawn(function() return pair.hub:stop(seconds) end)
    assert(dm.wait_until(function() return not pair.hub.state.open end))
  end

  local function request()
    return http.request {
      target = METHODS, headers = { token }, body = callers.body(),
    }
  end

  -- The hub has closed without a reset.
  local function ended(wire)
    assert.is_true(wire:wait_closed())
    assert.is_nil(wire.failure)
  end

  it("answers what is in progress, and nothing behind it", function()
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(request() .. request():rep(20))
    local _, rid = assert(pair.device:request())
    stop(30)
    assert.is_true(wire:stays_quiet())
    pair.device:answer(rid, 200, "7")
    local reply = http.read(wire)
    assert.same({ 200, "close" }, { reply.status, reply.headers.connection })
    assert.equal('{"status":200,"payload":7}', reply.body)
    ended(wire)
    assert.equal("", wire.bytes)
    wire:close()
    assert.is_nil((pair.device:request(0.1)))
  end)

  local function ask_admin(o)
    o.headers = { "Authorization: Bearer " .. pair.hub:admin_token() }
    return http.request(o)
  end

  it("answers what is in progress at the admin listener, and who waits", function()
    local wire = wires.connect(pair.hub:ports().admin)
    wire:send(ask_admin { method = "GET", target = "/wait?call=reboot" })
    assert.is_true(wire:stays_quiet())
    local call = wires.connect(pair.hub:ports().admin)
    call:send(ask_admin { method = "POST", target = "/devices/dev1/methods/reboot" })
    local _, rid = assert(pair.device:request())
    stop(30)
    local reply = http.read(wire)
    assert.same({ 503, "close" }, { reply.status, reply.headers.connection })
    assert.equal("The hub is closing.", dm.json.decode(reply.body).Message)
    ended(wire)
    wire:close()
    pair.device:answer(rid, 200)
    reply = http.read(call)
    assert.same({ 200, "close" }, { reply.status, reply.headers.connection })
    ended(call)
    call:close()
  end)

  it("closes who has no request, and takes no new one", function()
    local idle = wires.connect(pair.hub:ports().https)
    local half = wires.connect(pair.hub:ports().https)
    assert.equal(200, pair:call({ wire = idle }).status)
    half:send(request():sub(1, 40))
    assert.is_true(half:stays_quiet())
    local busy, rid = pair:pending()
    stop(30)
    ended(idle)
    ended(half)
    assert.equal("", idle.bytes .. half.bytes)
    idle:send(request())
    assert.is_nil((pair.device:request(0.1)))
    pair.device:answer(rid, 200)
    assert.equal(200, http.read(busy).status)
    for _, wire in ipairs { idle, half, busy } do wire:close() end
  end)

  it("answers a request whose body is on its way", function()
    local wire = wires.connect(pair.hub:ports().https)
    local bytes = request()
    wire:send(bytes:sub(1, -10))
    assert.is_true(wire:stays_quiet())
    stop(30)
    wire:send(bytes:sub(-9))
    local _, rid = assert(pair.device:request())
    pair.device:answer(rid, 200)
    local reply = http.read(wire)
    assert.same({ 200, "close" }, { reply.status, reply.headers.connection })
    ended(wire)
    wire:close()
  end)

  it("keeps devices with canned answers until their calls have ended", function()
    local made = http.exchange(pair.hub:ports().admin, {
      method = "PUT", target = "/devices/lamp",
      headers = { "Authorization: Bearer " .. pair.hub:admin_token() },
      body = '{"methods":{"on":{"status":201,"delay":5}}}',
    })
    assert.equal(200, made.status)
    local call = pair:send { device = "lamp", body = '{"methodName":"on"}' }
    assert.is_true(call:stays_quiet())
    stop(30)
    assert.is_true(call:stays_quiet())
    dm.advance(5)
    assert.equal('{"status":201,"payload":null}', http.read(call).body)
    ended(call)
    call:close()
  end)

  it("does nothing more for the admin listener, and says so", function()
    local wire = wires.connect(pair.hub:ports().admin)
    local bytes = ask_admin { method = "POST", target = "/faults", body = "{}" }
    wire:send(bytes:sub(1, -2))
    assert.is_true(wire:stays_quiet())
    stop(30)
    wire:send(bytes:sub(-1))
    local reply = http.read(wire)
    assert.same({ 503, "close" }, { reply.status, reply.headers.connection })
    assert.equal('{"Message":"The hub is closing."}', reply.body)
    ended(wire)
    wire:close()
  end)

  it("keeps devices until their calls have ended, then lets them go", function()
    local wire, rid = pair:pending()
    stop(30)
    pair.device:send(mqtt.PINGREQ)
    assert.equal(13, pair.device:read().type)
    pair.device:answer(rid, 200)
    assert.equal(200, http.read(wire).status)
    ended(pair.device.wire)
    wire:close()
  end)

  it("answers 503 when the time is over", function()
    local call = pair:pending()
    local wire = wires.connect(pair.hub:ports().https)
    wire:send(request():sub(1, -10))
    assert.is_true(wire:stays_quiet())
    stop(0.05)
    for _, each in ipairs { call, wire } do
      local reply = http.read(each)
      assert.same({ 503, "close" }, { reply.status, reply.headers.connection })
      ended(each)
      each:close()
    end
    ended(pair.device.wire)
  end)

  it("ends a WebSocket with a Close frame", function()
    local _, guest = websocket.open(pair.hub:ports().https)
    stop(30)
    local opcode = assert(guest.wire:read(1)):byte() & 15
    assert.equal(websocket.CLOSE, opcode)
    ended(guest.wire)
    guest.wire:close()
  end)

  it("is not held up by a peer that does not close", function()
    local call, rid = pair:pending()
    stop(30)
    pair.device:answer(rid, 200)
    assert.equal(200, http.read(call).status)
    assert(stopping:await(10))
    call:close()
  end)

  it("may be closed while it stops", function()
    local call = pair:pending()
    stop(30)
    pair.hub:close()
    assert(pair.hub:closed(10))
    call:close()
  end)
end)
