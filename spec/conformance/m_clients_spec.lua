-- Checklist M: what the device SDKs that are in no registry here send on a connection,
-- packet by packet, as their sources make it (docs/protocol.md 3).

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"

local METHODS = "$iothub/methods/POST/#"
local RESULTS = "$iothub/twin/res/#"
local DESIRED = "$iothub/twin/PATCH/properties/desired/#"
local GUID = "8f0c6e2a-5d0c-4b0e-9f5e-2f6f0a1b7c3d"

-- `agent`: of the user name; `packets`: lists of filters with their QoS, one SUBSCRIBE
-- each; `get`, `report`: $rid and what stands behind it, `body` of the first; `answer`,
-- `twin`: their QoS; `properties`: of telemetry, as they stand in its topic; `untyped`:
-- without a content type; `clean`: its sessions; `old`: a user name without '?'.
local SDKS = {
  Python = {
    agent = "api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py"
      .. "%2F2.14.0%283.11.2%3BLinux%3Bx86_64%29",
    keepalive = 60,
    packets = { { { METHODS, 1 } }, { { RESULTS, 1 } }, { { DESIRED, 1 } },
      { { "devices/d/messages/devicebound/#", 1 } } },
    twin = 1, get = GUID, body = " ", report = GUID .. "1", answer = 1,
    properties = "%24.mid=1&%24.ct=application%2Fjson&a=b",
  },
  C = {
    agent = "api-version=2020-09-30&DeviceClientType=iothubclient%2f1.14.0"
      .. "%20(native%3b%20Linux%3b%20x86_64)",
    keepalive = 240,
    packets = { { { RESULTS, 0 }, { DESIRED, 0 } },
      { { "devices/d/messages/devicebound/#", 1 }, { METHODS, 0 } } },
    twin = 0, get = "2", body = "", report = "3", answer = 0,
    properties = "a=b&%24.mid=1&%24.ct=application%2fjson",
  },
  ["Embedded C"] = {
    agent = "api-version=2020-09-30&DeviceClientType=c%2F1.5.0",
    keepalive = 240,
    packets = { { { METHODS, 1 } }, { { "devices/+/messages/devicebound/#", 1 } },
      { { DESIRED, 1 } }, { { RESULTS, 1 } } },
    twin = 0, get = "get_twin", body = "", report = "reported_prop", answer = 0,
    properties = "a=b&%24.mid=1&%24.ct=application%2Fjson",
  },
  Go = {
    agent = "api-version=2018-06-30", old = true, clean = true,
    keepalive = 30,
    packets = { { { METHODS, 1 } }, { { DESIRED, 1 } }, { { RESULTS, 1 } },
      { { "devices/d/messages/devicebound/#", 1 } } },
    twin = 1, get = "1", body = "", report = "2", answer = 1,
    properties = "%24.mid=1&a=b", untyped = true,
  },
  [".NET"] = {
    agent = "api-version=2021-04-12&DeviceClientType=.NET%2F1.42.0%20%28.NET%208.0.0"
      .. "%3B%20Linux%3B%20X64%29",
    keepalive = 300,
    packets = { { { METHODS, 1 } }, { { RESULTS, 1 } }, { { DESIRED, 1 } },
      { { "devices/d/messages/devicebound/#", 1 } } },
    twin = 1, get = GUID, body = "", report = GUID .. "1", answer = 1,
    properties = "%24.mid=1&%24.ct=application%2Fjson&a=b/", -- it ends so
  },
  Java = {
    agent = "api-version=2020-09-30&DeviceClientType=com.microsoft.azure.sdk.iot"
      .. ".iot-device-client%2F2.5.0",
    keepalive = 230,
    packets = { { { METHODS, 1 } }, { { RESULTS, 1 } }, { { DESIRED, 1 } },
      { { "devices/d/messages/devicebound/#", 1 } } },
    twin = 1, get = GUID, body = "", report = GUID .. "1&$version=1", answer = 1,
    properties = "%24.mid=1&%24.ct=application%2Fjson&a=b",
  },
}

describe("a device SDK:", function()
  local hub, device, service

  before_each(function()
    hub = fixture.hub()
    hub:add_device "d"
    service = hub:service()
  end)

  after_each(function() fixture.finish(hub, device, service) end)

  -- The next PUBLISH; acknowledgements may come before it.
  local function publication()
    local packet
    repeat packet = assert(device:read()) until packet.type == 3
    return packet
  end

  local function send(topic, payload, qos)
    device:send(mqtt.publish(topic, payload, { qos = qos, packet_id = 9 }))
  end

  local function connect(sdk)
    device = fixture.device(hub, "d", {
      subscribe = false, clean = sdk.clean or false, keepalive = sdk.keepalive,
      username = "localhost/d/" .. (sdk.old and "" or "?") .. sdk.agent,
    })
    assert.equal(0, device.code)
  end

  local function subscribe(sdk)
    for i, filters in ipairs(sdk.packets) do
      device:send(mqtt.subscribe(filters, i))
      local granted = string.pack(">I2", i)
      for _, filter in ipairs(filters) do
        granted = granted .. string.char(filter[2])
      end
      local ack = assert(device:read())
      assert.same({ 9, granted }, { ack.type, ack.body })
    end
  end

  local function use_twin(sdk)
    send("$iothub/twin/GET/?$rid=" .. sdk.get, sdk.body, sdk.twin)
    local packet = publication()
    assert.equal("$iothub/twin/res/200/?$rid=" .. sdk.get, packet.topic)
    assert.equal('{"desired":{"$version":1},"reported":{"$version":1}}', packet.payload)
    send("$iothub/twin/PATCH/properties/reported/?$rid=" .. sdk.report, '{"on":true}',
      sdk.twin)
    assert.equal(("$iothub/twin/res/204/?$rid=%s&$version=2"):format(
      sdk.report:match "^[^&]+"), publication().topic)
  end

  local function be_called(sdk)
    local call = dm.spawn(service.invoke, service, "d", "reboot", { n = 1 })
    local packet = publication()
    assert.equal("$iothub/methods/POST/reboot/?$rid=1", packet.topic)
    assert.equal('{"n":1}', packet.payload)
    send("$iothub/methods/res/201/?$rid=1", packet.payload, sdk.answer)
    local reply = assert(call:await())
    assert.same({ 201, { n = 1 } }, { reply.status, reply.payload })
  end

  local function send_telemetry(sdk)
    send("devices/d/messages/events/" .. sdk.properties, "x", 1)
    assert(dm.wait_until(function() return hub:messages()[1] end))
    local typed = not sdk.untyped and "application/json" or nil
    assert.same({ ["$.mid"] = "1", ["$.ct"] = typed, a = "b" },
      hub:messages()[1].properties)
  end

  for name, sdk in pairs(SDKS) do
    it("M09 " .. name .. " connects, reads its twin, reports, is called, sends",
      function()
        connect(sdk)
        subscribe(sdk)
        use_twin(sdk)
        be_called(sdk)
        send_telemetry(sdk)
        device:send(mqtt.DISCONNECT)
      end)
  end
end)
