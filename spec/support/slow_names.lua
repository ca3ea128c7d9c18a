--- Run by device_process_spec in a network namespace of its own whose name server takes
-- every question and never answers. Prints one line of JSON.

local dm = require "directmethods"
local uv = require "luv"

local server = uv.new_udp()
local questions = 0
assert(server:bind("::", 53) or server:bind("0.0.0.0", 53))
server:recv_start(function(_, data) if data then questions = questions + 1 end end)

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local waiting = {}
for i = 1, 8 do
  local device = dm.device {
    host_name = ("hub%d.test"):format(i), device_id = "d", key = KEY,
  }
  waiting[i] = dm.spawn(device.connect, device, 3)
end
dm.loop.step(0)

local longest = 0
for _, tls in ipairs { false, true } do
  local hub <close> = dm.hub { tls = tls }
  local service <close> = hub:service()
  for i = 1, 4 do
    local start = uv.hrtime()
    local device <close> = hub:device("dev" .. i, { m = function() return 200 end })
    assert(device:connect(10))
    assert(service:invoke("dev" .. i, "m"))
    longest = math.max(longest, (uv.hrtime() - start) / 1e9)
  end
end
uv.run("nowait")
local ended = 0
for _, each in ipairs(waiting) do
  if each:ended() then ended = ended + 1 end
  each:cancel()
end
io.stdout:write(dm.json.encode {
  longest = longest, ended = ended, questions = questions,
}, "\n")
io.stdout:flush()
os.exit(0) -- the look-ups still wait
