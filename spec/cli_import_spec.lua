--- Exports of Azure as the file of `directmethods hub --config`.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local cli_hub = require "spec.support.cli_hub"
local dm = require "directmethods"

local has = checks.has

-- As `az iot hub state export` writes it.
local STATE = [[
{
  "arm": {"resources": [{"type": "Microsoft.Devices/IotHubs"}]},
  "configurations": {"admConfigurations": {"c": {"id": "c"}}, "edgeDeployments": {}},
  "devices": {
    "cert": {
      "identity": {
        "authentication": {"type": "selfSigned", "x509Thumbprint": {
          "primaryThumbprint": "0123456789ABCDEF0123456789ABCDEF01234567",
          "secondaryThumbprint": null}},
        "capabilities": {"iotEdge": false}, "connectionState": "Disconnected",
        "modelId": "", "status": "disabled", "statusReason": "lost"},
      "twin": {"properties": {"desired": {}}}
    },
    "edge": {
      "identity": {
        "authentication": {"type": "certificateAuthority"},
        "capabilities": {"iotEdge": true}, "status": "enabled"},
      "modules": {"$edgeAgent": {"identity": {}, "twin": {}},
        "$edgeHub": {"identity": {}, "twin": {}}},
      "parent": "lamp",
      "twin": {"properties": {"desired": {}}}
    },
    "lamp": {
      "identity": {
        "authentication": {"symmetricKey": {
          "primaryKey": "bGFtcCBrZXkgb2YgdGhlIGxhYi4=",
          "secondaryKey": "c2Vjb25kIGtleSBvZiB0aGUgbGFtcC4="}, "type": "sas",
          "x509Thumbprint": {"primaryThumbprint": null, "secondaryThumbprint": null}},
        "capabilities": {"iotEdge": false}, "connectionState": "Connected",
        "status": "enabled", "statusReason": null},
      "modules": {
        "led": {
          "identity": {
            "authentication": {"symmetricKey": {
              "primaryKey": "bGVkIGtleSBvZiB0aGUgbGFiISE=", "secondaryKey": null},
              "type": "sas"},
            "connectionState": "Disconnected", "managedBy": "me"},
          "twin": {"properties": {"desired": {"color": "red"}}, "tags": {"t": 1}}
        }
      },
      "twin": {"properties": {"desired": {"level": 3}}, "tags": {"room": 7}}
    }
  }
}
]]

-- As IoT Hub's export job writes it.
local DEVICES = table.concat({
  [[{"id":"a","eTag":"MA==","status":"enabled","authentication":{"symmetricKey":]]
    .. [[{"primaryKey":"bGFtcCBrZXkgb2YgdGhlIGxhYi4=",]]
    .. [["secondaryKey":"c2Vjb25kIGtleSBvZiB0aGUgbGFtcC4="},"x509Thumbprint":]]
    .. [[{"primaryThumbprint":null,"secondaryThumbprint":null},"type":"sas"},]]
    .. [["twinETag":"AAAAAAAAAAI=","tags":{"place":"attic"},"properties":{"desired":]]
    .. [[{"t":75.1,"$metadata":{"$lastUpdated":"2017-03-09T18:30:52Z"},"$version":2},]]
    .. [["reported":{"x":1,"$metadata":{"$lastUpdated":"2017-03-09T18:30:51Z"},]]
    .. [["$version":1}}}]],
  [[{"id":"a","moduleId":"m","eTag":"MA==","authentication":null}]],
  [[{"id":"b","eTag":"MQ==","status":"Disabled","statusReason":"x",]]
    .. [["authentication":null,"properties":{"desired":{},"reported":]]
    .. [[{"$metadata":{},"$version":1}}}]],
  [[{"id":"c","importMode":"delete"}]],
  "",
}, "\r\n")

