-- C: the TLS ports, by the ids of the checklist.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local wire = require "spec.support.wire"

describe("MQTT over TLS", function()
  local hub

  before_each(function()
    hub = fixture.hub { tls = true }
    hub:add_device("dev1")
  end)

  after_each(function()
    fixture.finish(hub)
  end)

  local function failed_once()
    dm.wait_until(function() return hub:counters().mqtt_tls_failed > 0 end, 2)
    assert.equal(1, hub:counters().mqtt_tls_failed)
  end

  local function s_client(service, ...)
    return assert(dm.exec({ "openssl", "s_client", "-connect",
      "127.0.0.1:" .. hub:ports()[service], "-brief", ... }, { timeout = 5 }))
  end

  it("C12 closes for plain MQTT", function()
    local w = wire.connect(hub:ports().mqtt)
    w:send(mqtt.connect(fixture.connect_fields(hub, "dev1")))
    assert.is_true(w:wait_closed())
    assert.equal("", w.bytes)
    failed_once()
    w:close()
  end)

  it("C12 refuses TLS 1.1", function()
    local result = s_client("mqtt", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("alert protocol version", 1, true), result.stderr)
    failed_once()
  end)

  it("C12 is so for HTTPS, too", function()
    local w = wire.connect(hub:ports().https)
    w:send("GET /devices?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert.is_true(w:wait_closed())
    assert.equal("", w.bytes)
    w:close()
    local result = s_client("https", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find("alert protocol version", 1, true), result.stderr)
  end)

  it("says in TLS, too, that it closes", function()
    local result = assert(dm.exec({ "openssl", "s_client", "-connect",
      "127.0.0.1:" .. hub:ports().mqtt, "-quiet" }, {
      stdin = mqtt.connect(fixture.connect_fields(hub, "dev1")) .. mqtt.DISCONNECT,
      timeout = 5,
    }))
    assert.equal("\x20\2\0\0", result.stdout)
    assert.equal(0, result.status, result.stderr) -- it minds an end without a word
  end)

  for option, name in pairs { ["-tls1_2"] = "TLSv1.2", ["-tls1_3"] = "TLSv1.3" } do
    it("C12 takes " .. name, function()
      local result = s_client("mqtt", option, "-CAfile", hub:ca_file(),
        "-verify_return_error")
      assert.equal(0, result.status, result.stderr)
      assert.truthy(result.stderr:find("Protocol version: " .. name, 1, true))
    end)
  end
end)
