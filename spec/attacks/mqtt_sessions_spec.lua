-- Sessions that two fight for, that strangers want, that outlive their identity. The
-- numbers are those of README.md.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local sieges = require "spec.support.siege"

describe("an MQTT session, attack", function()
  local siege, hub

  local function start(opts)
    siege = sieges.start(opts)
    hub = siege.hub
  end

  after_each(function()
    siege:finish()
  end)

  local function is_closed(w)
    assert.is_true(w:wait_closed())
    w:close()
  end

  local function call_dev1(o)
    o = o or {}
    o.device = "dev1"
    return fixture.send_call(hub, o)
  end

  local function fails(call, status, code)
    local reply = assert(http.read(call))
    call:close()
    assert.equal(status, reply.status)
    assert.equal(code, fixture.error_m(reply).errorCode)
  end

  local function is_answered(device, call)
    local _, rid = assert(device:request())
    device:answer(rid, 200, "1")
    local reply = assert(http.read(call))
    call:close()
    assert.equal('{"status":200,"payload":1}', reply.body)
    return rid
  end

  -- Takeover -------------------------------------------------------------------

  it("24 gives everything to the newer connection", function()
    start()
    local old = siege:device { clean = false }
    local call = call_dev1()
    local _, rid = old:request()
    assert.equal("1", rid)
    local new = siege:device { clean = true, subscribe = false }
    fails(call, 400, 400027)
    fails(call_dev1(), 404, 404103)
    new:subscribe()
    call = call_dev1()
    assert.is_true(dm.wait_until(function() return hub:counters().calls == 3 end))
    old:answer("1", 200, '"late"')
    is_closed(old.wire)
    assert.equal("1", is_answered(new, call))
    new:close()
  end)

  it("24 leaks nothing when two fight for an id", function()
    start()
    local handles = core.handles()
    local device
    for i = 1, 200 do
      local newer = siege:device { clean = i % 2 == 0 }
      local call = call_dev1()
      assert(newer:request())
      if device then is_closed(device.wire) end
      device = newer
      call:close()
    end
    siege:counts("taken_over", 199)
    assert(dm.wait_until(function() return hub.state.plane:connections() == 2 end))
    is_answered(device, call_dev1())
    device:close()
    assert(dm.wait_until(function() return core.handles() == handles end))
  end)

  it("25 leaves a connection alone when another has no right to its id", function()
    start()
    local device = siege:device()
    local stranger = fixture.token {
      resource = "localhost/devices/dev1", key = fixture.key(hub, "witness"),
    }
    for _, o in ipairs {
      { password = stranger }, { password = "" }, { password = "x" },
      { password = fixture.device_token(hub, "witness") },
      { password = fixture.device_token(hub, "dev1", 1) },
      { password = fixture.service_token(hub) },
      { username = "otherhub/dev1/?api-version=2021-04-12" },
    } do
      siege:answers(siege:hello(o), "\x20\2\0\5")
    end
    siege:closes_new(siege:hello { will_topic = "x" }, "connect_bad_will")
    siege:counts("taken_over", 0)
    is_answered(device, call_dev1())
    device:close()
  end)

  -- The end of an identity -------------------------------------------------------

  local function registry(method, body)
    local owner = fixture.service_token(hub, "iothubowner")
    local reply = assert(http.exchange(hub:ports().https, {
      method = method,
      target = "/devices/dev1?api-version=2021-04-12",
      headers = { "Authorization: " .. owner, 'If-Match: "*"' },
      body = body,
    }))
    assert.equal(method == "DELETE" and 204 or 200, reply.status, reply.body)
  end

  local function with_keys(primary, secondary)
    return ('{"deviceId":"dev1","authentication":{"type":"sas","symmetricKey":'
      .. '{"primaryKey":"%s","secondaryKey":"%s"}}}'):format(primary, secondary)
  end

  local NEW_KEY = core.base64_encode(("n"):rep(32))

  local ENDS = {
    deleted = function()
      registry("DELETE")
      hub:add_device("dev1")
    end,
    disabled = function()
      registry("PUT", '{"deviceId":"dev1","status":"disabled"}')
      siege:answers(siege:hello(), "\x20\2\0\5")
      registry("PUT", '{"deviceId":"dev1","status":"enabled"}')
    end,
    ["given a new key"] = function()
      local old = siege:hello()
      registry("PUT", with_keys(NEW_KEY, NEW_KEY))
      siege:answers(old, "\x20\2\0\5")
    end,
  }

  for what, finish in pairs(ENDS) do
    for _, live in ipairs { true, false } do
      it(("26 ends the %s session of a device that is %s"):format(
        live and "live" or "stored", what), function()
        start()
        local device = siege:device { clean = false }
        local call = live and call_dev1()
        if live then
          assert(device:request())
        else
          device:close()
          assert(dm.wait_until(function() return not hub:devices()[1].connected end))
        end
        finish()
        if live then
          is_closed(device.wire)
          fails(call, 404, 404104)
        end
        device = siege:device { clean = false, subscribe = false }
        assert.equal(0, device.code)
        assert.is_false(device.session_present)
        fails(call_dev1(), 404, 404103)
        device:close()
      end)
    end
  end

  it("26 keeps the session when the other key is changed", function()
    start()
    local device = siege:device()
    registry("PUT", with_keys(fixture.key(hub, "dev1"), NEW_KEY))
    is_answered(device, call_dev1())
    device:close()
  end)
end)
