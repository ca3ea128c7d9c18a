-- Checklist G06 and G07: what comes and goes leaves nothing, and who is slow is in
-- nobody's way. (More of G07: spec/websocket_spec.lua, spec/attacks.)

local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local lfs = require "lfs"
local wire = require "spec.support.wire"

local SANITIZED = os.getenv("MODE") ~= "release" -- its allocator keeps what is freed
local CYCLES, WARM_UP = 1000, 50
local SLOW = 100 -- of each kind

local function resident_kilobytes()
  for line in io.lines("/proc/self/status") do
    local kilobytes = line:match("^VmRSS:%s+(%d+)")
    if kilobytes then return tonumber(kilobytes) end
  end
end

local function descriptors()
  local count = 0
  for _ in lfs.dir("/proc/self/fd") do count = count + 1 end
  return count
end

describe("a thousand connections, one after the other,", function()
  local hub

  before_each(function()
    -- what it remembers of calls has its own bounds
    hub = fixture.hub { limits = { trace_bytes = 16384 } }
    hub:add_device("d")
  end)

  after_each(function()
    fixture.finish(hub)
  end)

  local function cycles(count)
    for i = 1, count do
      local device = fixture.device(hub, "d", { clean = i % 2 == 0 })
      assert.equal(0, device.code)
      local call = fixture.send_call(hub, { device = "d" })
      local _, rid = device:request()
      if i % 3 > 0 then
        device:answer(rid, 200, "1")
        assert.equal(200, http.read(call).status)
      end
      call:close()
      device:close()
    end
    assert(wire.turn_until(function()
      local m = hub:metrics()
      return m.mqtt_connections + m.http_connections + m.calls_under_way == 0
    end))
    collectgarbage()
    collectgarbage()
    return descriptors(), resident_kilobytes()
  end

  it("G06 leave no descriptors and no memory", function()
    local files, kilobytes = cycles(WARM_UP)
    local files_after, kilobytes_after = cycles(CYCLES)
    assert.equal(files, files_after)
    if not SANITIZED then
      assert.is_true(kilobytes_after - kilobytes < 1024,
        ("%d KB more"):format(kilobytes_after - kilobytes))
    end
    assert.equal(WARM_UP + CYCLES, hub:counters().connects)
  end)
end)

describe("a hub that many slow clients are connected to", function()
  local hub, device, service, slow

  before_each(function()
    hub = fixture.hub { tls = true }
    device = hub:device("d", { m = function(request) return 200, request.payload end })
    service = hub:service()
    slow = {}
  end)

  after_each(function()
    for _, each in ipairs(slow) do each:close() end
    device:close()
    assert(device:closed(10))
    fixture.finish(hub, service)
  end)

  -- Clients that send `bytes` to a port, and then no more.
  local function dawdle(port, bytes)
    for _ = 1, SLOW do
      local w = wire.connect(port)
      w:send(bytes)
      slow[#slow + 1] = w
    end
  end

  it("G07 serves others beside half of a TLS handshake, or nothing", function()
    -- a record of a ClientHello that goes on
    local half = "\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03" .. ("r"):rep(32)
    for _, port in pairs(hub:ports()) do
      dawdle(port, half)
      dawdle(port, "\x16")
      dawdle(port, "")
    end
    assert(device:connect(5))
    for i = 1, 20 do assert.equal(i, assert(service:invoke("d", "m", i)).payload) end
    for _, each in ipairs(slow) do assert.is_false(each.closed) end
    assert.equal(6 * SLOW + 2,
      hub:metrics().mqtt_connections + hub:metrics().http_connections)
  end)

  it("G07 serves others beside half of a header block", function()
    device:close()
    assert(device:closed(10))
    fixture.finish(hub, service)
    hub = fixture.hub()
    device = hub:device("d", { m = function(request) return 200, request.payload end })
    service = hub:service()
    local target = fixture.target { device = "d" }
    dawdle(hub:ports().https, ("POST %s HTTP/1.1\r\nHost: loc"):format(target))
    dawdle(hub:ports().https, http.request {
      target = target, headers = { "Authorization: " .. fixture.service_token(hub) },
      body = '{"methodName":"m"}',
    }:sub(1, -2))
    dawdle(hub:ports().mqtt, "\x10\x7F\0\4MQ")
    assert(device:connect(5))
    for i = 1, 20 do assert.equal(i, assert(service:invoke("d", "m", i)).payload) end
    for _, each in ipairs(slow) do assert.is_false(each.closed) end
  end)
end)
