--- The library inside a host's loop: handlers, timers and invokes go on, and the
-- loop is not turned for nothing.

local dm = require "directmethods"

local LUA = os.getenv("LUA") or arg[-1]
local TURNS_MAX = 400 -- for a connect, ten calls and ten sleeps of 50 ms

local NUMBERS = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"

local SCRIPT = [[
local dm = require "directmethods"
dm.spawn(function()
  local hub <close> = assert(dm.hub { tls = false })
  local device <close> = hub:device("d", {
    m = function(request) dm.sleep(0.05) return 200, request.payload end,
  })
  local service <close> = hub:service()
  assert(device:connect())
  for i = 1, 10 do print(assert(service:invoke("d", "m", i)).body) end
  done = true
end)
]]

local function check(result)
  assert.equal("", result.stderr)
  assert.equal(0, result.status)
  local numbers, turns = result.stdout:match("^(.-)(%d+) turns\n$")
  assert.equal(NUMBERS, numbers)
  assert.is_true(tonumber(turns) < TURNS_MAX, turns .. " turns")
end

describe("a host's loop", function()
  it("of luv carries handlers, timers and invokes", function()
    check(assert(dm.exec({ LUA, "examples/host_luv.lua" }, { timeout = 30 })))
  end)

  it("of poll(2) in a C program does too", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(dm.exec { "mkdir", folder })
    local program, script = folder .. "/host_poll", folder .. "/script.lua"
    assert(io.open(script, "w")):write(SCRIPT):close()
    local cc = assert(dm.exec { "sh", "-c",
      ('${CC:-cc} examples/host_poll.c $(pkg-config --cflags --libs lua5.4) -lm -o %s')
        :format(program) })
    assert.same({ 0, "" }, { cc.status, cc.stderr })
    if os.getenv("MODE") == "release" then -- sanitized modules need their own host
      check(assert(dm.exec({ program, script }, { timeout = 30 })))
    end
    assert(dm.exec { "rm", "-rf", folder })
  end)
end)
