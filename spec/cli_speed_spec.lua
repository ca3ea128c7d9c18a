-- `directmethods hub --speed N`: hub, COMMAND and its children have one time. Each
-- comparison is between moments whose order is certain, however slow the machine is.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local dm = require "directmethods"
local shell = require "directmethods.shell"
local stores = require "spec.support.stores"

local SPEED = 600
local GRAIN = 3 * SPEED / 1000 -- seconds: the clocks count real milliseconds

local PLAIN = { "hub", "-q", "--plain", "--mqtt-port", "0", "--https-port", "0" }
-- a sanitized tool is not the first that is preloaded
local SANITIZED = { ASAN_OPTIONS = "verify_asan_link_order=0" }

local function hub(...)
  local words = table.move(PLAIN, 1, #PLAIN, 1, {})
  return table.move({ ... }, 1, select("#", ...), #words + 1, words)
end

local function run(...)
  return cli.run(hub(...), { variables = SANITIZED })
end

-- The command line as words of a shell.
local function tool(...)
  return shell.line(cli.bare_words { ... })
end

-- Shell: the hub's time, of its Date header.
local HUB_TIME = [[
hub_time() {
  date -d "$(curl -sI --connect-timeout 2000000 "http://127.0.0.1:$HUB_HTTPS_PORT/" |
    sed -n 's/^Date: //p' | tr -d '\r')" +%s
}
]]

local function numbers(text)
  local found = {}
  for word in text:gmatch "%S+" do found[#found + 1] = tonumber(word) end
  return found
end

-- Each must not be before the one before it.
local function assert_in_order(times)
  for i = 2, #times do
    assert.is_true(times[i] >= times[i - 1] - GRAIN - 1, table.concat(times, " "))
  end
end

describe("directmethods hub --speed -- COMMAND", function()
  it("gives COMMAND the hub's time", function()
    local result = run("--speed", tostring(SPEED), "--", "bash", "-c", HUB_TIME
      .. "for i in 1 2 3; do date +%s.%N; hub_time; sleep 600; done; date +%s.%N")
    assert.equal("", result.stderr)
    local times = numbers(result.stdout)
    assert.equal(7, #times)
    assert_in_order(times)
    for i = 3, 7, 2 do assert.is_true(times[i] - times[i - 2] >= 600) end
  end)

  it("gives it to children that begin later, too", function()
    local result = run("--speed", tostring(SPEED), "--", "sh", "-c", [[
      sleep 1200
      bash -c 'date +%s.%N; sh -c "date +%s.%N"; sleep 600; node -p "Date.now() / 1000"'
      date +%s.%N]])
    assert.equal("", result.stderr)
    local times = numbers(result.stdout)
    assert.equal(4, #times)
    assert_in_order(times)
    assert.is_true(times[1] >= os.time() + 1200 - GRAIN)
    assert.is_true(times[3] - times[2] >= 600)
  end)

  it("forwards its status, and leaves no shared memory behind", function()
    local result = run("--speed", "60", "--", "sh", "-c",
      'echo "$FAKETIME_SHARED"; exit 7')
    assert.equal(7, result.status)
    local semaphore, memory = result.stdout:match "^/(%S+) /(%S+)\n$"
    assert.is_nil(io.open("/dev/shm/sem." .. semaphore))
    assert.is_nil(io.open("/dev/shm/" .. memory))
  end)

  it("makes tokens that end by the hub's clock expire by it", function()
    local result = run("--speed", "6000", "--device", "d", "--", "sh", "-c", [[
      look() {
        curl -s --connect-timeout 2000000 -o /dev/null -w '%{http_code} ' \
          -H "Authorization: $token" \
          "http://127.0.0.1:$HUB_HTTPS_PORT/devices/d?api-version=2021-04-12"
      }
      token=$(]] .. tool("token", "service") .. [[)
      look
      token=$(]] .. tool("token", "service", "--ttl", "60") .. [[)
      sleep 3600
      look
      sleep 3600
      token=$(]] .. tool("token", "iothubowner") .. [[)
      look]])
    local statuses = numbers(result.stdout)
    assert.same({ 401, 200 }, { statuses[2], statuses[3] }, result.stderr)
  end)

  it("shows the hub's time in log, trace and ready file", function()
    local folder = stores.folder()
    finally(function() stores.remove(folder) end)
    local words = hub("--speed", tostring(SPEED), "--device", "d", "--log-format",
      "json", "--log-file", folder .. "/log", "--trace", folder .. "/trace", "--", "sh",
      "-c", "date +%s.%N; " .. tool("invoke", "d", "on") .. [[ >/dev/null 2>&1
      date +%s.%N
      cp "$DIRECTMETHODS_READY_FILE" "$0/ready"]], folder)
    table.remove(words, 2) -- without -q
    local result = cli.run(words, { variables = SANITIZED })
    assert.equal("", result.stderr)
    local first, last = table.unpack(numbers(result.stdout))
    local traced = assert(dm.json.decode(stores.read(folder .. "/trace")))
    assert_in_order { first, traced.time, last }
    local stamps = {}
    for second = math.floor(first - GRAIN) - 1, math.ceil(last + GRAIN) + 1 do
      stamps[os.date("!%Y-%m-%dT%TZ", second)] = true
    end
    local logged = 0
    for line in io.lines(folder .. "/log") do
      local entry = assert(dm.json.decode(line))
      if entry.event == "call" then
        logged = logged + 1
        assert.is_true(stamps[entry.time], line)
      end
    end
    assert.equal(1, logged)
    local clock = assert(dm.json.decode(stores.read(folder .. "/ready"))).clock
    assert.equal(SPEED, clock.speed)
    assert_in_order { clock.time, first }
  end)

  it("has the tools wait long enough, however fast time runs", function()
    local result = run("--speed", "6000", "--device", "d", "--", "sh", "-c",
      tool("device", "run", "d", "-q", "--answer", "on=201:1") .. [[ &
      until ]] .. tool("ping", "d") .. [[ >/dev/null; do sleep 60; done
      ]] .. tool("invoke", "d", "on") .. [[; status=$?
      kill $!
      wait
      exit $status]])
    assert.equal(0, result.status, result.stderr)
    assert.equal(201, dm.json.decode(result.stdout).status)
  end)

  it("warns above the speed at which handshakes take too long", function()
    local slow = cli.run(hub("--speed", "600", "--", "true"))
    assert.equal("", slow.stderr)
    local fast = cli.run(hub("--speed", "3000", "--", "true"))
    assert.equal(0, fast.status)
    checks.has(fast.stderr, "warn: --speed 3000: 30 s pass in 10 ms of real time")
  end)

  it("says what to do where libfaketime is not there, or cannot be used", function()
    local function with(library, speed)
      return cli.run(hub("--speed", speed, "--", "true"),
        { variables = { DIRECTMETHODS_FAKETIME = library } })
    end
    local result = with("/nowhere/libfaketimeMT.so.1", "600")
    assert.equal(4, result.status)
    checks.has(result.stderr, "--speed with a COMMAND needs libfaketime: install it")
    assert.equal(0, with("/nowhere/libfaketimeMT.so.1", "1").status)
    local text = cli.file "no library"
    finally(function() os.remove(text) end)
    result = with(text, "600")
    assert.equal(4, result.status)
    checks.has(result.stderr, text .. " cannot be used (is it for another architecture")
  end)

  it("refuses what is no speed, and a speed inside a speed", function()
    for _, wrong in ipairs { "0", "0.5", "-1", "fast", "1e7", "nan" } do
      local result = cli.run(hub("--speed=" .. wrong, "--", "true"))
      assert.equal(2, result.status)
      checks.has(result.stderr, "--speed must be a number from 1 to 1000000")
    end
    local inner = run("--speed", "60", "--", "sh", "-c",
      tool(table.unpack(hub("--speed", "60", "--", "true"))))
    assert.equal(2, inner.status)
    checks.has(inner.stderr, "the time of this process runs fast already")
  end)
end)

describe("directmethods hub --ca-dir", function()
  it("renews its certificate while it runs, by its clock", function()
    local folder = stores.folder()
    finally(function() stores.remove(folder) end)
    local ready = folder .. "/ready"
    local process <close> = cli.start { "hub", "-q", "--mqtt-port", "0",
      "--https-port", "0", "--admin-port", "0", "--ready-file", ready,
      "--ca-dir", folder .. "/ca" }
    local facts = assert(dm.wait_until(function()
      local file <close> = io.open(ready)
      return file and dm.json.decode(file:read "a")
    end, 20))
    local function shown()
      local result = assert(dm.exec({ "openssl", "s_client", "-connect", "127.0.0.1:"
        .. facts.ports.https, "-CAfile", facts.ca_file, "-verify_return_error" },
        { stdin = "", timeout = 20 }))
      return assert(result.stdout:match "BEGIN CERTIFICATE.-END CERTIFICATE")
    end
    local before = shown()
    for _ = 1, 2 do
      cli.run { "advance", tostring(336 * 86400), "--ready-file", ready }
      local stop = os.time() + 20
      local after
      repeat after = shown() until after ~= before or os.time() > stop
      assert.not_equal(before, after)
      before = after
    end
    process:kill "sigterm"
    assert.equal(0, process:ended().status)
  end)
end)

describe("directmethods hub --speed", function()
  it("tells other processes how to have its time", function()
    local ready = os.tmpname()
    os.remove(ready)
    local process <close> = cli.start(hub("--speed", "100000", "--device", "d",
      "--admin-port", "0", "--ready-file", ready))
    assert(dm.wait_until(function()
      local file <close> = io.open(ready)
      return file
    end, 20))
    local file <close> = assert(io.open(ready))
    local facts = assert(dm.json.decode(file:read "a"))
    assert.equal(100000, facts.clock.speed)
    checks.has(facts.environment.LD_PRELOAD, "libfaketimeMT.so.1")
    local env = cli.run { "env", "--ready-file", ready }
    for _, name in ipairs { "FAKETIME", "FAKETIME_SHARED", "LD_PRELOAD" } do
      checks.has(env.stdout, ("export %s='%s'\n"):format(name, facts.environment[name]))
    end
    local result = assert(dm.exec({ "sh", "-c", env.stdout .. HUB_TIME
      .. "date +%s.%N; hub_time; date +%s.%N" }, { timeout = 30 }))
    local times = numbers(result.stdout)
    table.insert(times, 1, os.time())
    assert.equal(4, #times)
    for i = 2, 4 do -- 3 ms of real time are 5 minutes here
      assert.is_true(times[i] >= times[i - 1] - 301, table.concat(times, " "))
    end
    -- a tool outside has the hub's time, too
    local token = cli.run { "token", "service", "--ready-file", ready, "--ttl", "1" }
    local se = tonumber(token.stdout:match "se=(%d+)")
    assert.is_true(se >= times[4] - 301, token.stdout)
    process:kill "sigterm"
    assert.equal(0, process:ended().status)
    local memory = facts.environment.FAKETIME_SHARED:match " (%S+)$"
    assert.is_nil(io.open("/dev/shm" .. memory))
  end)
end)
