local checks = require "spec.support.checks"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local folders = require "spec.support.folder"

local has = checks.has
local LUA = os.getenv("LUA") or "lua5.4"
local SERVING = { "hub", "--mqtt-port", "0", "--https-port", "0" }

local read_file = folders.read

-- The words that start the command line in a process of its own.
local function command(words)
  return { "env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath, LUA,
    "build-aux/directmethods", table.unpack(words) }
end

local function run(...)
  return assert(dm.exec(command { ... }, { timeout = 20 }))
end

describe("directmethods", function()
  it("shows its version and its commands", function()
    local result = run("--version")
    assert.equal("directmethods " .. core.version .. "\n", result.stdout)
    assert.equal(0, result.status)
    result = run("--help")
    assert.equal(0, result.status)
    has(result.stdout, "Usage: directmethods COMMAND")
    has(result.stdout, "  hub ")
  end)

  it("exits with 2 without a command, or with one that it has not", function()
    for _, words in ipairs { {}, { "hubs" }, { "--bogus" }, { "../hub" }, { "" } } do
      local result = run(table.unpack(words))
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      has(result.stderr, "Try `directmethods --help`.")
      if words[1] then
        has(result.stderr, ("no command or option '%s'"):format(words[1]))
      end
    end
  end)
end)

describe("directmethods help", function()
  it("is what --help shows, has examples, and stands in the list", function()
    local help = run("help").stdout
    has(help, "\n  help  ")
    has(help, "Examples:\n  directmethods demo\n")
    for _, words in ipairs { { "--help" }, { "-h" }, { "help", "--help" },
      { "help", "help" } } do
      assert.equal(help, run(table.unpack(words)).stdout)
    end
  end)
end)

describe("a word that is no command", function()
  it("is taken for a mistyped one, or for an option in the wrong place", function()
    for word, said in pairs {
      invok = "no command or option 'invok' (did you mean 'invoke'?)",
      ["-v"] = "write '-v' after the command",
      ["--json"] = "write '--json' after the command",
    } do
      local result = run(word, "dev1")
      assert.equal(2, result.status)
      has(result.stderr, said)
    end
  end)
end)

