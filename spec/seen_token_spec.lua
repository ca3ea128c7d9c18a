-- A connection's last good token is known again without its signature being checked:
-- what could make it worth less has to be noticed all the same.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local tokens = require "spec.support.tokens"
local wires = require "spec.support.wire"

local NEW = "bmV3IGtleSBuZXcga2V5IG5ldyBrZXkgbmV3IGtleSE="
local RIGHTS = { service = { "ServiceConnect" }, registryRead = { "RegistryRead" } }
local VERSION = "?api-version=" .. fixture.NEW

describe("a token that a connection has shown before", function()
  local hub, wire

  before_each(function()
    hub = fixture.hub()
    hub:add_device("dev1")
    wire = wires.connect(hub:ports().https)
  end)

  after_each(function() fixture.finish(hub, wire) end)

  -- The status of a call of the offline dev1, always on the same connection.
  local function call(token)
    return (tokens.call_status(hub, token, { wire = wire }))
  end

  local function get(path, token)
    wire:send(http.request {
      method = "GET", target = path .. VERSION,
      headers = { "Authorization: " .. token },
    })
    return assert(http.read(wire)).status
  end

  local function make(o)
    local fields = { key = fixture.key(hub, "service"), skn = "service" }
    for name, value in pairs(o or {}) do fields[name] = value end
    return tokens.make(fields)
  end

  local function known(o)
    local token = make(o)
    for _ = 1, 3 do assert.equal(404, call(token)) end
    return token
  end

  local function set_policy(name, primary, secondary)
    assert(hub.state.plane:policy(name, primary, secondary, RIGHTS[name]))
  end

  it("is refused once its key was changed", function()
    local token = known()
    set_policy("service", NEW, nil)
    for _ = 1, 3 do assert.equal(401, call(token)) end
    known { key = NEW }
    assert.equal(401, call(token))
  end)

  it("is good as long as one of the two keys is its own", function()
    local token, key = known(), fixture.key(hub, "service")
    set_policy("service", NEW, key)
    assert.equal(404, call(token))
    set_policy("service", NEW, nil)
    assert.equal(401, call(token))
    set_policy("service", key, nil)
    assert.equal(404, call(token))
  end)

  it("is refused once it may do less", function()
    local token = known()
    assert(hub.state.plane:policy("service", fixture.key(hub, "service"), nil,
      { "RegistryRead" }))
    assert.equal(401, call(token))
  end)

  it("is refused when it has expired, five minutes later", function()
    local token = known { se = tokens.at(60) }
    dm.advance(60 + 298)
    assert.equal(404, call(token))
    dm.advance(4)
    for _ = 1, 2 do assert.equal(401, call(token)) end
  end)

  it("is another when a byte of it is", function()
    local token = known()
    for at = #"SharedAccessSignature " + 1, #token, 7 do
      local byte = token:sub(at, at) == "A" and "B" or "A"
      assert.equal(401, call(token:sub(1, at - 1) .. byte .. token:sub(at + 1)), at)
      assert.equal(404, call(token))
    end
    assert.equal(401, call(token .. "0"))
    assert.equal(401, call(token:sub(1, -2)))
    assert.equal(401, call(false))
    assert.equal(404, call(token))
  end)

  it("opens no more than before", function()
    local one = make { key = fixture.key(hub, "registryRead"), skn = "registryRead",
      resource = "localhost/devices/dev1" }
    for _ = 1, 2 do
      assert.equal(200, get("/devices/dev1", one))
      assert.equal(401, get("/devices/dev2", one))
      assert.equal(401, get("/devices", one))
      assert.equal(401, call(one))
    end
  end)

  it("may be longer than what is kept", function()
    local lengths = {}
    for zeros = 380, 420 do
      local token = known { se = ("0"):rep(zeros) .. "2000000000" }
      lengths[#lengths + 1] = #token
      assert.equal(401, call((token:gsub("skn=service", "skn=devicex"))))
    end
    table.sort(lengths)
    assert.is_true(lengths[1] < 512 and lengths[#lengths] > 512, lengths[1])
  end)

  it("is known by its own connection alone", function()
    local token = known()
    set_policy("service", NEW, nil)
    assert.equal(401, (tokens.call_status(hub, token)))
    assert.equal(401, call(token))
  end)
end)
