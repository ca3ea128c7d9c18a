local checks = require "spec.support.checks"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local task = require "directmethods.task"

local has = checks.has

local function raises(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

local function plain(opts)
  opts = opts or {}
  opts.tls = false
  return assert(dm.hub(opts))
end

describe("dm.hub", function()
  local hub

  after_each(function()
    if hub then
      hub:close()
      assert(hub:closed(5))
      hub = nil
    end
    task.cancel_all()
  end)

  describe("options", function()
    local WRONG = {
      { { store = "" }, "option 'store' must be \":memory:\", the path of a file, " },
      { { store = "a\0b" }, "option 'store' must be" },
      { { store = true }, "option 'store' must be of type string" },
      { { tiers = "S1" }, "unknown option 'tiers'" },
      { { host = "a b" }, "option 'host' must be an IP address" },
      { { host = 7 }, "option 'host' must be of type string" },
      { { mqtt_port = 65536 }, "option 'mqtt_port' must be from 0 to 65535" },
      { { https_port = -1 }, "option 'https_port' must be from 0 to 65535" },
      { { mqtt_port = 1.5 }, "option 'mqtt_port' must be of type integer" },
      { { hostname = "hub:8883" }, "option 'hostname' must be a host name without" },
      { { hostname = "" }, "option 'hostname'" },
      { { aliases = "a" }, "option 'aliases' must be of type table" },
      { { aliases = { "a", 2 } }, "option 'aliases' must be a list of host names" },
      { { aliases = { x = "a" } }, "option 'aliases' must be a list of host names" },
      { { tls = "yes" }, "option 'tls' must be of type table or boolean" },
      { { tls = { cert = "c" } }, "option 'tls.key' is required" },
      { { tls = { cert = "c", key = "k", x = 1 } }, "unknown option 'tls.x'" },
      { { tls = { cert = "/no/such", key = "k" } }, "'tls.cert' cannot be read" },
      { { contract = "2018" }, "option 'contract' must be one of: 2017, 2019" },
      { { limits = { calls = 0 } }, "option 'limits.calls' must be from 1" },
      { { limits = { call = 1 } }, "unknown option 'limits.call'" },
      { { limits = { idle_timeout = "1" } }, "option 'limits.idle_timeout'" },
      { { host = "0.0.0.0", tls = false }, "insecure = true" },
      { { host = "::", tls = false }, "insecure = true" },
      { { host = "127.0.0.1.example.test", tls = false }, "insecure = true" },
    }

    for _, case in ipairs(WRONG) do
      it("are refused with " .. case[2], function()
        local message = raises(function() dm.hub(case[1]) end)
        has(message, "dm.hub: ")
        has(message, case[2])
        has(message, "hub_values_spec.lua")
      end)
    end

    it("never show a key", function()
      local path = os.tmpname()
      finally(function() os.remove(path) end)
      local tls = { cert = path, key = "SECRET-BEGIN-KEY" }
      local message = raises(dm.hub, { tls = tls })
      assert.falsy(message:find("SECRET", 1, true))
    end)

    it("know every limit of the data plane", function()
      local count = 0
      for line in io.lines("csrc/hub/limits.h") do
        local name = line:match("^  X%(([%a_]+), %d+%)")
        if name then
          dm.hub({ tls = false, limits = { [name] = 2000 } }):close()
          count = count + 1
        end
      end
      assert.truthy(count > 20)
    end)

    it("allow plain TCP beyond loopback when told so", function()
      hub = plain { host = "0.0.0.0", insecure = true }
      assert.equal("number", type(hub:ports().mqtt))
    end)

    it("take names in another case once", function()
      local names = {}
      for i = 1, 15 do names[i] = "LOCALHOST" end
      hub = plain { aliases = names }
      names[16] = "one.more"
      has(raises(dm.hub, { aliases = names }), "must hold at most 15 names")
    end)

    it("give the hub limits that hold", function()
      hub = plain { limits = { identities = 1 } }
      assert(hub:add_device("d1"))
      local none, err = hub:add_device("d2")
      assert.is_nil(none)
      assert.equal("TooManyDevices", err.name)
      assert.same(1, #hub:devices())
    end)
  end)

  it("says which port is taken, and leaves nothing behind", function()
    hub = plain()
    local handles = core.handles()
    local none, err = dm.hub { tls = false, https_port = hub:ports().https }
    assert.is_nil(none)
    has(tostring(err), "https_port")
    has(tostring(err), "address already in use")
    assert.truthy(dm.wait_until(function() return core.handles() <= handles end))
  end)

  it("refuses a key that does not fit its certificate, or is none (65)", function()
    local certificates = require "directmethods.hub.certificates"
    local one = certificates.renew({}, { "localhost" })
    local other = certificates.renew({}, { "localhost" })
    local none, err = dm.hub { tls = { cert = one.cert, key = other.key } }
    assert.is_nil(none)
    assert.equal("TlsFailed", err.name)
    assert.falsy(tostring(err):find("BEGIN", 1, true))
    for _, tls in ipairs {
      { cert = one.cert, key = one.key:sub(1, 100) },
      { cert = "-----BEGIN", key = one.key },
      { cert = one.key, key = one.key },
    } do
      none, err = dm.hub { tls = tls }
      assert.is_nil(none)
      assert.equal("TlsFailed", err.name)
    end
  end)

  describe("add_device", function()
    it("makes two keys of 32 bytes, and others for each device", function()
      hub = plain()
      local one, two = assert(hub:add_device("d1")), assert(hub:add_device("d2"))
      local seen = {}
      for _, key in ipairs { one.primary_key, one.secondary_key, two.primary_key,
        two.secondary_key } do
        assert.equal(32, #core.base64_decode(key))
        assert.is_nil(seen[key])
        seen[key] = true
      end
      assert.equal("enabled", one.status)
      assert.not_equal(one.generation_id, two.generation_id)
    end)

    it("takes keys and status", function()
      hub = plain()
      local key = core.base64_encode(("k"):rep(16))
      local opts = { primary_key = key, status = "disabled" }
      local identity = assert(hub:add_device("d", opts))
      assert.equal(key, identity.primary_key)
      assert.equal("disabled", hub:devices()[1].status)
      has(hub:connection_string("d"), "SharedAccessKey=" .. key)
    end)

    it("refuses a second one of the name, but not in another case", function()
      hub = plain()
      assert(hub:add_device("Dev"))
      assert(hub:add_device("dev"))
      local none, err = hub:add_device("dev")
      assert.is_nil(none)
      assert.equal("DeviceAlreadyExists", err.name)
      assert.equal(409001, err.code)
    end)

    it("makes modules, with their device", function()
      hub = plain()
      assert(hub:add_device("d/m"))
      assert(hub:add_device("d", { module = "n" }))
      assert.same({ "m", "n" }, hub:devices()[1].modules)
      has(hub:connection_string("d/m"), ";DeviceId=d;ModuleId=m;")
      local none, err = hub:add_device("d/m")
      assert.is_nil(none)
      assert.equal("ModuleAlreadyExistsOnDevice", err.name)
    end)

    it("raises on ids and keys that break a rule, without showing the key", function()
      hub = plain()
      local ids = { "", "a b", "d/m/n", "/", ("x"):rep(129), "\u{e9}", 7, false }
      for _, id in ipairs(ids) do
        has(raises(hub.add_device, hub, id), "hub:add_device: ")
      end
      local long = core.base64_encode(("k"):rep(65))
      for _, key in ipairs { "not base64!", "c2hvcnQ=", long } do
        local message = raises(hub.add_device, hub, "d", { primary_key = key })
        has(message, "option 'primary_key' must be base64 of 16 to 64 bytes")
        assert.falsy(message:find(key, 1, true))
      end
      has(raises(hub.add_device, hub, "d", { status = "on" }), "option 'status'")
      assert.same({}, hub:devices())
    end)
  end)

  describe("connection_string", function()
    it("has host name, policy and a key of the hub's own, never a port", function()
      hub = plain { hostname = "my-hub.example.test" }
      for _, policy in ipairs { "iothubowner", "service", "device", "registryRead",
        "registryReadWrite" } do
        local found = assert(core.connstr(hub:connection_string(policy)))
        assert.equal("my-hub.example.test", found.host_name)
        assert.equal(policy, found.key_name)
        assert.equal(32, #core.base64_decode(found.key))
      end
      assert.not_equal(hub:connection_string("service"),
        plain():connection_string("service"))
    end)

    it("raises on a name that is not there", function()
      hub = plain()
      has(raises(hub.connection_string, hub, "nobody"), "neither a policy nor a")
      has(raises(hub.connection_string, hub), "must be a string")
    end)
  end)

  describe("clients", function()
    it("are wired: the device connects, and devices() shows it", function()
      hub = assert(dm.hub())
      local device <close> = hub:device("d", {})
      assert(device:connect())
      local found = hub:devices()[1]
      assert.is_true(found.connected)
      assert.is_true(found.subscribed)
      device:close()
      assert(device:closed(5))
    end)

    it("reach a hub whose name nobody resolves", function()
      hub = assert(dm.hub { hostname = "hub.example.test" })
      local device <close> = hub:device("d/m", {})
      assert(device:connect())
      local service <close> = hub:service()
      local none, err = service:invoke("d", "reboot")
      assert.is_nil(none)
      assert.equal("DeviceNotOnline", err.name)
    end)

    it("keep their hub alive", function()
      local device <close> = assert(dm.hub { tls = false }):device("d", {})
      collectgarbage()
      collectgarbage()
      assert(device:connect())
    end)

    it("raise on a policy that is not there and on options that are none", function()
      hub = plain()
      has(raises(hub.service, hub, "root"), "hub:service: policy must be one of")
      has(raises(hub.service, hub, "service", { x = 1 }), "unknown option 'x'")
      has(raises(hub.device, hub, "d", {}, 1), "hub:device: opts must be a table")
      has(raises(hub.device, hub, "d", { reboot = 1 }), "handlers.reboot")
    end)
  end)

  describe("policies", function()
    it("have the keys that they are given, and the others random ones", function()
      local key = "S0VZIEtFWSBLRVkgS0VZIEtFWSBLRVkgS0VZIQ=="
      hub = plain { policies = { service = key } }
      has(hub:connection_string "service", "SharedAccessKey=" .. key)
      assert.is_nil(hub:connection_string("device"):find(key, 1, true))
      hub:add_device "d"
      assert.equal(404103, select(2, hub:service():invoke("d", "m")).code)
      has(raises(dm.hub, { policies = { service = "x" } }), "policies.service")
      has(raises(dm.hub, { policies = { servce = key } }), "did you mean")
    end)
  end)

  describe("admin_token", function()
    it("is the one that was given", function()
      hub = plain { admin_port = 0, admin_token = ("t"):rep(16) }
      assert.equal(("t"):rep(16), hub:admin_token())
      has(raises(dm.hub, { admin_port = 0, admin_token = "short" }), "admin_token")
      has(raises(dm.hub, { admin_token = ("t"):rep(16) }), "needs admin_port")
    end)
  end)

  describe("admin_host", function()
    local TOKEN = ("t"):rep(16)

    it("needs TLS and a given token on another address than loopback", function()
      for _, case in ipairs {
        { { admin_host = "::1" }, "option 'admin_host' needs admin_port" },
        { { admin_tls = true }, "option 'admin_tls' needs admin_port" },
        { { admin_port = 0, admin_tls = true, tls = false },
          "option 'admin_tls' must not be set when tls is false" },
        { { admin_port = 0, admin_host = "a b" }, "option 'admin_host' must be an IP" },
        { { admin_port = 0, admin_host = "0.0.0.0", admin_token = TOKEN },
          "must be a loopback address, or else set admin_tls = true: the token" },
        { { admin_port = 0, admin_host = "0.0.0.0", admin_tls = true },
          "must be a loopback address, or else give admin_token" },
      } do
        has(raises(dm.hub, case[1]), case[2])
      end
    end)

    it("lets this machine be asked by its own names without TLS", function()
      hub = plain { admin_port = 0, admin_host = "::1" }
      local url = ("http://[::1]:%d/healthz"):format(hub:ports().admin)
      assert.equal("200", assert(dm.exec { "curl", "-s", "-o", "/dev/null", "-w",
        "%{http_code}", "-g", url }).stdout)
      assert.equal("403", assert(dm.exec { "curl", "-s", "-o", "/dev/null", "-w",
        "%{http_code}", "-g", "-H", "Host: evil.test", url }).stdout)
    end)

    it("serves others over TLS, by any name that its certificate has", function()
      hub = assert(dm.hub {
        hostname = "hub.test", admin_port = 0, admin_host = "0.0.0.0",
        admin_tls = true, admin_token = TOKEN,
      })
      local function ask(name, token)
        local port = hub:ports().admin
        return assert(dm.exec({ "curl", "-s", "-w", "%{http_code}", "--cacert",
          hub:ca_file(), "--resolve", ("%s:%d:127.0.0.1"):format(name, port), "-H",
          "Authorization: Bearer " .. token, "-o", "/dev/null",
          ("https://%s:%d/devices"):format(name, port) }, { timeout = 20 })).stdout
      end
      assert.equal("200", ask("hub.test", TOKEN))
      assert.equal("401", ask("hub.test", ("u"):rep(16)))
      assert.equal("000", ask("other.test", TOKEN)) -- it is not in the certificate
    end)
  end)

  describe("ca_file", function()
    it("is a file for whom the umask says, removed at the end", function()
      hub = assert(dm.hub())
      local path = assert(hub:ca_file())
      assert.equal(path, hub:ca_file())
      assert.matches("/directmethods%-ca%-%x+%.pem$", path)
      local mode = assert(dm.exec { "sh", "-c", [[
        : >"$1.mine"; stat -c %a "$1" "$1.mine" | uniq | wc -l; rm "$1.mine"
      ]], "sh", path }).stdout
      assert.equal("1\n", mode)
      local file <close> = assert(io.open(path))
      has(file:read("a"), "-----BEGIN CERTIFICATE-----")
      hub:close()
      assert.is_nil(io.open(path))
    end)

    it("is none on plain TCP", function()
      hub = plain()
      assert.is_nil(hub:ca_file())
    end)
  end)

  describe("on", function()
    it("takes one event and functions alone", function()
      hub = plain()
      has(raises(hub.on, hub, "calls", print), "must be 'call', 'device' or 'reset'")
      has(raises(hub.on, hub, "call", 1), "fn must be a function")
    end)

    it("tells of each call as it ends", function()
      hub = plain()
      local calls = {}
      hub:on("call", function(call) calls[#calls + 1] = call end)
      local device <close> = hub:device("d", { up = function() return 207 end })
      assert(device:connect())
      local service <close> = hub:service()
      assert(service:invoke("d", "up"))
      service:invoke("nobody", "up")
      assert(dm.wait_until(function() return #calls == 2 end))
      local first = calls[1]
      assert.same({ "d", "up", "Answered", 207, 0 }, { first.device_id, first.method,
        first.outcome, first.status, first.code })
      assert.truthy(calls[1].elapsed > 0)
      assert.same({ "DeviceNotFound", 404001 }, { calls[2].outcome, calls[2].code })
      hub:on("call", nil)
      assert(service:invoke("d", "up"))
      assert.equal(2, #calls)
    end)
  end)

  describe("the end", function()
    it("is that of the devices and services that the hub has made", function()
      hub = plain()
      local device = hub:device("d")
      assert(device:connect())
      local service = hub:service()
      hub:close()
      assert.equal("closed", device.state)
      assert.matches("closed", tostring(service))
      assert(device:closed(5))
    end)

    it("leaves them with clients = false, and by hub:stop", function()
      for _, finish in ipairs {
        function() hub:close { clients = false } end,
        function() assert(hub:stop(0)) end,
      } do
        hub = plain()
        local device <close> = hub:device("d")
        local service <close> = hub:service()
        finish()
        assert.equal("idle", device.state)
        assert.matches("open", tostring(service))
      end
    end)

    it("comes with the error of its block, and is silent", function()
      local _, err = pcall(function()
        local closing <close> = plain()
        hub = closing
        error("mine", 0)
      end)
      assert.equal("mine", err)
      assert.matches("closed", tostring(hub))
    end)

    it("takes no other option", function()
      hub = plain()
      has(raises(hub.close, hub, { client = false }), "(did you mean 'clients'?)")
    end)

    it("is silent the second time; every use after it raises", function()
      hub = plain()
      hub:close()
      hub:close()
      for _, name in ipairs { "add_device", "devices", "connection_string", "device",
        "service", "ca_file", "ports", "counters", "on", "stop" } do
        local message = raises(hub[name], hub, "call")
        has(message, ("hub:%s: attempt to use a closed hub"):format(name))
      end
      assert.is_true(hub:closed(5))
      assert.equal("directmethods.hub (closed)", tostring(hub))
    end)

    it("comes with <close> and with collection; no handle is left", function()
      local handles = core.handles()
      do
        local closing <close> = plain()
        assert.truthy(closing:ports().mqtt > 0)
        assert.truthy(core.handles() > handles)
      end
      plain()
      collectgarbage()
      collectgarbage()
      assert.truthy(dm.wait_until(function() return core.handles() <= handles end))
    end)

    it("raises on a hub that is none", function()
      hub = plain()
      has(raises(hub.close, {}), "hub:close: called on a table")
      has(raises(hub.ports), "hub:ports: called on a nil")
      has(raises(hub.closed, hub, -1), "timeout must be")
    end)

    it("times out in closed() of an open hub, and leaves nothing", function()
      hub = plain()
      local none, err = hub:closed(0.001)
      assert.is_nil(none)
      assert.equal("Timeout", err.name)
    end)

    it("lets what is pending be answered when it is stopped", function()
      hub = plain()
      local device <close> = hub:device("d", {
        slow = function()
          dm.sleep(0.05)
          return 200, "done"
        end,
      })
      assert(device:connect())
      local service <close> = hub:service()
      local call = dm.spawn(function() return service:invoke("d", "slow") end)
      assert(dm.wait_until(function() return hub:counters().calls_under_way == 1 end))
      assert(hub:stop())
      local reply = assert(call:await(5))
      assert.equal("done", reply.payload)
    end)

    it("ends in time, although a caller goes on asking", function()
      hub = plain()
      hub:add_device("d")
      local call = {
        device = "d", body = '{"methodName":"m","connectTimeoutInSeconds":60}',
      }
      call.wire = fixture.send_call(hub, call)
      for _ = 1, 20 do fixture.send_call(hub, call) end -- they wait behind the first
      assert(dm.wait_until(function() return hub:counters().calls_under_way == 1 end))
      assert(hub:stop(0.05))
      local answers = 0
      while http.read(call.wire) do answers = answers + 1 end
      call.wire:close()
      assert.equal(1, answers)
    end)
  end)
end)