describe("directmethods hub", function()
  it("shows its options", function()
    local result = run("hub", "--help")
    assert.equal(0, result.status)
    for _, option in ipairs { "--host ", "--mqtt-port ", "--https-port ", "--hostname ",
      "--alias ", "--plain ", "--cert ", "--key ", "--device ", "--store ",
      "--ready-file ", "--env " } do
      has(result.stdout, option)
    end
    has(result.stdout, "8883")
    has(result.stdout, "443")
  end)

  local WRONG = {
    { { "--bogus" }, "unknown option '--bogus'" },
    { { "node", "app.js" }, "too many arguments (a command to run must follow --)" },
    { { "--mqtt-port", "65536" }, "must be a whole number from 0 to 65535" },
    { { "--https-port", "x" }, "--https-port must be a whole number" },
    { { "--cert", "c.pem" }, "--cert and --key go together" },
    { { "--cert", "c", "--key", "k", "--plain" }, "--plain and --cert exclude" },
    { { "--cert", "/no/c", "--key", "/no/k" }, "--cert cannot be read" },
    { { "--hostname", "h:8883" }, "--hostname must be a host name without a port" },
    { { "--alias", "a b" }, "--alias must be a list of host names" },
    { { "--plain", "--host", "0.0.0.0" }, "give --insecure" },
    { { "--dev-keys", "--host", "0.0.0.0" }, "--dev-keys must not be set when host" },
    { { "--x509-ca", "/no/ca" }, "--x509-ca cannot be read" },
    { { "--x509-ca", "c", "--plain" }, "--x509-ca needs tls" },
    { { "--tier", "B1" }, "--tier must be one of: F1, S1, S2, S3" },
    { { "--units", "2" }, "--units needs a tier" },
    { { "--tier", "S1", "--units", "x" }, "--units must be a whole number" },
    { { "--device", "a b" }, "--device a\\x20b: device id must be" },
    { { "--device", "d", "--device", "d" }, "--device d: DeviceAlreadyExists" },
  }

  for _, case in ipairs(WRONG) do
    it("exits with 2: " .. case[2], function()
      local words = table.move(SERVING, 1, #SERVING, 1, {})
      if case[1][1]:find("port") then words = { "hub" } end
      table.move(case[1], 1, #case[1], #words + 1, words)
      local result = run(table.unpack(words))
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      has(result.stderr, "directmethods hub: ")
      has(result.stderr, case[2])
      assert.falsy(result.stderr:find("traceback", 1, true))
      assert.falsy(result.stderr:find(".lua:", 1, true))
    end)
  end

  it("says which option helps when a port is taken", function()
    local other <close> = assert(fixture.hub())
    local port = tostring(other:ports().https)
    local result = run("hub", "--mqtt-port", "0", "--https-port", port)
    assert.equal(4, result.status)
    has(result.stderr, "address already in use")
    has(result.stderr, "choose another by --https-port")
  end)

  it("exits with 4 when the ready file cannot be written", function()
    local result = run("hub", "--mqtt-port", "0", "--https-port", "0",
      "--ready-file", "/no/such/folder/ready")
    assert.equal(4, result.status)
    assert.equal("directmethods hub: --ready-file: /no/such/folder/ready: "
      .. "No such file or directory\n", result.stderr)
  end)

  describe("in this process", function()
    local main = require "directmethods.cli.main"
    local saved = io.stderr
    local written

    before_each(function()
      written = ""
      io.stderr = { -- luacheck: ignore 122
        write = function(_, ...) written = written .. table.concat({ ... }) end,
      }
    end)

    after_each(function()
      io.stderr = saved -- luacheck: ignore 122
    end)

    -- Run the command while no hub can be started.
    local function run_with(err)
      local hub = dm.hub
      finally(function() dm.hub = hub end)
      dm.hub = function() return nil, err end
      assert.equal(4, main.run { "hub" })
    end

    it("says which option helps when there is no such host", function()
      run_with { name = "NameNotResolved",
        message = "mqtt_port: listen on nowhere: Name or service not known" }
      has(written, "hub: --host: listen on nowhere: Name or service not known")
    end)

    it("says which option helps when a port is not allowed", function()
      run_with { name = "SystemError",
        message = "https_port: listen on 127.0.0.1:443: permission denied" }
      has(written, "permission denied: ports below 1024 are for root; allow it by "
        .. "sudo sysctl net.ipv4.ip_unprivileged_port_start=443, or choose another by "
        .. "--https-port (Azure's SDKs cannot use another)")
    end)

    it("says what to install when the hub is missing", function()
      local module = "directmethods.cli.demo"
      local loaded = package.loaded[module]
      finally(function()
        package.loaded[module], package.preload[module] = loaded, nil
      end)
      package.loaded[module] = nil
      package.preload[module] = function()
        error("module 'directmethods.hub' not found:", 0)
      end
      assert.equal(4, main.run { "demo" })
      has(written, "directmethods demo: the hub is not installed")
    end)

    it("says what to install when argparse is missing", function()
      local loaded = package.loaded.argparse
      finally(function()
        package.loaded.argparse, package.preload.argparse = loaded, nil
      end)
      package.loaded.argparse = nil
      package.preload.argparse = function() error("not here") end
      assert.equal(4, main.run { "hub" })
      has(written, "needs argparse")
      has(written, "lua-argparse")
    end)
  end)

  describe("while it serves", function()
    local folder, child

    before_each(function()
      folder = assert(dm.exec { "mktemp", "-d" }).stdout:match("[^\n]+")
    end)

    -- The end of a spec that failed before it stopped its hub.
    after_each(function()
      child:cancel()
      assert(dm.exec { "rm", "-r", folder })
    end)

    local function ready_file() return folder .. "/ready" end

    -- Start a hub; its facts. Its first words write its pid.
    local function start(...)
      local words = { "sh", "-c", 'echo $$ >"$0"; exec "$@"', folder .. "/pid" }
      local mine = table.move(SERVING, 1, #SERVING, 1, {})
      for _, word in ipairs { "--ready-file", ready_file(), ... } do
        mine[#mine + 1] = word
      end
      local all = command(mine)
      table.move(all, 1, #all, #words + 1, words)
      child = dm.spawn(function() return dm.exec(words, { timeout = 60 }) end)
      assert(dm.wait_until(function()
        local file = io.open(ready_file())
        if file then file:close() end
        return file or child:ended()
      end, 20))
      if child:ended() then error(child:await().stderr) end
      return assert(dm.json.decode(read_file(ready_file())))
    end

    local function stop(signal)
      local pid = read_file(folder .. "/pid"):match("%d+")
      assert(dm.exec { "sh", "-c", ("kill -%s %s"):format(signal, pid) })
      return assert(child:await(10))
    end

    local function device_of(facts, id, handlers)
      return dm.device {
        connection_string = facts.devices[id],
        handlers = handlers,
        port = facts.ports.mqtt,
        tls = facts.tls and { ca = facts.ca_file } or false,
      }
    end

    local function service_of(facts)
      return dm.service {
        connection_string = facts.connection_strings.service,
        port = facts.ports.https,
        tls = facts.tls and { ca = facts.ca_file } or false,
      }
    end

    it("has a ready file for this user alone, whole from the start", function()
      local facts = start("--device", "d", "--device", "e/m", "--alias", "hub.test")
      local mode = assert(dm.exec { "stat", "-c", "%a", ready_file() }).stdout
      assert.equal("600\n", mode)
      assert.is_true(facts.tls)
      has(read_file(facts.ca_file), "BEGIN CERTIFICATE")
      has(facts.connection_strings.iothubowner, "SharedAccessKeyName=iothubowner;")
      has(facts.devices["e/m"], "DeviceId=e;ModuleId=m;")
      local left = assert(dm.exec { "ls", folder }).stdout
      assert.equal("pid\nready\n", left)
      stop("TERM")
    end)

    for _, signal in ipairs { "INT", "TERM" } do
      it("stops on SIG" .. signal .. " and leaves no file", function()
        local facts = start()
        local result = stop(signal)
        assert.equal(0, result.status, result.stderr)
        assert.equal(0, result.signal)
        has(result.stderr, "stopping (SIG" .. signal .. ")")
        assert.is_nil(io.open(ready_file()))
        assert.is_nil(io.open(facts.ca_file))
      end)
    end

    it("serves over TLS, and logs a line a call without its payload", function()
      local facts = start("--device", "d")
      local device <close> = device_of(facts, "d", {
        reboot = function(request) return 201, request.payload end,
      })
      assert(device:connect())
      local service <close> = service_of(facts)
      local reply = assert(service:invoke("d", "reboot", { word = "SECRET" }))
      assert.equal(201, reply.status)
      assert.equal("SECRET", reply.payload.word)
      local none, err = service:invoke("nobody", "reboot")
      assert.is_nil(none)
      assert.equal(404001, err.code)
      device:close()
      local result = stop("TERM")
      local time = "%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ"
      local log = result.stderr
      assert.truthy(log:find(time .. " d reboot 201 %d+%.%d ms\n"), log)
      assert.truthy(log:find(time .. " nobody reboot DeviceNotFound %(404001%) "), log)
      assert.falsy((log .. result.stdout):find("SECRET", 1, true))
      assert.falsy(log:find("SharedAccess", 1, true))
    end)

    it("adds a line of JSON for each call to --trace, without payloads", function()
      local path = folder .. "/trace"
      local facts = start("--plain", "--quiet", "--device", "d", "--trace", path)
      local device <close> = device_of(facts, "d", {
        reboot = function(request) return 201, request.payload end,
      })
      assert(device:connect())
      local service <close> = service_of(facts)
      assert(service:invoke("d", "reboot", { word = "SECRET" }))
      assert.is_nil((service:invoke("nobody", "reboot")))
      fixture.call({ ports = function() return facts.ports end }, {
        device = "d%ff%0a", token = "none",
      })
      device:close()
      assert.equal("directmethods hub: stopping (SIGTERM)\n", stop("TERM").stderr)
      local trace = read_file(path)
      assert.falsy(trace:find("SECRET", 1, true))
      local lines = {}
      for line in trace:gmatch("[^\n]+") do lines[#lines + 1] = dm.json.decode(line) end
      assert.equal(3, #lines)
      assert.same({ "Answered", "DeviceNotFound", "IotHubUnauthorizedAccess" },
        { lines[1].outcome, lines[2].outcome, lines[3].outcome })
      assert.same({ "d", "nobody", "d\\xff\n" },
        { lines[1].device_id, lines[2].device_id, lines[3].device_id })
      assert.equal(201, lines[1].status)
      assert.equal(17, lines[1].request_size)
      assert.equal("not registered", lines[2].reason)
      assert.is_true(lines[1].stages.published > 0)
    end)

    it("serves on when --trace can be written no longer, and says so once", function()
      local facts = start("--plain", "--quiet", "--device", "d", "--trace", "/dev/full")
      local device <close> = device_of(facts, "d", { m = function() return 200 end })
      assert(device:connect())
      local service <close> = service_of(facts)
      for _ = 1, 3 do assert.equal(200, assert(service:invoke("d", "m")).status) end
      device:close()
      assert.equal("directmethods hub: --trace: No space left on device\n"
        .. "directmethods hub: stopping (SIGTERM)\n", stop("TERM").stderr)
    end)

    it("exits with 4 when --trace cannot be written", function()
      local result = run("hub", "--trace", folder .. "/none/trace")
      assert.equal(4, result.status)
      has(result.stderr, "directmethods hub: --trace: ")
    end)

    it("logs what a caller names without its control characters", function()
      local facts = start("--plain")
      local key = assert(core.connstr(facts.connection_strings.service)).key
      fixture.call({ ports = function() return facts.ports end }, {
        device = "d%0a%1b%5b2J",
        body = '{"methodName":"a\\n\\u001b"}',
        token = fixture.token { key = key, policy = "service" },
      })
      local log = stop("TERM").stderr
      local lines = select(2, log:gsub("\n", ""))
      assert.equal(3, lines, log) -- the call, what is wrong with it, and the end
      assert.falsy(log:find("[%z\1-\9\11-\31\127-\255]"))
    end)

    it("keeps devices, keys and the CA with --store", function()
      local words = { "--store", folder .. "/hub.db", "--device", "d" }
      local first = start(table.unpack(words))
      local ca = read_file(first.ca_file)
      stop("KILL")
      os.remove(first.ca_file)
      os.remove(ready_file())
      local second = start("--device", "e/m", table.unpack(words))
      assert.same(first.connection_strings, second.connection_strings)
      assert.equal(first.devices.d, second.devices.d)
      assert.equal(ca, read_file(second.ca_file))
      has(stop("TERM").stderr, "stopping (SIGTERM)")
      local result = run("hub", "--store", folder .. "/no/hub.db")
      assert.equal(4, result.status)
      has(result.stderr, "StorageFailed: store " .. folder .. "/no/hub.db: No such")
    end)

    it("answers what is pending before it ends, and takes nothing new (71)", function()
      local facts = start("--plain", "--quiet", "--device", "d")
      local stopping
      local device <close> = device_of(facts, "d", {
        slow = function()
          dm.wait_until(function() return stopping end, 10)
          dm.sleep(0.1)
          return 200, "done"
        end,
      })
      assert(device:connect())
      local service <close> = service_of(facts)
      local call = dm.spawn(function() return service:invoke("d", "slow") end)
      assert(dm.wait_until(function() return device:stats().running == 1 end))
      stopping = true
      local result = stop("TERM")
      local reply = assert(call:await(5))
      assert.equal("done", reply.payload)
      assert.equal(0, result.status)
      assert.equal("directmethods hub: stopping (SIGTERM)\n", result.stderr)
    end)

    it("prints shell exports that a shell reads back", function()
      local facts = start("--env", "--device", "d", "--device", "e")
      local printed = stop("TERM").stdout
      local script = printed .. 'printf "%s\\n" "$IOTHUB_CONNECTION_STRING" '
        .. '"$IOTHUB_DEVICE_CONNECTION_STRING" "$NODE_EXTRA_CA_CERTS" '
        .. '"$IOTHUB_CA_FILE" "$HUB_MQTT_PORT" "$HUB_HTTPS_PORT"'
      local result = assert(dm.exec { "sh", "-eu", "-c", script })
      assert.equal(table.concat({
        facts.connection_strings.iothubowner, facts.devices.d, facts.ca_file,
        facts.ca_file, facts.ports.mqtt, facts.ports.https, "",
      }, "\n"), result.stdout)
    end)

    it("has the published keys by --dev-keys, each time", function()
      local facts = start("--dev-keys", "--device", "d")
      stop("TERM")
      local key = "SharedAccessKey=ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBmaXJzdCE="
      assert.equal("HostName=localhost;SharedAccessKeyName=service;" .. key,
        facts.connection_strings.service)
      assert.equal("HostName=localhost;DeviceId=d;" .. key, facts.devices.d)
    end)

    it("prints ports, CA file and connection strings", function()
      local facts = start("--device", "d")
      local printed = stop("TERM").stdout
      for _, part in ipairs { facts.ports.mqtt, facts.ports.https, facts.ca_file,
        facts.devices.d, facts.connection_strings.service } do
        has(printed, " " .. part .. "\n")
      end
    end)
  end)
end)
