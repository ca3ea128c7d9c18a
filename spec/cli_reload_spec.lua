--- SIGHUP at `directmethods hub` without a terminal: certificate, config and log.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local cli_hub = require "spec.support.cli_hub"
local dm = require "directmethods"
local managers = require "spec.support.manager"
local server_pem = require "spec.support.server_pem"
local stores = require "spec.support.stores"

local has = checks.has
local NAMES = "DNS:localhost, IP:127.0.0.1"
local KEYS = { "S0VZIEtFWSBLRVkgS0VZIEtFWSBLRVkgS0VZIQ==",
  "c2Vjb25kIHNlY29uZCBzZWNvbmQgc2Vjb25kIQ==" }

describe("directmethods hub at SIGHUP without a terminal", function()
  local folder, home, log

  before_each(function()
    home = cli_hub.new()
    folder = home.path
    log = folder .. "/log"
  end)

  after_each(function() home:close() end)

  local function start(words, before)
    local all = { "--quiet", "--log-file", log }
    return home:start(table.move(words, 1, #words, #all + 1, all),
      before or { "setsid" })
  end

  local function stop()
    assert.equal(0, home:stop().status)
  end

  -- How often a text is in the log.
  local function count(text)
    local n, at = 0, 1
    local said = stores.read(log)
    while true do
      local from, to = said:find(text, at, true)
      if not from then return n end
      n, at = n + 1, to + 1
    end
  end

  -- Send the signal, and wait for what the log says then.
  local function reload(text)
    local before = count(text)
    home.process:kill "sighup"
    if not dm.wait_until(function() return count(text) > before end, 20) then
      error(("%q is not in %q"):format(text, stores.read(log)), 2)
    end
    home.process.facts = assert(dm.json.decode(stores.read(home.process.ready)))
    return home.process.facts
  end

  local function service_of(facts, policy, ca)
    return dm.service {
      connection_string = facts.connection_strings[policy or "iothubowner"],
      port = facts.ports.https,
      tls = { ca = ca or facts.ca_file },
    }
  end

  local function lamp(payload, more)
    local device = { id = "lamp", methods = { on = { payload = payload } } }
    for name, value in pairs(more or {}) do device[name] = value end
    return device
  end

  describe("its config", function()
    it("brings, changes and takes devices", function()
      local path = home:write("hub.json", { devices = {
        lamp(1, { desired = { level = 3 } }), { id = "old" },
        { id = "meter", primary_key = KEYS[1] }, { id = "gate/led" },
      } })
      local facts = start { "--config", path, "--device", "mine" }
      local service <close> = service_of(facts)
      assert.equal(1, assert(service:invoke("lamp", "on")).payload)
      assert(service.twins:patch("lamp",
        { properties = { desired = { level = 9 } } }))
      local string = facts.devices.lamp
      home:write("hub.json", { devices = {
        lamp(2, { desired = { level = 3 }, tags = nil }),
        { id = "meter", primary_key = KEYS[2], status = "disabled" },
        { id = "gate/led" }, { id = "new", methods = { hello = { payload = "hi" } } },
      } })
      facts = reload "reloaded"
      assert.equal(2, assert(service:invoke("lamp", "on")).payload)
      assert.equal("hi", assert(service:invoke("new", "hello")).payload)
      assert.equal(string, facts.devices.lamp)
      assert.equal(9, assert(service.twins:get("lamp")).properties.desired.level)
      assert.equal(404, select(2, service.registry:get("old")).http_status)
      local meter = assert(service.registry:get("meter"))
      assert.equal(KEYS[2], meter.primary_key)
      assert.equal("disabled", meter.status)
      has(facts.devices.meter, KEYS[2])
      assert.is_nil(facts.devices.old)
      assert(facts.devices.mine)
      home:write("hub.json", { devices = { { id = "lamp", tags = { room = 7 } } } })
      reload "reloaded"
      assert.equal(404103, select(2, service:invoke("lamp", "on")).code)
      assert.equal(7, assert(service.twins:get("lamp")).tags.room)
      stop()
    end)

    it("changes faults, and leaves those of others", function()
      local path = home:write("hub.json", { devices = { lamp(1) }, faults = {
        { stage = "request", action = "reject", method = "a" },
      } })
      start { "--config", path, "--admin-port", "0" }
      assert.equal(0, cli.run({ "fault", "add", "request", "reject", "--method", "mine",
        "--ready-file", home.process.ready }).status)
      local service <close> = service_of(home.process.facts)
      assert.equal(503001, select(2, service:invoke("lamp", "a")).code)
      home:write("hub.json", { devices = { lamp(1) }, faults = {
        { stage = "request", action = "reject", method = "b", code = 429001 },
      } })
      reload "reloaded"
      assert.equal(501, assert(service:invoke("lamp", "a")).status)
      assert.equal(429001, select(2, service:invoke("lamp", "b")).code)
      assert.equal(503001, select(2, service:invoke("lamp", "mine")).code)
      stop()
    end)

    it("changes keys of policies and limits, and says what only a restart does",
      function()
        local path = home:write("hub.json", { options = { hostname = "localhost",
          limits = { calls_per_device = 5 } }, policies = { service = KEYS[1] },
          devices = { lamp(1) } })
        local facts = start { "--config", path }
        has(facts.connection_strings.service, KEYS[1])
        local old <close> = service_of(facts, "service")
        assert(old:invoke("lamp", "on"))
        home:write("hub.json", { options = { hostname = "two.test", tier = "S1",
          limits = { filters = 1, calls = 7 } }, policies = { service = KEYS[2] },
          devices = { lamp(1) } })
        facts = reload "reloaded"
        has(facts.connection_strings.service, KEYS[2])
        has(facts.connection_strings.service, "HostName=localhost;")
        local new <close> = service_of(facts, "service")
        assert(new:invoke("lamp", "on"))
        assert.equal(401, select(2, old:invoke("lamp", "on")).http_status)
        has(stores.read(log), "warn: reload: only a restart changes hostname, "
          .. "limits.calls, limits.calls_per_device, tier\n")
        stop()
      end)

    it("stays as it was if something in the file is wrong: one line says what",
      function()
        local path = home:write("hub.json", { devices = { lamp(1) } })
        start { "--config", path }
        local service <close> = service_of(home.process.facts)
        for text, message in pairs {
          ['{\n"devices": [\n{ "id": "a" },\n{ "id": }\n]}'] = "hub.json:4: ",
          ['{\n"devices": [\n{ "id": "a", "key": 1 }]}'] = "hub.json:3: unknown member",
          ['{\n"options": {\n"tier": "S9" }}'] = "hub.json:3: member 'tier' must be",
          ['{\n"faults": [ { "action": "drop",\n"stage": "x" } ] }'] =
            "hub.json:3: member 'stage'",
          ['{\n"devices": [ { "id": "n" },\n{ "id": "n" } ] }'] =
            "hub.json:3: DeviceAlreadyExists",
          ['{\n"devices": [ { "id": "n",\n"methods": { "m": { "x": 1 } } } ] }'] =
            "hub.json:3: handler 'm': unknown member 'x'",
        } do
          home:write("hub.json", text)
          reload("error: reload: " .. path:gsub("hub.json$", "") .. message)
        end
        assert.equal(6, count "the hub goes on as it was\n")
        assert.equal(6, (select(2, stores.read(log):gsub("\n", ""))))
        assert.equal(1, assert(service:invoke("lamp", "on")).payload)
        os.remove(path)
        reload "error: reload: "
        home:write("hub.json", { devices = { lamp(2) } })
        reload "reloaded"
        assert.equal(2, assert(service:invoke("lamp", "on")).payload)
        stop()
      end)

    it("is what a reset brings back", function()
      local path = home:write("hub.json", { devices = { lamp(1) } })
      local facts = start { "--config", path, "--admin-port", "0" }
      home:write("hub.json", { devices = { lamp(2), { id = "new" } } })
      local new = reload("reloaded").devices.new
      local result = assert(dm.exec { "curl", "-s", "-w", "%{http_code}", "-X", "POST",
        "-H", "Authorization: Bearer " .. facts.admin_token,
        facts.admin_url .. "/reset" })
      assert.equal("204", result.stdout, result.stderr)
      local service <close> = service_of(facts)
      assert.equal(2, assert(service:invoke("lamp", "on")).payload)
      has(new, assert(service.registry:get("new")).primary_key)
      stop()
    end)
  end)

  describe("its certificate", function()
    local function certificate(authority)
      local made = server_pem.server(authority, NAMES)
      home:write("hub.pem", made.cert)
      home:write("hub.key", made.key)
      return made
    end

    local function shown()
      local result = assert(dm.exec({ "openssl", "s_client", "-connect",
        "127.0.0.1:" .. home.process.facts.ports.mqtt }, { stdin = "", timeout = 20 }))
      return result.stdout:match("%-+BEGIN CERTIFICATE.-END CERTIFICATE%-+\n")
    end

    it("is read again for new connections; a wrong one is one line", function()
      local authority = server_pem.authority "one"
      local ca = home:write("ca.pem", authority.cert)
      local first = certificate(authority)
      local facts = start { "--device", "d", "--cert", folder .. "/hub.pem",
        "--key", folder .. "/hub.key", "--ca", ca }
      local device <close> = dm.device {
        connection_string = facts.devices.d, port = facts.ports.mqtt, tls = { ca = ca },
        handlers = { ping = function() return 200, "pong" end },
      }
      assert(device:connect(20))
      assert.equal(first.cert, shown())
      local second = certificate(authority)
      reload "reloaded"
      assert.equal(second.cert, shown())
      local service <close> = service_of(facts, "service", ca)
      assert.equal("pong", assert(service:invoke("d", "ping")).payload)
      home:write("hub.key", first.key)
      reload "error: reload: TlsFailed: the server's key cannot be used with its cert"
      home:write("hub.pem", "nothing")
      reload "error: reload: --cert must be PEM text or the path of a PEM file"
      assert.equal(second.cert, shown())
      assert.equal("online", device.state)
      assert.equal("pong", assert(service:invoke("d", "ping")).payload)
      stop()
    end)
  end)

  it("opens its log again, and tells the service manager", function()
    local manager <close> = managers.start(folder)
    start({}, { "setsid", "env", "NOTIFY_SOCKET=" .. manager.name })
    assert(os.rename(log, log .. ".1"))
    home.process:kill "sighup"
    local reloading = manager:wait("RELOADING=1")
    local at = tonumber(reloading:match("\nMONOTONIC_USEC=(%d+)\n"))
    local uptime = tonumber(stores.read("/proc/uptime"):match("[%d.]+"))
    assert.is_true(at / 1e6 <= uptime + 1 and at / 1e6 > uptime - 60)
    manager:wait("READY=1", 2)
    assert.equal("directmethods hub: reloaded\n", stores.read(log))
    assert.equal("", stores.read(log .. ".1"))
    stop()
    local kinds = {}
    for i, text in ipairs(manager:messages()) do kinds[i] = text:match("%u+") end
    assert.same({ "READY", "RELOADING", "READY", "STOPPING" }, kinds)
  end)
end)
