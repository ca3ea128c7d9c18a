--- Jobs call each device at most once and forget none (cases N), and what cannot be run
--- or read stays alone with its error (cases M).

local dm = require "directmethods"
local errors = require "directmethods.errors"
local fixture = require "spec.support.fixture"
local query = require "directmethods.hub.query"
local stores = require "spec.support.stores"

describe("jobs", function()
  local hub, service, fleet

  local function open(opts)
    hub = fixture.hub(opts)
    service = hub:service()
  end

  local function close()
    service:close()
    if fleet then
      fleet:close()
      assert(fleet:closed(10))
      fleet = nil
    end
    fixture.finish(hub)
  end

  after_each(close)

  -- Change what the store holds, as damage would.
  local function damage(sql)
    local results = assert(hub.state.store.db:write { { sql } })
    assert.equal(1, results[1].changes, sql)
  end

  local function start_fleet(count, handlers)
    fleet = assert(dm.fleet { hub = hub, count = count, id = "d%02d",
      handlers = handlers, reconnect = { min = 0.01, max = 0.05 } })
    assert(fleet:connect(20))
  end

  local function reconnect_all()
    for i = 1, fleet.count do
      local device = fleet:device(i)
      if device.state == "online" then device:reconnect() end
    end
  end

  it("N call a device once that comes back while they run", function()
    open { jobs = { concurrency = 2 } }
    local is_open, got = false, {}
    start_fleet(40, { m = function(request)
      local id = request.device_id
      got[id] = (got[id] or 0) + 1
      if id == "d15" or id == "d16" then
        dm.wait_until(function() return is_open end)
      end
      return 200
    end })
    local job = assert(service.jobs:schedule { method = "m", query = "*" })
    assert(dm.wait_until(function() return got.d15 and got.d16 end, 10))
    local device = fleet:device("d30")
    local before = device:stats().reconnects
    device:reconnect()
    assert(dm.wait_until(function()
      return device.state == "online" and device:stats().reconnects > before
    end))
    is_open = true
    local status = assert(job:await(10))
    assert.same({ "completed", 40, 40, 0 },
      { status.status, status.total, status.succeeded, status.pending })
    for i = 1, 40 do assert.equal(1, got[("d%02d"):format(i)]) end
  end)

  it("N change each twin once while devices come back", function()
    open()
    start_fleet(100, {})
    local is_over = false
    local unrest = dm.spawn(function()
      repeat
        reconnect_all()
        dm.sleep(0)
      until is_over
    end)
    for n = 1, 5 do
      local job = assert(service.jobs:schedule {
        update = { tags = { n = n } }, query = "*",
      })
      local status = assert(job:await(20))
      assert.same({ "completed", 100, 0 },
        { status.status, status.succeeded, status.pending })
      for row in job:results { page_size = 1000 } do
        assert.equal("completed", row.status)
      end
      for twin in service:query("SELECT * FROM devices", { page_size = 1000 }) do
        assert.equal(n, twin.tags.n)
        assert.equal(n + 1, twin.version)
      end
    end
    is_over = true
    unrest:await(5)
  end)

  it("do not call again what a rule for faults has refused after the call", function()
    open()
    local calls = 0
    start_fleet(1, { m = function()
      calls = calls + 1
      return 200
    end })
    hub:fault { stage = "response", action = "reject", code = 404103, times = 1 }
    local job = assert(service.jobs:schedule { method = "m", query = "*" })
    assert.equal(1, assert(job:await(5)).failed)
    reconnect_all()
    dm.advance(5)
    assert.equal(1, calls)
  end)

  it("fail a device at once that is removed or disabled meanwhile", function()
    open()
    for _, name in ipairs { "a", "b", "c", "c/m", "d" } do hub:add_device(name) end
    local devices = assert(service.jobs:schedule { method = "m", query = "*" })
    local modules = assert(service.jobs:schedule { method = "m",
      query = "FROM devices.modules WHERE moduleId = 'm'" })
    dm.advance(1)
    assert.same({ 4, 1 }, { devices:status().pending, modules:status().pending })
    local owner <close> = hub:service("iothubowner")
    assert(owner.registry:delete("a"))
    dm.advance(0.1)
    assert.equal(3, devices:status().pending)
    assert(owner.registry:update("b", { status = "disabled" }))
    dm.advance(0.1)
    assert.equal(2, devices:status().pending)
    assert(owner.registry:delete("c"))
    dm.advance(0.1)
    assert.same({ 1, "completed" },
      { devices:status().pending, modules:status().status })
    local codes = {}
    for row in devices:results() do
      local outcome = row.err and row.err.name or row.status
      codes[#codes + 1] = row.device_id .. ":" .. outcome
    end
    assert.equal("a:DeviceNotFound b:DeviceNotFound c:DeviceNotFound d:pending",
      table.concat(codes, " "))
  end)

  it("forget no device when more come at a time than the queue holds", function()
    open()
    local ids = {}
    for i = 1, 1300 do ids[i] = ("d%04d"):format(i) end
    local owner <close> = hub:service("iothubowner")
    assert(assert(owner.registry:bulk(ids)).ok)
    local job = assert(service.jobs:schedule { method = "m", query = "*" })
    dm.advance(1)
    assert.equal(1300, job:status().pending)
    local queue, db = hub.state.jobs.runs[job.id].queue, hub.state.store.db
    assert.is_false(queue:has_more())
    for _, id in ipairs(ids) do queue:add { device_id = id } end
    local seen, count = {}, 0
    while queue:has_more() do
      assert(queue:fill(db))
      local target = queue:take()
      while target do
        if not seen[target.device_id] then count = count + 1 end
        seen[target.device_id] = true
        target = queue:take()
      end
    end
    assert.equal(1300, count)
  end)

  local DEEP = ("--("):rep(28) .. "1" .. (")"):rep(28) .. "=1"

  describe("in a store", function()
    local folder, path

    before_each(function()
      folder = stores.folder()
      path = folder .. "/hub.db"
      open { store = path }
      hub:add_device("a")
    end)

    after_each(function() stores.remove(folder) end)

    local function reopen()
      close()
      open { store = path }
    end

    local function good_job(id)
      return assert(service.jobs:schedule {
        id = id, update = { tags = { [id] = true } }, query = "*", delay = 100,
      })
    end

    local function check_good_job(id)
      dm.advance(100)
      assert.equal("completed", service.jobs:get(id):status().status)
    end

    it("M fail alone when their condition is more than can be read", function()
      local job = assert(service.jobs:schedule { id = "deep", method = "m",
        query = DEEP })
      dm.advance(1)
      local status = job:status()
      assert.equal("failed", status.status)
      assert.is_truthy(status.reason)
      good_job "good"
      reopen()
      assert.equal("failed", service.jobs:get("deep"):status().status)
      check_good_job "good"
    end)

    it("M fail alone when their condition raises, at the next start too", function()
      local condition = query.read_condition
      query.read_condition = function(text)
        if text:find("deviceId") then error("planted") end
        return condition(text)
      end
      finally(function() query.read_condition = condition end)
      dm.log { level = "off" }
      finally(function() dm.log { level = "warn" } end)
      local raising = "deviceId = 'a'"
      for i, delay in ipairs { 0, 50 } do
        assert(service.jobs:schedule { id = "bad" .. i, method = "m", query = raising,
          delay = delay })
      end
      good_job "good"
      dm.advance(1)
      local status = service.jobs:get("bad1"):status()
      assert.equal("failed", status.status)
      assert.is_truthy(status.reason)
      assert.is_nil(status.reason:find("planted"))
      reopen()
      check_good_job "good"
      assert.equal("failed", service.jobs:get("bad2"):status().status)
      query.read_condition = condition
      dm.log { level = "warn" }
    end)

    for _, change in ipairs {
      "method = '{'", "max_seconds = 'x'", "condition = '{'",
      "type = CAST(x'ff' AS TEXT)", "created = 1.5",
    } do
      it("M fail alone when their record is damaged: " .. change, function()
        assert(service.jobs:schedule { id = "bad", method = "m", query = "*",
          delay = 50 })
        good_job "good"
        damage(("UPDATE jobs SET %s WHERE id = 'bad'"):format(change))
        dm.log { level = "off" }
        reopen()
        dm.log { level = "warn" }
        assert.equal("ServiceUnavailable", select(2, service.jobs:get("bad")).name)
        assert.equal("ServiceUnavailable", select(2, service.jobs:list():all()).name)
        check_good_job "good"
        local left = hub.state.store.db:read {
          { "SELECT status FROM jobs WHERE id = 'bad' AND ended IS NOT NULL" },
        }
        assert.equal("failed", left[1][1][1])
      end)
    end

    it("M fail alone when the call that they would make is no call", function()
      assert(service.jobs:schedule { id = "bad", method = "m", query = "*",
        delay = 50 })
      good_job "good"
      damage "UPDATE jobs SET method = '{}' WHERE id = 'bad'"
      dm.log { level = "off" }
      reopen()
      check_good_job "good"
      dm.log { level = "warn" }
      assert.equal("failed", service.jobs:get("bad"):status().status)
    end)

    it("M end when their targets cannot be read", function()
      local function schedule(id)
        return assert(service.jobs:schedule { id = id, method = "m",
          query = "tags.n = 1", max_execution = 10 })
      end
      assert(service.twins:patch("a", { tags = { n = 1 } }))
      damage "UPDATE twins SET tags = '{'"
      local expired, cancelled = schedule "expired", schedule "cancelled"
      dm.advance(5)
      assert.equal("running", expired:status().status)
      assert.equal("cancelled", assert(cancelled:cancel()).status)
      dm.advance(2)
      assert.is_truthy(cancelled:status().ended)
      dm.advance(10)
      local status = expired:status()
      assert.same({ "failed", 0 }, { status.status, status.total })
      assert.matches("the store is damaged", status.reason)
    end)

    it("M answer 503 for a damaged device job, in and at the end of a page", function()
      for i = 1, 40 do hub:add_device(("d%02d"):format(i)) end
      local job = assert(service.jobs:schedule { id = "j",
        update = { tags = { n = 1 } }, query = "deviceId != 'a'" })
      assert.equal(40, assert(job:await(10)).succeeded)
      for _, id in ipairs { "d05", "d16", "d40" } do
        for _, column in ipairs { "state", "answer", "error_text", "ended" } do
          local row = (" WHERE device_id = '%s'"):format(id)
          damage(("UPDATE device_jobs SET %s = '{'"):format(column) .. row)
          for _, text in ipairs { "", " WHERE jobId = 'j'",
            " WHERE status = 'failed'" } do
            local _, err = service:query("SELECT * FROM devices.jobs" .. text):all()
            assert.equal("ServiceUnavailable", err and err.name, column .. text)
          end
          damage(("UPDATE device_jobs SET %s = %s"):format(column,
            column == "state" and "'completed'" or "NULL") .. row)
        end
      end
      assert.equal(40, #assert(service:query("SELECT * FROM devices.jobs"):all()))
    end)

    it("M fail for a damaged twin at once, and for it alone", function()
      for i = 1, 40 do hub:add_device(("d%02d"):format(i)) end
      service.twins:patch("d20", { tags = { a = 1 } })
      damage "UPDATE twins SET tags = '{' WHERE device_id = 'd20'"
      local job = assert(service.jobs:schedule { id = "j",
        update = { tags = { n = 1 } }, query = "deviceId != 'a'" })
      local status = assert(job:await(10))
      assert.same({ "completed", 39, 1 },
        { status.status, status.succeeded, status.failed })
      for row in job:results() do
        assert.equal(row.device_id == "d20" and "ServiceUnavailable" or nil,
          row.err and row.err.name)
      end
    end)

    it("change a twin that could not be read for a while", function()
      local store, real = hub.state.store, hub.state.store.pairs
      local asked = 0
      function store.pairs()
        asked = asked + 1
        return nil, errors.new { name = "StorageFailed", message = "not now" }
      end
      local job = assert(service.jobs:schedule { id = "j",
        update = { tags = { n = 1 } }, query = "*" })
      assert(dm.wait_until(function() return asked > 0 end, 10))
      store.pairs = real
      dm.advance(2)
      local status = assert(job:await(10))
      assert.same({ "completed", 1 }, { status.status, status.succeeded })
    end)

    it("M fail when a device job cannot be ended, and free their place", function()
      local job = assert(service.jobs:schedule { id = "j", method = "m", query = "*",
        max_execution = 10 })
      dm.advance(1)
      damage "UPDATE device_jobs SET device_id = CAST(device_id AS BLOB)"
      dm.advance(10)
      assert(dm.wait_until(function() return not next(hub.state.jobs.runs) end, 10))
      local status = job:status()
      assert.same({ "failed", 1 }, { status.status, status.pending })
      good_job "good"
      check_good_job "good"
    end)

    it("M end although a device job is damaged while they run", function()
      hub:add_device("b")
      local job = assert(service.jobs:schedule { id = "j", method = "m", query = "*",
        max_execution = 10 })
      dm.advance(1)
      damage "UPDATE device_jobs SET state = '{' WHERE device_id = 'a'"
      dm.advance(10)
      local status = job:status()
      assert.same({ "completed", 2, 1, 0 },
        { status.status, status.total, status.failed, status.pending })
    end)
  end)
end)
