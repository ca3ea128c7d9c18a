--- The admin listener: control of a hub for users in other languages.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

describe("the admin listener", function()
  local hub, service

  local function ask(...)
    return admin.ask(hub, ...)
  end

  -- Ask without waiting for the reply: a wire to http.read from.
  local function begin(target)
    local w = wire.connect(hub:ports().admin)
    return w:send(http.request(admin.request(hub, "GET", target)))
  end

  -- Until the hub has taken so many requests.
  local function taken(count)
    assert(wire.turn_until(function() return hub:counters().http_requests >= count end))
  end

  before_each(function()
    hub = fixture.hub { admin_port = 0 }
    service = hub:service()
  end)

  after_each(function()
    fixture.finish(hub, service)
  end)

  it("is gone with its devices, also when a program ended in between", function()
    local body = { methods = { on = { status = 200 } } }
    assert.equal(200, (ask("PUT", "/devices/lamp", { body = body })))
    dm.run(function() hub.state.admin.clients:drop("lamp") end)
    hub:close()
    assert.is_true(hub:closed(10))
  end)

  it("is not there unless it is asked for", function()
    local other <close> = assert(dm.hub { tls = false })
    assert.is_nil(other:ports().admin)
    assert.is_nil(other:admin_token())
  end)

  it("tells without a token that the hub serves, and nothing else", function()
    local healthy, answer = ask("GET", "/healthz", { token = false })
    assert.same({ 200, { status = "ok" } }, { healthy, answer })
    for _, path in ipairs { "/metrics", "/calls", "/devices", "/no-such-path" } do
      local status, body, reply = ask("GET", path, { token = false })
      assert.equal(401, status, path)
      assert.equal("The bearer token of this hub is needed.", body.Message)
      assert.equal("Bearer", reply.headers["www-authenticate"])
    end
    local wrong = ("0"):rep(#hub:admin_token())
    assert.equal(401, (ask("GET", "/calls", { token = wrong })))
    assert.equal(401, (ask("GET", "/calls", { token = hub:admin_token() .. "0" })))
    assert.equal(6, hub:counters().admin_refused)
  end)

  it("answers only who names this machine as Host", function()
    for _, host in ipairs { "127.0.0.1:80", "localhost", "LOCALHOST:1", "[::1]:8" } do
      assert.equal(200, (ask("GET", "/healthz", { host = host })), host)
    end
    for _, host in ipairs { "evil.example", "127.0.0.1.evil.example", "x",
      "[::1].evil.com", "[::1]evil.com:80", "[::1", "localhost:evil.com",
      "127.0.0.1:80.evil.com", "localhost:80:80" } do
      assert.equal(403, (ask("GET", "/healthz", { host = host })), host)
    end
  end)

  it("knows its paths and verbs alone", function()
    assert.equal(404, (ask("GET", "/twins/dev1")))
    assert.equal(405, (ask("POST", "/calls")))
    local status = http.exchange(hub:ports().https, {
      method = "GET", target = "/calls?api-version=2021-04-12",
      headers = { "Authorization: " .. fixture.service_token(hub, "iothubowner") },
    }).status
    assert.equal(404, status)
  end)

  it("refuses a bad escape as the HTTPS listener does", function()
    for _, path in ipairs { "/devices/%", "/devices/%4", "/devices/%zz", "/%zz" } do
      local status, body = ask("DELETE", path)
      assert.equal(400, status, path)
      assert.equal("ErrorCode:ArgumentInvalid;BadRequest", body.Message)
    end
  end)

  it("shows calls, and waits for one", function()
    ask("PUT", "/devices/lamp", { body = { methods = { on = { payload = "x" } } } })
    local waiting = begin("/wait?call=on&timeout=60")
    taken(2)
    assert(service:invoke("lamp", "on", { secret = 1 }))
    service:invoke("nobody", "on")
    local call = assert(dm.json.decode(assert(http.read(waiting)).body))
    assert.same({ "lamp", "on" }, { call.device_id, call.method })
    waiting:close()
    local _, calls = ask("GET", "/calls?device=lamp")
    assert.same({ 1, "Answered" }, { #calls, calls[1].outcome })
    assert.same({ { secret = 1 }, "x" }, { calls[1].payload, calls[1].response })
    _, calls = ask("GET", "/calls?outcome=DeviceNotFound")
    assert.same({ 1, "nobody" }, { #calls, calls[1].device_id })
    assert.equal(400, (ask("GET", "/calls?devcie=lamp")))
    assert.equal(400, (ask("GET", "/wait?timeout=1")))
    assert.equal(400, (ask("GET", "/wait?call=on&timeout=soon")))
  end)

  it("waits until a device is connected, subscribed, disconnected", function()
    hub:add_device "d1"
    hub:add_device "d1/m"
    local target = "/wait?device=d1&timeout=60&state="
    local first = { 200, { device_id = "d1", connected = true, subscribed = false } }
    local gone = { 200, { device_id = "d1", connected = false, subscribed = false } }
    local function answer(w)
      local reply = assert(http.read(w))
      w:close()
      return { reply.status, (dm.json.decode(reply.body)) }
    end
    local function ask_now(state)
      local status, body = ask("GET", target .. state)
      return { status, body }
    end
    assert.same(gone, ask_now "disconnected")
    local module, waiting = begin(target .. "connected&module=m"),
      begin(target .. "connected")
    taken(3)
    local device = fixture.device(hub, "d1", { subscribe = false })
    assert.same(first, answer(waiting))
    assert.same(first, ask_now "connected")
    waiting = begin(target .. "subscribed")
    taken(5)
    device:subscribe()
    assert.is_true(answer(waiting)[2].subscribed)
    assert.is_true(ask_now "subscribed"[2].subscribed)
    waiting = begin(target .. "disconnected")
    taken(7)
    device:close()
    assert.same(gone, answer(waiting))
    device = fixture.device(hub, "d1/m")
    assert.equal("m", answer(module)[2].module_id)
    device:close()
    for query, expected in pairs {
      ["state=online&device=d1"] = 400, ["state=connected"] = 400,
      ["state=connected&device=d2"] = 404, ["state=connected&device=%2f"] = 400,
      ["state=connected&device=d1&timeout=0"] = 408,
      ["state=connected&device=d1&call=m"] = 400,
    } do
      assert.equal(expected, (ask("GET", "/wait?" .. query)), query)
    end
  end)

  it("gives up waiting when the time is over", function()
    local waiting = begin("/wait?call=never&timeout=50")
    taken(1)
    dm.advance(51)
    assert.equal(408, assert(http.read(waiting)).status)
    waiting:close()
  end)

  it("lets nobody who waits hold a hub that stops", function()
    hub:add_device "d1"
    local wires = { begin "/wait?call=never&timeout=3000",
      begin "/wait?device=d1&state=connected&timeout=3000" }
    taken(2)
    local stopping = dm.spawn(hub.stop, hub, 60)
    for _, each in ipairs(wires) do
      local reply = assert(http.read(each))
      assert.same({ 503, '{"Message":"The hub is closing."}' },
        { reply.status, reply.body })
      each:close()
    end
    assert(stopping:await(10))
  end)

  it("shows telemetry", function()
    hub:add_device("d1")
    local device = fixture.device(hub, "d1")
    device:send(mqtt.publish("devices/d1/messages/events/a=b", "21.5", { qos = 1 }))
    assert(device:read())
    local _, list = ask("GET", "/messages?device=d1")
    assert.same({ "21.5", { a = "b" } }, { list[1].body, list[1].properties })
    device:close()
  end)

  it("makes rules for faults", function()
    ask("PUT", "/devices/lamp", { body = { methods = { on = { payload = 1 } } } })
    local status, fault = ask("POST", "/faults", { body = {
      stage = "http", action = "reject", code = 429001,
    } })
    assert.equal(200, status)
    local _, err = service:invoke("lamp", "on")
    assert.equal(429001, err.code)
    local _, list = ask("GET", "/faults")
    assert.same({ { id = fault.id, hits = 1, stage = "http", action = "reject",
      code = 429001 } }, list)
    assert.equal(204, (ask("DELETE", "/faults/" .. fault.id)))
    assert.equal(404, (ask("DELETE", "/faults/" .. fault.id)))
    assert.equal(200, service:invoke("lamp", "on").status)
    local _, wrong = ask("POST", "/faults", { body = { stage = "http", action = "x" } })
    assert.matches("^hub:fault: option 'action'", wrong.Message)
  end)

  it("shows all rules, and warns of those that fit nothing", function()
    local lines = {}
    dm.log { level = "warn", sink = function(_, line) lines[#lines + 1] = line end }
    finally(function() dm.log { level = "warn" } end)
    ask("PUT", "/devices/lamp", { body = { methods = { on = {} } } })
    local first = assert(hub:fault { stage = "request", action = "delay", delay = 3 })
    local _, second = ask("POST", "/faults", { body = {
      stage = "http", action = "drop", device = "lmap" } })
    local _, third = ask("POST", "/faults", { body = {
      stage = "http", action = "drop", device = "lamp", method = "onn" } })
    local _, fourth = ask("POST", "/faults", { body = {
      stage = "http", action = "drop", device = "lamp", method = "on" } })
    assert.matches("^'lmap' is not registered", second.warning)
    assert.matches("^no device has a handler for 'onn'.* 'on'", third.warning)
    assert.is_nil(fourth.warning)
    assert.equal(2, #lines)
    first:remove()
    local ids = {}
    for i, rule in ipairs(select(2, ask("GET", "/faults"))) do ids[i] = rule.id end
    assert.same({ second.id, third.id, fourth.id }, ids)
    assert.equal(fourth.id, hub:faults()[3].number)
    assert.equal(204, (ask("DELETE", "/faults")))
    assert.same({ {}, {} }, { hub:faults(), (select(2, ask("GET", "/faults"))) })
  end)

  it("moves the clock", function()
    local before = dm.time()
    local status, body = ask("POST", "/clock/advance", { body = { seconds = 3600 } })
    assert.equal(200, status)
    assert.is_true(body.time >= before + 3600 and dm.time() >= before + 3600)
    assert.equal(400, (ask("POST", "/clock/advance", { body = { seconds = -1 } })))
    assert.equal(400, (ask("POST", "/clock/advance", { body = "{}" })))
    assert.equal(400, (ask("POST", "/clock/advance", { body = "not json" })))
    assert.equal(400, (ask("POST", "/clock/advance",
      { body = '{"seconds":1,"seconds":2}' })))
  end)

  it("lets the clock run fast", function()
    finally(function() dm.speed(1) end)
    local before = dm.time()
    local status, body = ask("POST", "/clock/speed", { body = { speed = 2.5 } })
    assert.equal(200, status)
    assert.same({ 2.5, 2.5 }, { body.speed, dm.speed() })
    assert.is_true(body.time >= before)
    assert.equal(2.5, select(2, ask("POST", "/clock/speed", { body = "{}" })).speed)
    for _, wrong in ipairs { "0", '"2"', "1e7", "[]", "null" } do
      local refused, why = ask("POST", "/clock/speed",
        { body = ('{"speed":%s}'):format(wrong) })
      assert.equal(400, refused, wrong)
      assert.matches("n must be a number from 1", why.Message)
    end
    assert.equal(2.5, dm.speed())
    assert.equal(200, (ask("POST", "/clock/speed", { body = { speed = 1 } })))
    assert.equal(1, dm.speed())
  end)

  it("forgets everything at a reset", function()
    ask("PUT", "/devices/lamp", { body = { methods = { on = { payload = 1 } } } })
    ask("POST", "/faults", { body = { stage = "http", action = "drop" } })
    assert.equal(204, (ask("POST", "/reset")))
    assert.same({ 0, 0 }, { #select(2, ask("GET", "/devices")),
      #select(2, ask("GET", "/faults")) })
  end)

  it("keeps the devices at a reset that is told so", function()
    ask("PUT", "/devices/lamp", { body = {
      tags = { room = 1 }, methods = { on = { payload = 1 } } } })
    ask("POST", "/faults", { body = { stage = "http", action = "delay", delay = 1 } })
    local call = dm.spawn(service.invoke, service, "lamp", "on")
    dm.advance(2)
    assert.equal(200, call:await().status)
    local told
    hub:on("reset", function(kept) told = kept end)
    assert.equal(204, (ask("POST", "/reset?keep=devices")))
    assert.equal("devices", told)
    assert.same({ {}, {}, 0 }, { hub:calls(), hub:faults(), hub:counters().calls })
    local _, device = ask("GET", "/devices/lamp")
    assert.same({ true, 1 }, { device.subscribed, device.tags.room })
    assert.equal(200, assert(service:invoke("lamp", "on")).status)
    assert.equal(400, (ask("POST", "/reset?keep=jobs")))
  end)

  it("is for people with Node too", function()
    local base = "http://127.0.0.1:" .. hub:ports().admin
    local script = ([[
      const h = { Authorization: 'Bearer %s' };
      (async () => {
        const put = await fetch('%s/devices/lamp', { method: 'PUT', headers: h,
          body: JSON.stringify({ methods: { on: { status: 202 } } }) });
        const list = await (await fetch('%s/devices', { headers: h })).json();
        console.log(put.status, list[0].device_id);
      })();
    ]]):format(hub:admin_token(), base, base)
    local result = assert(dm.exec({ "node", "-e", script }, { timeout = 30 }))
    assert.same({ "", "200 lamp\n" }, { result.stderr, result.stdout })
    assert.equal(202, service:invoke("lamp", "on").status)
  end)
end)

describe("a hub whose tokens do not expire", function()
  it("keeps devices while its clock is moved by a day", function()
    local hub = fixture.hub { tokens = false }
    hub:add_device("d1")
    local device = fixture.device(hub, "d1")
    dm.advance(86400)
    local call = fixture.send_call(hub, { device = "d1" })
    local _, rid = device:request()
    device:answer(rid, 200, "1")
    assert.equal(200, http.read(call).status)
    call:close()
    device:close()
    fixture.finish(hub)
  end)
end)