describe("directmethods hub --config", function()
  local folder, home

  before_each(function()
    home = cli_hub.new()
    folder = home.path
  end)

  after_each(function() home:close() end)

  local function write(text) return home:write("export", text) end

  -- Start a hub with the file; its ready file's facts, and a service.
  local function start(text)
    local facts = home:start { "--quiet", "--plain", "--config", write(text) }
    return facts, dm.service {
      connection_string = facts.connection_strings.iothubowner,
      port = facts.ports.https, tls = false,
    }
  end

  local function stop()
    local result = home:stop()
    assert.equal(0, result.status)
    return result.stderr
  end

  -- Run a hub that is to refuse the file.
  local function refused(text, message)
    local result = cli.run { "hub", "--plain", "--mqtt-port", "0", "--https-port", "0",
      "--config", write(text), "--", "true" }
    assert.equal(2, result.status, result.stderr)
    has(result.stderr, folder .. "/export:" .. message)
  end

  describe("with a state of az iot hub state export", function()
    it("has its devices and modules, with their keys and twins", function()
      local facts, service = start(STATE)
      local _ <close> = service
      assert.equal("HostName=localhost;DeviceId=lamp;"
        .. "SharedAccessKey=bGFtcCBrZXkgb2YgdGhlIGxhYi4=", facts.devices.lamp)
      local registry, twins = service.registry, service.twins
      assert.equal("c2Vjb25kIGtleSBvZiB0aGUgbGFtcC4=",
        assert(registry:get("lamp")).secondary_key)
      assert.equal("bGVkIGtleSBvZiB0aGUgbGFiISE=",
        assert(registry:get("lamp", { module_id = "led" })).primary_key)
      local cert = assert(registry:get("cert"))
      assert.same({ "selfSigned", "0123456789ABCDEF0123456789ABCDEF01234567",
        "disabled" }, { cert.authentication, cert.primary_thumbprint, cert.status })
      assert.equal("certificateAuthority", assert(registry:get("edge")).authentication)
      local twin = assert(twins:get("lamp"))
      assert.same({ room = 7 }, twin.tags)
      assert.equal(3, twin.properties.desired.level)
      twin = assert(twins:get("lamp", { module_id = "led" }))
      assert.same({ t = 1 }, twin.tags)
      assert.equal("red", twin.properties.desired.color)
      stop()
    end)

    it("names what it cannot take, in a line each", function()
      start(STATE)
      local lines = {}
      for line in stop():gmatch("not taken: ([^\n]*)") do lines[#lines + 1] = line end
      assert.same({
        "arm: endpoints, routes and policies of the hub in Azure",
        "configurations: device configurations and Edge deployments",
        "reasons of a status of cert",
        "capabilities (IoT Edge) of edge",
        "parents of edge",
        "IoT Edge's own modules of edge/$edgeAgent and 1 more",
        "what manages modules of lamp/led",
      }, lines)
    end)

    it("refuses what is wrong, with its line", function()
      refused(STATE:gsub('"bGVkIGtleSBvZiB0aGUgbGFiISE="', '"abc="'),
        "32: member 'primary_key'")
      refused(STATE:gsub('"type": "selfSigned"', '"type": "magic"'),
        "5: member 'authentication'")
      refused(STATE:gsub('"desired": {"level": 3}', '"desired": [3, 4'), "41: ")
      refused('{"devices":{"a":\n7}}', "1: member 'a' must be an object")
      refused('{"devices":{"a b":{}}}', "1: device id must")
      refused('{"devices":{"a":{},\n"a":{}}}', "2: member 'a' stands twice")
    end)
  end)

  describe("with IoT Hub's export of devices", function()
    it("has its devices and modules, with their keys and twins", function()
      local facts, service = start("\xEF\xBB\xBF" .. DEVICES)
      local _ <close> = service
      assert.equal("HostName=localhost;DeviceId=a;"
        .. "SharedAccessKey=bGFtcCBrZXkgb2YgdGhlIGxhYi4=", facts.devices.a)
      local registry = service.registry
      assert.equal("disabled", assert(registry:get("b")).status)
      assert(assert(registry:get("a", { module_id = "m" })).primary_key)
      assert.equal("DeviceNotFound", select(2, registry:get("c")).name)
      local twin = assert(service.twins:get("a"))
      assert.same({ place = "attic" }, twin.tags)
      assert.equal(75.1, twin.properties.desired.t)
      assert.is_nil(twin.properties.reported.x)
      local log = stop()
      has(log, "not taken: reported properties of a\n")
      has(log, "not taken: reasons of a status of b\n")
      has(log, "not taken: lines to delete of c\n")
    end)

    it("has its one device", function()
      local facts = start('{"id":"only","authentication":null}')
      assert(facts.devices.only)
      stop()
    end)

    it("refuses what is wrong, with its line", function()
      refused(DEVICES .. "{", "5: ")
      refused(DEVICES .. "[]", "5: must be an object with an 'id'")
      refused(DEVICES .. '{"id":"d","tags":7}', "5: member 'tags' must be an object")
      refused(DEVICES .. '{"id":"d","properties":{"reported":[1]}}',
        "5: member 'reported' must be an object")
      refused(DEVICES .. '{"id":"d","moduleId":{}}',
        "5: member 'moduleId' must be text")
      refused(DEVICES .. '{"id":"d","status":7}', "5: member 'status'")
      refused(DEVICES .. '{"id":"d","authentication":{"symmetricKey":'
        .. '{"primaryKey":"x"}}}', "5: member 'primary_key'")
      refused(DEVICES .. '{"id":"a"}', "5: ")
    end)
  end)
end)
