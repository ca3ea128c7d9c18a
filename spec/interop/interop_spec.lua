--- Unmodified Azure SDKs for Node in both roles, over TLS, on ports 8883 and 443.

local dm = require "directmethods"

local stage = require "spec.interop.stage"

describe("Azure SDKs for Node", function()
  local seen

  setup(function()
    seen = stage.play "scenarios.lua"
  end)

  describe("a device (azure-iot-device, MQTT over TLS)", function()
    it("answers our service", function()
      assert.same({ status = 0, stdout = "", stderr = "" }, seen.device.program)
      assert.same({ status = 201, body = '{"rebooted":true,"got":{"input1":"x"}}' },
        seen.device.reboot)
    end)

    it("sees each payload as it was sent", function()
      assert.equal("null", seen.device["null"].body)
      assert.equal('""', seen.device.empty_text.body)
      assert.same("a\0b\u{20ac}", dm.json.decode(seen.device.text.body))
      assert.equal('{"list":[1,2.5,{"deep":true}]}', seen.device.nested.body)
      assert.equal('{"a":[],"b":{}}', seen.device.raw.body)
    end)

    it("passes its own status on", function()
      assert.equal(404, seen.device.nothing.status)
    end)

    it("answers forty calls at once, each to its caller (C20, D03, D04)", function()
      for i = 1, 40 do
        assert.equal(i, seen.device.many[i])
      end
    end)

    it("is called again after it renewed its token, without a new SUBSCRIBE (C20)",
      function()
        assert.equal(200, seen.device.renew.status)
        assert.same({ status = 200, body = '"still here"' }, seen.device.renewed)
      end)
  end)

  describe("a device by each transport and credential", function()
    for _, transport in ipairs { "Mqtt", "MqttWs" } do
      for id, what in pairs {
        ["by-key"] = "a key", -- from its connection string
        ["self-signed"] = "a self-signed certificate",
        issued = "a certificate of an authority",
      } do
        it(("logs in with %s over %s and is called (C09, C13)"):format(what, transport),
          function()
            local visit = seen.devices[transport .. "-" .. id]
            assert.same({ status = 0, stdout = "", stderr = "" }, visit.program)
            assert.same({
              status = 201,
              body = ('{"rebooted":true,"got":{"input1":"%s"}}'):format(transport),
            }, visit.reply)
          end)
      end
    end
  end)

  describe("a service (azure-iothub, HTTPS)", function()
    local service

    setup(function()
      assert.equal("", seen.service.stderr)
      service = assert(dm.json.decode(seen.service.stdout))
    end)

    it("calls our device", function()
      assert.equal(201, service.reboot.result.status)
      assert.same({ rebooted = true, got = { input1 = "x" } },
        service.reboot.result.payload)
      assert.equal(501, service.unknown.result.status)
    end)

    it("calls our module, by its own path (B18)", function()
      assert.same({ status = 201, payload = { rebooted = true, got = dm.null } },
        service.module.result)
    end)

    it("sees each payload as it was sent", function()
      assert.same(dm.null, service.echoes[1])
      assert.same({ "", "foo", { k1 = "v1" } },
        { service.echoes[2], service.echoes[3], service.echoes[4] })
      assert.same({ { 1, "two", dm.null }, 10, true },
        { service.echoes[6], service.echoes[7], service.echoes[8] })
      for i = 0, 29 do
        assert.equal(i, service.many[i + 1])
      end
    end)

    it("maps each error to its own class", function()
      assert.equal(404, service.offline.status)
      assert.equal(404, service.nobody.status)
      assert.same({ error = "ArgumentError", status = 400 }, service.badTimeout)
    end)

    it("creates, gets and deletes an identity (E18, E19, E22)", function()
      local registry = service.registry
      assert.equal("enabled", registry.status)
      assert.equal(44, #registry.key)
      assert.equal(registry.key, registry.sameKey)
      assert.equal(409, registry.again.status)
      assert.equal(404, registry.gone.status)
    end)
  end)
end)
