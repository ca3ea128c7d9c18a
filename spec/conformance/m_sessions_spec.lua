--- Sessions of clean=0: with their subscriptions they outlive connections and hubs; a
-- device is not told that it has one before it is on the disk.

local dm = require "directmethods"
local errors = require "directmethods.errors"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"
local stores = require "spec.support.stores"
local wires = require "spec.support.wire"

local PINGREQ, DISCONNECT = "\xC0\0", "\xE0\0"

local function fail()
  return nil, errors.new { name = "StorageFailed", message = "the disk is full" }
end

describe("a session of clean=0", function()
  local folder, path, hub

  local function open() hub = fixture.hub { store = path } end

  local function reopen()
    fixture.finish(hub)
    open()
  end

  before_each(function()
    folder = stores.folder()
    path = folder .. "/hub.db"
    open()
    hub:add_device("d")
    hub:add_device("d/m")
  end)

  after_each(function()
    fixture.finish(hub)
    stores.remove(folder)
  end)

  local function connect(id, o)
    o = o or {}
    if o.clean == nil then o.clean = false end
    o.subscribe = o.subscribe or false
    return fixture.device(hub, id or "d", o)
  end

  -- Is the device called, which subscribed earlier?
  local function is_called(device)
    local wire = fixture.send_call(hub, { device = "d" })
    local method, rid = assert(device:request())
    device:answer(rid, 200, '"ok"')
    local reply = require("spec.support.http").read(wire)
    wire:close()
    assert.equal("reboot", method)
    assert.equal(200, reply.status)
  end

  -- Let what is written from now on wait. Returns a function that lets it go on: it is
  -- kept, or fails.
  local function hold_writes()
    local db = hub.state.store.db
    local real, write = db.write, nil
    function db.write(...)
      dm.wait_until(function() return write end)
      return write(...)
    end
    return function(fails)
      write = fails and fail or real
      db.write = write
    end
  end

  -- Let writes fail. Returns a function that lets them work again.
  local function fail_writes()
    local db = hub.state.store.db
    local real = db.write
    db.write = fail
    return function() db.write = real end
  end

  -- After a restart the device has no session.
  local function has_no_session()
    reopen()
    local again = connect()
    assert.is_false(again.session_present)
    again:close()
  end

  it("M01 is called after a restart, though it does not subscribe again", function()
    local first = connect()
    assert.same({ 0, false }, { first.code, first.session_present })
    assert.equal(0, first:subscribe())
    first:send(DISCONNECT)
    first:close()
    for _ = 1, 2 do
      reopen()
      local again = connect()
      assert.same({ 0, true }, { again.code, again.session_present })
      is_called(again)
      again:close()
    end
  end)

  it("is a module's, too, and keeps what is left by UNSUBSCRIBE", function()
    local first = connect("d/m")
    first:subscribe(0, "$iothub/methods/POST/#")
    first:subscribe(0, "$iothub/twin/res/#")
    first:send(mqtt.unsubscribe({ "$iothub/methods/POST/#" }, 9))
    assert.equal(11, first:read().type)
    first:close()
    reopen()
    local again = connect("d/m")
    assert.is_true(again.session_present)
    again:send(mqtt.publish("$iothub/twin/GET/?$rid=1", ""))
    assert.equal("$iothub/twin/res/200/?$rid=1", again:read().topic)
    local reply = fixture.call(hub, { device = "d", module = "m" })
    assert.equal(404, reply.status)
    again:close()
  end)

  it("M03 ends with a clean one", function()
    local first = connect()
    first:subscribe()
    first:close()
    local clean = connect("d", { clean = true })
    assert.same({ 0, false }, { clean.code, clean.session_present })
    clean:close()
    has_no_session()
  end)

  it("ends with its identity, and does not come back with one of the same id",
    function()
      local first = connect()
      first:subscribe()
      first:close()
      assert.equal(204, rest.ask(hub, "DELETE", "/devices/d").status)
      hub:add_device("d")
      has_no_session()
    end)

  it("M02 is not promised when the store fails: CONNACK 3, and no SUBACK", function()
    local work = fail_writes()
    local refused = connect()
    assert.equal(3, refused.code)
    refused:close()
    work()
    local device = connect()
    assert.same({ 0, false }, { device.code, device.session_present })
    work = fail_writes()
    device:send(mqtt.subscribe({ { "$iothub/methods/POST/#", 0 } }, 7))
    assert.same({ nil, "closed" }, { device:read() })
    device:close()
    work()
    local again = connect()
    assert.is_false(again.session_present)
    assert.equal(0, again:subscribe())
    is_called(again)
    again:close()
  end)

  it("takes packets in their order while it waits for the store", function()
    local go_on = hold_writes()
    local bytes = mqtt.connect(fixture.connect_fields(hub, "d", { clean = false }))
      .. mqtt.subscribe({ { "$iothub/methods/POST/#", 0 } }, 7) .. PINGREQ
      .. mqtt.subscribe({ { "$iothub/twin/res/#", 0 } }, 8) .. PINGREQ
    local wire = wires.connect(hub:ports().mqtt)
    wire:send(bytes)
    assert(dm.wait_until(function() return hub:devices()[1].connected end, 5))
    assert.is_false(hub:devices()[1].subscribed) -- nothing behind it was taken
    go_on(false)
    local types = {}
    for i = 1, 5 do types[i] = mqtt.read(wire).type end
    assert.same({ 2, 9, 13, 9, 13 }, types)
    wire:close()
  end)

  -- The wire of a connection that sends CONNECT.
  local function begin(clean)
    local wire = wires.connect(hub:ports().mqtt)
    wire:send(mqtt.connect(fixture.connect_fields(hub, "d", { clean = clean })))
    return wire
  end

  local function is_subscribed()
    return hub:devices()[1].subscribed
  end

  for name, fails in pairs { ["are kept"] = false, ["cannot be kept"] = true } do
    it("is not promised to the next connection before the subscriptions of the last "
      .. name, function()
      local first = connect()
      local go_on = hold_writes()
      first:send(mqtt.subscribe({ { "$iothub/methods/POST/#", 0 } }, 7))
      assert(dm.wait_until(is_subscribed, 5))
      local second = begin(false)
      assert.same({ nil, "closed" }, { first:read() })
      assert.is_true(second:stays_quiet())
      go_on(fails)
      assert.equal(fails and "\x20\2\0\3" or "\x20\2\1\0", second:read(4))
      first:close()
      second:close()
      reopen()
      local third = connect()
      assert.is_true(third.session_present)
      assert.equal(not fails, is_subscribed())
      third:close()
    end)
  end

  it("that was ended does not come back by what its connection had asked for",
    function()
      local first = connect()
      local go_on = hold_writes()
      first:send(mqtt.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", "{}")
        .. mqtt.subscribe({ { "$iothub/methods/POST/#", 0 } }, 7))
      assert(dm.wait_until(is_subscribed, 5))
      local clean = begin(true)
      assert.same({ nil, "closed" }, { first:read() })
      assert.is_true(clean:stays_quiet())
      go_on(false)
      assert.equal("\x20\2\0\0", clean:read(4))
      assert(dm.wait_until(function() return not next(hub.state.requests.lanes) end, 5))
      first:close()
      clean:close()
      has_no_session()
    end)

  it("that was lost with a failure of the store ends there with a clean one",
    function()
      local first = connect()
      local work = fail_writes()
      first:send(mqtt.subscribe({ { "$iothub/methods/POST/#", 0 } }, 7))
      assert.same({ nil, "closed" }, { first:read() })
      first:close()
      work()
      connect("d", { clean = true }):close()
      has_no_session()
    end)

  it("may lose its connection while it waits", function()
    local go_on = hold_writes()
    local wire = wires.connect(hub:ports().mqtt)
    wire:send(mqtt.connect(fixture.connect_fields(hub, "d", { clean = false })))
    assert(dm.wait_until(function() return hub:devices()[1].connected end, 5))
    wire:close()
    assert(dm.wait_until(function() return not hub:devices()[1].connected end, 5))
    go_on(false)
    local again = connect()
    assert.equal(0, again.code)
    again:close()
  end)
end)

