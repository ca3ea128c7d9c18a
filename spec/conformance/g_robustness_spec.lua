-- Checklist G06 and G07: what comes and goes leaves nothing, and who is slow is in
-- nobody's way. (More of G07: spec/websocket_spec.lua, spec/attacks.)

local fixture = require "spec.support.fixture"
local growth = require "spec.support.growth"
local http = require "spec.support.http"
local wire = require "spec.support.wire"

local SANITIZED = os.getenv("MODE") ~= "release" -- its allocator keeps what is freed
local CYCLES, WARM_UP = 1000, 500
local SLOW = 100 -- of each kind

it("G06 a thousand connections leave no descriptors and no memory", function()
  local before, after = growth.measure("spec.support.connection_cycles", WARM_UP,
    CYCLES)
  for _, name in ipairs { "files", "handles", "ids", "registry" } do
    assert.equal(before[name], after[name], name)
  end
  if not SANITIZED then
    assert.is_true(after.kilobytes - before.kilobytes < 1024,
      ("%d KB more"):format(after.kilobytes - before.kilobytes))
  end
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
