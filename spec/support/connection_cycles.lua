--- Connections that come and go at a hub, for spec.support.growth.

local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local wire = require "spec.support.wire"

local M = {}

--- Start a hub. What the first function does: connect a device and a caller, call, and
-- close both. The second ends the hub.
function M.start()
  -- what it remembers of calls has its own bounds
  local hub = fixture.hub { limits = { trace_bytes = 16384 } }
  hub:add_device("d")
  return function(count)
    local device = fixture.device(hub, "d", { clean = count % 2 == 0 })
    assert(device.code == 0)
    local call = fixture.send_call(hub, { device = "d" })
    local _, rid = device:request()
    if count % 3 > 0 then -- others are left without an answer
      device:answer(rid, 200, "1")
      assert(http.read(call).status == 200)
    end
    call:close()
    device:close()
    assert(wire.turn_until(function()
      local m = hub:metrics()
      return m.mqtt_connections + m.http_connections + m.calls_under_way == 0
    end))
    assert(hub:counters().connects == count)
  end, function() fixture.finish(hub) end
end

return M
