--- Recordings as users of the command line have them: `hub --record`, `record`,
-- `invoke --record`, `fleet --record`.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local cli_hub = require "spec.support.cli_hub"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local reader = require "directmethods.recording.reader"
local stores = require "spec.support.stores"

local has = checks.has
local LAMP = [[{"devices":[{"id":"lamp","primary_key":"%s","methods":{
  "on":{"status":200,"payload":{"lit":true,"time":1}},"off":{"status":503}}}]}]]
local KEY = "S0VZIEtFWSBLRVkgS0VZIEtFWSBLRVkgS0VZIQ=="

describe("a recording of", function()
  local folder, home

  before_each(function()
    home = cli_hub.new()
    folder = home.path
  end)

  after_each(function() home:close() end)

  local function path()
    return folder .. "/calls.jsonl"
  end

  -- Start a hub with the device "lamp".
  local function start(...)
    return home:start { "--config", home:write("lamp.json", LAMP:format(KEY)), ... }
  end

  local function run(...)
    return cli.run({ ... },
      { variables = { DIRECTMETHODS_READY_FILE = home.process.ready } })
  end

  -- The calls in the file: their lines, decoded.
  local function calls()
    local list = {}
    for line in stores.read(path()):gmatch("([^\n]*)\n") do
      list[#list + 1] = assert(dm.json.decode(line))
    end
    assert.equal(1, table.remove(list, 1).version)
    return list
  end

  -- No key of the hub and no token is in the file.
  local function check_secrets(facts)
    local text = stores.read(path())
    for _, strings in ipairs { facts.connection_strings, facts.devices } do
      for _, each in pairs(strings) do
        local key = each:match("SharedAccessKey=([^;]+)")
        assert.is_nil(text:find(key, 1, true))
      end
    end
    for _, word in ipairs { KEY, "SharedAccess", "Authorization", "sig=" } do
      assert.is_nil(text:find(word, 1, true), word)
    end
  end

  describe("hub --record", function()
    it("has the calls, and no secret", function()
      local facts = start("--record", path(), "--admin-port", "0")
      assert.equal(0, run("invoke", "lamp", "on", '{"level":3}').status)
      assert.equal(1, run("invoke", "lamp", "off").status)
      assert.equal(3, run("invoke", "nobody", "on").status)
      assert.equal(0, home:stop().status)
      local list = calls()
      assert.equal(3, #list)
      assert.same({ level = 3 }, list[1].payload)
      assert.same({ lit = true, time = 1 }, list[1].answer.payload)
      assert.equal("2021-04-12", list[1].api_version)
      assert.same({ status = 503 }, list[2].answer)
      assert.same({ error = "DeviceNotFound", code = 404001 }, list[3].answer)
      check_secrets(facts)
    end)

    it("is there, all of it, after a kill", function()
      start("--record", path())
      assert.equal(0, run("invoke", "lamp", "on").status)
      -- the caller has its answer a moment before the file has the call
      assert(dm.wait_until(function() return #calls() == 1 end))
      home.process:kill "sigkill"
      home.process:ended()
      assert.equal(1, #calls())
    end)

    it("does not start without its file", function()
      local result = cli.run { "hub", "--mqtt-port", "0", "--https-port", "0",
        "--record", folder .. "/none/x" }
      assert.equal(4, result.status)
      has(result.stderr, "/none/x: No such file or directory")
      result = cli.run { "hub", "--mqtt-port", "0", "--https-port", "0",
        "--record", "/dev/full" }
      assert.equal(4, result.status)
      has(result.stderr, "No space left on device")
    end)
  end)

  describe("directmethods record", function()
    local child

    after_each(function()
      if child then child:__close() end
      child = nil
    end)

    -- Start it, and wait until it records.
    local function record(...)
      child = cli.start({ "record", path(), ... },
        { variables = { DIRECTMETHODS_READY_FILE = home.process.ready } })
      assert(dm.wait_until(function()
        local file <close> = io.open(path())
        return file and file:read("a") ~= ""
      end, 20))
    end

    it("has the calls of a running hub until SIGINT, and no secret", function()
      local facts = start("--admin-port", "0")
      record()
      assert.equal(0, run("invoke", "lamp", "on", '{"level":3}').status)
      assert.equal(3, run("invoke", "nobody", "on").status)
      child:kill "sigint"
      local result = child:ended()
      assert.equal(0, result.status)
      assert.same({ file = path(), calls = 2, lost = 0 },
        dm.json.decode(result.stdout))
      local list = calls()
      assert.equal(2, #list)
      assert.same({ level = 3 }, list[1].payload)
      check_secrets(facts)
      assert.equal(0, run("replay", path(), "--no-wait", "--diff").status)
    end)

    it("ends when the hub ends", function()
      start("--admin-port", "0")
      record()
      assert.equal(0, run("invoke", "lamp", "on").status)
      assert.equal(0, home:stop().status)
      local result = child:ended()
      assert.equal(0, result.status)
      has(result.stderr, "the hub has ended")
      assert.equal(1, #calls())
    end)

    it("ends after --for", function()
      start("--admin-port", "0")
      local result = run("record", path(), "--for", "0.1")
      assert.equal(0, result.status, result.stderr)
      assert.same({}, calls())
    end)

    it("ends when its file is removed", function()
      start("--admin-port", "0")
      record()
      assert(os.remove(path()))
      assert.equal(0, run("invoke", "lamp", "on").status)
      local result = child:ended()
      assert.equal(4, result.status)
      has(result.stderr, path() .. ": the file was removed")
      assert.equal(0, run("invoke", "lamp", "on").status)
    end)

    it("says when there is no admin listener, or no room on the disk", function()
      start()
      local result = run("record", path())
      assert.equal(2, result.status)
      has(result.stderr, "this needs the admin listener of a local hub")
      result = run("record", folder .. "/none/x")
      assert.equal(4, result.status)
      has(result.stderr, "/none/x: No such file or directory")
      home:stop()
      start("--admin-port", "0")
      result = run("record", "/dev/full", "--for", "5")
      assert.equal(4, result.status)
      has(result.stderr, "/dev/full: No space left on device")
      assert.equal(0, run("invoke", "lamp", "on").status)
    end)
  end)

  it("invoke --record has its calls", function()
    start("--admin-port", "0")
    local words = { "invoke", "lamp", "on", '{"a":1}', "--record", path(), "--repeat",
      "3", "--parallel", "2", "--response-timeout", "20" }
    assert.equal(0, run(table.unpack(words)).status)
    local list = calls()
    assert.equal(3, #list)
    assert.same({ a = 1 }, list[1].payload)
    assert.equal(20, list[1].response_timeout)
    assert.equal("2021-04-12", list[1].api_version)
    assert.same({ status = 200, payload = { lit = true, time = 1 } }, list[1].answer)
    assert.equal(0, run("replay", path(), "--no-wait", "--diff").status)
    assert.equal(3, run("invoke", "nobody", "on", "--record", path()).status)
    list = calls()
    assert.is_nil(list[1].payload)
    assert.same({ error = "DeviceNotFound", code = 404001 }, list[1].answer)
    local result = run("invoke", "lamp", "on", "--record", "/dev/full")
    assert.equal(4, result.status)
    has(result.stderr, "recording /dev/full: No space left on device")
    assert.equal("", result.stdout)
  end)

  it("fleet --record has the calls of its devices", function()
    start("--admin-port", "0")
    local child <close> = cli.start({ "fleet", "2", "--id", "f%d", "--record", path(),
      "--answer", "ping=201:[7]" },
      { variables = { DIRECTMETHODS_READY_FILE = home.process.ready } })
    local result = run("invoke", "f2", "ping", "1", "--connect-timeout", "20",
      "--response-timeout", "20")
    for _ = 1, 100 do -- until the fleet has registered its devices
      if result.status == 0 then break end
      result = run("invoke", "f2", "ping", "1", "--connect-timeout", "20")
    end
    assert.equal(0, result.status, result.stderr)
    assert.equal(0, run("invoke", "f1", "ping", "--connect-timeout", "20").status)
    child:kill "sigterm"
    assert.equal(0, child:ended().status)
    local list = calls()
    assert.same({ "f2", "ping", 1 }, { list[1].device, list[1].method,
      list[1].payload })
    assert.same({ status = 201, payload = { 7 } }, list[1].answer)
    assert.equal("f1", list[2].device)
    assert.equal(2, #list)
  end)

  it("10,000 calls at full rate has each, or says how many it lost", function()
    local hub = fixture.hub { admin_port = 0 }
    local device = hub:device("dev1", { on = function() return 200 end },
      { engine = "uv" })
    assert(device:connect())
    local ready = cli.ready_file(hub)
    finally(function() os.remove(ready) end)
    local child <close> = cli.start({ "record", path() },
      { variables = { DIRECTMETHODS_READY_FILE = ready } })
    assert(dm.wait_until(function()
      local file <close> = io.open(path())
      return file and file:read("a") ~= ""
    end, 20))
    local service = hub:service("service", { max_connections = 32 })
    local left, lanes = 10000, {}
    for i = 1, 32 do
      lanes[i] = function()
        while left > 0 do
          left = left - 1
          assert(service:invoke("dev1", "on", left))
        end
      end
    end
    dm.all(lanes)
    child:kill "sigterm"
    local result = child:ended()
    assert.equal(0, result.status, result.stderr)
    local told = assert(dm.json.decode(result.stdout))
    assert.equal(10000, told.calls + told.lost)
    local recording = assert(reader.read(path()))
    assert.equal(told.calls, #recording.calls)
    assert.equal(told.lost, recording.lost)
    device:close()
    assert(device:closed(5))
    fixture.finish(hub, service)
  end)
end)
