--- Every example runs, as a user would run it.

local dm = require "directmethods"

local LUA = os.getenv("LUA") or arg[-1]

local function run(argv, env)
  local words = { "env" }
  for name, value in pairs(env or {}) do
    table.insert(words, name .. "=" .. value)
  end
  for _, word in ipairs(argv) do
    table.insert(words, word)
  end
  return assert(dm.exec(words, { timeout = 60 }))
end

local function lua(...)
  return run { LUA, ... }
end

describe("examples", function()
  it("demo.lua shows the main job: answers, errors, time, twenty calls", function()
    local result = lua("examples/demo.lua")
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    for _, line in ipairs {
      "dev1.reboot %-> status 201  .*someInput",
      'dev1.slow %-> status 200  "slept"',
      "dev1.broken %-> status 500",
      "dev1.selfDestruct %-> status 501",
      "dev2.reboot %-> DeviceNotOnline %(404103%)",
      "dev3.reboot %-> DeviceNotFound %(404001%)",
      "dev1.silent %-> GatewayTimeout %(504101%)",
      "2 4 6 8 10 12 14 16 18 20 22 24 26 28 30 32 34 36 38 40\n$",
    } do
      assert.matches(line, result.stdout)
    end
  end)

  it("device_in_ten_lines.lua is that short, and works", function()
    local lines = 0
    for _ in io.lines("examples/device_in_ten_lines.lua") do
      lines = lines + 1
    end
    assert.is_true(lines <= 10)
    local result = lua("examples/device_in_ten_lines.lua")
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    assert.same({ speed = 3, was = 0 }, dm.json.decode(result.stdout))
  end)

  it("job.lua calls a device that was away when it comes back", function()
    local result = lua("examples/job.lua")
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    assert.matches("^after an hour: running, 1 of 2 done\n", result.stdout)
    assert.matches("progress: 2 of 2, 0 failed\nnow: completed\n"
      .. "gate\t200\t7\npump\t200\t7\n$", result.stdout)
  end)

  it("fan_control.lua keeps the rooms cool", function()
    local result = lua("examples/fan_control.lua")
    assert.same({ 0, "" }, { result.status, result.stderr })
    assert.matches("^office: 23.5 degrees, fan at 0 %%\nserver%-room: 26.0 degrees, "
      .. "fan at 60 %%\noffice: 24.5 degrees, fan at 60 %%\n", result.stdout)
    assert.matches('office: 22.5 degrees, fan at 0 %%\n[^\n]*\n{"error":"speed must be '
      .. 'an integer from 0 to 100"}\n$', result.stdout)
  end)

  it("sms_wakeup.lua wakes a device once", function()
    local result = lua("examples/sms_wakeup.lua")
    assert.same({ 0, "" }, { result.status, result.stderr })
    assert.equal("offline: DeviceNotOnline\nSMS to meter\n1234.5\n1234.5\n",
      result.stdout)
  end)

  it("gateway.lua answers for the machines behind it", function()
    local result = lua("examples/gateway.lua")
    assert.same({ 0, "" }, { result.status, result.stderr })
    assert.equal('oven\t504\t{"error":"no answer from the bus"}\n'
      .. 'press\t200\t{"value":42}\n', result.stdout)
  end)

  it("fleet_smoke_test.lua finds the device with the old version", function()
    local result = lua("examples/fleet_smoke_test.lua", "30")
    assert.equal("truck-007: has 2.0\ntruck-lost: DeviceNotOnline\n"
      .. "29 of 31 devices are well\n", result.stdout)
    assert.matches("^p50 [%d.]+ ms, p99 [%d.]+ ms\n$", result.stderr)
    assert.equal(1, result.status)
  end)

  it("flaky_device.lua shows what retries can mend, and what they cannot", function()
    local result = lua("examples/flaky_device.lua")
    assert.same({ 0, "" }, { result.status, result.stderr })
    assert.equal("each call is sent once: 9 answered, 10 not online, 1 timed out; "
      .. "10 ran\nwith retries: 19 answered, 0 not online, 1 timed out; 20 ran\n",
      result.stdout)
  end)

  it("test_spec.lua passes in busted, as its first line says", function()
    local command = io.lines("examples/test_spec.lua")():match(": (busted .*)$")
    local result = run { "sh", "-c", (command:gsub("lua5%.4", LUA)) }
    assert.matches("3 successes / 0 failures / 0 errors", result.stdout)
    assert.equal(0, result.status)
  end)

  -- The hub runs beside them, as a user's would: this process may have moved its
  -- clock, which they do not follow.
  describe("device.lua and invoke.lua", function()
    local folder, hub, device, env

    local function ready()
      local file = io.open(folder .. "/ready")
      local text = file and file:read("a")
      if file then file:close() end
      return text and assert(dm.json.decode(text))
    end

    setup(function()
      folder = os.tmpname()
      os.remove(folder)
      assert(dm.exec { "mkdir", "-m", "700", folder })
      hub = dm.spawn(dm.exec, { LUA, "build-aux/directmethods", "hub",
        "--mqtt-port", "0", "--https-port", "0", "--device", "dev1",
        "--ready-file", folder .. "/ready" })
      local facts = assert(dm.wait_until(ready, 30))
      env = {
        IOTHUB_CONNECTION_STRING = facts.connection_strings.service,
        IOTHUB_DEVICE_CONNECTION_STRING = facts.devices.dev1,
        IOTHUB_CA_FILE = facts.ca_file,
        HUB_MQTT_PORT = facts.ports.mqtt,
        HUB_HTTPS_PORT = facts.ports.https,
      }
      device = dm.spawn(run, { LUA, "examples/device.lua" }, env)
      local service <close> = dm.service {
        connection_string = facts.connection_strings.service,
        port = facts.ports.https,
        tls = { ca = facts.ca_file },
      }
      assert(service:invoke("dev1", "uptime", nil, { connect_timeout = 30 }))
    end)

    teardown(function()
      for _, child in ipairs { device, hub } do
        child:cancel()
        child:await()
      end
      assert(dm.exec { "rm", "-rf", folder })
    end)

    local function invoke(...)
      return run({ LUA, "examples/invoke.lua", ... }, env)
    end

    it("work together over TLS", function()
      local result = invoke("dev1", "reboot", '{"why":"update"}')
      assert.equal("", result.stderr)
      assert.matches("^201\t.*update", result.stdout)
      assert.equal(0, result.status)
    end)

    it("tell an unknown method and an unknown device", function()
      assert.equal(1, invoke("dev1", "no-such-method").status)
      local result = invoke("nobody", "reboot")
      assert.matches("DeviceNotFound (404001)", result.stderr, 1, true)
      assert.equal(1, result.status)
    end)
  end)
end)
