-- The main path with one allocation after another failing: nothing may crash, hang
-- or stay behind. Needs the sanitized interpreter, which makes them fail and finds
-- what is lost; elsewhere only the path itself is run.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local leaks = require "spec.support.leaks"
local scarce = require "spec.support.scarce"
local sql = require "directmethods.hub.sql"
local stores = require "spec.support.stores"
local task = require "directmethods.task"

local SEED = 20261122

it("68 the path ends well while nothing fails", function()
  assert.equal('["x"]', scarce.main_path())
end)

local fail_alloc = rawget(_G, "fail_alloc")
if not fail_alloc then return end

describe("68 a failing allocation", function()
  setup(function()
    dm.log { level = "off" }
    assert.equal('["x"]', scarce.main_path())
  end)

  teardown(function()
    dm.log { level = "warn" }
    leaks.forgive_events()
  end)

  it("of ours ends in an error, or is done without", function()
    local n, failed, ok, result = 0
    repeat
      n = n + 1
      failed, ok, result = scarce.failing("c", n)
      assert.is_true(not ok or result == '["x"]')
    until not failed
    assert.is_true(ok, result)
    assert.is_true(n > 50)
  end)

  -- What is called until nothing fails any more gives this, and is good in the end.
  local function each_failure(fn, expected)
    local n, failed, ok, name = 0
    repeat
      n = n + 1
      fail_alloc("c", n)
      ok, name = fn()
      failed = fail_alloc("c", 0) == 0
      if failed and not ok then expected(name) end
    until not failed
    assert.is_true(ok, name)
    return n
  end

  local function plane()
    local config = require("directmethods.hub.config").read { tls = false }
    return assert(require("directmethods.hub_core").hub(core.loop, config))
  end

  local KEY = core.base64_encode(("k"):rep(32))
  local OTHER = core.base64_encode(("o"):rep(32))

  -- Closed, however little memory there is.
  local function is_closed(hub)
    local gone = false
    task.objects[hub:id()] = function(event) gone = event == "closed" end
    fail_alloc("c", 1)
    hub:close()
    fail_alloc("c", 0)
    assert.is_true(dm.wait_until(function() return gone end))
    task.objects[hub:id()] = nil
  end

  it("leaves no identity without its keys", function()
    local hub = plane()
    local function put()
      return hub:put_identity("dev1", nil, "sas", KEY, OTHER, true)
    end
    assert.is_true(each_failure(put, function(name)
      assert.equal("SystemError", name)
      assert.is_false(hub:remove_identity("dev1"))
    end) > 2)
    assert.is_true(hub:remove_identity("dev1"))
    is_closed(hub)
  end)

  it("keeps a policy as it was, and says so", function()
    local hub = plane()
    local function put()
      return hub:policy("service", KEY, OTHER, { "ServiceConnect" })
    end
    assert.equal(4, each_failure(put, function(name)
      assert.equal("SystemError", name)
    end))
    is_closed(hub)
  end)

  it("keeps no hub from closing", function()
    local hubs = {}
    for i = 1, 20 do
      hubs[i] = plane()
      if i > 5 then assert(hubs[i]:listen("https", "127.0.0.1", 0)) end
    end
    fail_alloc("c", 1)
    for _, hub in ipairs(hubs) do is_closed(hub) end
  end)

  it("keeps no hub from stopping", function()
    local hubs, gone = {}, 0
    for i = 1, 20 do
      hubs[i] = plane()
      assert(hubs[i]:listen("https", "127.0.0.1", 0))
      task.objects[hubs[i]:id()] = function() gone = gone + 1 end
    end
    for _, hub in ipairs(hubs) do
      fail_alloc("c", 1)
      hub:stop(5)
      fail_alloc("c", 0)
    end
    assert.is_true(dm.wait_until(function() return gone == #hubs end))
    for _, hub in ipairs(hubs) do task.objects[hub:id()] = nil end
  end)

  it("starts no hub that lacks a policy", function()
    -- SQLite allocates, too
    local names = { SystemError = true, StorageFailed = true, LimitExceeded = true }
    assert.is_true(each_failure(function()
      local hub, err = dm.hub { tls = false }
      if not hub then return false, err.name end
      local left = fail_alloc("c", 0)
      local owner = fixture.service_token(hub, "iothubowner")
      for _, token in ipairs { owner, fixture.service_token(hub) } do
        assert.equal(404, fixture.call(hub, { device = "d", token = token }).status)
      end
      hub:close()
      assert(hub:closed(10))
      fail_alloc("c", left)
      return true
    end, function(name) assert.is_true(names[name], name) end) > 20)
  end)

  it("opens no store by halves, and leaves no request without an answer", function()
    local names = { SystemError = true, StorageFailed = true, LimitExceeded = true }
    local folder = stores.folder()
    finally(function() stores.remove(folder) end)
    for _, path in ipairs { sql.MEMORY, folder .. "/hub.db" } do
      assert.is_true(each_failure(function()
        local db, err = sql.open(path)
        local results = db
        local list = { { "SELECT ?, 2", { ("x"):rep(100) } } }
        if results then results, err = db:write(list) end
        if results then results, err = db:read(list) end
        if db then db:close() end
        if results then return true end
        return false, err.name
      end, function(name) assert.is_true(names[name], name) end) > 10)
    end
  end)

  -- In a process of its own, which does not look for leaks: cjson has one then.
  it("of Lua ends in an error", function()
    local code = ([[require("spec.support.scarce").sample_lua(40, %d)
      os.exit(true)]]):format(SEED)
    local result = assert(dm.exec({ "env", "ASAN_OPTIONS=detect_leaks=0",
      os.getenv("LUA") or arg[-1], "-e", code }, { timeout = 100 }))
    assert.equal('40 of 40, then ["x"]\n', result.stdout, result.stderr)
    assert.equal(0, result.status)
  end)
end)
