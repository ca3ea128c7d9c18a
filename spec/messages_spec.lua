-- Device-to-cloud messages that the hub keeps.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local wires = require "spec.support.wire"

describe("hub:messages", function()
  local hub, device

  local function open(opts)
    hub = fixture.hub(opts)
    assert(hub:add_device "dev1")
    device = fixture.device(hub, "dev1")
  end

  local function close()
    device:close()
    fixture.finish(hub)
  end

  before_each(function() open() end)
  after_each(close)

  local function send(topic, body, o)
    local before = hub:counters().telemetry
    device:send(mqtt.publish(topic, body, o))
    assert(wires.turn_until(function() return hub:counters().telemetry > before end))
  end

  it("has them in order, with body and time", function()
    local before = dm.time()
    send("devices/dev1/messages/events/", "one")
    dm.advance(10)
    send("devices/dev1/messages/events", "\0\xFFtwo")
    local list = hub:messages()
    assert.equal(2, #list)
    assert.is_true(list[1].time >= math.floor(before))
    assert.is_true(list[2].time - list[1].time >= 9)
    list[1].time, list[2].time = nil, nil
    assert.same({
      { device_id = "dev1", properties = {}, body = "one" },
      { device_id = "dev1", properties = {}, body = "\0\xFFtwo" },
    }, list)
  end)

  it("decodes properties, once", function()
    send("devices/dev1/messages/events/"
      .. "%24.mid=a%20b&level=%2525&flag&empty=&a=b=c/", "")
    assert.same({
      ["$.mid"] = "a b", level = "%25", flag = "", empty = "", a = "b=c",
    }, hub:messages()[1].properties)
    assert.equal("", hub:messages()[1].body)
  end)

  it("acknowledges QoS 1", function()
    send("devices/dev1/messages/events/", "x", { qos = 1, packet_id = 9 })
    assert.equal("\x40\x02\x00\x09", device.wire:read(4))
    assert.equal(1, #hub:messages())
  end)

  it("is chosen by device, module and time", function()
    assert(hub:add_device "dev2/mod1")
    local module = fixture.device(hub, "dev2/mod1")
    send("devices/dev1/messages/events/", "1")
    dm.advance(10)
    local since = dm.time()
    module:send(mqtt.publish("devices/dev2/modules/mod1/messages/events/a=b", "2"))
    assert(wires.turn_until(function() return hub:counters().telemetry == 2 end))
    local function bodies(filter)
      local list = {}
      for i, message in ipairs(hub:messages(filter)) do list[i] = message.body end
      return table.concat(list)
    end
    assert.equal("12", bodies())
    assert.equal("1", bodies { device = "dev1" })
    assert.equal("2", bodies { device = "dev2" })
    assert.equal("2", bodies { module = "mod1" })
    assert.equal("2", bodies { since = since })
    assert.equal("", bodies { device = "dev3" })
    assert.equal("mod1", hub:messages { device = "dev2" }[1].module_id)
    assert.same({ a = "b" }, hub:messages { device = "dev2" }[1].properties)
    module:close()
  end)

  it("raises for what is no filter", function()
    assert.error_matches(function() hub:messages { method = "x" } end,
      "hub:messages: unknown option 'method'")
  end)

  it("has the latest of them, in a fixed memory", function()
    close()
    open { limits = { message_bytes = 2000 } }
    for i = 1, 50 do send("devices/dev1/messages/events/", ("%03d"):format(i)) end
    local list = hub:messages()
    assert.is_true(#list > 10 and #list < 50)
    assert.equal("050", list[#list].body)
    assert.equal(("%03d"):format(51 - #list), list[1].body)
    send("devices/dev1/messages/events/", ("x"):rep(3000))
    assert.equal("050", hub:messages()[#list].body)
    assert.equal(51, hub:counters().telemetry)
  end)

  it("lets devices subscribe to what the cloud sends", function()
    assert.equal(1, device:subscribe(1, "devices/dev1/messages/devicebound/#"))
  end)
end)
