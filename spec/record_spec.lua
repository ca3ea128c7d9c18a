--- What dm.record and hub:record write.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local stores = require "spec.support.stores"

describe("a recording", function()
  local hub, device, service, folder

  before_each(function()
    folder = assert(dm.exec { "mktemp", "-d" }).stdout:match("[^\n]+")
    hub = fixture.hub()
    device = hub:device("dev1", {
      echo = function(request) return 200, request.payload end,
      none = function() return 204 end,
    }, { api_version = "2021-04-12" })
    assert(device:connect())
    service = hub:service("service", { api_version = "2021-04-12" })
  end)

  after_each(function()
    service:close()
    device:close()
    assert(device:closed(5))
    fixture.finish(hub)
    assert(dm.exec { "rm", "-r", folder })
  end)

  local function path()
    return folder .. "/calls.jsonl"
  end

  -- The lines of the file, decoded.
  local function lines()
    local list = {}
    for line in stores.read(path()):gmatch("([^\n]*)\n") do
      list[#list + 1] = assert(dm.json.decode(line))
    end
    return list
  end

  -- The lines of calls, without their times.
  local function calls()
    local list = lines()
    table.remove(list, 1)
    for _, call in ipairs(list) do
      assert.is_true(call.time > 1e9 and call.elapsed >= 0)
      call.time, call.elapsed = nil, nil
    end
    return list
  end

  it("begins with its version", function()
    local recorder = assert(hub:record(path()))
    assert(recorder:close())
    local header = lines()[1]
    assert.equal("directmethods-recording", header.format)
    assert.equal(1, header.version)
    assert.is_true(math.abs(header.time - dm.time()) < 3600)
  end)

  it("has all of each call", function()
    local recorder = assert(hub:record(path()))
    assert(service:invoke("dev1", "echo", { a = 1 }, { response_timeout = 9,
      connect_timeout = 4 }))
    assert(service:invoke("dev1", "none"))
    assert(service:invoke("dev1", "echo", dm.null))
    assert.is_nil((service:invoke("nobody", "none")))
    assert(recorder:close())
    assert.equal(4, recorder.calls)
    local version = "2021-04-12"
    assert.same({
      { device = "dev1", method = "echo", payload = { a = 1 }, response_timeout = 9,
        connect_timeout = 4, api_version = version,
        answer = { status = 200, payload = { a = 1 } } },
      { device = "dev1", method = "none", response_timeout = 30, connect_timeout = 0,
        api_version = version, answer = { status = 204 } },
      { device = "dev1", method = "echo", payload = dm.null, response_timeout = 30,
        connect_timeout = 0, api_version = version,
        answer = { status = 200, payload = dm.null } },
      { device = "nobody", method = "none", response_timeout = 30, connect_timeout = 0,
        api_version = version, answer = { error = "DeviceNotFound", code = 404001 } },
    }, calls())
  end)

  it("names modules", function()
    local module <close> = hub:device("dev1/mod", { on = function() return 200 end })
    assert(module:connect())
    local recorder = assert(hub:record(path()))
    assert(service:invoke("dev1", "on", nil, { module_id = "mod" }))
    assert(recorder:close())
    assert.equal("mod", calls()[1].module)
  end)

  it("has a line for each call, whatever its payload's text", function()
    local recorder = assert(hub:record(path()))
    assert(service:invoke("dev1", "echo", dm.json.raw '{"a":\r\n ["\\n"]}'))
    assert(recorder:close())
    assert.same({ a = { "\n" } }, calls()[1].payload)
    assert.same({ a = { "\n" } }, calls()[1].answer.payload)
  end)

  it("says so when a payload made room for later calls", function()
    local slow = hub:device("slow", { wait = function() dm.sleep(20) return 200 end })
    local _ <close> = slow
    assert(slow:connect())
    local recorder = assert(hub:record(path()))
    local call = dm.spawn(service.invoke, service, "slow", "wait", ("x"):rep(100000))
    assert(dm.wait_until(function() return hub:counters().calls > 0 end))
    for _ = 1, 8 do assert(service:invoke("dev1", "echo", ("y"):rep(130000))) end
    dm.advance(20)
    assert(call:await())
    assert(recorder:close())
    local list = calls()
    assert.equal("wait", list[9].method)
    assert.is_true(list[9].payload_missing)
    assert.is_nil(list[9].payload)
    assert.equal(130000, #list[1].payload)
  end)

  it("holds no call that cannot be made again", function()
    local recorder = assert(hub:record(path()))
    fixture.call(hub, { device = "dev1", body = '{"methodName":7}' })
    assert(recorder:close())
    assert.equal(0, #calls())
  end)

  it("replaces the file, and ends with the hub", function()
    local file = assert(io.open(path(), "w"))
    file:write("x\n")
    file:close()
    local recorder = assert(hub:record(path()))
    assert(service:invoke("dev1", "none"))
    assert(hub:stop(1))
    assert.equal(1, #calls())
    assert.is_true(recorder:close())
  end)

  it("ends with one clear error when the disk is full", function()
    local recorder, err = hub:record "/dev/full"
    assert.is_nil(recorder)
    assert.equal("recording /dev/full: No space left on device", err.message)
    assert.matches("^recording .*: No such file or directory$",
      select(2, hub:record(folder .. "/none/x")).message)
  end)

  it("ends with one clear error when its file is removed", function()
    local told = {}
    dm.log { sink = function(level, line) told[#told + 1] = level .. ": " .. line end }
    finally(function() dm.log { sink = require("directmethods.stderr").write } end)
    local recorder = assert(hub:record(path()))
    assert(os.remove(path()))
    dm.advance(2)
    for _ = 1, 3 do assert(service:invoke("dev1", "none")) end
    assert(dm.wait_until(function() return told[1] end))
    assert.same({ ("error: recording %s: the file was removed; the hub goes on without "
      .. "it"):format(path()) }, told)
    local closed, err = recorder:close()
    assert.is_nil(closed)
    assert.equal(("recording %s: the file was removed"):format(path()), err.message)
  end)

  describe("of dm.record", function()
    it("takes records of calls, and calls of one's own", function()
      local recorder = assert(dm.record(path()))
      assert(service:invoke("dev1", "echo", 7))
      recorder:add(hub:calls()[1])
      recorder:add { time = 1e9 + 1, elapsed = 0.5, device_id = "d", method = "m",
        outcome = "Timeout" }
      recorder:add { time = 1e9 + 1, elapsed = 0.5, device_id = "d", method = "m",
        payload = "[1]", status = 200, response = "{}" }
      assert(recorder:close())
      local list = calls()
      assert.equal(7, list[1].payload)
      assert.same({ device = "d", method = "m", answer = { error = "Timeout" } },
        list[2])
      assert.same({ device = "d", method = "m", payload = { 1 },
        answer = { status = 200, payload = {} } }, list[3])
    end)

    it("raises for what is no call", function()
      local recorder <close> = assert(dm.record(path()))
      local function wrong(text, call)
        assert.has_error(function() recorder:add(call) end,
          "recorder:add: call must " .. text)
      end
      wrong("be a table, not a nil")
      wrong("have a status or an outcome", { time = 1, elapsed = 1, device_id = "d",
        method = "m" })
      wrong("have JSON text in 'payload'", { time = 1, elapsed = 1, device_id = "d",
        method = "m", payload = "{", status = 1 })
      wrong("have a string 'method'", { time = 1, elapsed = 1, device_id = "d" })
    end)

    it("raises for a path that is none", function()
      assert.has_error(function() dm.record(7) end,
        "dm.record: path must be a string, not a number")
      assert.has_error(function() hub:record {} end,
        "hub:record: path must be a string, not a table")
    end)
  end)
end)
