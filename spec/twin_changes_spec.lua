--- A device that subscribes to changes of its twin, and reads the twin then, misses
-- none of them, however fast they come (docs/protocol.md 13.2).

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local json = require "directmethods.json"
local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

local WRITERS, CHANGES = 4, 30 -- tasks that change the twin, changes of each
local DESIRED = "$iothub/twin/PATCH/properties/desired/"

describe("changes of a twin", function()
  local hub, service, devices, done

  before_each(function()
    hub = fixture.hub()
    hub:add_device "d"
    service = hub:service("iothubowner", { max_connections = WRITERS })
    devices, done = {}, 0
  end)

  after_each(function()
    for _, device in ipairs(devices) do device:close() end
    service:close()
    fixture.finish(hub)
  end)

  local function connect(o)
    local device = fixture.device(hub, "d", o)
    devices[#devices + 1] = device
    return device
  end

  local function subscribe(device)
    device:subscribe(0, "$iothub/twin/res/#")
    device:subscribe(0, DESIRED .. "#")
  end

  -- Begin to change the twin; the writers go on while other things are done.
  local function storm()
    for writer = 1, WRITERS do
      dm.spawn(function()
        for n = 1, CHANGES do
          local desired = { ["w" .. writer] = n }
          assert(service.twins:patch("d", { properties = { desired = desired } }))
          done = done + 1
        end
      end)
    end
  end

  local function wait_for(changes)
    assert.is_true(wire.turn_until(function() return done >= changes end, 10))
  end

  -- What the device knows: the twin that it reads now, with every later change.
  local function follow(device)
    local last = assert(service.twins:get("d")).properties.desired
    local known
    repeat
      local packet = assert(device:read())
      local document = json.decode(packet.payload)
      if packet.topic:find("$iothub/twin/res/200/", 1, true) then
        known = document.desired
      elseif known and document["$version"] > known["$version"] then
        assert.equal(known["$version"] + 1, document["$version"])
        for name, value in pairs(document) do known[name] = value end
      end
    until known and known["$version"] == last["$version"]
    last["$metadata"] = nil
    assert.same(last, known)
  end

  local function read_twin(device)
    device:send(mqtt.publish("$iothub/twin/GET/?$rid=1"))
  end

  it("reach a device that subscribes first and reads then", function()
    local device = connect { subscribe = false }
    storm()
    wait_for(10)
    subscribe(device)
    wait_for(30)
    read_twin(device)
    wait_for(WRITERS * CHANGES)
    follow(device)
  end)

  it("come before no older twin, though it was read before them", function()
    local device = connect { subscribe = false }
    subscribe(device)
    local store, real = hub.state.store, hub.state.store.pairs
    function store.pairs(...)
      store.pairs = real
      local results = table.pack(real(...))
      assert(service.twins:patch("d", { properties = { desired = { a = 1 } } }))
      return table.unpack(results, 1, results.n)
    end
    read_twin(device)
    local notice, answer = assert(device:read()), assert(device:read())
    assert.equal(DESIRED .. "?$version=2", notice.topic)
    assert.equal(2, json.decode(answer.payload).desired["$version"])
  end)

  it("reach the connection that takes the device over", function()
    local first = connect { subscribe = false, clean = false }
    subscribe(first)
    storm()
    wait_for(20)
    local second = connect { subscribe = false, clean = false }
    assert.is_true(second.session_present)
    read_twin(second)
    wait_for(WRITERS * CHANGES)
    follow(second)
  end)

  it("reach a device that was away, and does not subscribe again", function()
    local first = connect { subscribe = false, clean = false }
    subscribe(first)
    storm()
    wait_for(20)
    first:send(mqtt.DISCONNECT)
    wait_for(50)
    local second = connect { subscribe = false, clean = false }
    read_twin(second)
    wait_for(WRITERS * CHANGES)
    follow(second)
  end)
end)
