-- `make PAHO=no`: a core without paho, whose devices use the engine uv.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"

local BUILD = "build/release-uv"
local CORE = BUILD .. "/directmethods/core.so"

-- make, apart from the make that runs the specs.
local function make(...)
  return assert(dm.exec({ "env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make",
    "MODE=release", ... }, { timeout = 300 }))
end

-- Run a script in Lua with that core.
local function run(script, ...)
  return assert(dm.exec({ "env", "LUA_PATH=" .. package.path,
    "LUA_CPATH=" .. BUILD .. "/?.so;/usr/local/lib/lua/5.4/?.so;" .. package.cpath,
    "lua5.4", "-e", script, ... }, { timeout = 60 }))
end

describe("make PAHO=no", function()
  setup(function()
    local made = make("PAHO=no", CORE)
    assert.equal(0, made.status, made.stderr)
  end)

  it("builds a core that does not need paho", function()
    local needs = assert(dm.exec { "readelf", "-d", CORE }).stdout
    assert.is_truthy(needs:find("libuv", 1, true))
    assert.is_nil(needs:find("paho", 1, true))
  end)

  it("makes uv the default, and the only engine", function()
    local result = run [[
      local dm, core = require "directmethods", require "directmethods.core"
      local function make(engine)
        return pcall(dm.device, { host_name = "h", device_id = "d", key = "a2V5",
          engine = engine })
      end
      local _, device = make()
      print(core.paho, device.config.engine, make "uv")
      print(select(2, make "paho"))]]
    assert.equal(0, result.status, result.stderr)
    assert.matches("^false\tuv\ttrue\t", result.stdout)
    assert.matches("option 'engine' must be one of: uv", result.stdout, 1, true)
  end)

  for _, transport in ipairs { "mqtt", "websocket" } do
    it("answers calls over " .. transport, function()
      local hub = fixture.hub {}
      local service = hub:service()
      local port = hub:ports()[transport == "mqtt" and "mqtt" or "https"]
      assert(hub:add_device("d1"))
      local child = dm.spawn(run, ([[
        local dm = require "directmethods"
        dm.log { level = "error" }
        local device <close> = dm.device { connection_string = %q, port = %d,
          transport = %q, tls = false, handlers = { last = function() return 200 end } }
        assert(device:connect(20))
        dm.wait_until(function() return device.state ~= "online" end, 30)]]):format(
        hub:connection_string("d1"), port, transport))
      local call = assert(service:invoke("d1", "last", nil, { connect_timeout = 30 }))
      assert.equal(200, call.status)
      hub:close()
      local result = child:await()
      assert.same({ 0, "" }, { result.status, result.stderr })
      fixture.finish(hub, service)
    end)
  end
end)
