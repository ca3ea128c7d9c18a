-- Checklist H: the query language over raw HTTP. (What it takes, gives and refuses in
-- detail, as the language alone: spec/query_spec.lua.)

local core = require "directmethods.core"
local dm = require "directmethods"
local devices = require "directmethods.hub.devices"
local fixture = require "spec.support.fixture"
local rest = require "spec.support.rest"

local read, refused = rest.read, rest.refused

describe("a query", function()
  local hub

  after_each(function() fixture.finish(hub) end)

  -- A hub with devices "d1" to "dN", with the tags that `tags_of(i)` gives, and the
  -- module d1/m.
  local function open(count, tags_of)
    hub = fixture.hub()
    for i = 1, count or 3 do
      assert(hub:add_device("d" .. i))
      local tags = tags_of and tags_of(i)
      if tags then
        read(rest.ask(hub, "PATCH", "/twins/d" .. i, { tags = tags }))
      end
    end
    assert(hub:add_device "d1/m")
  end

  local function ask(text, ...)
    return rest.ask(hub, "POST", "/devices/query", { query = text },
      { headers = { ... } })
  end

  local function rows(text) return read(ask(text)) end

  -- All rows, and how many each page had.
  local function paged(text, size)
    local all, sizes, token = {}, {}, nil
    repeat
      local reply = ask(text, "x-ms-max-item-count: " .. size,
        token and "x-ms-continuation: " .. token)
      local page = read(reply)
      sizes[#sizes + 1] = #page
      table.move(page, 1, #page, #all + 1, all)
      token = reply.headers["x-ms-continuation"]
    until not token
    return all, sizes
  end

  local function ids(list)
    local found = {}
    for i, row in ipairs(list) do
      found[i] = row.deviceId .. (row.moduleId and "/" .. row.moduleId or "")
    end
    return table.concat(found, " ")
  end

  it("H01 counts devices", function()
    open(3)
    assert.equal('[{"totalNumberOfDevices":3}]',
      ask("SELECT COUNT() AS totalNumberOfDevices FROM devices").body)
    assert.same({ { n = 1 } }, rows "select count() as n from devices where id = 'd2'")
    assert.same({ { n = 0 } }, rows "SELECT COUNT() AS n FROM devices WHERE false")
  end)

  it("H02 gives members of documents, by their names or by those it is told", function()
    open(1, function() return { site = { floor = 3 } } end)
    assert.equal('[{"DeviceId":"d1","Status":"enabled","IotEdge":false}]',
      ask("SELECT deviceId as DeviceId, status as Status, "
        .. "capabilities.iotEdge as IotEdge FROM devices").body)
    assert.equal('[{"deviceId":"d1","floor":3}]',
      ask("SELECT DeviceID, tags.site.floor, tags.none FROM devices").body)
    local row = rows("SELECT DeviceId, LastActivityTime FROM devices WHERE status = "
      .. "'enabled' AND connectionState = 'Disconnected'")[1]
    assert.same({ deviceId = "d1", lastActivityTime = "0001-01-01T00:00:00" }, row)
  end)

  it("H02 gives each member of a twin as GET does", function()
    open(1, function() return { a = {}, b = { 1, "x", dm.json.array {} } } end)
    read(rest.ask(hub, "PATCH", "/twins/d1",
      { properties = { desired = { x = { y = 1 } } } }))
    hub.state.registry:update("d1", nil, { enabled = false, status_reason = "broken" })
    for path, id in pairs { ["/twins/d1"] = "devices", ["/twins/d1/modules/m"] =
      "devices.modules" } do
      local twin, names = read(rest.ask(hub, "GET", path)), {}
      for name in pairs(twin) do names[#names + 1] = name end
      assert.same({ twin }, rows(("SELECT %s FROM %s"):format(table.concat(names, ", "),
        id)))
    end
  end)

  it("H02 reaches versions and times of properties", function()
    open(2)
    read(rest.ask(hub, "PATCH", "/twins/d2",
      { properties = { desired = { x = { y = 1 } } } }))
    for _, condition in ipairs {
      "properties.desired.$version = 2", "properties.desired.x.y = 1", "version > 1",
      "properties.desired.$metadata.x.y.$lastUpdated > '2020'",
      "IS_OBJECT(properties.desired.x)", "NOT properties.desired.$version = 1",
    } do
      local found = rows("SELECT * FROM devices WHERE " .. condition)
      assert.equal("d2", ids(found), condition)
    end
  end)

  it("H03 takes a name that is a keyword in [[ ]] alone", function()
    open(2, function(i) return { group = { name = "g" .. i } } end)
    assert.equal("d2",
      ids(rows "SELECT * FROM devices WHERE tags.[[group]].name = 'g2'"))
    assert.matches("line 1, column 34: expected a name ", refused(
      ask "SELECT * FROM devices WHERE tags.group.name = 'g2'", 400, "ArgumentInvalid"))
  end)

  it("H04 adds up, and finds the least and the greatest", function()
    open(4, function(i) return { n = i <= 3 and i or nil, name = "x" } end)
    assert.equal('[{"n":4,"sum":6,"avg":2,"min":1,"max":3}]',
      ask("SELECT COUNT() AS n, SUM(tags.n) AS sum, AVG(tags.n) AS avg, "
        .. "MIN(tags.n) AS min, MAX(tags.n) AS max FROM devices").body)
  end)

  local function by_site(i) return i <= 10 and { site = "s" .. i % 3 } or nil end

  it("H05 groups what it counts", function()
    open(12, by_site)
    local list = rows("SELECT tags.site AS site, COUNT() AS n FROM devices "
      .. "WHERE deviceId != 'd10' GROUP BY tags.site")
    table.sort(list, function(a, b) return (a.site or "") < (b.site or "") end)
    assert.same({ { n = 2 }, { site = "s0", n = 3 }, { site = "s1", n = 3 },
      { site = "s2", n = 3 } }, list)
  end)

  it("H05 gives groups in pages, each of them once", function()
    open(12, by_site)
    local list, sizes = paged("SELECT deviceId, COUNT() FROM devices "
      .. "GROUP BY deviceId", 5)
    assert.same({ 5, 5, 2 }, sizes)
    local seen = {}
    for _, row in ipairs(list) do
      assert.is_nil(seen[row.deviceId])
      assert.equal(1, row["$2"])
      seen[row.deviceId] = true
    end
  end)

  it("H06 calls functions", function()
    open(3)
    assert.equal("d1 d2 d3",
      ids(rows "SELECT * FROM devices WHERE STARTSWITH(devices.deviceId, 'd')"))
    assert.equal("d2", ids(rows "SELECT * FROM devices WHERE endswith(id, '2')"))
    -- a text of a number is none
    for _, call in ipairs { "SUBSTRING(id, '1')", "SUBSTRING(id, 0, '1')",
      "SUBSTRING(id, id)", "ABS('1')", "SUBSTRING('1', tags.none)" } do
      assert.equal("", ids(rows(("SELECT * FROM devices WHERE NOT %s = 'd'"):format(
        call))), call)
    end
  end)

  it("H07 may have comments, and keywords in any case", function()
    open(3)
    assert.equal("d2", ids(rows
      "sElEcT * -- all\nfRoM Devices /* and\nnot modules */ wHeRe deviceId iN ['d2']"))
  end)

  it("H08 of modules has their device as devices.deviceId", function()
    open(2)
    assert(hub:add_device "d2/m")
    assert.equal("d1/m",
      ids(rows "select * from devices.modules where devices.deviceId='d1'"))
    assert.equal("d2/m", ids(rows("SELECT * FROM devices.modules WHERE "
      .. "devices.modules.moduleId = 'm' AND deviceId in ['d2']")))
    assert.same({ { deviceId = "d1" }, { deviceId = "d2" } },
      rows "SELECT deviceId FROM devices.modules WHERE moduleId = 'm'")
  end)

  it("H09 gives no more rows than TOP says, over all pages", function()
    open(7)
    for text, expected in pairs {
      ["SELECT TOP 5 * FROM devices"] = { 2, 2, 1 },
      ["SELECT TOP 4 deviceId FROM devices"] = { 2, 2 },
      ["SELECT TOP 1 deviceId, COUNT() FROM devices GROUP BY deviceId"] = { 1 },
      ["SELECT TOP 3 deviceId, COUNT() FROM devices GROUP BY deviceId"] = { 2, 1 },
      ["SELECT TOP 9 * FROM devices WHERE deviceId != 'd3'"] = { 2, 2, 2 },
    } do
      local _, sizes = paged(text, 2)
      assert.same(expected, sizes, text)
    end
  end)

  it("H09 gives no more jobs of devices than TOP says", function()
    open(5)
    read(rest.ask(hub, "PUT", "/jobs/v2/j", { type = "scheduleUpdateTwin",
      updateTwin = { tags = { n = 1 } }, queryCondition = "*" }))
    dm.advance(1)
    local list, sizes = paged("SELECT TOP 3 * FROM devices.jobs WHERE jobId = 'j'", 2)
    assert.same({ 2, 1 }, sizes)
    assert.equal("d1 d2 d3", ids(list))
  end)

  it("H10 tells what its rows are", function()
    open(1)
    for text, kind in pairs {
      ["SELECT * FROM devices"] = "Twin", ["SELECT * FROM devices.modules"] = "Twin",
      ["SELECT * FROM devices.jobs"] = "DeviceJob",
      ["SELECT deviceId FROM devices"] = "Raw", ["SELECT COUNT() FROM devices"] = "Raw",
    } do
      assert.equal(kind, ask(text).headers["x-ms-item-type"], text)
    end
  end)

  it("H11 that is none is refused with line, column and what was expected", function()
    open(1)
    assert.equal("SQL query parse failed: line 2, column 19: expected a value", refused(
      ask "SELECT *\nFROM devices WHERE", 400, "ArgumentInvalid"))
  end)

  it("H12 is refused where the service refuses it", function()
    open(1)
    for _, text in ipairs {
      "SELECT deviceId FROM devices.jobs", "SELECT COUNT() AS n FROM devices.jobs",
      "SELECT * FROM devices.jobs WHERE tags.a = 1",
      "SELECT COUNT() AS n FROM devices.modules",
      "SELECT * FROM devices GROUP BY status",
      "SELECT status, COUNT() FROM devices",
      "SELECT status, COUNT() FROM devices GROUP BY tags.a",
    } do
      refused(ask(text), 400, "ArgumentInvalid")
    end
  end)

  local DEEP = ("--("):rep(28) .. "1" .. (")"):rep(28) .. "=1"
  local DEEPER = ("- ("):rep(28) .. "1" .. (")"):rep(28) .. "=1"

  it("H13 that nests too deep is answered", function()
    open(1)
    for _, condition in ipairs { DEEP, DEEPER, ("("):rep(8000) } do
      refused(ask("SELECT * FROM devices WHERE " .. condition), 400, "ArgumentInvalid")
    end
  end)

  it("H13 that nests too deep fails its job alone", function()
    open(1)
    for i, condition in ipairs { DEEP, DEEPER, "true" } do
      read(rest.ask(hub, "PUT", "/jobs/v2/j" .. i, { type = "scheduleUpdateTwin",
        updateTwin = { tags = { n = i } }, queryCondition = condition }))
    end
    dm.advance(1)
    local states = {}
    for i = 1, 3 do
      local job = read(rest.ask(hub, "GET", "/jobs/v2/j" .. i))
      states[i] = job.status
      if i < 3 then assert.matches("^SQL query parse failed: ", job.failureReason) end
    end
    assert.same({ "failed", "failed", "completed" }, states)
  end)

  it("H14 is answered as tools send it", function()
    open(2)
    local LIST = "SELECT deviceId as DeviceId,\n    status as Status,\n"
      .. "    lastActivityTime as LastActivityTime,\n"
      .. "    statusUpdateTime as StatusUpdateTime,\n"
      .. "    authenticationType as AuthenticationType,\n"
      .. "    cloudToDeviceMessageCount as CloudToDeviceMessageCount,\n"
      .. "    capabilities.iotEdge as IotEdge\n    FROM devices "
    for _, each in ipairs {
      { LIST, 2 }, -- IoT Explorer
      { LIST .. "WHERE STARTSWITH(devices.deviceId, 'd')", 2 },
      { LIST .. "WHERE (status='enabled')", 2 },
      { LIST .. "WHERE (capabilities.iotEdge=false)", 2 },
      { "SELECT * FROM devices.modules WHERE deviceId in ['d1']", 1 },
      { "select * from devices.modules where devices.deviceId='d1'", 1 }, -- az
      { "SELECT deviceId, deviceScope FROM devices", 2 },
      { "SELECT * FROM devices where capabilities.iotEdge=true", 0 },
      { "select count() AS n from devices", 1 }, -- samples for .NET
      { "select deviceId from devices", 2 },
      { "SELECT * FROM devices WHERE STARTSWITH(id, 'd')", 2 },
      { "SELECT * FROM devices WHERE is_defined(properties.reported.x)", 0 },
      { "SELECT tags.a, COUNT() FROM devices WHERE tags.b = 'c' GROUP BY tags.a", 0 },
      { "SELECT deviceId FROM devices.modules WHERE moduleId = 'm' "
        .. "AND configurations.[[any-name]].status = 'Applied'", 0 },
      { "SELECT deviceId FROM devices.modules where moduleId='m' "
        .. "AND properties.desired.$version = properties.reported.$version", 1 },
    } do
      assert.equal(each[2], #rows(each[1]), each[1])
    end
    local key = "KeyQuery1f0c2a7e-5d1b-4c1e-9f3a-0a1b2c3d4e5f" -- Java's e2e tests
    read(rest.ask(hub, "PATCH", "/twins/d1",
      { properties = { desired = { [key] = "v" } } }))
    assert.same({ { [key] = "v", numberOfDevices = 1 } }, rows(("select "
      .. "properties.desired.%s AS %s, COUNT() AS numberOfDevices from devices where "
      .. "is_defined(properties.desired.%s) group by properties.desired.%s"):format(
      key, key, key, key)))
    local row = rows(LIST)[1]
    assert.equal("d1", row.DeviceId)
    assert.equal("sas", row.AuthenticationType)
    assert.equal(0, row.CloudToDeviceMessageCount)
  end)

  it("H15 may be named in any case, and once", function()
    open(1)
    local function post(body) return rest.ask(hub, "POST", "/devices/query", body) end
    for _, name in ipairs { "Query", "QUERY" } do
      assert.equal("d1", ids(read(post { [name] = "SELECT * FROM devices" })))
    end
    for _, body in ipairs {
      '{"query":"a","Query":"b"}', '{"query":"a","query":"a"}',
    } do
      assert.matches("query", refused(post(body), 400, "ArgumentInvalid"))
    end
  end)

  it("H16 leaves the loop to others while it looks at all of them", function()
    hub = fixture.hub()
    local names = {}
    for i = 1, 5000 do names[i] = ("d%04d"):format(i) end
    assert(devices.create_all(hub, names))
    local turns = 0
    local other = dm.spawn(function()
      while true do
        turns = turns + 1
        dm.sleep(0)
      end
    end)
    -- a condition that takes its time
    local long = ("tags.a = 1 OR "):rep(300) .. "true"
    assert.same({ { n = 5000 } },
      rows("SELECT COUNT() AS n FROM devices WHERE " .. long))
    other:cancel()
    assert.is_true(turns > 10, turns)
  end)

  it("H17 whose evaluation fails here is answered 500, and told in the log", function()
    open(1)
    local lines <const> = {}
    dm.log { level = "error", sink = function(_, line) lines[#lines + 1] = line end }
    hub.state.store.scan = function() error "a mistake of ours" end
    refused(ask "SELECT * FROM devices", 500, "ServerError")
    hub.state.store.scan = nil
    assert(dm.wait_until(function() return lines[1] end))
    dm.log { level = "warn" }
    local told = select(2, table.concat(lines, "\n"):gsub("a mistake of ours", ""))
    assert.equal(1, told)
    assert.equal("d1", ids(rows "SELECT * FROM devices"))
  end)

  it("H19 of jobs takes type and status in any case", function()
    open(1)
    for i, kind in ipairs { "scheduleDeviceMethod", "scheduleUpdateTwin" } do
      read(rest.ask(hub, "PUT", "/jobs/v2/j" .. i, { type = kind,
        cloudToDeviceMethod = { methodName = "m" }, updateTwin = { tags = { n = 1 } },
        queryCondition = "false" }))
    end
    dm.advance(1)
    for parameters, expected in pairs {
      ["jobType=ScheduleDeviceMethod&jobStatus=Completed"] = { "j1" },
      ["jobType=scheduleupdatetwin"] = { "j2" },
      ["jobStatus=COMPLETED"] = { "j1", "j2" },
      ["jobStatus=Enqueued"] = {},
      ["jobType=&jobStatus="] = { "j1", "j2" },
      ["jobType=ExportDevices"] = {},
    } do
      local found = {}
      for i, job in ipairs(read(rest.ask(hub, "GET", "/jobs/v2/query", nil,
        { query = parameters }))) do
        found[i] = job.jobId
      end
      assert.same(expected, found, parameters)
    end
    for _, parameters in ipairs { "jobType=scheduleDirectMethod", "jobStatus=done" } do
      refused(rest.ask(hub, "GET", "/jobs/v2/query", nil, { query = parameters }), 400,
        "ArgumentInvalid")
    end
  end)

  it("H18 goes on behind its continuation alone", function()
    open(3)
    local size = "x-ms-max-item-count: 1"
    local function token_of(text)
      return "x-ms-continuation: " .. ask(text, size).headers["x-ms-continuation"]
    end
    local DEVICES, TOP = "SELECT * FROM devices", "SELECT TOP 2 * FROM devices"
    local MODULES = "SELECT * FROM devices.modules"
    refused(ask(MODULES, token_of(DEVICES)), 400, "ArgumentInvalid")
    refused(ask(DEVICES, token_of(TOP)), 400, "ArgumentInvalid")
    refused(ask(TOP, token_of(DEVICES)), 400, "ArgumentInvalid")
    for _, position in ipairs {
      "[]", "{}", "[1]", '["d1",2]', '["0","d1"]', "null", '["-1","d1"]',
    } do
      refused(ask(TOP, "x-ms-continuation: " .. core.base64_encode(position)), 400,
        "ArgumentInvalid")
    end
    assert.equal("d2 d3", ids(read(ask(DEVICES, token_of(DEVICES)))))
  end)
end)
