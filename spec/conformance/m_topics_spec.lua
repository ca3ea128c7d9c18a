-- Checklist M: wildcards in a device's own place, wills, retained telemetry
-- (docs/protocol.md 13.1).

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"

local EVENTS = "devices/d/messages/events/"

describe("topics", function()
  local hub

  before_each(function()
    hub = fixture.hub()
    hub:add_device("d")
    hub:add_device("d/m")
    hub:add_device("other")
  end)

  after_each(function() fixture.finish(hub) end)

  local function granted(id, filters)
    local device = fixture.device(hub, id, { subscribe = false })
    local codes = {}
    for i, filter in ipairs(filters) do codes[i] = device:subscribe(0, filter) end
    device:close()
    return codes
  end

  it("M05 a filter may have + in the place of one's own id", function()
    assert.same({ 0, 0, 0, 0x80, 0x80, 0x80 }, granted("d", {
      "devices/+/messages/devicebound/#", "devices/d/messages/devicebound/#",
      "devices/+/messages/devicebound/+",
      "devices/+/messages/events/#", "devices/other/messages/devicebound/#",
      "+/+/messages/devicebound/#",
    }))
    assert.same({ 0, 0, 0x80, 0x80 }, granted("d/m", {
      "devices/+/modules/+/#", "devices/d/modules/+/inputs/#",
      "devices/+/modules/other/#", "devices/other/modules/m/#",
    }))
  end)

  it("M05 a topic may not", function()
    local device = fixture.device(hub, "d", { subscribe = false })
    device:send(mqtt.publish("devices/+/messages/events/", "x"))
    assert.same({ nil, "closed" }, { device:read() })
    device:close()
  end)

  describe("a will", function()
    local function connect(id, o)
      local fields = { subscribe = false, will_topic = EVENTS, will_message = "bye" }
      for name, value in pairs(o or {}) do fields[name] = value end
      local device = fixture.device(hub, id, fields)
      assert.equal(0, device.code)
      return device
    end

    local function message()
      assert(dm.wait_until(function() return hub:messages()[1] end, 5))
      local found = hub:messages()
      assert.equal(1, #found)
      return found[1]
    end

    it("M06 becomes a message when the connection is cut", function()
      connect("d", { will_topic = EVENTS .. "a=b&%24.ct=text%2Fplain" }):close()
      local found = message()
      assert.same({ "d", "bye" }, { found.device_id, found.body })
      assert.same({ a = "b", ["$.ct"] = "text/plain", ["iothub-MessageType"] = "Will" },
        found.properties)
    end)

    it("M06 and when the hub cuts it: taken over, removed, silent", function()
      local first = connect("d")
      local second = fixture.device(hub, "d", { subscribe = false })
      assert.equal("Will", message().properties["iothub-MessageType"])
      second:close()
      first:close()
      assert(hub:reset())
      hub:add_device("d")
      local third = connect("d")
      assert(hub.state.registry:remove("d"))
      message()
      third:close()
    end)

    it("M06 is a module's, too, and is kept through a delay by a fault rule", function()
      hub:fault { stage = "connect", action = "delay", delay = 5 }
      local topic = "devices/d/modules/m/messages/events/"
      local wire = require("spec.support.wire").connect(hub:ports().mqtt)
      wire:send(mqtt.connect(fixture.connect_fields(hub, "d/m",
        { will_topic = topic, will_message = "gone" })))
      assert(dm.wait_until(function() return hub:counters().faults == 1 end, 5))
      dm.advance(5)
      assert.equal(2, mqtt.read(wire).type)
      wire:close()
      local found = message()
      assert.same({ "d", "m", "gone" },
        { found.device_id, found.module_id, found.body })
    end)

    it("M07 is dropped by DISCONNECT", function()
      local device = connect("d")
      device:send("\xE0\0")
      assert.same({ nil, "closed" }, { device:read() })
      device:close()
      assert(dm.wait_until(function() return not hub:devices()[1].connected end, 5))
      assert.same({}, hub:messages())
    end)
  end)

  it("M08 telemetry with RETAIN says so", function()
    local device = fixture.device(hub, "d", { subscribe = false })
    for _, retain in ipairs { true, false } do
      device:send(mqtt.publish(EVENTS .. "a=b", "x",
        { qos = 1, packet_id = 1, retain = retain }))
      assert.equal(4, device:read().type)
    end
    device:close()
    local found = hub:messages()
    assert.same({ a = "b", ["mqtt-retain"] = "true" }, found[1].properties)
    assert.same({ a = "b" }, found[2].properties)
  end)
end)
