-- directmethods inside the event loop of a host: here luv's, as in Neovim. The host
-- watches one descriptor and one time-out, and gives the library a turn for each.
-- See docs/tasks.md.

local uv = require "luv"
local dm = require "directmethods"

local watch = uv.new_poll(dm.loop.fd())
local alarm = uv.new_timer()
local turns = 0

local function turn()
  dm.loop.step(0)
  turns = turns + 1
  alarm:stop()
  local seconds = dm.loop.timeout()
  if seconds then alarm:start(math.ceil(seconds * 1000), 0, turn) end
end

watch:start("r", turn)

dm.spawn(function()
  local hub <close> = assert(dm.hub { tls = false })
  local device <close> = hub:device("fan1", {
    spin = function(request)
      dm.sleep(0.05)
      return 200, request.payload
    end,
  })
  local service <close> = hub:service()
  assert(device:connect())
  for i = 1, 10 do
    print(assert(service:invoke("fan1", "spin", i)).body)
  end
  uv.stop()
end)

turn()
uv.run()
print(turns .. " turns")
