-- Attacks 62, 63, 66, 67, 71: TLS that is too old or too slow, floods, too few
-- descriptors, signals.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local hub_process = require "spec.support.hub_process"
local stores = require "spec.support.stores"
local wires = require "spec.support.wire"

local DESCRIPTORS = 64

-- User and system time of a process in seconds.
local function cpu_of(pid)
  local stat = stores.read(("/proc/%d/stat"):format(pid)):match(".*%)(.*)")
  local user, system = stat:match("^ %a" .. (" %S+"):rep(10) .. " (%d+) (%d+)")
  return (tonumber(user) + tonumber(system)) / 100
end

describe("TLS of the hub under attack", function()
  local hub

  before_each(function()
    hub = fixture.hub { tls = true, limits = { handshake_timeout = 0.3 } }
    hub:add_device("dev1")
  end)

  after_each(function() fixture.finish(hub) end)

  local function s_client(service, ...)
    return assert(dm.exec({ "openssl", "s_client", "-connect",
      "127.0.0.1:" .. hub:ports()[service], ... }, { timeout = 5 }))
  end

  for _, service in ipairs { "mqtt", "https" } do
    it("62 takes no old version and no weak suite, " .. service, function()
      for _, words in ipairs {
        { "-tls1" }, { "-tls1_1" }, { "-tls1_2", "-cipher", "kRSA:@SECLEVEL=0" },
        { "-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0" },
        { "-tls1_2", "-cipher", "SHA1:SHA256:!AESGCM:!CHACHA20:@SECLEVEL=0" },
        { "-tls1_2", "-fallback_scsv" },
      } do
        local result = s_client(service, table.unpack(words))
        assert.equal(1, result.status, table.concat(words, " ") .. result.stderr)
      end
      local result = s_client(service, "-tls1_2")
      assert.equal(0, result.status)
      assert.truthy(result.stdout:find("Compression: NONE", 1, true))
      assert.matches("Cipher is ECDHE%-ECDSA%-[%w-]+", result.stdout)
      result = assert(dm.exec({ "openssl", "s_client", "-tls1_2", "-connect",
        "127.0.0.1:" .. hub:ports()[service] }, { timeout = 5, stdin = "R\n" }))
      assert.truthy(result.stderr:find("no renegotiation", 1, true), result.stderr)
    end)

    it("63 serves while handshakes stand still, and ends them, " .. service, function()
      local port, halves = hub:ports()[service], {}
      for i = 1, 300 do -- the head of a record, and a part of what it announces
        halves[i] = wires.connect(port)
        halves[i]:send(i % 3 == 0 and "\x16\x03\x01\x02\x00\x01\x00\x01\xfc" or "\x16")
      end
      local device <close> = hub:device("dev1", { m = function() return 200 end })
      assert(device:connect(10))
      local caller <close> = hub:service()
      assert(caller:invoke("dev1", "m"))
      for _, each in ipairs(halves) do
        assert.is_true(each:wait_closed())
        each:close()
      end
      device:close()
      assert(device:closed(5))
    end)

    it("63 closes for what is no handshake, " .. service, function()
      for _, bytes in ipairs { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ("\0"):rep(2000),
        "\x16\x03\x01\x40\x01" .. ("\1"):rep(0x4001), "\x80\x2e\x01\x03\x01" } do
        local w = wires.connect(hub:ports()[service]):send(bytes)
        assert.is_true(w:wait_closed())
        w:close()
      end
    end)
  end
end)

describe("a hub with too many connections", function()
  local lines

  before_each(function()
    lines = {}
    dm.log { level = "warn", sink = function(_, line) table.insert(lines, line) end }
  end)

  after_each(function() dm.log { level = "warn" } end)

  it("66 closes those over the limit, serves the others and says so once", function()
    local hub = fixture.hub { limits = { connections = 5 } }
    hub:add_device("dev1")
    local device = fixture.device(hub, "dev1")
    local caller = wires.connect(hub:ports().https)
    for _, service in ipairs { "mqtt", "https" } do
      local flood, closed = {}, 0
      for i = 1, 50 do flood[i] = wires.connect(hub:ports()[service]) end
      assert(wires.turn_until(function()
        closed = 0
        for _, w in ipairs(flood) do closed = closed + (w.closed and 1 or 0) end
        return closed == 46
      end), closed)
      fixture.send_call(hub, { device = "dev1", wire = caller })
      local _, rid = assert(device:request())
      device:answer(rid, 200, "1")
      assert.equal(200, http.read(caller).status)
      for _, w in ipairs(flood) do w:close() end
    end
    dm.advance(0)
    assert.equal(2, #lines) -- one a port
    assert.matches("connections are refused: limits.connections %(5%) is reached",
      lines[1])
    fixture.finish(hub, device, caller)
  end)
end)

describe("a hub in a process of its own", function()
  local folder, process

  before_each(function()
    folder = stores.folder()
  end)

  after_each(function()
    process:close()
    stores.remove(folder)
  end)

  -- `before` is a command that runs it, if there is one.
  local function start(before)
    local words = { "--plain", "--device", "d", "--quiet" }
    process = hub_process.start(folder, words, before)
    process:serves()
  end

  local function device_of(handlers)
    local device = dm.device {
      connection_string = process:connection_string("d"), handlers = handlers,
      port = process:ports().mqtt, tls = false,
    }
    assert(device:connect(10))
    return device
  end

  local function service_of()
    return dm.service {
      connection_string = process:connection_string("service"),
      port = process:ports().https, tls = false,
    }
  end

  local function stop()
    process:kill("sigterm")
    return process:ended()
  end

  it("67 that has no descriptor left spins not, says so once, and recovers", function()
    start { "sh", "-c", ('ulimit -n %d; exec "$@"'):format(DESCRIPTORS), "sh" }
    local device <close> = device_of { m = function() return 200 end }
    local service <close> = service_of()
    assert(service:invoke("d", "m"))
    local flood = {}
    for i = 1, 2 * DESCRIPTORS do flood[i] = wires.connect(process:ports().mqtt) end
    local function closed()
      local n = 0
      for _, w in ipairs(flood) do n = n + (w.closed and 1 or 0) end
      return n
    end
    assert(wires.turn_until(function() return closed() > DESCRIPTORS end))
    local before, began = cpu_of(process:pid()), dm.now()
    assert(service:invoke("d", "m")) -- on the connections that are there
    dm.wait_until(function() return dm.now() - began > 0.5 end, 2)
    assert.is_true(cpu_of(process:pid()) - before < 0.25)
    for _, w in ipairs(flood) do w:close() end
    local fresh = wires.connect(process:ports().https)
    assert.is_true(fresh:stays_quiet())
    fresh:close()
    device:close()
    assert(device:closed(5))
    local said = stop().stderr
    local _, times = said:gsub("too many open files: this process may have "
      .. DESCRIPTORS .. " %(`ulimit %-n`; LimitNOFILE= of a systemd unit%)", "")
    assert.equal(1, times, said)
  end)

  it("71 answers what no device answers before it ends, within five seconds", function()
    start()
    local device <close> = device_of { silent = function(request) request:defer() end }
    local service <close> = service_of()
    local call = dm.spawn(function() return service:invoke("d", "silent") end)
    assert(dm.wait_until(function() return device:stats().calls == 1 end))
    local began = dm.now()
    local result = stop()
    assert.is_true(dm.now() - began < 5, dm.now() - began)
    local _, err = call:await(5)
    assert.equal(503001, err.code)
    assert.equal(0, result.status, result.stderr)
    device:close()
    assert(device:closed(5))
  end)
end)
