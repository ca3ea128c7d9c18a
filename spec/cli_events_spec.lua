-- What the command line shows of what happens: the log of a hub, and `watch`.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local events = require "directmethods.cli.event_lines"
local fixture = require "spec.support.fixture"
local hub_process = require "spec.support.hub_process"
local limits = require "directmethods.cli.log_limit"
local logs = require "directmethods.cli.log"
local shell = require "directmethods.shell"
local uv = require "luv"

describe("lines about devices", function()
  local limit, left

  before_each(function()
    left = {}
    limit = limits.new(function(what) left[#left + 1] = what end)
  end)

  after_each(function() limit:close() end)

  local function admitted(event, times)
    local count = 0
    for _ = 1, times do
      if limit:admits(event) then count = count + 1 end
    end
    return count
  end

  it("are twenty of a source and reason, and the rest is counted", function()
    local event = { event = "refused", reason = "bad_token", address = "10.0.0.1:5" }
    assert.equal(20, admitted(event, 32))
    event = { event = "refused", reason = "bad_token", address = "10.0.0.1:6" }
    assert.equal(0, admitted(event, 1))
    assert.equal(1, admitted({ event = "connected", address = "10.0.0.1:5" }, 1))
    event = { event = "refused", reason = "bad_token", address = "10.0.0.2:5" }
    assert.equal(20, admitted(event, 21))
    dm.advance(10)
    table.sort(left, function(a, b) return a.source < b.source end)
    assert.same({
      { event = "refused", reason = "bad_token", source = "10.0.0.1", count = 13 },
      { event = "refused", reason = "bad_token", source = "10.0.0.2", count = 1 },
    }, left)
    assert.equal(20, admitted(event, 20))
  end)

  it("are counted until the hub ends", function()
    admitted({ event = "connected" }, 23)
    limit:close()
    assert.same({ { event = "connected", count = 3 } }, left)
  end)

  it("of very many sources share what they have in common", function()
    for i = 1, 5000 do
      limit:admits { event = "refused", reason = "tls", address = i .. ".0.0.1:5" }
    end
    limit:close()
    assert.same({ { event = "refused", reason = "tls", count = 4000 - 20 } }, left)
  end)

  it("of an IPv6 network have one source", function()
    assert.equal("127.0.0.1", limits.source "127.0.0.1:5")
    assert.equal("127.0.0.1", limits.source "[::ffff:127.0.0.1]:5")
    assert.equal("0:0:0:0::/64", limits.source "[::1]:5")
    assert.equal("2001:db8:1:2::/64", limits.source "[2001:db8:1:2:3:4:5:6]:5")
    assert.equal("2001:db8:1:2::/64", limits.source "[2001:db8:1:2::6]:5")
    assert.equal("2001:db8:0:0::/64", limits.source "[2001:db8::6:7]:5")
    assert.is_nil(limits.source(nil))
  end)

  it("say who, what, from where and why", function()
    assert.equal("dev1 connected 127.0.0.1:5", logs.device_text {
      event = "connected", device_id = "dev1", address = "127.0.0.1:5",
    })
    assert.equal("dev1/m taken over 127.0.0.1:5: a connection from 127.0.0.1:6 took "
      .. "its place", logs.device_text {
      event = "taken_over", device_id = "dev1", module_id = "m",
      address = "127.0.0.1:5", text = "a connection from 127.0.0.1:6 took its place",
    })
    assert.equal("- refused 127.0.0.1:5 (2): no client id", logs.device_text {
      event = "refused", address = "127.0.0.1:5", code = 2, text = "no client id",
    })
  end)
end)

describe("the log of a hub", function()
  local folder, process

  before_each(function()
    folder = assert(dm.exec { "mktemp", "-d" }).stdout:match("[^\n]+")
  end)

  after_each(function()
    process:close()
    assert(dm.exec { "rm", "-r", folder })
  end)

  -- Run a hub while a device comes and goes, and another one is refused.
  local function run(...)
    process = hub_process.start(folder, { "--device", "dev1", ... })
    process:serves()
    local text = process:connection_string "dev1"
    local device = assert(dm.device { connection_string = text,
      tls = { ca = process.facts.ca_file }, port = process.facts.ports.mqtt })
    assert(device:connect())
    device:close()
    assert(device:closed(5))
    local stranger = assert(dm.device {
      connection_string = text:gsub("DeviceId=dev1", "DeviceId=x"),
      tls = { ca = process.facts.ca_file },
      port = process.facts.ports.mqtt,
    })
    local connected, err = stranger:connect(5)
    assert.is_nil(connected, err)
    stranger:close()
    assert(stranger:closed(5))
    process:kill "sigterm"
    return process:ended()
  end

  it("says by default who came, went and was refused, and why", function()
    local result = run()
    local at = "%d+%-%d+%-%d+T%d+:%d+:%d+Z "
    assert.matches(at .. "dev1 connected 127%.0%.0%.1:%d+\n", result.stderr)
    assert.matches(at .. "dev1 subscribed 127%.0%.0%.1:%d+\n", result.stderr)
    assert.matches(at .. "dev1 disconnected 127%.0%.0%.1:%d+: the device sent "
      .. "DISCONNECT\n", result.stderr)
    assert.matches(at .. "x refused 127%.0%.0%.1:%d+ %(5%): there is no device 'x'\n",
      result.stderr)
  end)

  it("says the same in JSON", function()
    local result = run("--log-format", "json")
    local seen = {}
    for line in result.stderr:gmatch "[^\n]+" do
      local record = assert(dm.json.decode(line))
      if record.event then seen[record.event] = record end
    end
    assert.equal("info", seen.connected.level)
    assert.equal("warn", seen.refused.level)
    assert.equal("not_registered", seen.refused.reason)
    assert.equal(5, seen.refused.code)
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+Z$", seen.refused.time)
  end)

  it("is silent about devices with --quiet", function()
    assert.equal("directmethods hub: stopping (SIGTERM)\n", run("--quiet").stderr)
  end)
end)

describe("directmethods watch", function()
  local hub, folder, process

  before_each(function()
    folder = assert(dm.exec { "mktemp", "-d" }).stdout:match("[^\n]+")
    hub = fixture.hub { admin_port = 0 }
    hub:add_device("dev1")
  end)

  after_each(function()
    if process then process:__close() end
    process = nil
    fixture.finish(hub)
    assert(dm.exec { "rm", "-r", folder })
  end)

  -- A ready file of the hub of this process.
  local function ready_file(changes)
    local facts = {
      host = "127.0.0.1", hostname = "localhost", tls = false, ports = hub:ports(),
      connection_strings = { iothubowner = hub:connection_string "iothubowner" },
      admin_token = hub:admin_token(),
    }
    for name, value in pairs(changes or {}) do facts[name] = value end
    local path = folder .. "/ready.json"
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(dm.json.encode(facts)))
    return path
  end

  local function streams() return hub.state.streams.list end

  local function has_stream()
    assert(dm.wait_until(function() return streams()[1] end, 20))
  end

  -- Start it, and wait until it listens.
  local function start(...)
    process = cli.start({ "watch", "--ready-file", ready_file(), ... })
    has_stream()
  end

  -- Wait until the stream has told everything, and end the command.
  local function ended(signal)
    local place = streams()[1].place
    assert(dm.wait_until(function()
      place = streams()[1] and streams()[1].place or place
      return place.calls == (hub.state.plane:event_counts())
    end))
    process:kill(signal or "sigint")
    return process:ended()
  end

  it("prints a line of JSON for each event until Ctrl-C", function()
    start()
    fixture.call(hub, { device = "dev1" })
    local result = ended()
    assert.equal(130, result.status)
    assert.equal("", result.stderr)
    local list = {}
    for line in result.stdout:gmatch "[^\n]+" do
      list[#list + 1] = assert(dm.json.decode(line))
    end
    assert.equal("hello", list[1].event)
    assert.equal("call", list[2].event)
    assert.equal("dev1", list[2].data.device_id)
    assert.is_nil(list[2].data.payload)
    assert.matches("^%x+%-1%-0%-0$", list[2].id)
    assert.equal(2, #list)
  end)

  it("passes on what is wanted", function()
    start("--kinds", "calls", "--device", "dev1", "--payloads")
    fixture.call(hub, { device = "nobody" })
    fixture.call(hub, { device = "dev1", body = '{"methodName":"a","payload":7}' })
    fixture.device(hub, "dev1"):close()
    local result = ended "sigterm"
    assert.equal(143, result.status)
    local calls = {}
    for line in result.stdout:gmatch "[^\n]+" do
      local event = assert(dm.json.decode(line))
      if event.event ~= "hello" then calls[#calls + 1] = event.data end
    end
    assert.equal(1, #calls)
    assert.same({ "dev1", 7 }, { calls[1].device_id, calls[1].payload })
  end)

  it("goes on where it was when the connection ends", function()
    start("--kinds", "calls")
    fixture.call(hub, { device = "dev1" })
    assert(dm.wait_until(function() return streams()[1].place.calls == 1 end))
    hub.state.plane:stream_end(streams()[1].request)
    assert(dm.wait_until(function() return not streams()[1] end))
    fixture.call(hub, { device = "dev1" })
    has_stream()
    fixture.call(hub, { device = "dev1" })
    local result = ended()
    local ids = {}
    for line in result.stdout:gmatch "[^\n]+" do
      local event = assert(dm.json.decode(line))
      if event.event == "call" then ids[#ids + 1] = event.data.id end
    end
    assert.same({ 1, 2, 3 }, ids)
    assert.equal("directmethods watch: the connection has ended: trying again\n",
      result.stderr)
  end)

  it("says at once that no hub is there, or that it refuses", function()
    local gone = ready_file { ports = { admin = 1, https = 1, mqtt = 1 } }
    local result = cli.run { "watch", "--ready-file", gone }
    assert.equal(4, result.status)
    assert.matches("^directmethods watch: .*refused", result.stderr)
    result = cli.run { "watch", "--ready-file", ready_file { admin_token = "wrong" } }
    assert.equal(3, result.status)
    assert.matches("bearer token", result.stderr)
    result = cli.run { "watch", "--ready-file", ready_file(), "--kinds", "x" }
    assert.equal(2, result.status)
    assert.matches("kinds must be some of", result.stderr)
    result = cli.run { "watch", "--connection-string",
      hub:connection_string "iothubowner" }
    assert.equal(2, result.status)
    assert.matches("needs the admin listener", result.stderr)
  end)

  it("prints text on a terminal", function()
    local line = shell.line(cli.words { "watch", "--ready-file", ready_file() })
    local pid_file = folder .. "/pid"
    local task = dm.spawn(dm.exec, { "script", "-qec",
      ("echo $$ >%s; exec %s"):format(pid_file, line), "/dev/null",
    }, { timeout = 30 })
    has_stream()
    fixture.call(hub, { device = "dev1" })
    fixture.device(hub, "dev1"):close()
    hub:fault { stage = "http", action = "drop", device = "dev1" }
    assert(dm.wait_until(function()
      local calls, devices = hub.state.plane:event_counts()
      local place = streams()[1].place
      return devices == 3 and place.devices == 3 and place.calls == calls
        and place.others == 1
    end))
    local file <close> = assert(io.open(pid_file))
    assert(uv.kill(file:read "n", "sigint"))
    local text = assert(task:await(20)).stdout
    assert.matches("%d+:%d+:%d+ dev1 reboot DeviceNotOnline %(404103%) [%d.]+ ms", text)
    assert.matches("%d+:%d+:%d+ dev1 connected 127%.0%.0%.1:%d+", text)
    assert.matches("%d+:%d+:%d+ dev1 disconnected 127%.0%.0%.1:%d+: the conn", text)
    assert.matches("%d+:%d+:%d+ fault 1 added: http drop, device dev1", text)
    assert.is_nil(text:find("{", 1, true))
  end)
end)

describe("lines of events", function()
  it("say what happened", function()
    local function line(name, data)
      data.time = 0
      return events.text(name, data)
    end
    assert.equal("00:00:00 dev1 reboot 200 1.5 ms", line("call", {
      device_id = "dev1", method = "reboot", outcome = "Answered", status = 200,
      elapsed = 0.0015,
    }))
    assert.equal("00:00:00 dev1 connected 127.0.0.1:5", line("device", {
      event = "connected", device_id = "dev1", address = "127.0.0.1:5",
    }))
    assert.equal("00:00:00 fault 2 added: http drop, device dev1", line("fault", {
      event = "added", fault = 2, rule = { stage = "http", action = "drop",
        device = "dev1" },
    }))
    assert.equal("00:00:00 fault 2 has acted, 3 times in all", line("fault", {
      event = "hit", fault = 2, hits = 3,
    }))
    assert.equal("00:00:00 job j1 running",
      line("job", { event = "running", job = "j1" }))
    assert.equal("00:00:00 the clock was moved by 60 s",
      line("clock", { event = "advanced", seconds = 60.0 }))
    assert.equal("00:00:00 the clock runs 2.5 times as fast as the real time",
      line("clock", { event = "speed", speed = 2.5 }))
    assert.equal("00:00:00 call 7 was deleted", line("deleted", { ids = { 7 } }))
    assert.equal("00:00:00 2 calls were deleted", line("deleted", { ids = { 7, 8 } }))
    assert.equal("12 events are missing here", events.text("skipped", { count = 12 }))
    assert.equal("00:00:00 the hub was reset", line("reset", {}))
    assert.equal("00:00:00 the hub stops", line("end", {}))
    assert.is_nil(line("hello", {}))
  end)
end)