describe("a model id in the user name", function()
  local hub

  before_each(function()
    hub = fixture.hub()
    hub:add_device("d")
    hub:add_device("d/m")
  end)

  after_each(function() fixture.finish(hub) end)

  local MODEL = "dtmi:com:example:testModel;1"

  local function connect(id, model)
    local device = fixture.device(hub, id, {
      subscribe = false,
      username = ("localhost/%s/?api-version=2021-04-12&model-id=%s"):format(id, model),
    })
    return device
  end

  local function model_of(path)
    return rest.read(rest.ask(hub, "GET", path)).modelId
  end

  it("M04 is the twin's, of a device and of a module, and queries see it", function()
    assert.equal("", model_of("/twins/d"))
    local device = connect("d", "dtmi%3Acom%3Aexample%3AtestModel%3B1")
    assert.equal(0, device.code)
    assert.equal(MODEL, model_of("/twins/d"))
    local module = connect("d/m", "dtmi%3Acom%3Aexample%3Amodule%3B2")
    assert.equal("dtmi:com:example:module;2", model_of("/twins/d/modules/m"))
    local found = rest.read(rest.ask(hub, "POST", "/devices/query",
      { query = "SELECT deviceId FROM devices WHERE modelId = '" .. MODEL .. "'" }))
    assert.same({ { deviceId = "d" } }, found)
    module:close()
    device:close()
  end)

  it("stays when the device comes without one, and changes with another", function()
    connect("d", "a%3B1"):close()
    local device = fixture.device(hub, "d")
    assert.equal("a;1", model_of("/twins/d"))
    device:close()
    connect("d", "b%3B1"):close()
    assert.equal("b;1", model_of("/twins/d"))
  end)

  it("is refused when it is no text, or too long", function()
    for _, model in ipairs { "%FF", "%zz", ("x"):rep(2049) } do
      local device = connect("d", model)
      assert.equal(5, device.code, model)
      device:close()
    end
    assert.equal("", model_of("/twins/d"))
  end)
end)
