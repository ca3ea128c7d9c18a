local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"

local has = checks.has

describe("directmethods invoke", function()
  local hub, device, variables

  setup(function()
    hub = assert(dm.hub { admin_port = 0 })
    local calls = 0
    device = assert(hub:device("dev1", {
      echo = function(request) return 200, request.payload end,
      ["thermostat1*report"] = function(request) return 200, request.payload end,
      none = function(request) return 200, request.payload == nil end,
      refuse = function() return 418, { ok = false, list = { { n = 1 } } } end,
      count = function()
        calls = calls + 1
        return 200, calls
      end,
    }))
    assert(device:connect())
    assert(hub:add_device("dev1/mod"))
    variables = cli.variables(hub)
  end)

  teardown(function()
    device:close()
    hub:close()
    assert(device:closed(5))
    assert(hub:closed(5))
  end)

  local function run(words, opts)
    opts = opts or {}
    opts.variables = opts.variables or variables
    return cli.run({ "invoke", table.unpack(words) }, opts)
  end

  local function answered(result)
    return assert(dm.json.decode(result.stdout), result.stderr)
  end

  it("shows the answer as JSON, and a line for people on stderr", function()
    local result = run { "dev1", "echo", '{"a":[1,2.5,"x"]}' }
    assert.equal(0, result.status, result.stderr)
    local answer = answered(result)
    assert.equal(200, answer.status)
    assert.same({ a = { 1, 2.5, "x" } }, answer.payload)
    assert.matches("^dev1 echo: status 200 in %d+%.%d ms\n$", result.stderr)
    assert.equal("", run { "-q", "dev1", "echo", "1" }.stderr)
  end)

  it("prints the members always in the same order", function()
    assert.matches('^{"status":200,"payload":1,"elapsed":[%d.e-]+}\n$',
      run { "dev1", "echo", "1" }.stdout)
    assert.matches('^{"error":"DeviceNotOnline","code":404103,"message":"[^"]+",'
      .. '"elapsed":[%d.e-]+}\n$', run { "dev1/mod", "echo" }.stdout)
  end)

  it("sends no payload, null, a file or its input", function()
    assert.is_true(answered(run { "dev1", "none" }).payload)
    assert.equal(dm.null, answered(run { "dev1", "echo", "null" }).payload)
    local path = cli.file "[1]\n"
    finally(function() os.remove(path) end)
    assert.equal("[1]\n", run { "--raw", "dev1", "echo", "@" .. path }.stdout)
    assert.equal('{"b":2}\n',
      run({ "--raw", "dev1", "echo", "-" }, { stdin = '{"b":2}\n' }).stdout)
  end)

  it("sends negative numbers, wherever options stand", function()
    assert.equal("-5\n", run { "--raw", "dev1", "echo", "-5" }.stdout)
    assert.equal("-1.5\n", run { "dev1", "echo", "-1.5", "--raw", "-q" }.stdout)
    assert.equal("-3\n", run { "--raw", "dev1", "echo", "--", "-3" }.stdout)
    assert.equal(-7, answered(run { "dev1", "echo", "-7", "--expect",
      "payload == -7" }).payload)
  end)

  it("calls commands of digital twins, and of their components", function()
    local result = run { "dev1", "report", "7", "--component", "thermostat1" }
    assert.equal(0, result.status, result.stderr)
    assert.equal(7, answered(result).payload)
    result = run { "dev1", "echo", "[1]", "--digital-twin" }
    assert.same({ 1 }, answered(result).payload)
    assert.equal(0, result.status, result.stderr)
    assert.equal(1, run({ "dev1", "report", "7", "--component", "none" }).status)
  end)

  it("ends at once by SIGINT while it waits, without a word", function()
    local rule = hub:fault { stage = "request", action = "drop", method = "lost" }
    finally(function() rule:remove() end)
    local process <close> = cli.start({ "invoke", "dev1", "lost" },
      { variables = variables })
    assert(dm.wait_until(function() return rule.hits == 1 end, 30))
    process:kill "sigint"
    local result = process:ended()
    assert.same({ 2, "", "" }, { result.signal, result.stdout, result.stderr })
  end)

  it("says by its exit status who failed", function()
    assert.equal(1, run { "dev1", "refuse" }.status)
    local result = run { "nobody", "echo" }
    assert.equal(3, result.status)
    assert.equal(404001, answered(result).code)
    has(result.stderr, "nobody: DeviceNotFound (404001): ")
    has(result.stderr, "`directmethods explain 404001`")
    assert.equal(404103, answered(run { "dev1/mod", "echo" }).code)
    local elsewhere = { IOTHUB_CA_FILE = variables.IOTHUB_CA_FILE, HUB_HTTPS_PORT = 1,
      IOTHUB_CONNECTION_STRING = variables.IOTHUB_CONNECTION_STRING }
    result = run({ "dev1", "echo" }, { variables = elsewhere })
    assert.equal(4, result.status)
    assert.equal("ConnectFailed", answered(result).error)
  end)

  local WRONG = {
    { {}, "missing argument 'device'" },
    { { "dev1" }, "missing argument 'method'" },
    { { "a b", "echo" }, "device_id must be" },
    { { "dev1/mod", "echo", "--digital-twin" }, "for devices, not for modules" },
    { { "dev1", "echo", "--component", "a b" }, "--component must be" },
    { { "dev1", "a b" }, "method must be" },
    { { "dev1", "echo", "{" }, "invoke: PAYLOAD: not valid JSON: expected " },
    { { "dev1", "echo", "--response-timeout", "301" }, "--response-timeout must be" },
    { { "dev1", "echo", "--connect-timeout", "x" }, "whole number from 0 to 300" },
    { { "dev1", "echo", "--repeat", "0" }, "whole number from 1" },
    { { "dev1", "echo", "--expect", "os.exit()" }, "--expect must be a condition" },
    { { "dev1", "echo", "--repeat", "-1" }, "--repeat must be a whole number" },
    { { "dev1", "echo", "--interval", "-.5" }, "--interval must be a number" },
    { { "dev1", "echo", "1", "-5" }, "too many arguments" },
    { { "dev1", "echo", "--bogus" }, "unknown option '--bogus'" },
    { { "dev1", "echo", "--connection-string", "x" }, "--connection-string: " },
  }

  for _, case in ipairs(WRONG) do
    it("exits with 2: " .. case[2], function()
      local result = run(case[1])
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      has(result.stderr, "directmethods invoke: ")
      has(result.stderr, case[2])
      assert.is_nil(result.stderr:find(".lua:", 1, true))
    end)
  end

  it("exits with 2 when no hub is named, and never shows a key", function()
    local result = run({ "dev1", "echo" }, { variables = {} })
    assert.equal(2, result.status)
    has(result.stderr, "which hub?")
    local key = fixture.key(hub, "iothubowner")
    result = run({ "dev1", "echo" },
      { variables = { IOTHUB_CONNECTION_STRING = "SharedAccessKey=" .. key } })
    assert.equal(2, result.status)
    has(result.stderr, "IOTHUB_CONNECTION_STRING: ")
    assert.is_nil(result.stderr:find(key, 1, true))
  end)

  it("takes the connection string from a file, ports and CA by options", function()
    local path = cli.file(variables.IOTHUB_CONNECTION_STRING .. "\n")
    finally(function() os.remove(path) end)
    local words = { "dev1", "echo", "1", "--connection-string", "@" .. path,
      "--https-port", tostring(variables.HUB_HTTPS_PORT) }
    -- variables belong to the connection string in the environment alone
    assert.equal("TlsFailed", answered(run(words)).error)
    table.move({ "--ca", variables.IOTHUB_CA_FILE }, 1, 2, #words + 1, words)
    assert.equal(0, run(words, { variables = {} }).status)
    assert.equal(4, run { "dev1", "echo", "--connection-string", "@/no/file" }.status)
  end)

  it("calls many times, some at a time, and sums up", function()
    local result = run { "dev1", "count", "--repeat", "40", "--parallel", "8" }
    assert.equal(0, result.status)
    local seen = {}
    for line in result.stdout:gmatch("[^\n]+") do
      seen[#seen + 1] = dm.json.decode(line).payload
    end
    table.sort(seen)
    assert.equal(40, #seen)
    for i = 2, 40 do assert.equal(seen[1] + i - 1, seen[i]) end
    assert.matches("^40 calls in %d+%.%d s, 0 failed; answered: 40, p50 %d+%.%d ms, "
      .. "p95 .- ms, p99 .- ms, max .- ms\n$", result.stderr)
    result = run { "nobody", "count", "--repeat", "2", "--interval", "0.01" }
    assert.equal(3, result.status)
    has(result.stderr, "2 calls in ")
    has(result.stderr, "2 failed\n")
  end)

  it("sums up what was done when it is interrupted", function()
    local process <close> = cli.start({ "invoke", "dev1", "echo", "--repeat", "1000000",
      "--interval", "0.001" }, { variables = variables })
    local before = hub:counters().calls_answered
    assert(dm.wait_until(function()
      return hub:counters().calls_answered > before + 3
    end, 20))
    process:kill "sigint"
    local result = process:ended()
    assert.equal(130, result.status, result.stderr)
    assert.matches("%d+ calls in %d+%.%d s, 0 failed; answered: ", result.stderr)
  end)

  it("exits with 1 when what is expected does not hold, else with 0", function()
    local function status(condition, name, method)
      return run({ name or "dev1", method or "refuse", "--expect", condition }).status
    end
    assert.equal(0, status "status == 418 and not payload.ok")
    assert.equal(0, status "payload.list[1].n >= 1 and payload['list'][2] == null")
    assert.equal(1, status "status == 200 or payload.ok")
    assert.equal(0, status("code == 404001", "nobody"))
    assert.equal(3, status("status == 200", "nobody"))
    local result = run { "dev1", "refuse", "--expect", "status == 200" }
    has(result.stderr, "which is not as expected")
  end)

  it("writes a JUnit file", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    run { "dev1", "refuse", "--repeat", "2", "--junit", path, "--expect",
      "status < 400 and 'a&b' == \"c\"" }
    local file <close> = assert(io.open(path))
    local text = file:read "a"
    has(text, '<testsuite name="dev1 refuse" tests="2" failures="2" time="')
    has(text, '<testcase classname="dev1 refuse" name="call 1" time="')
    has(text, 'status 418, and not status &lt; 400 and \'a&amp;b\' == &quot;c&quot;"')
    assert.equal(4, run({ "dev1", "echo", "--junit", "/no/such/file" }).status)
  end)

  it("has examples in its help", function()
    local result = run { "--help" }
    assert.equal(0, result.status)
    has(result.stdout, "Examples:\n")
    has(result.stdout, "directmethods invoke dev1 reboot")
    assert.equal(result.stdout, cli.run { "help", "invoke" }.stdout)
  end)
end)

describe("a condition", function()
  local expect = require "directmethods.cli.expect"

  local function holds(text, scope)
    return assert(expect.compile(text, { "status", "payload", "code" }))(scope or {})
  end

  it("compares numbers, texts, and what is not there", function()
    local scope = { status = 200, payload = { ok = true, name = "x",
      list = { 5, { deep = false } }, null = dm.null } }
    for text, expected in pairs {
      ["status == 200"] = true,
      ["status==2e2"] = true,
      ["status ~= 200"] = false,
      ["status != 201"] = true,
      ["status < 300 and status >= 200"] = true,
      ["payload.name == 'x'"] = true,
      ["payload.name < 5"] = false,
      ["payload.list[2].deep == false"] = true,
      ["payload.list[2].deep.er == null"] = true,
      ["payload.null == nil"] = true,
      ["payload.none.more == null"] = true,
      ["not not payload.ok"] = true,
      ["not (status == 200 or false)"] = false,
      ["false or true and false"] = false,
      ["payload.status"] = false,
      ["-1 < 0"] = true,
    } do
      assert.equal(expected, holds(text, scope), text)
    end
  end)

  it("is no Lua", function()
    for _, text in ipairs { "", "status ==", "status = 200", "os", "statuses == 1",
      "payload:len()", "payload.x()", "status == 200; true", "_G", "1 .. 2",
      ("("):rep(900), ("x"):rep(1001), ("("):rep(400) .. "1" .. (")"):rep(400) } do
      local condition, why = expect.compile(text, { "status", "payload" })
      assert.is_nil(condition, text)
      assert.is_string(why)
    end
  end)
end)
