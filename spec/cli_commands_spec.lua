--- The commands that work on a hub that is there: each in a process of its own.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local folders = require "spec.support.folder"
local uv = require "luv"

local has = checks.has

local hub, variables, ready

setup(function()
  hub = assert(dm.hub { admin_port = 0 })
  assert(hub:add_device "away")
  variables = cli.variables(hub)
  ready = cli.ready_file(hub, { "away" })
end)

teardown(function()
  os.remove(ready)
  hub:close()
  assert(hub:closed(10))
end)

after_each(function() hub:clear_faults() end)

local function run(...)
  return cli.run({ ... }, { variables = variables })
end

local function json(result)
  return assert(dm.json.decode(result.stdout), result.stderr)
end

-- Is a device subscribed? To be waited for.
local function subscribed(id)
  return function()
    for _, device in ipairs(hub:devices()) do
      if device.device_id == id then return device.subscribed end
    end
  end
end

-- A device of this process that answers `m`.
local function online(id)
  local device = assert(hub:device(id, { m = function() return 200, id end },
    { engine = "uv" }))
  assert(device:connect())
  return device
end

describe("the hub is found", function()
  it("by a ready file, as an option and by a variable", function()
    local device <close> = online "found"
    for _, opts in ipairs { { variables = { DIRECTMETHODS_READY_FILE = ready } },
      { words = { "--ready-file", ready } } } do
      local words = { "invoke", "found", "m", "--raw", "-q" }
      table.move(opts.words or {}, 1, 2, #words + 1, words)
      local result = cli.run(words, opts)
      assert.equal('"found"\n', result.stdout, result.stderr)
    end
    assert.is_string(device.state)
  end)

  it("or the exit status is 4: no such file, or another one", function()
    local result = cli.run { "ping", "d", "--ready-file", "/no/file" }
    assert.equal(4, result.status)
    has(result.stderr, "/no/file: No such file or directory")
    has(result.stderr, "does the hub run?")
    local path = cli.file "{}"
    finally(function() os.remove(path) end)
    result = cli.run { "ping", "d", "--ready-file", path }
    assert.equal(4, result.status)
    has(result.stderr, "is no ready file")
  end)
end)

describe("directmethods ping", function()
  it("exits with 0 when the device is subscribed, else with 1", function()
    local result = run("ping", "away")
    assert.equal(1, result.status)
    assert.same({ device_id = "away", connected = false, subscribed = false },
      json(result))
    local device <close> = online "pinged"
    result = run("ping", "pinged")
    assert.equal(0, result.status)
    assert.is_true(json(result).subscribed)
    assert.equal(0, #hub:calls { device = device.device_id })
    local raw = fixture.device(hub, "away", { subscribe = false })
    assert.equal(1, run("ping", "away").status)
    raw.wire:close()
  end)

  it("says of a module, too, whether it is subscribed", function()
    assert(hub:add_device("away", { module = "m" }))
    local result = run("ping", "away/m")
    assert.equal(1, result.status, result.stderr)
    assert.same({ device_id = "away/m", connected = false, subscribed = false },
      json(result))
    assert.equal(3, run("ping", "away/none").status)
  end)

  it("asks the registry where there is no admin listener", function()
    local device <close> = online "registered"
    local some = {}
    for name, value in pairs(variables) do
      if not name:find "ADMIN" then some[name] = value end
    end
    local result = cli.run({ "ping", device.device_id }, { variables = some })
    assert.equal(0, result.status, result.stderr)
    assert.same({ device_id = "registered", connected = true }, json(result))
    assert.equal(1, cli.run({ "ping", "away" }, { variables = some }).status)
    assert.equal(3, cli.run({ "ping", "nobody" }, { variables = some }).status)
  end)

  it("exits with 3 when there is no such device", function()
    local result = run("ping", "nobody")
    assert.equal(3, result.status)
    has(result.stderr, "directmethods ping: ")
  end)
end)

describe("directmethods device", function()
  it("adds, shows, lists and removes, keys only when they are asked for", function()
    local key = "S0VZIEtFWSBLRVkgS0VZIEtFWSBLRVkgS0VZIQ=="
    local path = cli.file(key .. "\n")
    finally(function() os.remove(path) end)
    local result = run("device", "add", "new", "--key-file", path)
    assert.equal(0, result.status, result.stderr)
    assert.equal("new", json(result).device_id)
    assert.is_nil((result.stdout .. result.stderr):find(key, 1, true))
    result = run("device", "get", "new", "--show-keys")
    assert.equal("HostName=localhost;DeviceId=new;SharedAccessKey=" .. key,
      json(result).connection_string)
    assert.equal(3, run("device", "add", "new").status)
    assert.equal("new/m", json(run("device", "add", "new/m")).device_id)
    local seen = {}
    for line in run("device", "list").stdout:gmatch("[^\n]+") do
      local device = dm.json.decode(line)
      seen[device.device_id] = device
    end
    assert.same({ device_id = "new", status = "enabled", connected = false }, seen.new)
    assert.is_table(seen.away)
    local _, lines = run("device", "list", "--top", "1").stdout:gsub("\n", "")
    assert.equal(1, lines)
    assert.equal(0, run("device", "remove", "new").status)
    assert.equal(3, run("device", "get", "new").status)
    assert.equal("disabled", json(run("device", "add", "off", "--disabled")).status)
  end)

  it("shows columns on a terminal", function()
    local result = cli.on_terminal({ "device", "list", "--top", "1" },
      { variables = variables })
    assert.matches("^DEVICE +STATUS +CONNECTION\r\n%S+ +enabled +%S+\r\n",
      result.stdout)
  end)

  it("exits with 2 for what it does not know", function()
    assert.equal(2, run("device").status)
    assert.equal(2, run("device", "lst").status)
    assert.equal(2, run("device", "get").status)
    assert.equal(0, run("device", "--help").status)
    assert.equal(2, run("device", "add", "x", "--key-file", "/dev/null").status)
  end)
end)

describe("directmethods device run", function()
  it("is a device without code", function()
    local service <close> = hub:service()
    local process <close> = cli.start({ "device", "run", "away", "--answer",
      'on=201:{"a":"x=404:y"}', "--answer", "off", "--answer", 'text="t"', "--answer",
      "plain=204" }, { variables = variables })
    assert(dm.wait_until(subscribed "away", 20))
    local reply = assert(service:invoke("away", "on"))
    assert.equal(201, reply.status)
    assert.equal('{"a":"x=404:y"}', reply.body)
    assert.equal("t", assert(service:invoke("away", "text")).payload)
    assert.equal(204, assert(service:invoke("away", "plain")).status)
    assert.equal(501, assert(service:invoke("away", "none")).status)
    process:kill "sigterm"
    local result = process:ended()
    assert.equal(0, result.status, result.stderr)
    has(result.stderr, "away online\n")
    has(result.stderr, "away on\n")
    assert.equal("", result.stdout)
  end)

  it("is a device by a script", function()
    local service <close> = hub:service()
    local path = os.tmpname()
    finally(function() os.remove(path .. ".lua") end)
    assert(os.rename(path, path .. ".lua"))
    local file <close> = assert(io.open(path .. ".lua", "w"))
    file:write [[
      local dm = require "directmethods"
      dm.sleep(0)
      return { double = function(request) return 200, request.payload * 2 end }
    ]]
    file:close()
    local process <close> = cli.start({ "device", "run", path .. ".lua" },
      { variables = { DIRECTMETHODS_READY_FILE = ready } })
    assert(dm.wait_until(subscribed "away", 20))
    assert.equal(42, assert(service:invoke("away", "double", 21)).payload)
    process:kill "sigint"
    assert.equal(0, process:ended().status)
  end)

  it("ends in good order at a signal before it is online", function()
    local listener, clients = uv.new_tcp(), {}
    finally(function()
      listener:close()
      for _, client in ipairs(clients) do client:close() end
      uv.run "nowait"
    end)
    assert(listener:bind("127.0.0.1", 0))
    assert(listener:listen(8, function()
      clients[#clients + 1] = uv.new_tcp()
      listener:accept(clients[#clients])
    end))
    local mine = {}
    for name, value in pairs(variables) do mine[name] = value end
    mine.HUB_MQTT_PORT = listener:getsockname().port
    for _, words in ipairs { { "device", "run", "away", "--answer", "on" },
      { "fleet", "1", "--id", "away%d" } } do
      local before = #clients
      local process <close> = cli.start(words, { variables = mine })
      assert(dm.wait_until(function()
        uv.run "nowait"
        return #clients > before
      end, 30))
      process:kill "sigterm"
      local result = process:ended()
      assert.same({ 0, 0 }, { result.status, result.signal })
    end
  end)

  it("needs no hub's key when it is given its own", function()
    local process <close> = cli.start({ "device", "run", "away", "--answer", "on" }, {
      variables = {
        IOTHUB_DEVICE_CONNECTION_STRING = hub:connection_string "away",
        IOTHUB_CA_FILE = hub:ca_file(), HUB_MQTT_PORT = hub:ports().mqtt,
      },
    })
    assert(dm.wait_until(subscribed "away", 20))
    process:kill "sigterm"
    assert.equal(0, process:ended().status)
  end)

  it("waits before each answer with --delay, on the device's clock", function()
    local service <close> = hub:service()
    local process <close> = cli.start({ "device", "run", "away", "--answer", "on",
      "--delay", "0.05" }, { variables = variables })
    assert(dm.wait_until(subscribed "away", 20))
    assert.is_true(assert(service:invoke("away", "on")).elapsed >= 0.045)
    process:kill "sigterm"
    process:ended()
  end)

  it("exits with 2 for wrong use, with 3 when it is refused", function()
    local path = cli.file "return 1"
    finally(function() os.remove(path) end)
    for words, part in pairs {
      [{ "away" }] = "--answer is required",
      [{ "away", "--answer", "=1" }] = "METHOD=STATUS:PAYLOAD",
      [{ "away", "--answer", "on=200:{" }] = "payload must be JSON",
      [{ "away", "--answer", "on=-1:1" }] = "a status before it has three digits",
      [{ "away", "--answer", "on=2000:1" }] = "a status before it has three digits",
      [{ "no.lua" }] = "there is no script no.lua, and --answer is required",
      [{ "no.lua", "--id", "away", "--answer", "on" }] = "there is no script no.lua",
      [{ "away", "--answer", "o n=200" }] = "--answer 'o n': the method must be",
    } do
      local result = run("device", "run", table.unpack(words))
      assert.equal(2, result.status, part)
      has(result.stderr, part)
    end
    local refused = run("device", "run", "nobody", "--answer", "on")
    assert.equal(3, refused.status)
    has(refused.stderr, "`directmethods explain 404001` says what helps")
    local result = cli.run({ "device", "run", "away", "--answer", "on" }, {
      variables = {
        IOTHUB_DEVICE_CONNECTION_STRING = hub:connection_string("away"):gsub("Key=.",
          "Key=+"),
        IOTHUB_CA_FILE = hub:ca_file(), HUB_MQTT_PORT = hub:ports().mqtt,
      },
    })
    assert.equal(3, result.status, result.stderr)
    has(result.stderr, "Unauthorized")
  end)
end)

describe("directmethods token", function()
  it("prints a token of a policy that the hub takes", function()
    local result = run("token", "iothubowner", "--ttl", "60")
    assert.equal(0, result.status, result.stderr)
    local token = result.stdout:match "^(SharedAccessSignature %S+)\n$"
    local left = assert(core.sas_expiry(token)) - os.time()
    assert.is_true(left > 0 and left <= 60)
    local service <close> = dm.service { host = "localhost", sas = token,
      port = hub:ports().https, tls = { ca = hub:ca_file() } }
    assert.equal(404103, select(2, service:invoke("away", "m")).code)
  end)

  it("prints a token of a device that the hub takes", function()
    local token = run("token", "away").stdout:gsub("\n$", "")
    local device <close> = dm.device { host_name = "localhost", device_id = "away",
      sas = token, port = hub:ports().mqtt, tls = { ca = hub:ca_file() } }
    assert(device:connect())
  end)

  it("exits with 3 for what the hub does not know", function()
    assert.equal(3, run("token", "nobody").status)
    assert.equal(2, run("token", "away", "--ttl", "0").status)
  end)
end)

describe("directmethods fault", function()
  it("adds rules, lists and clears them", function()
    local device <close> = online "faulty"
    local service <close> = hub:service()
    local result = run("fault", "add", "request", "reject", "--device",
      device.device_id, "--code", "429001", "--times", "1")
    assert.equal(0, result.status, result.stderr)
    local id = json(result).id
    assert.equal(429001, select(2, service:invoke("faulty", "m")).code)
    assert.equal(200, assert(service:invoke("faulty", "m")).status)
    local rule = json(run("fault", "list"))[1]
    assert.same({ id, 1, "faulty" }, { rule.id, rule.hits, rule.device })
    assert.equal(0, run("fault", "clear", tostring(id)).status)
    assert.equal("[]\n", run("fault", "list").stdout)
    result = run("fault", "add", "http", "drop", "--device", "fautly")
    assert.matches("warning: 'fautly' is not registered", result.stderr)
    assert.equal(0, run("fault", "clear").status)
    assert.equal("[]\n", run("fault", "list").stdout)
  end)

  it("says what is wrong with a rule", function()
    local result = run("fault", "add", "http", "duplicate")
    assert.equal(2, result.status)
    has(result.stderr, "must not be 'duplicate'")
    result = run("fault", "add", "nowhere", "drop")
    assert.equal(2, result.status)
    has(result.stderr, "fault add: 'stage' must be one of: connect, http, request, ")
    assert.equal(3, run("fault", "clear", "99").status)
    assert.equal(2, run("fault", "add", "http").status)
  end)

  it("exits with 2 without an admin listener", function()
    local result = cli.run({ "fault", "list" }, {
      variables = { IOTHUB_CONNECTION_STRING = variables.IOTHUB_CONNECTION_STRING },
    })
    assert.equal(2, result.status)
    has(result.stderr, "--admin-port")
  end)
end)

describe("directmethods advance", function()
  it("moves the hub's clock", function()
    local before = dm.time()
    local result = run("advance", "1000")
    assert.equal(0, result.status, result.stderr)
    assert.is_true(json(result).time >= before + 1000)
    assert.is_true(dm.time() >= before + 1000)
    assert.equal(2, run("advance", "-1").status)
    assert.equal(2, run("advance", "x").status)
  end)
end)

describe("after the hub's clock was moved by hours", function()
  it("commands still log in", function()
    local process <close> = cli.start({ "device", "run", "away", "--answer", "on" },
      { variables = { DIRECTMETHODS_READY_FILE = ready } })
    assert(dm.wait_until(subscribed "away", 20))
    assert.equal(0, run("advance", "20000").status)
    local result = run("invoke", "away", "on")
    assert.equal(0, result.status, result.stderr)
    assert.is_true(subscribed "away"())
    process:kill "sigterm"
    assert.equal(0, process:ended().status)
  end)
end)

describe("directmethods job", function()
  it("starts, waits for, shows and cancels", function()
    local device <close> = online "worker"
    local result = run("job", "start", "--method", "m", "--device", device.device_id,
      "--id", "first", "--wait", "-q")
    assert.equal(0, result.status, result.stderr)
    assert.equal("completed", json(result).status)
    local status = run("job", "status", "first")
    assert.equal("completed", json(status).status)
    has(status.stdout, '{"cloudToDeviceMethod":{"connectTimeoutInSeconds":0,'
      .. '"methodName":"m","responseTimeoutInSeconds":30},"createdTime":')
    has(status.stdout, '"deviceJobStatistics":{"deviceCount":1,"failedCount":0,'
      .. '"pendingCount":0,"runningCount":0,"succeededCount":1}')
    result = run("job", "results", "first")
    assert.equal(0, result.status)
    assert.equal(200, json(result).outcome.deviceMethodResponse.status)
    result = run("job", "start", "--twin", '{"tags":{"ring":2}}', "--query",
      "deviceId = 'worker'", "--wait", "-q")
    assert.equal(0, result.status, result.stderr)
    local service <close> = hub:service "iothubowner"
    assert.equal(2, assert(service.twins:get("worker")).tags.ring)
    assert.equal(0, run("job", "start", "--method", "m", "--device", "away", "--id",
      "second").status)
    assert.equal("cancelled", json(run("job", "cancel", "second")).status)
    assert.equal(3, run("job", "status", "none").status)
  end)

  it("warns when the condition selects no device", function()
    local function start(...)
      return run("job", "start", "--method", "m", "--wait", "--query",
        "deviceId = 'nobody'", ...)
    end
    local result = start()
    assert.equal(0, result.status, result.stderr)
    assert.equal(0, json(result).deviceJobStatistics.deviceCount)
    has(result.stderr, "warning: the condition selected no device")
    assert.equal("", start("-q").stderr)
  end)

  it("exits with 2 for wrong use", function()
    for words, part in pairs {
      [{}] = "--method or --twin", [{ "--method", "m" }] = "--query or --device",
      [{ "--method", "m", "--device", "d", "--payload", "{" }] = "PAYLOAD: not valid",
      [{ "--twin", "{", "--device", "d" }] = "--twin: ",
      [{ "--twin", "[1]", "--device", "d" }] = "--twin: it must be a JSON object",
      [{ "--twin", "5", "--device", "d" }] = "--twin: it must be a JSON object",
      [{ "--twin", '{"tags":5}', "--device", "d" }] = "--twin: tags must be a JSON",
      [{ "--twin", '{"properties":{"desired":[1]}}', "--device", "d" }] =
        "--twin: properties.desired must be a JSON object",
      [{ "--twin", '{"properties":{"desird":{}}}', "--device", "d" }] =
        "--twin: unknown member 'properties.desird' (did you mean 'desired'?)",
      [{ "--method", "m", "--device", "d", "--response-timeout", "301" }] =
        "--response-timeout must be from 5 to 300 s",
    } do
      local result = run("job", "start", table.unpack(words))
      assert.equal(2, result.status)
      has(result.stderr, part)
    end
  end)
end)

describe("directmethods env", function()
  it("prints what a shell reads back, of a hub that runs", function()
    local result = cli.run { "env", "--ready-file", ready }
    local echo = assert(dm.exec { "sh", "-c", result.stdout
      .. 'echo "$IOTHUB_DEVICE_CONNECTION_STRING"; echo "$HUB_HTTPS_PORT"; '
      .. 'echo "$DIRECTMETHODS_READY_FILE"' })
    assert.equal(("%s\n%d\n%s\n"):format(hub:connection_string "away",
      hub:ports().https, ready), echo.stdout)
    result = cli.run { "env", "powershell", "--ready-file", ready }
    has(result.stdout, "$env:HUB_MQTT_PORT = '")
  end)

  it("finds the CA beside the ready file when the hub wrote both elsewhere", function()
    local folder <close> = folders.new()
    local file <close> = assert(io.open(ready))
    local facts = dm.json.decode(file:read("a"))
    facts.ca_file = "/volume/of/a/container/hub.ca.pem"
    local path = folder:write("hub.json", dm.json.encode(facts))
    local elsewhere = cli.run { "env", "--ready-file", path }
    has(elsewhere.stdout, "IOTHUB_CA_FILE='" .. facts.ca_file .. "'")
    local ca = folder:write("hub.ca.pem", "")
    local beside = cli.run { "env", "--ready-file", path }
    has(beside.stdout, "IOTHUB_CA_FILE='" .. ca .. "'")
  end)
end)

describe("directmethods bench", function()
  it("calls, and shows rate and percentiles", function()
    local device <close> = online "busy"
    local result = run("bench", device.device_id, "m", "--count", "50",
      "--parallel", "4")
    assert.equal(0, result.status, result.stderr)
    local found = json(result)
    assert.equal(50, found.calls)
    assert.equal(0, found.failed)
    assert.is_true(found.p50 > 0 and found.p50 <= found.max)
    assert.is_number(found.p99)
    result = run("bench", "away", "m", "--count", "3")
    assert.equal(1, result.status)
    assert.same({ DeviceNotOnline = 3 }, json(result).errors)
  end)
end)

describe("directmethods bench, interrupted,", function()
  it("shows the numbers so far", function()
    local device <close> = online "endless"
    local process <close> = cli.start({ "bench", device.device_id, "m", "--for",
      "600" },
      { variables = variables })
    local before = hub:counters().calls_answered
    assert(dm.wait_until(function()
      return hub:counters().calls_answered > before + 3
    end, 20))
    process:kill "sigterm"
    local result = process:ended()
    assert.equal(143, result.status, result.stderr)
    assert.is_true(json(result).calls > 3)
  end)
end)

describe("on a terminal", function()
  it("bench shows how far it is on one line, wiped away at the end", function()
    local device <close> = online "timed"
    local result = cli.on_terminal({ "bench", device.device_id, "m", "--count", "20" },
      { variables = variables })
    assert.equal(0, result.status)
    assert.matches("\r\27%[K%d+/20 calls, %d+/s, 0 failed.*\r\27%[K20 calls in ",
      result.stdout)
    assert.matches("20 calls in %d+%.%d s: %d+/s, 0 failed\r\n", result.stdout)
  end)
end)

describe("directmethods fleet", function()
  it("registers devices, connects them and answers", function()
    assert(hub:add_device "truck-02")
    local service <close> = hub:service()
    local process <close> = cli.start({ "fleet", "3", "--id", "truck-%02d", "--answer",
      "where=200:[1]" }, { variables = variables })
    for i = 1, 3 do
      local id = ("truck-%02d"):format(i)
      local reply
      assert(dm.wait_until(function()
        reply = service:invoke(id, "where")
        return reply or process.task:ended()
      end, 20))
      if not reply then error(process:ended().stderr) end
      assert.equal("[1]", reply.body)
    end
    process:kill "sigterm"
    local result = process:ended()
    assert.equal(0, result.status, result.stderr)
    has(result.stderr, "3 devices are online\n")
    assert.equal(3, json(result).calls)
  end)

  it("ends by itself with --for, and refuses an --id without a number", function()
    local result = run("fleet", "1", "--for", "0.1", "-q")
    assert.equal(0, result.status, result.stderr)
    assert.equal(1, json(result).devices)
    assert.equal(2, run("fleet", "1", "--id", "truck").status)
    assert.equal(2, run("fleet", "0").status)
  end)
end)

describe("directmethods demo", function()
  it("shows calls, errors and the movable clock", function()
    local result = run("demo")
    assert.equal(0, result.status, result.stderr)
    has(result.stdout, 'dev1 reboot -> status 201')
    has(result.stdout, "dev2 reboot -> DeviceNotOnline (404103)")
    has(result.stdout, "dev1 silent -> GatewayTimeout (504101)")
  end)
end)

describe("a command with subcommands", function()
  it("has an example of each in its help, in lines of 88 characters", function()
    for name, words in pairs {
      device = { "run", "list", "add", "get", "remove" },
      fault = { "add", "list", "clear" },
      job = { "start", "status", "cancel", "results" },
    } do
      local result = run(name, "--help")
      assert.equal(0, result.status, result.stderr)
      local examples = assert(result.stdout:match "Examples:\n(.*)$", name)
      for _, word in ipairs(words) do
        has(examples, ("  directmethods %s %s"):format(name, word))
      end
      for line in result.stdout:gmatch "[^\n]+" do assert(#line <= 88, line) end
    end
  end)

  it("says which there are if one is missing or unknown", function()
    for _, case in ipairs {
      { {}, "device: a command is required: run, list, add, get, remove\n" },
      { { "ad" }, "device: there is no command 'ad': run, list, add, get, remove\n" },
    } do
      local result = run("device", table.unpack(case[1]))
      assert.equal(2, result.status)
      has(result.stderr, case[2])
      has(result.stderr, "Try `directmethods device --help`.")
    end
  end)
end)

describe("every command", function()
  local COMMANDS = {
    "demo", "hub", "invoke", "device run", "device list", "device add", "device get",
    "device remove", "ping", "job start", "job status", "job cancel", "job results",
    "fleet", "bench", "fault add", "fault list", "fault clear", "advance", "token",
    "env", "explain", "completion",
  }

  it("has an example in its help, and stands in the list", function()
    local list = run("help").stdout
    for _, name in ipairs(COMMANDS) do
      local words = {}
      for word in name:gmatch "%S+" do words[#words + 1] = word end
      has(list, "  " .. words[1] .. " ")
      words[#words + 1] = "--help"
      local result = run(table.unpack(words))
      assert.equal(0, result.status, result.stderr)
      words[#words] = nil
      assert.equal(result.stdout, run("help", table.unpack(words)).stdout)
      local examples = result.stdout:match "Examples:\n(.*)$"
      assert(examples, name)
      has(examples, "directmethods " .. name)
    end
  end)
end)
