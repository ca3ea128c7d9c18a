--- service.jobs and service:query against the hub.

local date = require "directmethods.date"
local dm = require "directmethods"
local fake_hub = require "spec.support.fake_hub"
local fixture = require "spec.support.fixture"

describe("service.jobs", function()
  local hub, service, device

  before_each(function()
    hub = fixture.hub()
    for _, id in ipairs { "a", "b", "it's" } do hub:add_device(id) end
    device = hub:device("a", {
      reboot = function(request) return 200, { got = request.payload } end,
      fail = function() return 500, "broken" end,
    })
    assert(device:connect())
    service = hub:service()
  end)

  after_each(function()
    service:close()
    device:close()
    assert(device:closed(10))
    fixture.finish(hub)
  end)

  local function schedule(opts)
    opts.method = not opts.update and (opts.method or "reboot") or nil
    if not opts.query and not opts.devices then opts.devices = { "a" } end
    return assert(service.jobs:schedule(opts))
  end

  it("call devices, and tell what each of them said", function()
    local job = schedule { payload = { n = 1 }, query = "*", max_execution = 5 }
    assert.matches("^job%-%x+$", job.id)
    assert.equal(("directmethods.job (%s)"):format(job.id), tostring(job))
    dm.advance(6)
    local status = assert(job:status())
    local document = status.document
    status.document = nil
    for _, name in ipairs { "start", "created", "ended" } do
      assert.is_true(math.abs(dm.time() - status[name]) < 10, name)
      status[name] = nil
    end
    assert.same({
      id = job.id, type = "scheduleDeviceMethod", status = "completed", over = true,
      query = "*", max_execution = 5, total = 3, succeeded = 1, failed = 2, running = 0,
      pending = 0,
    }, status)
    assert.equal(3, document.deviceJobStatistics.deviceCount)
    local results = assert(job:results():all())
    assert.equal(3, #results)
    local first, second = results[1], results[2]
    assert.same({ "a", "completed" }, { first.device_id, first.status })
    assert.same({ status = 200, ok = true, payload = { got = { n = 1 } } }, first.reply)
    assert.is_nil(first.err)
    assert.is_true(first.started <= first.ended)
    assert.same({ "b", "failed" }, { second.device_id, second.status })
    assert.is_nil(second.reply)
    assert.equal("DeviceNotOnline (404103): Timed out waiting for device to connect.",
      tostring(second.err))
    assert.is_true(second.err.retriable)
  end)

  it("tell a status that says no as an answer", function()
    local job = schedule { method = "fail" }
    assert.equal("completed", assert(job:await(5)).status)
    local reply = job:results():next().reply
    assert.same({ status = 500, ok = false, payload = "broken" }, reply)
  end)

  it("start now", function()
    dm.advance(86400)
    local job = schedule {}
    dm.advance(0.1)
    local status = job:status()
    assert.equal("completed", status.status)
    assert.is_true(math.abs(dm.time() - status.start) < 10)
  end)

  it("start now at a hub whose clock was not moved", function()
    dm.advance(86400)
    local other = fake_hub.new()
    local client <close> = dm.service {
      connection_string = "HostName=127.0.0.1;SharedAccessKeyName=service;"
        .. "SharedAccessKey=" .. fake_hub.KEY,
      port = other:port(), tls = false,
    }
    local before = os.time()
    local scheduling = dm.spawn(function()
      return client.jobs:schedule { method = "m", query = "*" }
    end)
    local wire = other:accept()
    local _, body = fake_hub.read_request(wire)
    wire:send(fake_hub.answer { status = 200, body = "{}" })
    assert(scheduling:await(5))
    other:close()
    local start = date.parse(dm.json.decode(body).startTime)
    assert.is_true(start >= before and start <= os.time(), start - before)
  end)

  it("start later: in so many seconds, at a time, at a date", function()
    local at = math.floor(dm.time()) + 100
    for _, opts in ipairs {
      { delay = 100 }, { at = at }, { at = os.date("!%Y-%m-%dT%H:%M:%SZ", at) },
    } do
      local job = schedule(opts)
      local status = assert(job:status())
      assert.same({ "scheduled", false }, { status.status, status.over })
      assert.is_true(math.abs(status.start - at) < 2)
      assert.is_nil(status.ended)
    end
    dm.advance(101)
    for status in service.jobs:list() do assert.equal("completed", status.status) end
  end)

  it("change twins", function()
    local job = schedule {
      update = { tags = { site = "x" }, properties = { desired = { n = 1 } } },
      query = "deviceId != 'b'",
    }
    assert.equal(2, assert(job:await(5)).succeeded)
    assert.equal("x", service.twins:get("it's").tags.site)
    assert.is_nil(service.twins:get("b").tags.site)
    assert.is_nil(job:results():next().reply)
    job = schedule { update = { tags = { site = "y" }, etag = "AAAAAAAAAAk=" } }
    assert.equal(1, assert(job:await(5)).failed)
    assert.equal(412001, job:results():next().err.code)
  end)

  it("select devices by their ids", function()
    local job = schedule { devices = { "it's", "nobody", "a" }, max_execution = 1 }
    assert.equal("deviceId IN ['it\\'s','nobody','a']", job:status().query)
    dm.advance(2)
    assert.equal(2, job:status().total)
  end)

  it("refuse a list of devices that is too long for a condition", function()
    local ids = {}
    for i = 1, 700 do ids[i] = ("device-%05d"):format(i) end
    local job, err = service.jobs:schedule { method = "reboot", devices = ids }
    assert.is_nil(job)
    assert.equal("LimitExceeded", err.name)
  end)

  it("refuse a payload that the contract forbids", function()
    local job, err = service.jobs:schedule {
      method = "reboot", query = "*", payload = ("x"):rep(131072),
    }
    assert.is_nil(job)
    assert.equal("LimitExceeded", err.name)
  end)

  it("are awaited, with progress", function()
    local job = schedule { query = "deviceId != 'b'", max_execution = 60 }
    local seen = {}
    local waiting = dm.spawn(function()
      return job:await(100, function(...)
        seen[#seen + 1] = table.concat({ ... }, " ")
      end)
    end)
    dm.advance(30)
    assert.equal("waiting", waiting.status)
    dm.advance(40)
    local status = waiting:await(1)
    assert.same({ "completed", 1, 1 },
      { status.status, status.succeeded, status.failed })
    assert.equal("2 1 2", seen[#seen])
    assert.is_true(#seen <= 3, table.concat(seen, ", "))
  end)

  it("are awaited for so long, and go on", function()
    local job = schedule { devices = { "b" }, max_execution = 60 }
    local waiting = dm.spawn(function()
      local start = dm.now()
      local status, err = job:await(10)
      return status, err, dm.now() - start
    end)
    dm.advance(11)
    local status, err, seconds = waiting:await(1)
    assert.is_nil(status)
    assert.equal("Timeout", err.name)
    assert.matches("is running after 10 s$", err.message)
    assert.is_true(math.abs(seconds - 10) < 0.1, seconds)
    dm.advance(50)
    assert.equal("completed", job:await().status)
  end)

  it("fail as a whole when their query is wrong", function()
    local status = assert(schedule({ query = "tags." }):await(5))
    assert.same({ "failed", true, 0 }, { status.status, status.over, status.total })
    assert.matches("^SQL query parse failed", status.reason)
  end)

  it("are cancelled", function()
    local job = schedule { delay = 100 }
    assert.equal("cancelled", assert(job:cancel()).status)
    assert.equal("cancelled", assert(job:await(1)).status)
    local status, err = job:cancel()
    assert.is_nil(status)
    assert.equal(412003, err.code)
    job = schedule { id = "other", delay = 100 }
    assert.equal("cancelled", assert(service.jobs:cancel("other")).status)
    assert.equal("JobNotFound", select(2, service.jobs:cancel("none")).name)
    assert.equal("cancelled", job:status().status)
  end)

  it("are found by id", function()
    schedule { id = "mine" }
    assert.equal("mine", assert(service.jobs:get("mine")).id)
    local job, err = service.jobs:get("none")
    assert.is_nil(job)
    assert.equal(404002, err.code)
    job, err = service.jobs:schedule { id = "mine", method = "reboot", query = "*" }
    assert.is_nil(job)
    assert.equal("JobAlreadyExists", err.name)
  end)

  it("have ids with every character, on the wire and in queries", function()
    for _, id in ipairs { "it's", "a#b?c", "100%", "a=b;c+d", ".." } do
      local job = schedule { id = id }
      dm.advance(0.1)
      assert.equal(id, job:status().id)
      assert.equal(1, #assert(job:results():all()), id)
      assert.equal("JobRunPreconditionFailed", select(2, job:cancel()).name)
    end
  end)

  it("are listed in pages, by type and status", function()
    for i = 1, 5 do schedule { id = "job" .. i, delay = 100 } end
    schedule { update = { tags = { x = 1 } } }
    dm.advance(0.1)
    local function ids(opts)
      local list = {}
      for status in service.jobs:list(opts) do list[#list + 1] = status.id end
      return #list
    end
    assert.equal(6, ids())
    assert.equal(5, ids { status = "scheduled", page_size = 2 })
    assert.equal(1, ids { type = "scheduleUpdateTwin" })
    assert.equal(0, ids { type = "scheduleUpdateTwin", status = "failed" })
  end)

  it("give results page by page", function()
    for i = 1, 25 do hub:add_device(("m%02d"):format(i)) end
    local job = schedule { update = { tags = { x = 1 } }, query = "deviceId > 'm'" }
    assert(job:await(5))
    local before = hub:counters().http_requests
    local count = 0
    for result in job:results { page_size = 10 } do
      count = count + 1
      assert.equal(("m%02d"):format(count), result.device_id)
    end
    assert.equal(25, count)
    assert.equal(3, hub:counters().http_requests - before)
  end)

  it("raise on wrong use", function()
    local jobs = service.jobs
    local job = schedule { delay = 100 }
    for text, fn in pairs {
      ["jobs:schedule: options must be a table, not a nil"] = function()
        jobs:schedule()
      end,
      ["options 'method' and 'update' are alternatives"] = function()
        jobs:schedule { query = "*" }
      end,
      ["options 'query' and 'devices' are alternatives"] = function()
        jobs:schedule { method = "m", query = "*", devices = { "a" } }
      end,
      ["options 'delay' and 'at' must not be given together"] = function()
        jobs:schedule { method = "m", query = "*", delay = 1, at = 1 }
      end,
      ["unknown option 'when'"] = function()
        jobs:schedule { method = "m", query = "*", when = 1 }
      end,
      ["devices[1] must be 1 to 128 characters"] = function()
        jobs:schedule { method = "m", devices = { "a b" } }
      end,
      ["devices must be a list of ids"] = function()
        jobs:schedule { method = "m", devices = {} }
      end,
      ["at must be a time like 2026-01-31T12:00:00Z"] = function()
        jobs:schedule { method = "m", query = "*", at = "noon" }
      end,
      ["at must be a time from 1970 to 9999"] = function()
        jobs:schedule { method = "m", query = "*", at = -1 }
      end,
      ["option 'response_timeout' must be from 5 to 300 s"] = function()
        jobs:schedule { method = "m", query = "*", response_timeout = 4 }
      end,
      ["job:await: timeout must be a number of seconds"] = function() job:await(-1) end,
      ["job:await: progress must be a function"] = function() job:await(1, 2) end,
      ["service:query: text must be a string"] = function() service:query(1) end,
      ["unknown option 'size'"] = function() service:query("x", { size = 1 }) end,
      ["job:status: called on a table"] = function() job.status({}) end,
      ["query:next: called on a nil"] = function() job:results().next() end,
    } do
      local ok, message = pcall(fn)
      assert.is_false(ok)
      assert.truthy(message:find(text, 1, true), message)
      assert.truthy(message:find("service_jobs_spec", 1, true), message)
    end
    service:close()
    local ok, message = pcall(job.status, job)
    assert.is_false(ok)
    assert.truthy(message:find("job:status: attempt to use a closed service", 1, true))
  end)

  describe("queries", function()
    it("give twins in a loop, page by page", function()
      for i = 1, 12 do hub:add_device(("m%02d"):format(i)) end
      local ids = {}
      local query = service:query("SELECT * FROM devices WHERE deviceId > 'm'",
        { page_size = 5 })
      for twin in query do ids[#ids + 1] = twin.deviceId end
      assert.equal(12, #ids)
      assert.same({ "m01", "m12" }, { ids[1], ids[12] })
      assert.is_nil(query:next())
      assert.equal("directmethods.query (last page)", tostring(query))
    end)

    it("give rows of the members that they name, and of groups", function()
      for i = 1, 3 do hub:add_device("r" .. i) end
      service.twins:patch("r2", { tags = { site = "x" } })
      assert.same({ { deviceId = "r1" }, { deviceId = "r2", site = "x" },
        { deviceId = "r3" } }, service:query("SELECT deviceId, tags.site FROM devices "
        .. "WHERE STARTSWITH(deviceId, 'r')", { page_size = 2 }):all())
      local total, last = 0, nil
      for row in service:query("SELECT tags.site, COUNT() AS n FROM devices "
        .. "WHERE STARTSWITH(deviceId, 'r') GROUP BY tags.site", { page_size = 1 }) do
        total, last = total + row.n, row.site or last
      end
      assert.same({ 3, "x" }, { total, last })
    end)

    it("raise in a loop, and return otherwise, what goes wrong", function()
      local query = service:query("SELECT * FROM devices WHERE")
      local row, err = query:next()
      assert.is_nil(row)
      assert.equal("ArgumentInvalid", err.name)
      assert.matches("line 1, column 28: expected a value", err.message)
      local rows
      rows, err = query:all()
      assert.is_nil(rows)
      assert.equal("ArgumentInvalid", err.name)
      local ok, raised = pcall(function()
        for _ in query do error("unreachable") end
      end)
      assert.is_false(ok)
      assert.equal("ArgumentInvalid", raised.name)
    end)

    it("go on after an error where they were", function()
      for i = 1, 4 do hub:add_device("m" .. i) end
      local query = service:query("SELECT * FROM devices WHERE deviceId > 'm'",
        { page_size = 2 })
      assert.equal("m1", query:next().deviceId)
      assert.equal("m2", query:next().deviceId)
      local scan = hub.state.store.scan
      hub.state.store.scan = function()
        return nil, require("directmethods.errors").new {
          name = "StorageFailed", message = "the store failed: test",
        }
      end
      local row, err = query:next()
      assert.is_nil(row)
      assert.equal("ServiceUnavailable", err.name)
      hub.state.store.scan = scan
      assert.equal("m3", query:next().deviceId)
      assert.equal(1, #query:all())
    end)
  end)
end)
