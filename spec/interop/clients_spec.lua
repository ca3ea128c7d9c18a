--- Azure SDKs for Node, unmodified: the registry and twins by the service SDK, and what
-- devices do besides answering methods.

local stage = require "spec.interop.stage"

describe("Azure SDKs for Node:", function()
  local seen

  setup(function() seen = stage.play "clients_scenarios.lua" end)

  describe("the registry", function()
    local registry
    setup(function() registry = seen.registry end)

    it("creates, gets and updates a device (E18, E19)", function()
      local devices = registry.devices
      assert.same({
        status = "enabled", state = "Disconnected", keyLength = 44, sameKey = true,
        generation = true,
      }, devices.made)
      assert.same({ status = "disabled", reason = "a test", newEtag = true },
        devices.updated)
      assert.is_true(devices.listed)
    end)

    it("deletes it, and fails with the SDK's classes (E18, E20, E22)", function()
      local devices = registry.devices
      assert.equal(204, devices.deleted)
      assert.equal("DeviceAlreadyExistsError 409", devices.again)
      assert.equal("ArgumentError 400", devices.strange)
      for _, name in ipairs { "gone", "updateGone", "deleteGone" } do
        assert.equal("DeviceNotFoundError 404", devices[name])
      end
    end)

    it("keeps how a device logs in", function()
      assert.same({
        type = "selfSigned", print = true, authority = "certificateAuthority",
      }, registry.thumbprints)
    end)

    it("adds, updates and removes a hundred at once (E23)", function()
      assert.same({
        added = true, changed = true, removed = true,
        twice = { false, { "bulk0" } },
        stale = { false, { "bulk1" } },
        left = { "bulk-new" },
      }, registry.bulk)
    end)

    it("keeps modules likewise", function()
      assert.same({
        sameKey = true, newEtag = true, list = { "one", "two" }, forced = "one",
        managedBy = "spec",
        stale = "InvalidEtagError 412", twice = "DeviceAlreadyExistsError 409",
        gone = "Error 404", noHost = "DeviceNotFoundError 404",
      }, registry.modules)
    end)

    it("counts devices", function()
      assert.same({ 4, 4, 0 }, registry.statistics)
    end)

    it("changes twins, by etag or by force, and finds them (E24)", function()
      assert.same({
        version = 1, newEtag = true, tagged = { floor = 3 },
        stale = "InvalidEtagError 412", forced = { floor = 3, wing = "w" },
        gone = "DeviceNotFoundError 404", desired = { 5, 2 }, module = true,
        query = { "host" },
        rows = { { id = "host", wing = "w" } },
        count = { { n = 1 } },
      }, registry.twins)
    end)

    it("is for those who may (E09)", function()
      local errors = registry.errors
      assert.equal("UnauthorizedError 401", errors.wrongKey)
      assert.equal("UnauthorizedError 401", errors.mayNotWrite)
      assert.equal("host", errors.mayRead)
    end)

    it("and calls: their errors have the SDK's classes and IoT Hub's codes", function()
      for name, expected in pairs {
        offline = { error = "Error", status = 404, code = 404103 },
        nobody = { error = "Error", status = 404, code = 404001 },
        tooLong = { error = "ArgumentError", status = 400, code = 400004 },
        tooLarge = { error = "ArgumentError", status = 400, code = 400004 },
        badName = { error = "ArgumentError", status = 400, code = 400004 },
      } do
        assert.same(expected, registry.errors[name], name)
      end
    end)
  end)

  it("a digital twin by DigitalTwinClient (L01, L04, L05)", function()
    assert.same({
      model = "dtmi:com:example:TemperatureController;2",
      serialNumber = "alpha",
      reportedAt = "string",
      updated = 202,
      desired = { __t = "c", targetTemperature = 21.5 },
      target = 21.5,
      reboot = { 200, { delay = 5 }, "string" },
      report = { 202, { since = "2020-01-01" } },
      stale = "Error",
    }, seen.digital_twin)
  end)

  describe("a device", function()
    local life
    setup(function() life = seen.life end)

    local TWIN = {
      first = { speed = 1, deep = { a = 1, b = 2 }, ["$version"] = 2 },
      changed = { speed = 2, deep = { a = 1 }, last = true, ["$version"] = 4 },
      reported = { temperature = 21, ["$version"] = 3 },
    }

    it("reads its twin, is told of changes, and reports", function()
      assert.same(TWIN, life.twin)
    end)

    it("sends messages, and listens to those of the cloud without harm", function()
      assert.equal("MessageEnqueued", life.messages.sent)
      assert.same({ status = 200, payload = 1 }, life.messages.after)
      local message = life.received.messages
      assert.equal('{"celsius":21}', message.body)
      assert.same({
        alert = "a/b c", ["$.mid"] = "m1", ["$.ct"] = "application/json",
        ["$.ce"] = "utf-8",
      }, message.properties)
    end)

    it("renews its token again and again, and is called on (C20)", function()
      assert.same({ ended = {}, answers = { 1, 2 } }, life.renewal)
      assert.is_true(life.counters.connects >= 13) -- 11 without renewals
      assert.equal(0, life.counters.expired)
    end)

    it("goes through an HTTP proxy to the WebSocket (C13)", function()
      assert.same({ tunnels = 1, reply = { status = 200, payload = "through" } },
        life.proxied)
    end)

    it("is not let in by another key, nor as nobody", function()
      assert.same({ wrong = "UnauthorizedError", unknown = "UnauthorizedError" },
        life.strangers)
      assert.equal(2, life.counters.connect_refused)
    end)

    it("answers more than may be: the caller is told", function()
      assert.same({ error = "BadDeviceResponseError", status = 502, code = 502001 },
        life.huge)
    end)

    it("that leaves fails the call under way (B13)", function()
      assert.same({ error = "Error", status = 404, code = 404104 }, life.ends.closed)
    end)

    it("that is taken over by another fails it, too (B14, C18)", function()
      local expected = { error = "ArgumentError", status = 400, code = 400027 }
      expected.told = "NotConnectedError"
      assert.same(expected, life.ends.takenOver)
    end)

    for _, name in ipairs { "disabled", "deleted" } do
      it("that is " .. name .. " is disconnected at once (B15)", function()
        assert.same({
          error = "Error", status = 404, code = 404104, told = "NotConnectedError",
        }, life.ends[name])
      end)
    end

    it("may be a module: called, with a twin and outputs of its own (B18)", function()
      assert.same({ status = 200, payload = "of the module" }, life.module.reply)
      assert.same(TWIN, life.module.twin)
      local message = life.received.host
      assert.same({ "module", "by a module", "port1" },
        { message.module_id, message.body, message.properties["$.on"] })
    end)
  end)
end)
