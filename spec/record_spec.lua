--- What dm.record and hub:record write.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local stores = require "spec.support.stores"
local wire = require "spec.support.wire"

describe("a recording", function()
  local hub, device, service, folder

  local function open(opts)
    hub = fixture.hub(opts)
    device = hub:device("dev1", {
      echo = function(request) return 200, request.payload end,
      none = function() return 204 end,
    }, { api_version = "2021-04-12" })
    assert(device:connect())
    service = hub:service("service", { api_version = "2021-04-12" })
  end

  before_each(function()
    folder = stores.folder()
    open()
  end)

  after_each(function()
    service:close()
    device:close()
    assert(device:closed(5))
    fixture.finish(hub)
    stores.remove(folder)
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

  describe("at the admin listener", function()
    local function ask(method, target)
      local reply = assert(http.exchange(hub:ports().admin, {
        method = method, target = target, bare = true, body = "",
        headers = { "Host: 127.0.0.1", "Content-Length: 0",
          "Authorization: Bearer " .. hub:admin_token() },
      }))
      return reply.body, reply.status
    end

    local function begin()
      return "/recordings/" .. assert(dm.json.decode((ask("POST", "/recordings")))).id
    end

    before_each(function()
      service:close()
      device:close()
      assert(device:closed(5))
      fixture.finish(hub)
      open { admin_port = 0 }
    end)

    it("gives each line once", function()
      local first, second = begin(), begin()
      assert.matches('^{"format":"directmethods%-recording","version":1,[^\n]+}\n$',
        (ask("GET", first)))
      assert(service:invoke("dev1", "echo", 1))
      assert(service:invoke("dev1", "echo", 2))
      assert.matches('^{"time".-"payload":1.-}\n{"time".-"payload":2.-}\n$',
        (ask("GET", first)))
      assert.equal("", (ask("GET", first .. "?timeout=0")))
      assert.matches('^{"format".-}\n{"time".-}\n{"time".-}\n$', (ask("GET", second)))
      assert.equal(204, select(2, ask("DELETE", first)))
      assert.equal(404, select(2, ask("GET", first)))
    end)

    -- Ask without waiting for the answer: a wire to read it from.
    local function wait_for(target)
      local before = hub:counters().http_requests
      local w = wire.connect(hub:ports().admin)
      w:send(http.request { method = "GET", target = target, bare = true, headers = {
        "Host: localhost", "Authorization: Bearer " .. hub:admin_token() } })
      assert(wire.turn_until(function()
        return hub:counters().http_requests > before
      end))
      return w
    end

    local function answer(w)
      local reply = assert(http.read(w))
      w:close()
      return reply.body, reply.status
    end

    it("waits for a line", function()
      local target = begin()
      ask("GET", target)
      local waiting = wait_for(target)
      assert(service:invoke("dev1", "echo", 7))
      assert.matches('"payload":7', (answer(waiting)))
      waiting = wait_for(target .. "?timeout=600")
      dm.advance(600)
      assert.equal("", (answer(waiting)))
    end)

    it("tells how many were lost when nobody reads", function()
      local target = begin()
      local text = ("x"):rep(130000)
      for _ = 1, 40 do assert(service:invoke("dev1", "echo", text)) end
      local kept, lost = 0, 0
      repeat
        local text_of_lines = ask("GET", target .. "?timeout=0")
        for line in text_of_lines:gmatch("[^\n]+") do
          local value = assert(dm.json.decode(line))
          if value.lost then lost = lost + value.lost end
          if value.device then kept = kept + 1 end
        end
      until text_of_lines == ""
      assert.is_true(lost > 0 and kept > 20)
      assert.equal(40, kept + lost)
      assert(service:invoke("dev1", "echo", 1))
      assert.matches('^{"time"', (ask("GET", target)))
    end)

    it("ends the one that nobody reads any more", function()
      local target = begin()
      local text = ("x"):rep(130000)
      for _ = 1, 40 do assert(service:invoke("dev1", "echo", text)) end
      dm.advance(61)
      assert(service:invoke("dev1", "echo", text))
      assert.equal(404, select(2, ask("GET", target)))
    end)

    it("has eight at most", function()
      for _ = 1, 8 do begin() end
      assert.equal(503, select(2, ask("POST", "/recordings")))
    end)

    it("lets readers take the rest when the hub stops", function()
      local target, other = begin(), begin()
      ask("GET", target)
      ask("GET", other)
      local waiting = wait_for(other)
      assert(service:invoke("dev1", "echo", 7))
      answer(waiting)
      waiting = wait_for(other)
      local stopping = dm.spawn(hub.stop, hub, 5)
      assert.equal("", (answer(waiting)))
      assert.equal(503, select(2, ask("GET", other)))
      assert.matches('"payload":7', (ask("GET", target)))
      assert.equal(503, select(2, ask("GET", target)))
      ask("DELETE", target)
      ask("DELETE", other)
      assert(stopping:await())
    end)
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
