--- What the hub's jobs are made of: slices, dates; jobs that go on where
--- a hub before them ended; a store that fails.

local attributes = require "directmethods.hub.attributes"
local core = require "directmethods.core"
local date = require "directmethods.date"
local dm = require "directmethods"
local errors = require "directmethods.errors"
local fixture = require "spec.support.fixture"
local query = require "directmethods.hub.query"
local selection = require "directmethods.hub.selection"
local background = require "directmethods.hub.background"
local stores = require "spec.support.stores"
local task = require "directmethods.task"

describe("a date", function()
  it("is read as unix time", function()
    for text, seconds in pairs {
      ["1970-01-01T00:00:00Z"] = 0,
      ["1969-12-31T23:59:59Z"] = -1,
      ["2000-02-29T12:30:15Z"] = 951827415,
      ["2100-03-01T00:00:00"] = 4107542400,
      ["2022-05-04T15:53:00.077Z"] = 1651679580.077,
      ["2022-05-04T17:53:00.077+02:00"] = 1651679580.077,
      ["2022-05-04 10:23:00-0530"] = 1651679580,
      ["2022-05-04T15:53:00.0770000z"] = 1651679580.077,
      ["0001-01-01T00:00:00Z"] = -62135596800,
      ["9999-12-31T23:59:59Z"] = 253402300799,
    } do
      assert.equal(seconds, date.parse(text), text)
    end
  end)

  it("is none when it is not whole", function()
    for _, text in ipairs {
      "", "now", "2022-05-04", "2022-05-04T15:53Z", "2022-13-04T15:53:00Z",
      "2022-00-04T15:53:00Z", "2022-05-32T15:53:00Z", "2022-05-00T15:53:00Z",
      "2022-05-04T24:00:00Z", "2022-05-04T15:60:00Z", "2022-05-04T15:53:61Z",
      "2022-05-04T15:53:00.Z", "2022-05-04T15:53:00+2", "2022-05-04T15:53:00 UTC",
      "2022-02-29T15:53:00Z", "2100-02-29T15:53:00Z", "2022-04-31T15:53:00Z",
      "2022-05-04T15:53:0012", "2022-05-04T15:53:001Z", "2022-05-04T15:53:00+24:00",
      "2022-05-04T15:53:00+02:60", "22-05-04T15:53:00Z",
      "0000-01-01T00:00:00Z", "x2022-05-04T15:53:00Z",
    } do
      assert.is_nil(date.parse(text), text)
    end
  end)
end)

