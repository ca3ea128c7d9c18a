-- What the command line shows of devices that come, go and are refused: the log of a
-- hub.

local dm = require "directmethods"
local hub_process = require "spec.support.hub_process"
local limits = require "directmethods.cli.log_limit"
local logs = require "directmethods.cli.log"

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
