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

    it("schedules jobs, follows, lists and cancels them (F01 to F03, F12)", function()
      local jobs = service.jobs
      assert.same({ jobId = "node-job", type = "scheduleDeviceMethod",
        status = "queued" }, jobs.made)
      assert.equal("completed", jobs.done.status)
      assert.same({ deviceCount = 2, succeededCount = 1, failedCount = 1,
        runningCount = 0, pendingCount = 0 }, jobs.done.deviceJobStatistics)
      assert.same({ "queued", "cancelled" }, { jobs.later, jobs.cancelled })
      assert.same({ { "later", "node-job" }, { "twins" } }, jobs.listed)
      assert.same({ { "node-job" } }, jobs.completed)
    end)

    it("reads the jobs of devices, and twins page by page (F11, F12)", function()
      local rows = service.jobs.rows
      assert.same({ "lua-device", "offline-device" },
        { rows[1].deviceId, rows[2].deviceId })
      assert.same({ status = 201, payload = { rebooted = true, got = { n = 1 } } },
        rows[1].outcome.deviceMethodResponse)
      assert.equal("DeviceNotOnline", rows[2].error.code)
      assert.same({ { { "lua-device", "north" } }, { { "offline-device", "north" } } },
        service.jobs.twins)
    end)

    it("maps what a job may not be to its own classes (F13 to F15)", function()
      local jobs = service.jobs
      assert.equal(409, jobs.again.status)
      assert.same({ error = "ArgumentError", status = 400 }, jobs.noStart)
      assert.equal(404, jobs.unknown.status)
      assert.equal(412, jobs.late.status)
      assert.same({ error = "ArgumentError", status = 400 }, jobs.badQuery)
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