describe("background work", function()
  it("takes turns, leaves the loop free and ends", function()
    local work, order, turns = background.new(), {}, 0
    local is_over = false
    local others = dm.spawn(function()
      repeat
        turns = turns + 1
        dm.sleep(0)
      until is_over
    end)
    local function busy(name, count)
      return dm.spawn(function()
        for _ = 1, count do
          order[#order + 1] = name
          work:pause()
        end
      end)
    end
    local a, b = busy("a", 20), busy("b", 10)
    a:await(5)
    b:await(5)
    is_over = true
    others:await(5)
    assert.equal(("ab"):rep(10) .. ("a"):rep(10), table.concat(order))
    assert.is_true(turns >= 10, turns)
    assert.is_nil(core.next_deadline())
  end)

  it("resumes nobody when it is closed", function()
    local work, resumed = background.new(), 0
    local paused = dm.spawn(function()
      work:pause()
      resumed = resumed + 1
    end)
    dm.spawn(work.close, work):await(5) -- in the same turn
    dm.advance(1)
    assert.equal(0, resumed)
    paused:cancel()
  end)
end)

describe("jobs", function()
  local hub, service, opened

  local function open(opts)
    local o = {}
    for name, value in pairs(opts or {}) do o[name] = value end
    hub = fixture.hub(o)
    service = hub:service()
    opened = {}
  end

  local function close()
    service:close()
    for _, device in ipairs(opened) do
      device:close()
      assert(device:closed(10))
    end
    fixture.finish(hub)
  end

  local function connect(id, handler)
    local device = hub:device(id, { m = handler })
    assert(device:connect())
    opened[#opened + 1] = device
    return device
  end

  local function states(job)
    local list = {}
    for result in job:results() do
      local code = result.err and ":" .. result.err.name or ""
      list[#list + 1] = result.device_id .. ":" .. result.status .. code
    end
    return table.concat(list, " ")
  end

  local function storage_failed()
    return nil, errors.new { name = "StorageFailed", message = "no" }
  end

  -- Have lists of statements fail that have one with this in its text.
  local function break_store(method, pattern)
    local db = hub.state.store.db
    local whole = getmetatable(db).__index[method]
    db[method] = function(self, list)
      for _, statement in ipairs(list) do
        if statement[1]:find(pattern) then return storage_failed() end
      end
      return whole(self, list)
    end
  end

  local function mend_store()
    local db = hub.state.store.db
    db.write, db.read = nil, nil
  end

  describe("in a store", function()
    local folder, path

    before_each(function()
      folder = stores.folder()
      path = folder .. "/hub.db"
    end)

    after_each(function() stores.remove(folder) end)

    local function reopen(opts)
      close()
      local o = { store = path }
      for name, value in pairs(opts or {}) do o[name] = value end
      open(o)
    end

    it("stop with the hub: what is under way is kept, nothing begins", function()
      open { store = path, jobs = { concurrency = 1 } }
      hub:add_device("a")
      hub:add_device("b")
      local raw = fixture.device(hub, "a")
      local id = assert(service.jobs:schedule { method = "m", query = "*" }).id
      local _, rid = raw:request()
      local stopping = dm.spawn(function() return hub:stop(5) end)
      dm.loop.step(0)
      raw:answer(rid, 200, "1")
      assert.is_true(stopping:await(5))
      raw:close()
      reopen()
      local job = service.jobs:get(id)
      assert.equal("a:completed b:pending", states(job))
      local reply = job:results()().reply
      assert.same({ 200, 1 }, { reply.status, reply.payload })
      close()
    end)

    it("give back what was to be called when the hub is closed", function()
      open { store = path }
      local called = 0
      local function count()
        called = called + 1
        return 200
      end
      for _, id in ipairs { "a", "b" } do connect(id, count) end
      local id = assert(service.jobs:schedule { method = "m", query = "*" }).id
      local write, db = hub.state.store.db.write, hub.state.store.db
      local closed = false
      db.write = function(self, list)
        local results, err = write(self, list)
        for _, statement in ipairs(list) do -- the claims are kept, nobody is called yet
          if statement[1]:find("state = 'running'", 1, true) then
            hub:close()
            closed = true
          end
        end
        return results, err
      end
      assert(dm.wait_until(function() return closed end))
      assert.equal(0, called)
      reopen()
      for _, device in ipairs { "a", "b" } do connect(device, count) end
      dm.advance(1)
      assert.equal("a:completed b:completed", states(service.jobs:get(id)))
      assert.equal(2, called)
    end)

    it("go on where the hub ended", function()
      open { store = path }
      for _, id in ipairs { "a", "b", "c" } do hub:add_device(id) end
      local called = {}
      local function count(request)
        called[request.device_id] = (called[request.device_id] or 0) + 1
        return 200, request.payload
      end
      connect("a", count)
      local raw = fixture.device(hub, "b")
      local id = assert(service.jobs:schedule {
        id = "running", method = "m", payload = "\0x", query = "*", max_execution = 100,
      }).id
      for _, name in ipairs { "later", "gone" } do
        service.jobs:schedule { id = name, method = "m", query = "*", delay = 50 }
      end
      assert(service.jobs:cancel("gone"))
      assert(raw:request())
      dm.advance(1)
      assert.equal("a:completed b:running c:pending", states(service.jobs:get(id)))
      reopen()
      raw:close()
      connect("a", count)
      connect("c", count)
      dm.advance(1)
      local job = assert(service.jobs:get(id))
      assert.equal("a:completed b:failed:UnknownOutcome c:completed", states(job))
      assert.equal("completed", job:status().status)
      assert.equal("\0x", job:results():next().reply.payload)
      assert.same({ a = 1, c = 1 }, called)
      assert.equal("scheduled", service.jobs:get("later"):status().status)
      assert.equal("cancelled", service.jobs:get("gone"):status().status)
      dm.advance(50)
      assert.equal("running", service.jobs:get("later"):status().status)
      assert.same({ a = 2, c = 2 }, called)
      assert.equal("JobAlreadyExists", select(2,
        service.jobs:schedule { id = id, method = "m", query = "*" }).name)
    end)

    it("end what is late when the hub comes back", function()
      open { store = path }
      hub:add_device("a")
      service.jobs:schedule { id = "j", method = "m", query = "*", max_execution = 10 }
      dm.advance(1)
      close()
      dm.advance(100)
      open { store = path }
      dm.advance(0.1)
      local status = service.jobs:get("j"):status()
      assert.same({ "completed", 1 }, { status.status, status.failed })
      assert.equal("a:failed:DeviceNotOnline", states(service.jobs:get("j")))
    end)

    it("select the rest of their targets when the hub comes back", function()
      open { store = path }
      local count = 450
      for i = 1, count do hub:add_device(("d%03d"):format(i)) end
      local page = hub.state.store.scan
      local pages = 0
      hub.state.store.scan = function(...)
        pages = pages + 1
        if pages > 2 then
          return nil, errors.new { name = "StorageFailed", message = "no" }
        end
        return page(...)
      end
      service.jobs:schedule {
        id = "j", update = { tags = { n = 1 } }, query = "*", max_execution = 1000,
      }
      dm.advance(3)
      local status = service.jobs:get("j"):status()
      assert.same({ "running", 200, 200 },
        { status.status, status.total, status.pending })
      reopen()
      status = assert(service.jobs:get("j"):await(30))
      assert.same({ "completed", count, count },
        { status.status, status.total, status.succeeded })
      local seen = 0
      for result in service.jobs:get("j"):results { page_size = 1000 } do
        seen = seen + 1
        assert.equal(("d%03d"):format(seen), result.device_id)
      end
      assert.equal(count, seen)
    end)

    it("go on to end what was cancelled", function()
      open { store = path }
      for i = 1, 5 do hub:add_device("d" .. i) end
      service.jobs:schedule { id = "j", method = "m", query = "*" }
      dm.advance(1)
      break_store("write", "^UPDATE device_jobs")
      assert.equal("cancelled", assert(service.jobs:cancel("j")).status)
      dm.advance(5)
      assert.equal("d1:pending d2:pending d3:pending d4:pending d5:pending",
        states(service.jobs:get("j")))
      reopen()
      dm.advance(0.1)
      assert.equal("d1:canceled d2:canceled d3:canceled d4:canceled d5:canceled",
        states(service.jobs:get("j")))
      assert.equal("cancelled", service.jobs:get("j"):status().status)
    end)

    it("show modules, page by page, as in memory", function()
      open { store = path }
      for i = 1, 7 do hub:add_device(("d%d/m%d"):format(i // 2, i)) end
      service.twins:patch("d1", { tags = { n = 1 } }, { module_id = "m2" })
      local ids = {}
      for row in service:query("SELECT * FROM devices.modules", { page_size = 2 }) do
        ids[#ids + 1] = row.deviceId .. "/" .. row.moduleId
      end
      assert.equal("d0/m1 d1/m2 d1/m3 d2/m4 d2/m5 d3/m6 d3/m7", table.concat(ids, " "))
      local found = service:query("SELECT * FROM devices.modules WHERE tags.n = 1")
      assert.equal("m2", found:next().moduleId)
      assert.is_nil(found:next())
      assert.equal(4, #service:query("SELECT * FROM devices", { page_size = 1 }):all())
    end)

    it("are read a few at a time: each may hold an answer of 128 KB", function()
      open { store = path, jobs = { offline = "fail" } }
      for i = 1, 100 do hub:add_device(("d%03d"):format(i)) end
      local db, most = hub.state.store.db, 0
      local read = db.read
      db.read = function(self, list)
        local results, err = read(self, list)
        for i, statement in ipairs(list) do
          if statement[1]:find("answer,") or statement[1]:find("method,") then
            most = math.max(most, #results[i])
          end
        end
        return results, err
      end
      local job = service.jobs:schedule { method = "m", query = "*" }
      assert.equal(100, assert(job:await(10)).failed)
      assert.equal(100, #assert(job:results { page_size = 1000 }:all()))
      for _ = 1, 20 do
        assert(service.jobs:schedule { method = "m", query = "*", delay = 100 })
      end
      assert.equal(21, #assert(service.jobs:list { page_size = 1000 }:all()))
      assert.is_true(most > 0 and most <= 16, most)
    end)

    it("look at a few identities at a time when a look takes long", function()
      for _, store in ipairs { ":memory:", path } do
        open { store = store }
        for i = 1, 20 do hub:add_device(("d%02d/m%02d"):format(i // 7, i)) end
        for collection, count in pairs { devices = 3, ["devices.modules"] = 20 } do
          local looks, most, names = 0, 0, {}
          local function slow()
            looks = looks + 1
            local stop = os.clock() + 0.003
            repeat until os.clock() > stop
            return true
          end
          local targets = selection.new(hub.state,
            assert(query.read("SELECT * FROM " .. collection)))
          targets.predicate = slow
          repeat
            looks = 0
            for _, each in ipairs(assert(targets:next())) do
              local device_id, module_id = attributes.ids(each)
              names[#names + 1] = module_id or device_id
            end
            most = math.max(most, looks)
          until targets.ended
          assert.is_true(most <= 4, most)
          assert.equal(count, #names)
          for i = 2, #names do assert.is_true(names[i - 1] < names[i]) end
        end
        if store ~= path then close() end
      end
    end)

    after_each(function()
      close()
    end)
  end)

  it("are kept many at a time", function()
    open { jobs = { offline = "fail" } }
    for i = 1, 200 do hub:add_device("d" .. i) end
    local db, lists = hub.state.store.db, 0
    local write = db.write
    db.write = function(...)
      lists = lists + 1
      return write(...)
    end
    local job = service.jobs:schedule { method = "m", query = "*" }
    assert.equal(200, assert(job:await(10)).failed)
    assert.is_true(lists > 0 and lists < 40, lists)
    close()
  end)

  describe("when the store fails", function()
    before_each(function()
      open()
      for _, id in ipairs { "a", "b", "c" } do hub:add_device(id) end
    end)

    after_each(function() close() end)

    it("call nobody, and go on when it works again", function()
      local called = 0
      for _, id in ipairs { "a", "b" } do
        connect(id, function()
          called = called + 1
          return 200
        end)
      end
      local job = service.jobs:schedule { method = "m", query = "*", delay = 1 }
      break_store("write", "")
      dm.advance(30)
      assert.equal(0, called)
      mend_store()
      dm.advance(2)
      assert.equal(2, called)
      assert.equal("a:completed b:completed c:pending", states(job))
    end)

    it("keep what has ended until it can be kept", function()
      local called = 0
      connect("a", function()
        called = called + 1
        dm.sleep(5)
        return 200, called
      end)
      local job = service.jobs:schedule { method = "m", devices = { "a" } }
      dm.advance(1)
      break_store("write", "")
      dm.advance(10)
      assert.equal("a:running", states(job))
      mend_store()
      dm.advance(2)
      assert.equal("a:completed", states(job))
      assert.equal(1, called)
      assert.equal("completed", job:status().status)
    end)

    it("select nobody by what could not be read", function()
      local called = {}
      for _, id in ipairs { "a", "b" } do
        connect(id, function()
          table.insert(called, id)
          return 200
        end)
      end
      assert(service.twins:patch("a", { properties = { desired = { v = 1 } } }))
      local job = assert(service.jobs:schedule {
        method = "m", delay = 1,
        query = "NOT IS_DEFINED(properties.desired.v) AND deviceId != 'c'",
      })
      break_store("read", "FROM identities")
      dm.advance(10)
      for _, condition in ipairs { "", " WHERE properties.desired.v = 1",
        " WHERE authenticationType = 'sas'" } do
        local _, err = service:query("SELECT * FROM devices" .. condition):all()
        assert.equal("ServiceUnavailable", err.name)
      end
      mend_store()
      dm.advance(2)
      assert.same({ "b" }, called)
      assert.equal("b:completed", states(job))
    end)

    it("call who has come while no rows could be read", function()
      local job = assert(service.jobs:schedule { method = "m", query = "*" })
      dm.advance(1)
      break_store("read", "^SELECT state")
      for _, id in ipairs { "a", "b" } do connect(id, function() return 200 end) end
      dm.advance(5)
      assert.equal("a:pending b:pending c:pending", states(job))
      mend_store()
      dm.advance(2)
      assert.equal("a:completed b:completed c:pending", states(job))
    end)

    it("do not accept what cannot be kept", function()
      break_store("write", "^INSERT INTO jobs")
      local job, err = service.jobs:schedule { id = "j", method = "m", query = "*" }
      mend_store()
      assert.is_nil(job)
      assert.equal("ServiceUnavailable", err.name)
      assert.equal("JobNotFound", select(2, service.jobs:get("j")).name)
    end)
  end)

  it("call no device twice that connects while they begin", function()
    open { jobs = { concurrency = 3 } }
    local calls = {}
    for i = 1, 30 do hub:add_device(("d%02d"):format(i)) end
    local job = service.jobs:schedule { method = "m", query = "*" }
    for i = 1, 30 do
      local id = ("d%02d"):format(31 - i)
      connect(id, function()
        calls[id] = (calls[id] or 0) + 1
        return 200
      end)
    end
    dm.advance(1)
    assert.equal("completed", job:status().status)
    for i = 1, 30 do assert.equal(1, calls[("d%02d"):format(i)]) end
    close()
  end)

  it("start at their time when the clock of the machine is set", function()
    open()
    hub:add_device("a")
    local called = 0
    connect("a", function()
      called = called + 1
      return 200
    end)
    local job = assert(service.jobs:schedule { method = "m", query = "*",
      delay = 3600 })
    local wall, step = core.time, 0
    core.time = function() return wall() + step end
    finally(function() core.time = wall end)
    local function set(seconds)
      step = seconds
      task.objects[core.clock_id]("clock") -- as the kernel tells it
      dm.loop.step(0)
    end
    set(-3600)
    dm.advance(3700)
    assert.equal("scheduled", job:status().status)
    set(0)
    assert.equal("completed", assert(job:await(5)).status)
    assert.equal(1, called)
    set(-3600)
    dm.advance(3700)
    assert.equal(1, called)
    core.time = wall
    close()
  end)

  it("over their number are told when to come again, where the hub tells it", function()
    for retry_after, seconds in pairs { [true] = 5, [false] = 0 } do
      open { jobs = { active = 1 }, retry_after = retry_after }
      hub:add_device("offline")
      assert(service.jobs:schedule { method = "m", query = "*" })
      local _, err = service.jobs:schedule { method = "m", query = "*" }
      assert.equal(429, err.http_status)
      assert.equal(seconds, err.retry_after or 0)
      close()
    end
  end)

  it("are gone when the hub is reset", function()
    open { jobs = { active = 2 } }
    hub:add_device("a")
    hub:add_device("b")
    local raw = fixture.device(hub, "a")
    local job = service.jobs:schedule { method = "m", query = "*" }
    service.jobs:schedule { method = "m", query = "*", delay = 5 }
    assert(raw:request())
    assert(hub:reset())
    dm.advance(10)
    assert.same({}, service.jobs:list():all())
    assert.same({}, service:query("SELECT * FROM devices.jobs"):all())
    assert.equal("JobNotFound", select(2, job:status()).name)
    raw:close()
    hub:add_device("a")
    connect("a", function() return 200 end)
    assert(service.jobs:schedule { id = job.id, method = "m", query = "*" })
    assert(service.jobs:schedule { method = "m", query = "*" })
    dm.advance(1)
    for result in service:query("SELECT * FROM devices.jobs") do
      assert.equal("completed", result.status)
    end
    close()
  end)
end)
