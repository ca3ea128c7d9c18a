-- What users of other SDKs complained about, one by one: the device and the service at
-- the hub of this process, and the device at a hub of plain bytes.

local core = require "directmethods.core"
local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"
local proxy = require "spec.support.proxy"
local task = require "directmethods.task"
local wire = require "spec.support.wire"

local ID_CHARACTERS = "-.+%_#*?!(),=@$':;"
  .. "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

describe("regression:", function()
  local hub, service, open, lines

  local function make(id, handlers, options)
    local device = assert(hub:device(id, handlers, options))
    table.insert(open, device)
    return device
  end

  local function online(...)
    local device = make(...)
    assert(device:connect(10))
    return device
  end

  before_each(function()
    open, lines = {}, {}
    dm.log { level = "warn", sink = function(_, line) table.insert(lines, line) end }
    hub = fixture.hub()
    service = hub:service()
  end)

  after_each(function()
    for _, device in ipairs(open) do device:close() end
    for _, device in ipairs(open) do assert.is_true(device:closed(10)) end
    dm.advance(0)
    fixture.finish(hub, service)
    dm.log { level = "warn" }
  end)

  local function echo(request) return 200, request.payload end

  -- Connection ----------------------------------------------------------------

  for _, clean in ipairs { false, true } do
    local session = clean and "without a session" or "with a session"
    it("methods are deaf after the token was renewed, " .. session, function()
      local device = online("dev1", { echo = echo }, { clean_session = clean })
      for round = 1, 3 do
        dm.advance(3600)
        assert.equal(round, device:stats().reconnects)
        assert.equal(round, assert(service:invoke("dev1", "echo", round)).payload)
      end
    end)

    it("methods are deaf after a reconnect, " .. session, function()
      local device = online("dev1", { echo = echo }, { clean_session = clean })
      for round = 1, 3 do
        device:reconnect()
        assert(dm.wait_until(function() return device:stats().reconnects == round end))
        assert.equal(round, assert(service:invoke("dev1", "echo", round)).payload)
      end
    end)
  end

  for _, engine in ipairs { "paho", "uv" } do
    it("a call before the SUBACK is waited for by tests, " .. engine, function()
      local calls = 0
      local device = online("dev1", {
        slow = function()
          calls = calls + 1
          dm.sleep(5)
          return 200
        end,
      }, { engine = engine, reconnect = { min = 1, max = 1 } })
      hub:fault { stage = "request", action = "disconnect", times = 1 }
      assert.is_nil((service:invoke("dev1", "slow")))
      assert.is_true(wire.turn_until(function() return device.state == "backoff" end))
      local call = dm.spawn(service.invoke, service, "dev1", "slow", nil,
        { connect_timeout = 60 })
      assert.is_true(wire.turn_until(function()
        return hub:counters().calls_under_way == 1
      end))
      device:reconnect() -- the session's subscription has it called at once
      assert.is_true(wire.turn_until(function()
        return calls == 1 and device.state == "online" and core.outstanding() == 0
      end))
      dm.advance(5)
      assert.equal(200, assert(call:await()).status)
    end)
  end

  it("the device says it is online before the SUBACK came", function()
    local plain = fake_hub.new()
    local device = dm.device {
      host_name = "127.0.0.1", device_id = "dev1", key = fake_hub.KEY, tls = false,
      port = plain:port(),
    }
    table.insert(open, device)
    local states = {}
    device:on("state", function(state) table.insert(states, state) end)
    local connecting = dm.spawn(device.connect, device, 10)
    local peer = plain:device_without_suback()
    assert.equal("connecting", device.state) -- it has sent SUBSCRIBE
    peer:acknowledge()
    assert(proxy.await(connecting))
    assert.same({ "connecting", "online" }, states)
    device:close()
    plain:close()
  end)

  it("the first connect is refused, and that was all", function()
    local line = proxy.new(hub:ports().mqtt)
    line:refuse()
    local device = make("dev1", { echo = echo },
      { port = line.port, reconnect = { min = 0.01, max = 0.02 } })
    local connecting = dm.spawn(device.connect, device, 10)
    assert.is_true(wire.turn_until(function() return device.failures > 1 end))
    line:accept()
    assert(proxy.await(connecting))
    local call = dm.spawn(service.invoke, service, "dev1", "echo", 1)
    assert.equal(1, proxy.await(call).payload)
    device:close()
    line:close()
  end)

  it("a slow handler delays another device", function()
    online("slow", { m = function() dm.sleep(20) return 200 end },
      { max_concurrent = 1, max_queue = 10 })
    online("fast", { m = function() return 200, "fast" end })
    local slow = {}
    for i = 1, 5 do slow[i] = dm.spawn(service.invoke, service, "slow", "m") end
    dm.advance(1)
    local before = dm.now()
    assert.equal("fast", assert(service:invoke("fast", "m")).payload)
    assert.is_true(dm.now() - before < 1)
    dm.advance(100)
    for i = 1, 5 do slow[i]:await(1) end
  end)

  for words, step in pairs { forward = 86400, back = -86400 } do
    it(("the clock is moved by a day, %s, and the device stays away"):format(words),
      function()
        local device = online("dev1", { echo = echo })
        local wall = core.time
        core.time = function() return wall() + step end
        task.objects[core.clock_id]("clock") -- as the kernel tells it
        dm.advance(2)
        core.time = wall -- the hub keeps the right time
        local refused = device.state ~= "online"
        assert.equal(words == "back", refused)
        dm.advance(120)
        assert.equal("online", device.state)
        assert.equal(1, assert(service:invoke("dev1", "echo", 1)).payload)
      end)
  end

  -- Calls -----------------------------------------------------------------------

  it("the client's HTTP time-out comes before the method's", function()
    online("dev1", { m = function() dm.sleep(299) return 200, "at last" end },
      { api_version = fixture.NEW })
    local patient = hub:service("service", { api_version = fixture.NEW })
    local call = dm.spawn(patient.invoke, patient, "dev1", "m", nil,
      { response_timeout = 300, connect_timeout = 300 })
    dm.advance(298)
    assert.is_false(call:ended())
    dm.advance(2)
    assert.equal("at last", call:await(5).payload)
    call = dm.spawn(patient.invoke, patient, "dev1", "m", nil, { response_timeout = 5 })
    dm.advance(6)
    local _, err = call:await(5)
    assert.equal(504101, err.code)
    dm.advance(300)
    patient:close()
  end)

  it("a misspelt option is ignored", function()
    online("dev1", { echo = echo })
    assert.error_matches(function()
      service:invoke("dev1", "echo", 1, { response_timout = 5 })
    end, "unknown option 'response_timout' (did you mean 'response_timeout'?)", 1, true)
    assert.error_matches(function()
      dm.device { host_name = "h", device_id = "d", key = "a2V5", handlres = {} }
    end, "unknown option 'handlres' (did you mean 'handlers'?)", 1, true)
  end)

  it("an answer of a status alone is lost", function()
    online("dev1", { m = function() return 204 end })
    local reply = assert(service:invoke("dev1", "m"))
    assert.same({ 204, dm.null, "null" }, { reply.status, reply.payload, reply.body })
  end)

  it("a handler's error is swallowed and the caller waits", function()
    online("dev1", { m = function() error("out of paper") end })
    local before = dm.now()
    local reply = assert(service:invoke("dev1", "m"))
    assert.same({ 500, '{"error":"the method failed"}' }, { reply.status, reply.body })
    assert.is_true(dm.now() - before < 5)
    assert.is_truthy(table.concat(lines):find("out of paper", 1, true))
  end)

  it("an answer after close harms", function()
    local kept
    local device = online("dev1", { m = function(request) kept = request:defer() end })
    local call = dm.spawn(service.invoke, service, "dev1", "m")
    assert(dm.wait_until(function() return kept end))
    device:close()
    assert.is_true(device:closed(10))
    local sent, err = kept:reply(200)
    assert.is_nil(sent)
    assert.equal("Closed", err.name)
    assert.equal(404104, select(2, call:await(5)).code)
  end)

  it("a second answer reaches somebody", function()
    local second
    online("dev1", { m = function(request)
      request:reply(200, "first")
      second = table.pack(request:reply(201, "second"))
      return 202, "third"
    end })
    local late = hub:counters().response_unknown_rid
    assert.equal("first", assert(service:invoke("dev1", "m")).payload)
    assert.is_nil(second[1])
    assert.is_truthy(second[2].message:find("answered before", 1, true))
    assert.equal("first", assert(service:invoke("dev1", "m")).payload)
    assert.equal(late, hub:counters().response_unknown_rid)
  end)

  local PAYLOADS = {
    { "absent", nil, "", "null" },
    { "null", dm.null, "null", "null" },
    { '""', "", '""', '""' },
    { "[]", dm.json.array {}, "[]", "[]" },
    { "{}", {}, "{}", "{}" },
    { "2^53 + 1", 9007199254740993, "9007199254740993", "9007199254740993" },
    { "the largest integer", math.maxinteger, "9223372036854775807",
      "9223372036854775807" },
    { "a nested empty array", { a = dm.json.array {} }, '{"a":[]}', '{"a":[]}' },
  }
  for _, case in ipairs(PAYLOADS) do
    it(("the payload %s becomes another"):format(case[1]), function()
      local body
      online("dev1", { echo = function(request)
        body = request.body
        return 200, request.payload
      end })
      local reply = assert(service:invoke("dev1", "echo", case[2]))
      assert.same({ case[3], case[4] }, { body, reply.body })
    end)
  end

  it("ids with every allowed character are not found", function()
    local device_id = ID_CHARACTERS .. ("d"):rep(128 - #ID_CHARACTERS)
    local module_id = ID_CHARACTERS:reverse()
    -- by fields: a connection string cannot hold ids with ';'
    local function with_fields(module)
      local device = dm.device {
        host_name = "localhost", device_id = device_id, module_id = module, tls = false,
        port = hub:ports().mqtt,
        key = assert(hub:add_device(device_id, { module = module })).primary_key,
        handlers = { who = function(r) return 200, r.module_id or r.device_id end },
      }
      table.insert(open, device)
      assert(device:connect(10))
    end
    with_fields()
    with_fields(module_id)
    assert.equal(device_id, assert(service:invoke(device_id, "who")).payload)
    assert.equal(module_id, assert(service:invoke(device_id, "who", nil,
      { module_id = module_id })).payload)
  end)

  it("call 16, 17, 255, 256 or 257 on one connection is lost", function()
    local device = online("dev1", { echo = echo })
    for i = 1, 257 do
      assert.equal(i, assert(service:invoke("dev1", "echo", i)).payload)
    end
    assert.same({ 257, 0 }, { device:stats().calls, device:stats().reconnects })
  end)
end)

describe("regression at a hub of plain bytes:", function()
  local plain, device, peer

  before_each(function()
    plain = fake_hub.new()
    device = dm.device {
      host_name = "127.0.0.1", device_id = "dev1", key = fake_hub.KEY, tls = false,
      port = plain:port(),
      handlers = { echo = function(request) return 200, request.payload end },
    }
    local connecting = dm.spawn(device.connect, device, 10)
    peer = plain:device()
    assert(proxy.await(connecting))
  end)

  after_each(function()
    device:close()
    plain:close()
    assert.is_true(device:closed(10))
  end)

  for _, rid in ipairs {
    "1", "a", "10", "ff", "0001", "0f9c2a7e-6f1b-4ad9-b6a1-0b7d5b0c9f11",
    "0F9C2A7E-6F1B-4AD9-B6A1-0B7D5B0C9F11", ("f"):rep(64), "not-hex!", "%31", "a&b=c",
  } do
    it(("$rid %s is not echoed byte for byte"):format(rid), function()
      peer:call("echo", rid, "[1]")
      local answer = assert(peer:read())
      local echoed = rid == "a&b=c" and "a" or rid -- properties may follow the $rid
      assert.equal("$iothub/methods/res/200/?$rid=" .. echoed, answer.topic)
      assert.equal("[1]", answer.payload)
    end)
  end

  -- Answers to calls that have come: their $rid and payload, as far as they are whole.
  local function take_answers(each)
    local bytes, place = peer.wire.bytes, 1
    while #bytes - place >= 1 and #bytes - place - 1 >= bytes:byte(place + 1) do
      assert(bytes:byte(place) == 0x30, "not a PUBLISH")
      local stop = place + 1 + bytes:byte(place + 1)
      local topic, from = string.unpack(">s2", bytes, place + 2)
      each(topic, bytes:sub(from, stop))
      place = stop + 1
    end
    peer.wire.bytes = bytes:sub(place)
  end

  it("call 70,000 on one connection is lost", function()
    local TOTAL, BATCH = 70000, 1000 -- the device keeps 1,024 between two turns
    local sent, answered, seen = 0, 0, {}
    local function each(topic, payload)
      local rid = topic:match("^%$iothub/methods/res/200/%?%$rid=(%x+)$")
      assert(rid and not seen[rid] and tonumber(rid, 16) == tonumber(payload), topic)
      seen[rid] = true
      answered = answered + 1
    end
    while sent < TOTAL do
      local batch = {}
      for i = 1, BATCH do
        sent = sent + 1
        batch[i] = fake_hub.call("echo", ("%x"):format(sent), tostring(sent))
      end
      peer.wire:send(table.concat(batch))
      assert.is_true(wire.turn_until(function()
        take_answers(each)
        return answered == sent
      end))
    end
    assert.same({ TOTAL, 0 }, { device:stats().calls, device:stats().reconnects })
  end)
end)
