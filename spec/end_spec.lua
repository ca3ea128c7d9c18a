--- Programs that end without closing anything: promptly, in good order, and with no
-- process of theirs left.

local dm = require "directmethods"
local uv = require "luv"

local LUA = os.getenv("LUA") or arg[-1]

-- A hub with devices that are online, connect, ask for a certificate, look up a name;
-- a call and a program that run.
local SCRIPT = [[
local dm = require "directmethods"
local hub = assert(dm.hub {})
local device = assert(hub:device("d1", { m = function() dm.sleep(100) end }))
assert(device:connect())
local fleet = assert(dm.fleet { hub = hub, count = 3 })
assert(fleet:connect())
local service = hub:service()
local devices = {
  hub:device("d2", {}, { gateway_host_name = "127.0.0.1" }),
  dm.device { host_name = "localhost", port = 1, device_id = "x", key = "a2V5" },
  dm.device { host_name = "no..host", device_id = "x", key = "a2V5" },
}
dm.spawn(service.invoke, service, "d1", "m")
dm.spawn(dm.exec, { "sh", "-c", "echo $$ >" .. arg[2] .. "; exec sleep 1000" })
assert(dm.wait_until(function()
  local file = io.open(arg[2])
  return device:stats().calls == 1 and file and file:read("n")
end))
for _, each in ipairs(devices) do dm.spawn(each.connect, each) end
dm.sleep(0.02)
if arg[1] == "error" then error("meant", 0) end
if arg[1] == "os.exit" then os.exit(0) end
if arg[1] == "os.exit and close" then os.exit(0, true) end
]]

describe("a program that closes nothing", function()
  local script, pid_file

  setup(function()
    script, pid_file = os.tmpname(), os.tmpname()
    local file <close> = assert(io.open(script, "w"))
    file:write(SCRIPT)
  end)

  teardown(function()
    os.remove(script)
    os.remove(pid_file)
  end)

  local function run(how)
    assert(io.open(pid_file, "w")):close()
    return assert(dm.exec({ LUA, script, how, pid_file }, { timeout = 60 }))
  end

  local function is_running()
    local file <close> = assert(io.open(pid_file))
    local stat <close> = io.open(("/proc/%d/stat"):format(file:read("n")))
    return stat and not stat:read("a"):find(") Z ", 1, true)
  end

  for _, how in ipairs { "end", "error", "os.exit and close" } do
    it("ends by " .. how, function()
      local result = run(how)
      assert.equal(how == "error" and 1 or 0, result.status)
      assert.equal(0, result.signal)
      if how == "error" then
        assert.matches("^%g*%s?meant\nstack traceback:\n", result.stderr)
        assert.is_nil(result.stderr:find("Sanitizer", 1, true), result.stderr)
      else
        assert.equal("", result.stderr)
      end
      assert(dm.wait_until(function() return not is_running() end))
    end)
  end

  it("ends by os.exit, without a chance to clean up", function()
    for _ = 1, 5 do
      local result = run "os.exit"
      assert.same({ 0, 0, "" }, { result.status, result.signal, result.stderr })
      local file <close> = assert(io.open(pid_file))
      assert(uv.kill(file:read("n"), "sigterm"))
    end
  end)
end)
