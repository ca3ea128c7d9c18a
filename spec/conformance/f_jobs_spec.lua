-- Checklist F: jobs and queries over raw HTTP, on virtual time. (F06 to F09 as the
-- language alone: spec/query_spec.lua.)

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"
local job_store = require "directmethods.hub.jobs.job_store"
local row_store = require "directmethods.hub.jobs.row_store"

local read, refused = rest.read, rest.refused

local HANDLERS = {
  reboot = function(request) return 200, { got = request.payload } end,
  fail = function() return 500, "broken" end,
}

describe("jobs", function()
  local hub, devices

  local function open(opts)
    hub = fixture.hub(opts)
    devices = {}
  end

  after_each(function()
    for _, device in ipairs(devices) do
      device:close()
      assert(device:closed(10))
    end
    fixture.finish(hub)
  end)

  local function ask(...) return rest.ask(hub, ...) end

  local function add(...)
    for _, id in ipairs { ... } do assert(hub:add_device(id)) end
  end

  -- A device that is online.
  local function connect(id, handlers)
    local device = hub:device(id, handlers or HANDLERS)
    assert(device:connect())
    devices[#devices + 1] = device
    return device
  end

  local function body_of(fields)
    local body = {
      type = "scheduleDeviceMethod",
      cloudToDeviceMethod = { methodName = "reboot", payload = { n = 1 } },
      queryCondition = "*",
      maxExecutionTimeInSeconds = 60,
    }
    for name, value in pairs(fields or {}) do body[name] = value end
    return body
  end

  local function put(id, fields, o)
    return ask("PUT", "/jobs/v2/" .. id, body_of(fields), o)
  end

  local function get(id)
    return read(ask("GET", "/jobs/v2/" .. id))
  end

  -- The job is scheduled.
  local function schedule(id, fields)
    return read(put(id, fields))
  end

  local function counts(job)
    local s = job.deviceJobStatistics
    return { s.deviceCount, s.succeededCount, s.failedCount, s.runningCount,
      s.pendingCount }
  end

  local function time_text(seconds)
    return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(dm.time() + seconds))
  end

  local function query(text, headers)
    return rest.ask(hub, "POST", "/devices/query", { query = text },
      { headers = headers })
  end

  local function rows_of(id)
    return read(query(("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '%s'")
      :format(id)))
  end

  -- Which devices a condition selects, as a job tells.
  local function targets(condition)
    local id = "t" .. math.random(1e9)
    schedule(id, { queryCondition = condition })
    dm.advance(0.1)
    local ids = {}
    for i, row in ipairs(rows_of(id)) do ids[i] = row.deviceId end
    if get(id).status == "running" then
      read(ask("POST", "/jobs/v2/" .. id .. "/cancel"))
      dm.advance(0.1)
    end
    return table.concat(ids, " ")
  end

  it("F01 are created: jobId, type and status queued, nothing else", function()
    open()
    local reply = put("job01", { jobId = "job01" })
    assert.equal(200, reply.status)
    assert.equal('{"jobId":"job01","type":"scheduleDeviceMethod","status":"queued"}',
      reply.body)
    assert.equal("application/json; charset=utf-8", reply.headers["content-type"])
    local later = read(put("job02", { startTime = time_text(3600) }))
    assert.equal("queued", later.status)
    assert.equal("scheduled", get("job02").status)
  end)

  it("F01 of scheduleUpdateTwin change twins and tell devices", function()
    open()
    add("a", "b")
    local device = fixture.device(hub, "a", { subscribe = false })
    device:subscribe(0, "$iothub/twin/PATCH/properties/desired/#")
    schedule("twins", {
      type = "scheduleUpdateTwin",
      updateTwin = { etag = "*", tags = { site = "x" },
        properties = { desired = { interval = 5 } } },
    })
    local packet = assert(device:read())
    assert.equal('{"interval":5,"$version":2}', packet.payload)
    device:close()
    local job = get "twins"
    assert.same({ "completed", "scheduleUpdateTwin" }, { job.status, job.type })
    assert.same({ 2, 2, 0, 0, 0 }, counts(job))
    assert.equal(5, job.updateTwin.properties.desired.interval)
    for _, id in ipairs { "a", "b" } do
      assert.equal("x", read(ask("GET", "/twins/" .. id)).tags.site)
    end
    assert.equal(dm.null, rows_of("twins")[1].outcome.deviceMethodResponse)
  end)

  it("F02 run to completion; their statistics add up", function()
    open()
    add("a", "b", "c")
    connect "a"
    connect "b"
    connect("c", { reboot = HANDLERS.fail })
    schedule "job"
    dm.advance(1)
    local job = get "job"
    assert.equal("completed", job.status)
    assert.same({ 3, 3, 0, 0, 0 }, counts(job))
    assert.equal("*", job.queryCondition)
    assert.equal(60, job.maxExecutionTimeInSeconds)
    assert.same({ methodName = "reboot", payload = { n = 1 },
      responseTimeoutInSeconds = 30, connectTimeoutInSeconds = 0 },
      job.cloudToDeviceMethod)
    for _, name in ipairs { "createdTime", "startTime", "endTime" } do
      assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d0000Z$", job[name])
    end
    assert.is_nil(job.failureReason)
    assert.equal(500, rows_of("job")[3].outcome.deviceMethodResponse.status)
  end)

  it("F02 say that they run, and have not ended, while devices work", function()
    open()
    add "slow"
    connect("slow", { reboot = function()
      dm.sleep(10)
      return 200
    end })
    schedule "job"
    dm.advance(1)
    local job = get "job"
    assert.equal("running", job.status)
    assert.same({ 1, 0, 0, 1, 0 }, counts(job))
    assert.equal("9999-12-31T23:59:59.9999999Z", job.endTime)
    local row = rows_of("job")[1]
    assert.equal("running", row.status)
    assert.is_nil(row.outcome)
    dm.advance(10)
    assert.equal("completed", get("job").status)
    assert.same({ payload = dm.null, status = 200 },
      rows_of("job")[1].outcome.deviceMethodResponse)
  end)

  it("F03 are cancelled before they start", function()
    open()
    add "a"
    local called = 0
    connect("a", { reboot = function()
      called = called + 1
      return 200
    end })
    schedule("job", { startTime = time_text(3600) })
    dm.advance(3500)
    assert.equal("scheduled", get("job").status)
    local job = read(ask("POST", "/jobs/v2/job/cancel"))
    assert.equal("cancelled", job.status)
    dm.advance(3600)
    assert.equal("cancelled", get("job").status)
    assert.equal(0, called)
    refused(ask("POST", "/jobs/v2/job/cancel"), 412, "JobRunPreconditionFailed")
  end)

  it("F03 are cancelled while they run: what was not called is not called", function()
    open { jobs = { concurrency = 1 } }
    add("a", "b", "offline")
    local called = {}
    for _, id in ipairs { "a", "b" } do
      connect(id, { reboot = function()
        called[#called + 1] = id
        dm.sleep(5)
        return 200
      end })
    end
    schedule "job"
    dm.advance(1)
    assert.equal("cancelled", read(ask("POST", "/jobs/v2/job/cancel")).status)
    dm.advance(20)
    connect("offline")
    dm.advance(1)
    assert.same({ "a" }, called)
    local states = {}
    for i, row in ipairs(rows_of "job") do states[i] = row.status end
    assert.same({ "completed", "canceled", "canceled" }, states)
    assert.same({ 3, 1, 0, 0, 0 }, counts(get "job"))
  end)

  it("F03 that have ended are not cancelled, nor those that never were", function()
    open()
    schedule "job"
    dm.advance(1)
    assert.equal("completed", get("job").status)
    refused(ask("POST", "/jobs/v2/job/cancel"), 412, "JobRunPreconditionFailed")
    refused(ask("POST", "/jobs/v2/none/cancel"), 404, "JobNotFound")
  end)

  it("F04 select by *, equality, membership and IS_DEFINED", function()
    open()
    add("x", "y", "z")
    assert.equal("x y z", targets "*")
    assert.equal("x", targets "deviceId = 'x'")
    assert.equal("x y", targets "DeviceId IN ['x','y']")
    assert.equal("x y z", targets "IS_DEFINED(DeviceId)")
    assert.equal("", targets "deviceId = 'X'")
  end)

  it("F05 of a condition that is a SELECT fail when they start", function()
    open()
    schedule("job", { queryCondition = "SELECT * FROM devices" })
    dm.advance(1)
    local job = get "job"
    assert.equal("failed", job.status)
    assert.matches("^SQL query parse failed: line 1, column 1: expected ",
      job.failureReason)
    assert.equal(job.failureReason, job.statusMessage)
    assert.same({ 0, 0, 0, 0, 0 }, counts(job))
  end)

  it("F06 F07 select by tags, properties and what the hub knows", function()
    open()
    add("a", "b", "c")
    read(ask("PATCH", "/twins/a", { tags = { floor = 3, room = { n = "x" } },
      properties = { desired = { interval = 60 } } }))
    read(ask("PATCH", "/twins/b", { tags = { floor = 1 } }))
    connect "b"
    for condition, ids in pairs {
      ["tags.floor > 2"] = "a",
      ["tags.floor <> 3"] = "b",
      ["tags.floor != 3 OR tags.room.n = 'x'"] = "a b",
      ["NOT tags.floor > 2"] = "b",
      ["tags.floor NIN [1, 2]"] = "a",
      ["tags.floor = 1 OR tags.floor = 3 AND deviceId = 'c'"] = "b",
      ["(tags.floor = 1 OR tags.floor = 3) AND deviceId = 'a'"] = "a",
      ["tags.floor = '3'"] = "",
      ["tags.none = null"] = "",
      ["properties.desired.interval = 60"] = "a",
      ["properties.desired.$version = 1"] = "b c",
      ["connectionState = 'Connected'"] = "b",
      ["status = 'enabled' AND connectionState = 'Disconnected'"] = "a c",
      ["authenticationType = 'sas' AND cloudToDeviceMessageCount = 0"] = "a b c",
      ["capabilities.iotEdge = false AND version > 1"] = "a b",
      ["statusReason = null AND NOT IS_DEFINED(moduleId)"] = "a b c",
      ["x509Thumbprint.primaryThumbprint = null AND IS_DEFINED(etag)"] = "a b c",
      ["lastActivityTime = '0001-01-01T00:00:00'"] = "a c",
      ["statusUpdateTime = '0001-01-01T00:00:00'"] = "a b c",
    } do
      assert.equal(ids, targets(condition), condition)
    end
  end)

  it("F06 see nothing of an identity but what its twin shows", function()
    open()
    add "a"
    for _, name in ipairs { "primary_key", "record", "auth", "plane", "etags" } do
      assert.equal("", targets(("IS_DEFINED(%s)"):format(name)), name)
    end
  end)

  it("F08 take a condition of 8,192 characters, and no longer one", function()
    open()
    local longest = "deviceId = '" .. ("x"):rep(8192 - 13) .. "'"
    assert.equal(200, put("a", { queryCondition = longest }).status)
    refused(put("b", { queryCondition = longest .. " " }), 400, "ArgumentInvalid")
  end)

  it("F09 take both quotes and escapes", function()
    open()
    add("it's", "b")
    assert.equal("it's", targets [[deviceId = 'it\'s']])
    assert.equal("it's", targets [[deviceId = "it\u0027s"]])
  end)

  it("F10 hold a device that is offline until their time is over", function()
    open()
    add("gone", "here")
    connect "here"
    schedule "job"
    dm.advance(59)
    assert.same({ 2, 1, 0, 0, 1 }, counts(get "job"))
    dm.advance(2)
    local job = get "job"
    assert.equal("completed", job.status)
    assert.same({ 2, 1, 1, 0, 0 }, counts(job))
    local row = rows_of("job")[1]
    assert.same({ "gone", "failed" }, { row.deviceId, row.status })
    assert.same({ code = "DeviceNotOnline",
      description = "Timed out waiting for device to connect." }, row.error)
    assert.is_nil(row.outcome)
  end)

  it("F10 call a device as soon as it connects and subscribes, once", function()
    open()
    add("late", "other")
    schedule("job", { maxExecutionTimeInSeconds = 86400 })
    dm.advance(43200)
    local device = fixture.device(hub, "late", { subscribe = false })
    assert.is_nil((device:read(0.05)))
    assert.equal(0, device:subscribe())
    local method, rid, payload = device:request()
    assert.same({ "reboot", '{"n":1}' }, { method, payload })
    device:answer(rid, 204, "")
    assert(dm.wait_until(function()
      return get("job").deviceJobStatistics.succeededCount == 1
    end))
    device:close()
    device = fixture.device(hub, "late")
    assert.is_true(device.wire:stays_quiet())
    device:close()
    assert.same({ 2, 1, 0, 0, 1 }, counts(get "job"))
  end)

  it("F10 call a device that comes back for the method it did not take", function()
    open()
    add "a"
    local device = fixture.device(hub, "a", { subscribe = false })
    device:subscribe(0, "$iothub/methods/POST/other/#")
    schedule "job"
    dm.advance(1)
    assert.same({ 1, 0, 0, 0, 1 }, counts(get "job"))
    device:subscribe(0)
    local method, rid = device:request()
    assert.equal("reboot", method)
    device:answer(rid, 200, "1")
    assert(dm.wait_until(function() return get("job").status == "completed" end))
    device:close()
  end)

  it("F10 fail a device at once that is offline, with offline = 'fail'", function()
    open { jobs = { offline = "fail" } }
    add("gone", "slow")
    schedule "job"
    dm.advance(0)
    local job = get "job"
    assert.equal("completed", job.status)
    assert.same({ 2, 0, 2, 0, 0 }, counts(job))
    assert.equal("DeviceNotOnline", rows_of("job")[1].error.code)
    schedule("waits", {
      cloudToDeviceMethod = { methodName = "reboot", connectTimeoutInSeconds = 20 },
    })
    dm.advance(10)
    connect "slow"
    dm.advance(5) -- short of 20 by more than connecting may take
    assert.same({ 2, 1, 0, 1, 0 }, counts(get "waits"))
    dm.advance(6)
    assert.same({ 2, 1, 1, 0, 0 }, counts(get "waits"))
  end)

  it("F10 fail a device that is disabled, and one that is removed", function()
    open()
    add("off", "removed", "slow")
    hub.state.registry:update("off", nil, { enabled = false })
    schedule("job", { startTime = time_text(100) })
    dm.advance(101)
    read(ask("POST", "/devices/query", { query = "SELECT * FROM devices" }))
    local row = rows_of("job")[1]
    assert.same({ "failed", "DeviceNotFound" }, { row.status, row.error.code })
    assert.equal(204, ask("DELETE", "/devices/removed", nil, { if_match = "*" }).status)
    dm.advance(0.1)
    row = rows_of("job")[2]
    assert.same({ "failed", "DeviceNotFound" }, { row.status, row.error.code })
    dm.advance(60)
    assert.same({ 3, 0, 3, 0, 0 }, counts(get "job"))
  end)

  it("F10 tell every way in which a call fails", function()
    open()
    add("silent", "leaves", "mad")
    local silent = fixture.device(hub, "silent")
    local leaves = fixture.device(hub, "leaves")
    local mad = fixture.device(hub, "mad")
    schedule("job", { cloudToDeviceMethod = { methodName = "reboot",
      responseTimeoutInSeconds = 5 } })
    assert(leaves:request())
    leaves:close()
    local _, rid = mad:request()
    mad:answer(rid, 200, "{")
    assert(silent:request())
    assert(dm.wait_until(function()
      return get("job").deviceJobStatistics.failedCount == 2
    end))
    dm.advance(6)
    local codes = {}
    for i, row in ipairs(rows_of "job") do codes[i] = row.error.code end
    assert.same({ "DeviceConnectionClosedRemotely", "InvalidResponseWhileProxying",
      "GatewayTimeout" }, codes)
    assert.equal("completed", get("job").status)
    silent:close()
    mad:close()
  end)

  it("F11 show the job of each device with its outcome", function()
    open()
    add("a", "b")
    connect "a"
    schedule "j"
    schedule("other", { queryCondition = "deviceId = 'a'" })
    dm.advance(61)
    local reply = query "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j'"
    assert.equal("DeviceJob", reply.headers["x-ms-item-type"])
    local rows = read(reply)
    assert.equal(2, #rows)
    local row = rows[1]
    for _, name in ipairs { "startTimeUtc", "endTimeUtc", "createdDateTimeUtc",
      "lastUpdatedDateTimeUtc" } do
      assert.matches("^%d%d%d%d%-.*Z$", row[name])
      row[name] = nil
    end
    assert.same({
      deviceId = "a", jobId = "j", jobType = "scheduleDeviceMethod",
      status = "completed",
      outcome = {
        deviceMethodResponse = { status = 200, payload = { got = { n = 1 } } },
      },
    }, row)
    for condition, count in pairs {
      ["deviceId = 'a'"] = 2,
      ["deviceId = 'a' AND status = 'completed'"] = 2,
      ["outcome.deviceMethodResponse.status = 200"] = 2,
      ["outcome.deviceMethodResponse.payload.got.n = 1"] = 2,
      ["outcome.deviceMethodResponse.payload.got.n > 1"] = 0,
      ["devices.jobs.error.code = 'DeviceNotOnline'"] = 1,
      ["devices.jobs.createdTimeUtc < '2001'"] = 0,
      ["devices.jobs.createdDateTimeUtc > '2001'"] = 3,
      ["jobId = 'j' AND jobType = 'scheduleDeviceMethod' AND status = 'failed'"] = 1,
      ["jobId = 'J'"] = 0,
    } do
      local text = "SELECT * FROM devices.jobs WHERE " .. condition
      assert.equal(count, #read(query(text)), condition)
    end
    assert.equal(3, #read(query "SELECT * FROM devices.jobs"))
  end)

  it("F11 keep the text of a payload as the device sent it", function()
    open()
    add "a"
    connect("a", { reboot = function()
      return 200, dm.json.raw '{"n":12345678901234567890,"a":1.50,"a":[ ]}'
    end })
    schedule "j"
    dm.advance(1)
    for _, condition in ipairs { "jobId = 'j'", "jobId != 'x'" } do
      local body = query("SELECT * FROM devices.jobs WHERE " .. condition).body
      assert.truthy(body:find(
        '"payload":{"n":12345678901234567890,"a":1.50,"a":[ ]},"status":200', 1, true),
        body)
    end
  end)

  describe("F12 and queries come in pages", function()
    local function pages_of(ask_page)
      local all, sizes, token = {}, {}, nil
      repeat
        local reply = ask_page(token)
        local rows = read(reply)
        sizes[#sizes + 1] = #rows
        table.move(rows, 1, #rows, #all + 1, all)
        token = reply.headers["x-ms-continuation"]
      until not token
      return all, sizes
    end

    local function headers(size, token)
      return { "x-ms-max-item-count: " .. size,
        token and "x-ms-continuation: " .. token }
    end

    it("of devices, without a continuation on the last", function()
      open()
      for i = 1, 10 do add(("d%02d"):format(i)) end
      local function ask_page(size)
        return function(token)
          return query("SELECT * FROM devices WHERE deviceId != 'd03'",
            headers(size, token))
        end
      end
      for size, expected in pairs {
        [4] = { 4, 4, 1 }, [3] = { 3, 3, 3 }, [9] = { 9 }, [1000] = { 9 },
      } do
        local rows, sizes = pages_of(ask_page(size))
        assert.same(expected, sizes)
        assert.equal("d01", rows[1].deviceId)
        assert.equal("d10", rows[9].deviceId)
      end
      assert.equal("Twin", query("SELECT * FROM devices").headers["x-ms-item-type"])
    end)

    it("of modules and of device jobs", function()
      open()
      for i = 1, 7 do hub:add_device(("d%d/m%d"):format(i // 2, i)) end
      local rows, sizes = pages_of(function(token)
        return query("SELECT * FROM devices.modules", headers(2, token))
      end)
      assert.same({ 2, 2, 2, 1 }, sizes)
      local seen = {}
      for i, row in ipairs(rows) do seen[i] = row.moduleId end
      assert.equal("m1 m2 m3 m4 m5 m6 m7", table.concat(seen, " "))
      for i = 1, 3 do schedule("job" .. i) end
      dm.advance(0.1)
      rows, sizes = pages_of(function(token)
        return query("SELECT * FROM devices.jobs", headers(5, token))
      end)
      assert.same({ 5, 5, 2 }, sizes)
      assert.same({ "job1", "job3" }, { rows[1].jobId, rows[12].jobId })
    end)

    it("of jobs, by type and status", function()
      open()
      for i = 1, 5 do schedule("job" .. i, { startTime = time_text(3600) }) end
      schedule "now"
      dm.advance(0.1)
      local function list(parameters)
        return function(token)
          return ask("GET", "/jobs/v2/query", nil,
            { query = parameters, headers = headers(2, token) })
        end
      end
      local rows, sizes = pages_of(list "jobStatus=scheduled")
      assert.same({ 2, 2, 1 }, sizes)
      assert.equal("job1", rows[1].jobId)
      assert.equal("JobResponse", list()().headers["x-ms-item-type"])
      assert.equal(6, #pages_of(list "jobType=scheduleDeviceMethod"))
      assert.equal(0, #pages_of(list "jobType=scheduleUpdateTwin"))
      assert.equal(1,
        #pages_of(list "jobType=scheduleDeviceMethod&jobStatus=completed"))
      local page = ask("GET", "/jobs/v2/query", nil, { query = "pageSize=4" })
      assert.equal(4, #read(page))
      page = ask("GET", "/jobs/v2/query", nil, { query = "pageSize=4&continuationToken="
        .. page.headers["x-ms-continuation"]:gsub("=", "%%3D") })
      assert.equal(2, #read(page))
    end)

    it("of a size that is allowed", function()
      open()
      for _, size in ipairs { "0", "1001", "-1", "x", "1e2" } do
        refused(query("SELECT * FROM devices", headers(size)), 400, "ArgumentInvalid")
      end
      for _, token in ipairs { "!", "YQ==", "////", -- ["\u0000"], ["\ud800"]
        "WyJcdTAwMDAiXQ==", "WyJcdWQ4MDAiXQ==" } do
        refused(query("SELECT * FROM devices", { "x-ms-continuation: " .. token }), 400,
          "ArgumentInvalid")
      end
    end)
  end)

  it("F12 refuse a bad query at once", function()
    open()
    for _, text in ipairs {
      "", "*", "SELECT deviceId, FROM devices", "SELECT * FROM devices WHERE", "DROP",
      "SELECT * FROM devices WHERE deviceId LIKE 'x%'", ("("):rep(100000),
    } do
      local message = refused(query(text), 400, "ArgumentInvalid")
      assert.matches("^SQL query parse failed: ", message)
    end
    for _, body in ipairs { "", "{}", "[]", '{"query":1}', '{"query":null}', '"x"' } do
      refused(ask("POST", "/devices/query", body), 400, "ArgumentInvalid")
    end
  end)

  it("F12 are for who may: ServiceConnect", function()
    open()
    local o = { policy = "registryReadWrite" }
    for _, reply in ipairs {
      put("j", nil, o), ask("GET", "/jobs/v2/j", nil, o),
      ask("POST", "/jobs/v2/j/cancel", nil, o), ask("GET", "/jobs/v2/query", nil, o),
      ask("POST", "/devices/query", { query = "SELECT * FROM devices" }, o),
    } do
      refused(reply, 401, "IotHubUnauthorizedAccess")
    end
    refused(ask("GET", "/jobs/v2/j"), 404, "JobNotFound")
  end)

  it("F12 leave a device its name, be it 'query'", function()
    open()
    add "query"
    assert.equal("query", read(ask("GET", "/devices/query")).deviceId)
    assert.equal(1, #read(query "SELECT * FROM devices"))
  end)

  it("F13 keep their ids: a second one is refused", function()
    open()
    schedule "j"
    refused(put "j", 409, "JobAlreadyExists")
    dm.advance(1)
    refused(put "j", 409, "JobAlreadyExists")
    schedule "J"
  end)

  it("F14 that never were are not found", function()
    open()
    refused(ask("GET", "/jobs/v2/none"), 404, "JobNotFound")
  end)

  it("F15 refuse null times", function()
    open()
    refused(put("a", { startTime = dm.null }), 400, "ArgumentInvalid")
    refused(put("a", { maxExecutionTimeInSeconds = dm.null }), 400, "ArgumentInvalid")
    refused(ask("GET", "/jobs/v2/a"), 404, "JobNotFound")
  end)

  it("F15 refuse every other bad body, and say why", function()
    open()
    local method = { methodName = "reboot" }
    local function with(changes)
      local m = {}
      for k, v in pairs(method) do m[k] = v end
      for k, v in pairs(changes) do m[k] = v end
      return { cloudToDeviceMethod = m }
    end
    for why, fields in pairs {
      ["'jobId' must be the one in the path"] = { jobId = "b" },
      ["'type' must be a string"] = { type = dm.null },
      ["'queryCondition' must be a string"] = { queryCondition = dm.null },
      ["'startTime' must be a time of ISO 8601"] = { startTime = "tomorrow" },
      ["'startTime' must be a string"] = { startTime = 5 },
      ["maxExecutionTimeInSeconds must be within [1; 2147483647]."] =
        { maxExecutionTimeInSeconds = 0 },
      ["'cloudToDeviceMethod' is required"] = { cloudToDeviceMethod = dm.null },
      ["'cloudToDeviceMethod' must be a JSON object"] = { cloudToDeviceMethod = "x" },
      ["methodName is null or empty."] = with { methodName = "" },
      ["methodName contains a character that is not allowed."] =
        with { methodName = "a b" },
      ["methodName cannot be longer than 100 characters."] =
        with { methodName = ("x"):rep(101) },
      ["responseTimeoutInSeconds must be within [5; 300]."] =
        with { responseTimeoutInSeconds = 4 },
      ["connectTimeoutInSeconds must be within [0; 300]."] =
        with { connectTimeoutInSeconds = 301 },
      ["'payload' size must not exceed 131072 bytes."] =
        with { payload = ("x"):rep(131071) },
      ["'updateTwin' is required"] = { type = "scheduleUpdateTwin" },
      ["'updateTwin' must have tags or desired properties"] =
        { type = "scheduleUpdateTwin", updateTwin = { etag = "*" } },
      ["'tags.a.b': a name must not contain '.', '$', blanks and control characters"] =
        { type = "scheduleUpdateTwin", updateTwin = { tags = { ["a.b"] = 1 } } },
    } do
      assert.equal(why, refused(put("a", fields), 400, "ArgumentInvalid"))
    end
    for _, body in ipairs { "", "null", "[]", "{", '{"type":1,"type":2}' } do
      refused(ask("PUT", "/jobs/v2/a", body), 400, "ArgumentInvalid")
    end
    for _, id in ipairs { ("x"):rep(129), "a%20b", "a%2Fb", "%C3%A4", "query" } do
      refused(put(id), 400, "ArgumentInvalid")
    end
    assert.equal(200, put(("x"):rep(128)).status)
    refused(ask("GET", "/jobs/v2/a"), 404, "JobNotFound")
  end)

  it("F15 go by the contract of their api-version", function()
    open()
    local long = {
      cloudToDeviceMethod = { methodName = "m", responseTimeoutInSeconds = 3600 },
    }
    assert.equal(200, put("old", long, { version = fixture.OLD }).status)
    assert.equal("responseTimeoutInSeconds must be within [5; 300].",
      refused(put("new", long), 400, "ArgumentInvalid"))
    local large = {
      cloudToDeviceMethod = { methodName = "m", payload = ("x"):rep(8191) },
    }
    assert.equal(200, put("large", large).status)
    assert.equal("'payload' size must not exceed 8192 bytes.",
      refused(put("large2", large, { version = fixture.OLD }), 400, "ArgumentInvalid"))
  end)

  it("F15 start now when their time is past", function()
    open()
    schedule("j", { startTime = "2001-01-01T00:00:00Z" })
    dm.advance(0.1)
    assert.equal("completed", get("j").status)
  end)

  it("F15 without a time start now and have an hour", function()
    open()
    local body = body_of { jobId = "j" }
    body.maxExecutionTimeInSeconds = nil
    read(ask("PUT", "/jobs/v2/j", body))
    assert.equal(3600, get("j").maxExecutionTimeInSeconds)
  end)

  it("F16 are limited in how many run at a time", function()
    open { jobs = { active = 1 } }
    add "offline"
    schedule "first"
    refused(put "second", 429, "ThrottlingMaxActiveJobCountExceeded")
    dm.advance(1)
    refused(put "second", 429, "ThrottlingMaxActiveJobCountExceeded")
    refused(ask("GET", "/jobs/v2/second"), 404, "JobNotFound")
    schedule("later", { startTime = time_text(30) })
    dm.advance(35)
    assert.equal("queued", get("later").status)
    dm.advance(30)
    assert.equal("completed", get("first").status)
    assert.equal("running", get("later").status)
    read(ask("POST", "/jobs/v2/later/cancel"))
    dm.advance(0.1)
    schedule "second"
  end)

  it("F16 run by the tier: one at a time with S1, five with S2", function()
    for _, each in ipairs { { "F1", 1 }, { "S1", 1 }, { "S2", 5 }, { "S3", 10 } } do
      local tier, most = each[1], each[2]
      open { tier = tier }
      add "offline"
      for i = 1, most do schedule(tier .. i) end
      refused(put "more", 429, "ThrottlingMaxActiveJobCountExceeded")
      dm.advance(1)
      refused(put "more", 429, "ThrottlingMaxActiveJobCountExceeded")
      if tier ~= "S3" then fixture.finish(hub) end
    end
  end)

  it("F16 begin with ten devices a second with S1", function()
    open { tier = "S1" }
    for i = 1, 35 do add("d" .. i) end
    schedule("job", { type = "scheduleUpdateTwin", updateTwin = { tags = { n = 1 } } })
    dm.advance(1.5)
    local done = get("job").deviceJobStatistics.succeededCount
    assert.is_true(done >= 15 and done <= 26, done)
    dm.advance(3)
    assert.equal("completed", get("job").status)
  end)

  it("F16 are limited in how many are kept", function()
    open { jobs = { kept = 2 } }
    schedule "a"
    dm.advance(1)
    schedule("b", { startTime = time_text(100) })
    refused(put("c", { startTime = time_text(100) }), 429,
      "ThrottlingMaxActiveJobCountExceeded")
  end)

  it("F17 fail what is left when their time is over, and complete", function()
    open { jobs = { concurrency = 1 } }
    add("a", "b", "c")
    for _, id in ipairs { "a", "b" } do
      connect(id, { reboot = function()
        dm.sleep(20)
        return 200, "done"
      end })
    end
    schedule("job", { maxExecutionTimeInSeconds = 10 })
    dm.advance(11)
    assert.equal("running", get("job").status)
    assert.same({ 3, 0, 2, 1, 0 }, counts(get "job"))
    dm.advance(10)
    local job = get "job"
    assert.equal("completed", job.status)
    assert.same({ 3, 1, 2, 0, 0 }, counts(job))
    local rows = rows_of "job"
    assert.equal("done", rows[1].outcome.deviceMethodResponse.payload)
    assert.equal("Timeout", rows[2].error.code)
    assert.equal("DeviceNotOnline", rows[3].error.code)
    connect "c"
    dm.advance(1)
    assert.same({ 3, 1, 2, 0, 0 }, counts(get "job"))
  end)

  it("F18 are kept for 30 days after their end", function()
    open()
    add "a"
    schedule("job", { maxExecutionTimeInSeconds = 10 })
    dm.advance(10)
    assert.equal("completed", get("job").status)
    dm.advance(30 * 86400 - 60)
    assert.equal("completed", get("job").status)
    assert.equal(1, #rows_of "job")
    dm.advance(60)
    refused(ask("GET", "/jobs/v2/job"), 404, "JobNotFound")
    assert.same({}, read(ask("GET", "/jobs/v2/query")))
    assert.same({}, rows_of "job")
    dm.advance(86400)
    local db = hub.state.store.db
    assert.is_nil((job_store.find(db, "job")))
    assert.same({}, row_store.page(db, nil, nil, 10))
    schedule "job"
    dm.advance(0.1)
    assert.equal(1, #rows_of "job")
  end)

  it("F18 give their id free when they are not kept any more", function()
    open()
    add("a", "b")
    schedule("job", { maxExecutionTimeInSeconds = 10 })
    dm.advance(30 * 86400 + 11)
    assert.equal(200, put("job", { queryCondition = "deviceId = 'b'" }).status)
    dm.advance(0.1)
    assert.equal(1, #rows_of "job")
  end)

  it("F19 call modules", function()
    open()
    add "a"
    hub:add_device("a/m")
    hub:add_device("b/m")
    hub:add_device("b/n")
    connect "a/m"
    schedule("job", { queryCondition = "FROM devices.modules WHERE moduleId = 'm'" })
    dm.advance(1)
    connect "b/m"
    dm.advance(1)
    local job = get "job"
    assert.equal("completed", job.status)
    assert.same({ 2, 2, 0, 0, 0 }, counts(job))
    local rows = rows_of "job"
    assert.same({ "a", "m", "b", "m" },
      { rows[1].deviceId, rows[1].moduleId, rows[2].deviceId, rows[2].moduleId })
  end)

  it("fix their targets when they start", function()
    open()
    add "a"
    schedule("job", { startTime = time_text(10) })
    add "b"
    dm.advance(11)
    add "c"
    for _, id in ipairs { "a", "b", "c" } do connect(id) end
    dm.advance(1)
    assert.equal("completed", get("job").status)
    assert.same({ 2, 2, 0, 0, 0 }, counts(get "job"))
  end)

  it("call no more devices at a time, and in a second, than they may", function()
    open { jobs = { concurrency = 2, rate = 1 } }
    local now, most = 0, 0
    for i = 1, 5 do
      add("d" .. i)
      connect("d" .. i, { reboot = function()
        now = now + 1
        most = math.max(most, now)
        dm.sleep(3)
        now = now - 1
        return 200
      end })
    end
    dm.advance(10)
    schedule "job"
    dm.advance(0.5)
    assert.equal(1, now)
    dm.advance(1)
    assert.equal(2, now)
    dm.advance(20)
    assert.equal(2, most)
    assert.same({ 5, 5, 0, 0, 0 }, counts(get "job"))
  end)

  it("share the calls of a moment among them", function()
    open { jobs = { concurrency = 4 } }
    local order = {}
    for i = 1, 8 do
      add("d" .. i)
      connect("d" .. i, { reboot = function(request)
        order[#order + 1] = request.payload
        dm.sleep(1)
        return 200
      end })
    end
    for _, name in ipairs { "x", "y" } do
      schedule(name, { startTime = time_text(100),
        cloudToDeviceMethod = { methodName = "reboot", payload = name } })
    end
    dm.advance(120)
    -- the first calls may be those of the job that has selected its targets first
    local both = table.concat(order, "", 5, 12)
    local count = select(2, both:gsub("x", ""))
    assert.is_true(count >= 3 and count <= 5, both)
    assert.equal(16, #order)
  end)

  it("go on while a call of the hub's users ends or fails", function()
    open()
    add("a", "b")
    connect "a"
    schedule "job"
    assert.equal(200, fixture.call(hub, { device = "a" }).status)
    assert.equal(404, fixture.call(hub, { device = "b" }).status)
    dm.advance(1)
    assert.same({ 2, 1, 0, 0, 1 }, counts(get "job"))
  end)

  it("end with the hub while they select, hold, call and wait", function()
    open()
    add("a", "b")
    local device = fixture.device(hub, "a")
    schedule "running"
    schedule("waiting", { startTime = time_text(1000) })
    assert(device:request())
    device:send(mqtt.PINGREQ)
    schedule "selecting"
    device:close()
  end)
end)
