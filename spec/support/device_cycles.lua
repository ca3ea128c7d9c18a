--- Devices that come and go in a process, for spec.support.growth.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"

local M = {}

--- Start a hub. What the first function does: make a device, connect and close it. The
-- second ends the hub.
function M.start()
  local hub = fixture.hub()
  hub:add_device("dev1")
  return function()
    local device = hub:device("dev1", { m = function() return 200 end })
    assert(device:connect(10))
    device:close()
    assert(device:closed(10))
    dm.wait_until(function() return hub:metrics().mqtt_connections == 0 end)
  end, function() fixture.finish(hub) end
end

return M
