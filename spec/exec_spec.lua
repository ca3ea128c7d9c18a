-- What a child of dm.exec has of its parent: input, output, and nothing else.
-- A child that outlives a killed agent would keep the agent's connection open,
-- and the hub would go on to call a device that is gone.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local stores = require "spec.support.stores"

-- The descriptors of a child, which lists them: all but the list's own.
local function childs_descriptors()
  local result = assert(dm.exec({ "ls", "-l", "/proc/self/fd" }, { timeout = 20 }))
  local found = {}
  for fd, target in result.stdout:gmatch("(%d+) %-> ([^\n]+)") do
    if not target:find("^/proc/%d+/fd$") then found[#found + 1] = fd end
  end
  return table.concat(found, " ")
end

-- TCP sockets that a child of other code inherits.
local function inheritable()
  local tcp, found = {}, {}
  for line in io.lines "/proc/self/net/tcp" do
    local inode = line:match("^" .. ("%s*%S+"):rep(9) .. "%s+(%d+)")
    if inode then tcp[inode] = true end
  end
  local list <close> = assert(io.popen "ls -l /proc/self/fd")
  for inode in list:read("a"):gmatch("socket:%[(%d+)%]") do
    if tcp[inode] then found[#found + 1] = inode end
  end
  table.sort(found)
  return found
end

describe("a child of dm.exec", function()
  local before, hub, folder, devices

  before_each(function()
    devices = {}
    before = inheritable()
    folder = stores.folder()
    hub = fixture.hub { tls = true, store = folder .. "/hub.db" }
    for _, id in ipairs { "paho", "uv", "late" } do hub:add_device(id) end
  end)

  after_each(function()
    for _, made in ipairs(devices) do
      made:close()
      assert(made:closed(10))
    end
    fixture.finish(hub)
    stores.remove(folder)
  end)

  local function device(id, engine)
    local function list() return 200, childs_descriptors() end
    local made = hub:device(id, { m = list }, { engine = engine })
    devices[#devices + 1] = made
    return made
  end

  it("has no descriptor but its input and output", function()
    assert(device("paho", "paho"):connect(20))
    assert(device("uv", "uv"):connect(20))
    local _ <close> = assert(io.open("/dev/null")) -- Lua's files are inheritable
    local service <close> = hub:service()
    for _, id in ipairs { "paho", "uv" } do
      local answer = assert(service:invoke(id, "m"))
      assert.equal("0 1 2", answer.payload)
    end
  end)

  it("has none of those that paho's threads are opening", function()
    for _ = 1, 5 do
      local made = device("late", "paho")
      local connecting = dm.spawn(function() return made:connect(20) end)
      repeat
        assert.equal("0 1 2", childs_descriptors())
      until connecting:ended()
      assert(connecting:await())
      made:close()
    end
  end)

  it("is not alone in that: any child gets no socket but paho's", function()
    assert(device("uv", "uv"):connect(20))
    local service <close> = hub:service()
    assert(service:invoke("uv", "m"))
    assert.same(before, inheritable())
  end)
end)
