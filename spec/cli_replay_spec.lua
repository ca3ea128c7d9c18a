--- `directmethods replay` through the program: calls made again and compared, devices
-- that answer from a recording, files that are no recordings.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local stores = require "spec.support.stores"

local has = checks.has
local HEADER = '{"format":"directmethods-recording","version":1,"time":1e9}\n'

-- The line of a call of "echo" of dev1.
local function line(o)
  o = o or {}
  return dm.json.encode {
    time = o.time or 1e9, elapsed = o.elapsed or 0, device = o.device or "dev1",
    module = o.module, method = o.method or "echo", payload = o.payload,
    response_timeout = o.response_timeout, connect_timeout = o.connect_timeout,
    api_version = o.api_version, payload_missing = o.payload_missing,
    answer = o.answer or { status = 200, payload = o.payload },
  } .. "\n"
end

describe("directmethods replay", function()
  local hub, device, variables, folder, seen, changed

  -- The variable by which the command finds a hub.
  local function variables_of(of)
    local ready_file = cli.ready_file(of)
    assert(os.rename(ready_file, folder .. "/ready.json"))
    return { DIRECTMETHODS_READY_FILE = folder .. "/ready.json" }
  end

  before_each(function()
    folder = stores.folder()
    hub = fixture.hub { admin_port = 0 }
    seen, changed = {}, nil
    local met = 0
    device = hub:device("dev1", {
      echo = function(request)
        seen[#seen + 1] = request.payload
        return 200, changed or request.payload
      end,
      meet = function()
        met = met + 1
        assert(dm.wait_until(function() return met == 3 end, 60))
        return 200
      end,
      refuse = function() return 418, { why = "tea", time = dm.time() } end,
    }, { api_version = "2021-04-12" })
    assert(device:connect())
    assert(hub:add_device("dev2"))
    variables = variables_of(hub)
  end)

  after_each(function()
    device:close()
    assert(device:closed(5))
    fixture.finish(hub)
    stores.remove(folder)
  end)

  local function path()
    return folder .. "/calls.jsonl"
  end

  local function write(...)
    stores.write(path(), table.concat { HEADER, ... })
  end

  local function run(...)
    return cli.run({ "replay", path(), ... }, { variables = variables })
  end

  -- What it says of each call.
  local function answers(result)
    local list = {}
    for text in result.stdout:gmatch("([^\n]+)") do
      list[#list + 1] = assert(dm.json.decode(text))
    end
    return list
  end

  -- A recording of these calls of this hub: { device, method, payload, options }.
  local function record(calls)
    local recorder = assert(hub:record(path()))
    local service <close> = hub:service("service", { api_version = "2021-04-12" })
    for _, call in ipairs(calls) do
      service:invoke(call[1], call[2], call[3], call[4])
    end
    assert(recorder:close())
  end

  describe("makes the calls of a recording", function()
    it("in their order, and shows each answer", function()
      record { { "dev1", "echo", { n = 1 } }, { "dev1", "echo", dm.null },
        { "dev1", "refuse" }, { "dev2", "echo" } }
      seen = {}
      local result = run "--no-wait"
      assert.equal(3, result.status)
      assert.same({ { n = 1 }, dm.null }, seen)
      local list = answers(result)
      assert.same({ 2, "dev1", "echo", 200, { n = 1 } }, { list[1].line,
        list[1].device, list[1].method, list[1].status, list[1].payload })
      assert.equal(dm.null, list[2].payload)
      assert.equal(418, list[3].status)
      assert.equal(404103, list[4].code)
      has(result.stderr, path() .. ":5: dev2 echo: DeviceNotOnline (404103)")
      has(result.stderr, "4 calls in")
      assert.equal(1, (function()
        record { { "dev1", "refuse" } }
        return run "--no-wait".status
      end)())
    end)

    it("with their time-outs and api-version", function()
      write(line { api_version = "2018-06-30", response_timeout = 3,
        connect_timeout = 2 }, line {})
      assert.equal(0, run "--no-wait".status)
      assert.equal(2, run("--no-wait", "--api-version", "2021-04-12").status)
      local calls = hub:calls()
      assert.same({ "2018-06-30", 3, 2 }, { calls[1].api_version,
        calls[1].response_timeout, calls[1].connect_timeout })
      assert.equal("2021-04-12", calls[2].api_version)
    end)

    it("in the order in which they were made", function()
      write(line { time = 1e9 + 2, payload = "second" }, line { payload = "first" },
        line { time = 1e9 + 2, payload = "third" })
      assert.equal(0, run "--no-wait".status)
      assert.same({ "first", "second", "third" }, seen)
    end)

    it("of modules", function()
      local module <close> = hub:device("dev1/mod",
        { echo = function() return 200, "module" end })
      assert(module:connect())
      write(line { module = "mod" })
      assert.equal("module", answers(run())[1].payload)
    end)

    it("at their times, or faster, or side by side", function()
      write(line {}, line { time = 1e9 + 3600 })
      local begun = dm.time()
      assert.equal(0, run("--speed", "36000").status)
      -- the first may reach the hub late, so the wait is seen from the beginning
      assert.is_true(hub:calls()[2].time - begun >= 0.1)
      -- none is answered before all three are there
      local meet = line { method = "meet" }
      write(meet, meet, meet)
      assert.equal(0, run("--no-wait", "--parallel", "3").status)
    end)

    it("but none whose payload was not kept", function()
      write(line { payload_missing = true }, line { payload = 1 })
      local result = run "--no-wait"
      assert.equal(0, result.status)
      assert.same({ 1 }, seen)
      has(result.stderr, ":2: dev1 echo: not made, because its payload was not "
        .. "recorded")
      has(result.stderr, "1 calls in")
      has(result.stderr, ", 1 not made")
    end)

    it("until SIGINT", function()
      write(line {}, line { time = 2e9 })
      local child <close> = cli.start({ "replay", path() }, { variables = variables })
      assert(dm.wait_until(function() return hub:calls()[1] end, 20))
      child:kill "sigint"
      assert.equal(130, child:ended().status)
    end)
  end)

  describe("--diff", function()
    it("is quiet when the answers are equal", function()
      record { { "dev1", "echo", { n = 1, list = { 1, { "x" } } } }, { "dev1", "echo" },
        { "dev2", "echo" }, { "nobody", "echo" } }
      local result = run("--no-wait", "--diff")
      assert.equal(0, result.status, result.stderr)
      has(result.stderr, "4 calls in")
      has(result.stderr, ", 0 differ")
      assert.same({}, answers(result)[1].differences)
    end)

    it("exits with 1 and says what differs, and where", function()
      record { { "dev1", "echo", { n = 1, same = true, list = { 1, { a = "x" } } } } }
      changed = { same = true, list = { 1, { a = "y" }, dm.null }, ["a b"] = 2 }
      local result = run("--no-wait", "--diff")
      assert.equal(1, result.status)
      has(result.stderr, path() .. ":2: dev1 echo: the answer differs:\n"
        .. '  payload["a b"]: recorded nothing, now 2\n'
        .. '  payload.list[2].a: recorded "x", now "y"\n'
        .. "  payload.list[3]: recorded nothing, now null\n"
        .. "  payload.n: recorded 1, now nothing\n")
      has(result.stderr, "1 differ")
      assert.same({ path = "payload.n", recorded = "1" },
        answers(result)[1].differences[4])
    end)

    it("compares statuses and errors", function()
      write(line { answer = { status = 201, payload = { 1 } } },
        line { answer = { error = "DeviceNotOnline", code = 404103 } },
        line { device = "dev2" },
        line { device = "dev2", answer = { error = "Other", code = 404103 } },
        line { answer = { error = "CallerGone" } })
      local result = run("--no-wait", "--diff")
      assert.equal(1, result.status)
      has(result.stderr, ":2: dev1 echo: the answer differs:\n"
        .. "  payload: recorded [1], now null\n  status: recorded 201, now 200\n")
      has(result.stderr, "  code: recorded 404103, now nothing\n")
      has(result.stderr, "  code: recorded nothing, now 404103\n")
      has(result.stderr, "3 differ")
    end)

    it("ignores members", function()
      record { { "dev1", "refuse" } }
      assert.equal(1, run("--no-wait", "--diff").status)
      assert.equal(0, run("--no-wait", "--diff", "--ignore", "payload.time").status)
      record { { "dev1", "echo", { list = { { id = 1, n = 1 }, { id = 2 } } } } }
      changed = { list = { { id = 3, n = 1 }, { id = 4 } } }
      assert.equal(0, run("--no-wait", "--diff", "--ignore", "payload.list[*].id")
        .status)
      local result = run("--no-wait", "--diff", "--ignore", "payload.list[1].id")
      assert.equal(1, result.status)
      has(result.stderr, "payload.list[2].id: recorded 2, now 4")
      assert.equal(0, run("--no-wait", "--diff", "--ignore", "payload").status)
    end)

    it("does not compare what was not kept", function()
      write(line { payload = 1, answer = { status = 200, payload_missing = true } })
      assert.equal(0, run("--no-wait", "--diff").status)
    end)

    it("writes a report", function()
      record { { "dev1", "echo", 1 }, { "dev1", "echo", 2 } }
      changed = 1
      local report = folder .. "/report.xml"
      assert.equal(1, run("--no-wait", "--diff", "--junit", report).status)
      local text = stores.read(report)
      has(text, 'tests="2" failures="1"')
      has(text, 'name="line 3: dev1 echo"')
      has(text, "payload: recorded 2, now 1")
    end)

    it("says when the hub cannot be reached", function()
      write(line {})
      variables = { HUB_HTTPS_PORT = 1,
        IOTHUB_CONNECTION_STRING = hub:connection_string "iothubowner" }
      assert.equal(4, run("--no-wait", "--diff").status)
    end)
  end)

  it("finds the same in a recording of another hub, until something changes", function()
    record { { "dev1", "echo", { on = true } }, { "dev1", "refuse" } }
    local level = 1
    local other = fixture.hub {}
    local lamp = other:device("dev1", {
      echo = function() return 200, { on = level == 1 } end,
      refuse = function() return 418, { why = "tea", time = 0 } end,
    })
    assert(lamp:connect())
    variables = variables_of(other)
    local words = { "--no-wait", "--diff", "--ignore", "payload.time" }
    assert.equal(0, run(table.unpack(words)).status)
    level = 2
    local result = run(table.unpack(words))
    assert.equal(1, result.status)
    has(result.stderr, "payload.on: recorded true, now false")
    lamp:close()
    assert(lamp:closed(5))
    fixture.finish(other)
  end)

  describe("of a file", function()
    local function says(status, text, ...)
      local result = run("--no-wait", ...)
      assert.equal(status, result.status, result.stderr)
      has(result.stderr, text)
    end

    it("whose last line is cut off goes on with a warning", function()
      write(line { payload = 1 }, line { payload = 2 }:sub(1, -9))
      says(0, path() .. ": the last line is not complete, and is left out")
      assert.same({ 1 }, seen)
      write(line { payload = 3 }:sub(1, -2))
      assert.equal("", run("--no-wait", "-q").stderr)
      assert.same({ 1, 3 }, seen)
    end)

    it("says how many calls were lost", function()
      write('{"lost":2}\n', line {}, '{"lost":3}\n')
      says(0, "5 calls were lost when it was recorded")
    end)

    it("may be two of them, one behind the other", function()
      write(line {}, HEADER, line {})
      assert.equal(2, #answers(run "--no-wait"))
    end)

    local WRONG = {
      { "{\n", "not valid JSON" },
      { "[]\n", "member 'time' is missing" },
      { "7\n", "must be a JSON object" },
      { '{"lost":"x"}\n', "'lost' must be an integer" },
      { line { device = "a b" }, "member 'device' must be" },
      { line { method = "a b" }, "member 'method' must be" },
      { line { answer = {} }, "member 'answer' must have either" },
      { line { answer = { status = "x" } },
        "member 'answer': 'status' must be an integer" },
      { line { response_timeout = 1.5 }, "member 'response_timeout' must be" },
      { line {}:gsub('"method"', '"payload":1,"payload":2,"method"'), "" },
      { ("x"):rep(600000), "the line is too long" },
    }
    for i, case in ipairs(WRONG) do
      it(("names line 3 when it is wrong (%d)"):format(i), function()
        write(line {}, case[1], line {})
        says(4, path() .. ":3: " .. case[2])
        assert.same({}, seen)
      end)
    end

    it("names a line whose time-out its api-version does not allow", function()
      write(line {}, line { response_timeout = 1000, api_version = "2021-04-12" })
      says(2, path() .. ":3: member 'response_timeout' must be from 5 to 300 s")
    end)

    it("of a newer version is refused", function()
      stores.write(path(), '{"format":"directmethods-recording","version":2}\n'
        .. line {})
      says(4, path() .. ":1: is a recording of version 2; this program knows 1")
    end)

    it("that is no recording is refused", function()
      for _, text in ipairs { "", "x", "{}\n", "[1]\n", '{"a":1}\n{}\n', "\0\1\n" } do
        stores.write(path(), text)
        says(4, path() .. ":1: is no recording (the first line must be")
      end
      os.remove(path())
      says(4, "No such file")
      assert(dm.exec { "mkdir", path() })
      says(4, path())
    end)
  end)

  describe("--as-device", function()
    local process

    -- Connect as the recorded devices instead of the one of this process.
    local function start(id, ...)
      device:close()
      assert(device:closed(5))
      process = cli.start({ "replay", path(), "--as-device", id, ... },
        { variables = variables })
    end

    local function stop()
      process:kill "sigterm"
      local result = process:ended()
      process:__close()
      process = nil
      return result
    end

    after_each(function()
      if process then stop() end
    end)

    local function invoke(id, method, payload)
      local service <close> = hub:service("service", { api_version = "2021-04-12" })
      return assert(service:invoke(id, method, payload, { connect_timeout = 20 }))
    end

    local function asked(method, payload, id)
      local reply = invoke(id or "dev1", method, payload)
      return reply.status, reply.payload
    end

    local function check(status, payload, ...)
      assert.same({ status, payload }, { asked(...) })
    end

    it("answers by payload, then in the order of the method", function()
      write(line { payload = { a = 1, b = { 2 } }, answer = { status = 201 } },
        line { payload = "x", answer = { status = 202, payload = { 1 } } },
        line { payload = "x", answer = { status = 203, payload = "again" } },
        line { answer = { status = 204, payload = 4 } },
        line { method = "off", answer = { status = 500, payload = {} } },
        line { method = "gone", answer = { error = "GatewayTimeout", code = 504101 } })
      start("dev1")
      check(202, { 1 }, "echo", "x")
      check(201, dm.null, "echo", dm.json.raw '{ "b":[2.0], "a":1 }')
      check(203, "again", "echo", "x")
      check(203, "again", "echo", "x")
      check(204, 4, "echo", "unknown")
      check(204, 4, "echo", "unknown")
      check(204, 4, "echo")
      check(500, {}, "off", 1)
      assert.equal(501, (asked("gone")))
      assert.equal(501, (asked("never")))
      local result = stop()
      assert.equal(0, result.status)
      has(result.stderr, "dev1 online\n")
      has(result.stderr, "dev1 echo: line 3\n")
    end)

    it("is each device of the recording, or one of them", function()
      assert(hub:add_device("dev1/mod"))
      write(line { payload = 1 }, line { device = "dev2", payload = 2 },
        line { module = "mod", payload = 3 })
      process = cli.start({ "replay", path(), "--as-device" },
        { variables = variables })
      device:close()
      assert(device:closed(5))
      check(200, 2, "echo", nil, "dev2")
      check(200, 1, "echo", nil, "dev1")
      stop()
      start("dev1/mod")
      local service <close> = hub:service("service", { api_version = "2021-04-12" })
      local reply = assert(service:invoke("dev1", "echo", nil, { module_id = "mod",
        connect_timeout = 20 }))
      assert.equal(3, reply.payload)
    end)

    it("takes the recorded time, if it is to", function()
      write(line { payload = 1, elapsed = 3600 })
      start("dev1", "--delays", "--speed", "36000")
      check(200, 1, "echo")
      local call = hub:calls()[1]
      assert.is_true(call.stages.answered - call.stages.published >= 0.05)
    end)

    it("needs no more than the device's own connection string", function()
      write(line { payload = 1 })
      device:close()
      hub:close()
      assert(hub:closed(5))
      hub = fixture.hub { tls = true, admin_port = 0 }
      assert(hub:add_device("dev1"))
      variables = { HUB_MQTT_PORT = hub:ports().mqtt, IOTHUB_CA_FILE = hub:ca_file(),
        IOTHUB_DEVICE_CONNECTION_STRING = hub:connection_string "dev1" }
      start("dev1")
      check(200, 1, "echo", 1)
    end)

    it("is equal to the device that was recorded", function()
      record { { "dev1", "echo", { n = 1 } }, { "dev1", "refuse" },
        { "dev1", "echo", "x" } }
      start("dev1")
      invoke("dev1", "refuse")
      assert.equal(0, run("--no-wait", "--diff").status)
    end)

    it("says when there is nothing to answer, or no such device", function()
      write(line { device = "nobody" })
      local result = run("--as-device", "dev1")
      assert.equal(2, result.status)
      has(result.stderr, "has no answers of dev1")
      result = run "--as-device"
      assert.equal(3, result.status)
      has(result.stderr, "DeviceNotFound")
    end)
  end)

  it("refuses options that do not go together", function()
    write(line {})
    for _, case in ipairs {
      { "--speed and --no-wait exclude", "--speed", "2", "--no-wait" },
      { "--ignore needs --diff", "--ignore", "payload" },
      { "--ignore payload.: must be a member", "--diff", "--ignore", "payload." },
      { "--delays needs --as-device", "--delays" },
      { "--as-device and --diff exclude", "--as-device", "--diff" },
      { "--as-device and --no-wait exclude", "--as-device", "--no-wait" },
    } do
      local result = run(table.unpack(case, 2))
      assert.equal(2, result.status)
      has(result.stderr, case[1])
    end
  end)
end)
