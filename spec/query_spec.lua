--- The query language alone: docs/protocol.md 7 and 13.4, F04-F09 and H.

local dm = require "directmethods"
local query = require "directmethods.hub.query"
local rows = require "directmethods.hub.query.rows"

local TWIN = {
  deviceId = "x",
  status = "enabled",
  connectionState = "Connected",
  capabilities = { iotEdge = false },
  tags = {
    floor = 3, location = { region = "eu" }, none = dm.null, ["a b"] = "c",
    group = { name = "g" }, list = { "u", 2, true }, empty = dm.json.array {},
    name = "Zoë", yes = true, big = 2 ^ 60, ["a-1b-c"] = "hyphens", ["group-x"] = 1,
  },
  properties = { reported = { v = 1.5 }, desired = { list = { 1 } } },
}

local function holds(text, document)
  local plan = assert(query.read_condition(text))
  return query.predicate(plan, query.attribute)(document or TWIN)
end

local function wrong(text, read)
  local plan, why = (read or query.read_condition)(text)
  assert.is_nil(plan, text)
  return why
end

local function all_hold(texts)
  for _, text in ipairs(texts) do assert.is_true(holds(text), text) end
end

local function none_holds(texts)
  for _, text in ipairs(texts) do assert.is_false(holds(text), text) end
end

describe("a condition", function()
  it("F04 selects by *, equality, membership and IS_DEFINED", function()
    all_hold {
      "*", " * ", "deviceId = 'x'", "DeviceId IN ['x','y']", "IS_DEFINED(DeviceId)",
      "deviceId NIN ['y']", "is_defined ( tags.floor )", "capabilities.iotEdge = false",
      "devices.tags.floor = 3", "tags.floor in [1, tags.floor]", "id = 'x'",
      "tags.floor IN [3.0]", "tags.floor NIN ['3']", "tags.none IN [null]",
    }
    none_holds {
      "deviceId = 'y'", "deviceId IN []", "deviceId NIN ['x']", "IS_DEFINED(tags.zip)",
      "devices.deviceId = 'X'", "tags.zip NIN ['x']", "tags.list IN [1]",
      "tags.floor NIN [1, tags.floor]", "tags.zip IN [undefined]",
    }
  end)

  it("F05 of SELECT is refused with line and column", function()
    assert.equal("SQL query parse failed: line 1, column 1: "
      .. "expected a condition or a value", wrong("SELECT * FROM devices"))
  end)

  it("F06 knows comparisons, precedence, NOT and parentheses", function()
    all_hold {
      "tags.floor > 2", "tags.floor >= 3", "tags.floor < 4", "tags.floor <= 3",
      "tags.floor <> 4", "tags.floor != 4", "tags.location.region = 'eu'",
      "tags['a b'] = 'c'", "tags['location']['region'] = 'eu'",
      "tags.floor * 2 + 1 = 7", "tags.floor + 1 * 2 = 5", "(tags.floor + 1) * 2 = 8",
      "tags.floor % 2 = 1", "tags.floor / 2 = 1.5", "-tags.floor = -3",
      "tags.floor = 0x3", "tags.floor = 3.0", "tags.floor = 30e-1",
      "true OR false AND false", "NOT false AND true", "NOT (false OR false)",
      "false or Not False", "property.reported.v = 1.5", "'a' < 'b'",
      "7 - 2 - 1 = 4", "12 / 3 / 2 = 2", "0x1ffffffffffffffffff > 0x1fffffffffffff",
      "tags.big * tags.big > tags.big", "1 = - - 1",
    }
    none_holds { "(true OR false) AND false", "NOT true OR false" }
  end)

  it("F07 is false where something is undefined, null or of another type", function()
    none_holds {
      "tags.zip = 1", "tags.zip != 1", "NOT tags.zip = 1", "tags.zip IN [1]",
      "tags.zip NIN [1]", "tags.floor = '3'", "tags.floor != '3'", "tags.floor < 'a'",
      "tags.location = tags.location", "tags.none = 0", "tags.none > 1",
      "tags.zip = undefined", "undefined = undefined", "tags.floor", "1", "'x'",
      "null",
      "tags", "tags.floor / 0 = 1", "tags.floor % 0 = 0", "true > false", "NOT 1",
      "deviceId.x = 1", "properties.desired.list = 1", "Tags.Floor = 3",
      "tags.zip = 1 AND true", "1 AND true", "['x'] = ['x']", "nothing.at.all = 1",
    }
    all_hold { "tags.none = null", "tags.zip = 1 OR true", "1 OR true" }
  end)

  it("F08 is at most 8,192 characters long", function()
    local text = "deviceId = '" .. ("ä"):rep(8192 - 13) .. "'"
    assert.is_false(holds(text))
    assert.matches("longer than 8192 characters", wrong(text .. " "))
  end)

  it("F09 reads strings with escapes and both quotes", function()
    for _, case in ipairs {
      { [['it\'s']], "it's" }, { [["it's"]], "it's" }, { [['say "x"']], 'say "x"' },
      { [["\\"]], "\\" }, { [['\u20ac']], "€" }, { [['\uD83D\ude00']], "😀" },
      { [['']], "" }, { [['-- no comment']], "-- no comment" },
    } do
      assert.is_true(holds("deviceId = " .. case[1], { deviceId = case[2] }), case[1])
    end
    assert.matches("line 1, column 16: expected a quote", wrong("deviceId = 'abc"))
  end)

  it("F19 may be one over modules", function()
    local plan = assert(query.read_condition
      "FROM devices.modules WHERE ModuleId = 'm'")
    assert.equal("devices.modules", plan.collection)
    local predicate = query.predicate(plan, query.attribute)
    assert.is_true(predicate { deviceId = "x", moduleId = "m" })
    assert.is_false(predicate { deviceId = "x", moduleId = "n" })
  end)

  it("H03 reads any name in [[ ]], and keywords there alone", function()
    all_hold {
      "tags.[[group]].name = 'g'", "tags.[[a b]] = 'c'", "[[tags]].floor = 3",
      "tags . floor = 3",
    }
    for _, name in ipairs { "group", "Select", "top", "as", "FROM", "where", "by",
      "and", "or", "not", "in", "nin", "true", "false", "null", "undefined" } do
      assert.matches("line 1, column 6: expected a name %(one that is a keyword: "
        .. "%[%[name%]%]%)", wrong(("tags.%s = 1"):format(name)))
      assert.is_false(holds(("tags.[[%s]] = 1"):format(name)))
    end
  end)

  it("H03 reads names with hyphens inside; a sign has a blank before it", function()
    all_hold {
      "tags.a-1b-c = 'hyphens'", "tags.group-x = 1", "tags.floor -1 = 2",
      "tags.floor - 1 = 2", "tags.floor-- 1\n = 3", "true AND -1 = 0-1",
      "NOT-1 = 1", "tags.floor IN [-3, 3]", "3-tags.floor = 0",
    }
    none_holds { "tags.floor-1 = 2" }
  end)

  it("H06 has functions, in any case", function()
    all_hold {
      "STARTSWITH(deviceId, 'x')", "startsWith(devices.deviceId, '')",
      "STARTS_WITH(tags.name, 'Zo')", "ENDSWITH(tags.name, 'oë')",
      "ENDS_WITH(tags.name, '')", "CONTAINS(tags.name, 'o')", "IS_NULL(tags.none)",
      "IS_STRING(deviceId)", "IS_NUMBER(tags.floor)", "IS_BOOL(tags.yes)",
      "IS_ARRAY(tags.list)", "IS_ARRAY(tags.empty)", "IS_OBJECT(tags.location)",
      "IS_PRIMITIVE(tags.none)", "IS_DEFINED(tags.none)", "LOWER('AbC') = 'abc'",
      "UPPER('AbC') = 'ABC'", "LENGTH(tags.name) = 3", "CONCAT('a', 'b', 'c') = 'abc'",
      "SUBSTRING(tags.name, 2) = 'ë'", "SUBSTRING(tags.name, 0, 2) = 'Zo'",
      "SUBSTRING(tags.name, 9) = ''", "SUBSTRING('abc', 1, 9) = 'bc'",
      "INDEX_OF(tags.name, 'ë') = 2", "INDEX_OF(tags.name, 'z') = -1",
      "ABS(-3) = 3", "CEILING(1.2) = 2", "FLOOR(1.8) = 1", "SIGN(-7) = -1",
      "POWER(2, 10) = 1024", "SQUARE(3) = 9", "SQRT(9) = 3", "EXP(0) = 1",
      "AS_NUMBER('1.5') = 1.5", "AS_NUMBER(2) = 2",
      "ARRAY_CONTAINS(tags.list, 2)", "NOT ARRAY_CONTAINS(tags.list, '2')",
      "ARRAY_CONTAINS(['x', 'y'], deviceId)",
    }
    none_holds {
      "STARTSWITH(tags.floor, '3')", "NOT STARTSWITH(tags.floor, '3')",
      "NOT STARTSWITH(tags.zip, 'x')", "IS_NULL(tags.zip)", "IS_OBJECT(tags.list)",
      "IS_ARRAY(tags.location)", "IS_PRIMITIVE(tags.location)", "IS_STRING(tags.zip)",
      "CONCAT('a', 1) = 'a1'", "SQRT(-1) = SQRT(-1)", "AS_NUMBER('x') = 0",
      "AS_NUMBER('0x10') = 16", "SUBSTRING('abc', -1) = 'c'", "LENGTH(5) = 1",
      "ARRAY_CONTAINS(tags.floor, 3)", "SUBSTRING('abc', 0.5) = 'abc'",
    }
  end)

  it("H06 says which functions and arguments there are", function()
    for text, why in pairs {
      ["true AND FOO(1)"] = "line 1, column 10: there is no function 'FOO' here",
      ["COUNT() > 1"] = "line 1, column 1: there is no function 'COUNT' here",
      ["LOWER()"] = "line 1, column 1: LOWER takes at least one argument",
      ["LOWER('a', 'b')"] = "line 1, column 1: LOWER takes at most one argument",
      ["CONTAINS('a')"] = "line 1, column 1: CONTAINS takes at least 2 arguments",
      ["IS_DEFINED(1)"] = "line 1, column 1: IS_DEFINED takes the name of an attribute",
    } do
      assert.equal("SQL query parse failed: " .. why, wrong(text))
    end
  end)

  it("H07 may hold comments and line breaks", function()
    all_hold {
      "-- all of them\ntrue", "true -- and no more", "tags.floor /* of\nit */ = 3",
      "true AND\r\n\ttrue", "/* -- */ true", "/**/true",
    }
    assert.matches("line 1, column 5: expected a value", wrong("1 + /* 1"))
  end)

  it("says line, column and what was expected", function()
    for text, why in pairs {
      [""] = "line 1, column 1: expected a condition or a value",
      ["deviceId ="] = "line 1, column 11: expected a value",
      ["deviceId\n= 'x'\nAND"] = "line 3, column 4: expected a value",
      ["(deviceId = 'x'"] = "line 1, column 16: expected ')' or AND or OR",
      ["deviceId == 'x'"] = "line 1, column 11: expected a value",
      ["deviceId IN 'x'"] = "line 1, column 13: expected '['",
      ["deviceId IN [1"] = "line 1, column 15: expected ',' or ']' or AND",
      ["deviceId = 'x' deviceId"] = "line 1, column 16: expected AND or OR or the end",
      ["tags. = 1"] = "line 1, column 7: expected a name",
      ["tags.ä = 1"] = "line 1, column 6: expected a name",
      ["'ä' = 'ä' x"] = "line 1, column 11: expected",
    } do
      assert.is_truthy(wrong(text):find("SQL query parse failed: " .. why, 1, true),
        wrong(text))
    end
  end)

  -- What nests, what ends it, how many levels it is, and how many are inside of it.
  local NESTING = {
    { "(", ")", 1, 0 }, { "NOT ", "", 1, 0 }, { "- ", "", 1, 0 },
    { "NOT (", ")", 2, 0 }, { "- (", ")", 2, 0 }, { "1 + (", ")", 1, 0 },
    { "LOWER(", ")", 1, 0 }, { "1 = 1 + 1 * - LOWER(", ")", 2, 0 },
    { "true OR true AND NOT (1 < ", ")", 2, 0 }, { "1 IN [1, ", "]", 1, 0 },
    { "a.b - - ARRAY_CONTAINS(['x'], ", ")", 2, 1 },
  }

  it("H13 is bounded in depth as a whole, whatever nests (attack 60)", function()
    for _, each in ipairs(NESTING) do
      local open, close, levels, inner = table.unpack(each)
      local function nested(count)
        return open:rep(count) .. "true" .. close:rep(count)
      end
      assert(query.read_condition(nested((32 - inner) // levels)))
      assert.matches("failed: line 1, column %d+: nested deeper than 32$",
        wrong(nested(33)))
    end
    assert.matches("line 3, column 33: nested", wrong("\n\n" .. ("("):rep(40)))
    assert.is_string(wrong(("--("):rep(28) .. "1" .. (")"):rep(28) .. "=1"))
    assert.is_true(holds("deviceId != '" .. ("("):rep(4000) .. "'"))
    assert.is_true(holds("true /* " .. ("("):rep(4000) .. "*/"))
  end)

  it("H13 is taken or refused, whatever it is", function()
    for _, unit in ipairs { "(", "-", "- ", "NOT ", "[", "[[", "a(", "a.", "1+", "'",
      '"', "/*", "/* ", '"\\', "--", "\\", "1,", "a IN [", "a.[[", "]]", ")", "é", "a[",
      "0x", "1e", "\0" } do
      for _, text in ipairs {
        unit:rep(8192 // #unit), "a = " .. unit:rep(2000), unit:rep(2000) .. "1",
        ("("):rep(30) .. unit:rep(2000), ("a(a, "):rep(30) .. unit:rep(2000),
      } do
        local plan, why = query.read_condition(text)
        assert.is_truthy(plan or why:find "^SQL query parse failed: ", unit)
      end
    end
  end)

  it("is evaluated without a stack, however long it is", function()
    assert.is_true(holds(("true AND "):rep(900) .. "true"))
    assert.is_true(holds(("1+"):rep(4000) .. "1=4001"))
    assert.is_true(holds("deviceId NIN [" .. ("1,"):rep(4000) .. "1]"))
  end)
end)

describe("a query", function()
  it("selects from devices, modules and jobs", function()
    for text, expected in pairs {
      ["SELECT * FROM devices"] = "devices",
      ["select * from Devices where deviceId = 'x'"] = "devices",
      ["SELECT * FROM devices.modules"] = "devices.modules",
      ["SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'J'"] = "devices.jobs",
      ["SELECT*FROM devices"] = "devices",
    } do
      assert.equal(expected, assert(query.read(text)).collection)
    end
  end)

  it("F11 finds device jobs by their fields, in both spellings", function()
    local plan = assert(query.read("SELECT * FROM devices.jobs "
      .. "WHERE devices.jobs.jobId = 'J' "
      .. "AND devices.jobs.createdTimeUtc > '2026' AND status = 'completed'"))
    local predicate = query.predicate(plan, query.attribute)
    local row = { jobId = "J", createdDateTimeUtc = "2026-11-22", status = "completed" }
    assert.is_true(predicate(row))
    row.jobId = "K"
    assert.is_false(predicate(row))
    assert.equal("J", query.required(plan, "jobId"))
  end)

  it("knows what an attribute must be equal to", function()
    for condition, value in pairs {
      ["jobId = 'J'"] = "J", ["devices.jobs.JobId = 'J' AND deviceId = 'd'"] = "J",
      ["jobId = 'J' OR true"] = false, ["NOT jobId = 'J'"] = false,
      ["jobId != 'J'"] = false, ["jobId = 1"] = false, ["jobId IN ['J']"] = false,
      ["outcome.jobId = 'J'"] = false, ["true AND (jobId = 'J')"] = "J",
      ["'J' = jobId"] = false, ["jobId = deviceId"] = false, ["true"] = false,
    } do
      local plan = assert(query.read("SELECT * FROM devices.jobs WHERE " .. condition))
      assert.equal(value or nil, query.required(plan, "jobId"), condition)
    end
    assert.is_nil(query.required(assert(query.read "SELECT * FROM devices"), "jobId"))
  end)

  it("H11 has clauses of its own, and no others", function()
    for text, why in pairs {
      ["SELECT deviceId, FROM devices"] = "column 18: expected a name",
      ["SELECT * FROM messages"] =
        "column 15: expected devices, devices.modules or devices.jobs",
      ["SELECT * FROM devices.twins"] = "column 15: expected devices,",
      ["devices"] = "column 1: expected SELECT",
      [""] = "column 1: expected SELECT",
      ["SELECT * FROM devices WHERE"] = "column 28: expected a value",
      ["SELECT * FROM devices ORDER BY deviceId"] =
        "column 23: expected GROUP BY or WHERE or the end",
      ["SELECT * FROM devices d"] = "column 23: expected GROUP BY",
      ["SELECT *, deviceId FROM devices"] = "column 9: expected FROM",
      ["SELECT DISTINCT deviceId FROM devices"] =
        "column 17: expected ',' or AS or FROM",
      ["SELECT COUNT(*) FROM devices"] = "column 14: expected ')'",
      ["SELECT COUNT(deviceId) FROM devices"] = "column 14: expected ')'",
      ["SELECT SUM() FROM devices"] = "column 12: expected a name",
      ["SELECT LOWER(deviceId) FROM devices"] = "column 13: expected ',' or AS or FROM",
      ["SELECT tags.a + 1 FROM devices"] = "column 15: expected",
      ["SELECT deviceId AS top FROM devices"] = "column 20: expected a name",
      ["SELECT TOP x * FROM devices"] = "column 12: expected a number",
      ["SELECT TOP 1.5 * FROM devices"] = "column 13: expected '*' or a name",
      ["SELECT * FROM devices GROUP BY"] = "column 31: expected a name",
      ["SELECT * FROM devices GROUP tags.a"] = "column 29: expected BY",
      ["SELECT * FROM devices GROUP BY tags.a WHERE true"] = "column 39: expected ','",
    } do
      assert.is_truthy(wrong(text, query.read):find(
        "SQL query parse failed: line 1, " .. why, 1, true), wrong(text, query.read))
    end
  end)

  it("H11 shows names of any length and of any characters", function()
    local long = ("ä"):rep(8000)
    for name, shown in pairs {
      [long] = long:sub(1, 128) .. "...", ['"\n'] = '"\n', ["\xff"] = "\\xff",
      [long:sub(1, 128)] = long:sub(1, 128),
    } do
      assert.equal(("SQL query parse failed: line 1, column 8: '%s' is neither an "
        .. "aggregate nor in GROUP BY"):format(shown),
        wrong(("SELECT [[%s]], COUNT() FROM devices"):format(name), query.read))
    end
  end)

  it("H12 is refused where the service refuses it", function()
    for text, why in pairs {
      ["SELECT deviceId FROM devices.jobs"] =
        "column 8: devices.jobs has whole documents alone: SELECT *",
      ["SELECT COUNT() AS n FROM devices.jobs"] =
        "column 8: devices.jobs has whole documents alone: SELECT *",
      ["SELECT * FROM devices.jobs GROUP BY status"] =
        "column 28: aggregates and GROUP BY are of devices alone",
      ["SELECT * FROM devices.jobs WHERE tags.a = 1"] =
        "column 34: 'tags.a' is of a device's twin, not of devices.jobs",
      ["SELECT * FROM devices.jobs WHERE devices.properties.reported.a = 1"] =
        "column 34: 'devices.properties.reported.a' is of a device's twin, "
        .. "not of devices.jobs",
      ["SELECT COUNT() AS n FROM devices.modules"] =
        "column 8: aggregates and GROUP BY are of devices alone",
      ["SELECT moduleId FROM devices.modules GROUP BY moduleId"] =
        "column 38: aggregates and GROUP BY are of devices alone",
      ["SELECT * FROM devices GROUP BY status"] =
        "column 8: GROUP BY needs a list of members, not *",
      ["SELECT tags.a, COUNT() FROM devices"] =
        "column 8: 'tags.a' is neither an aggregate nor in GROUP BY",
      ["SELECT tags.a, COUNT() FROM devices GROUP BY tags.b"] =
        "column 8: 'tags.a' is neither an aggregate nor in GROUP BY",
      ["SELECT status, tags.status FROM devices"] =
        "column 16: a row has 'status' already",
      ["SELECT TOP 0 * FROM devices"] = "column 12: TOP takes a number from 1",
    } do
      assert.equal("SQL query parse failed: line 1, " .. why, wrong(text, query.read))
    end
  end)
end)

describe("the rows of a query", function()
  local function row(list, document, collection)
    local plan = assert(query.read(("SELECT %s FROM %s"):format(list,
      collection or "devices")))
    return rows.projection(plan, query.attribute)(document or TWIN)
  end

  it("H02 have the names of documents, or those that they are given", function()
    assert.equal('{"deviceId":"x"}', row "DeviceID")
    assert.equal('{"deviceId":"x"}', row "devices.deviceId")
    assert.equal('{"deviceId":"x"}', row "id")
    assert.equal('{"DeviceId":"x","Status":"enabled","IotEdge":false}',
      row "deviceId as DeviceId, status as Status, capabilities.iotEdge as IotEdge")
    assert.equal('{"region":"eu","v":1.5}',
      row "tags.location.region, property.reported.v")
    assert.equal('{"a b":"c","group":3}', row "tags['a b'], tags.floor AS [[group]]")
    assert.equal('{"location":{"region":"eu"},"none":null,"empty":[]}',
      row "tags.location, tags.none, tags.empty")
    assert.equal('{"moduleId":"m"}', row("devices.modules.moduleId",
      { moduleId = "m" }, "devices.modules"))
  end)

  it("H02 leave out what is undefined", function()
    assert.equal('{"floor":3}', row "tags.zip, tags.floor, nothing, deviceId.x")
    assert.equal("{}", row "tags.zip")
  end)

  -- The rows of groups; each page begins behind the group `after`.
  local function grouped(text, documents, after, size)
    local plan = assert(query.read(text))
    local groups = rows.groups(plan, query.attribute, after, size or 1000)
    for _, document in ipairs(documents) do groups:add(document) end
    local list, texts = groups:list(), {}
    for i, group in ipairs(list) do texts[i] = groups:text(group) end
    return texts, list
  end

  local function with(values)
    local documents = {}
    for i = 1, values.n or #values do documents[i] = { tags = { v = values[i] } } end
    return documents
  end

  local AGGREGATES = "SELECT COUNT() AS n, SUM(tags.v) AS sum, AVG(tags.v) AS avg, "
    .. "MIN(tags.v) AS min, MAX(tags.v) AS max FROM devices"

  it("H04 count, add and compare values", function()
    for _, case in ipairs {
      { { 1, 2, 6 }, '{"n":3,"sum":9,"avg":3,"min":1,"max":6}' },
      { { 1, 2.5 }, '{"n":2,"sum":3.5,"avg":1.75,"min":1,"max":2.5}' },
      { {}, '{"n":0}' },
      { { n = 2 }, '{"n":2}' },
      { { "b", "a" }, '{"n":2,"min":"a","max":"b"}' },
      { { "b", 5, true, dm.null, {} }, '{"n":5,"sum":5,"avg":5,"min":5,"max":"b"}' },
      { { 2 ^ 1023, 2 ^ 1023 },
        '{"n":2,"min":8.98846567431158e+307,"max":8.98846567431158e+307}' },
    } do
      assert.same({ case[2] }, (grouped(AGGREGATES, with(case[1]))))
    end
    assert.same({ '{"$1":2,"$2":3}' },
      (grouped("SELECT COUNT(), SUM(tags.v) FROM devices", with { 1, 2 })))
  end)

  it("H05 are one for each group", function()
    local text = "SELECT tags.v AS v, COUNT() AS n FROM devices GROUP BY tags.v"
    local texts = grouped(text, with { "b", "a", 1, 1.0, "1", true, false, dm.null,
      { a = 1 }, "b", ("x"):rep(5000), ("x"):rep(5000) })
    table.sort(texts)
    local long = ('{"v":"%s","n":2}'):format(("x"):rep(5000))
    assert.same({
      '{"n":1}', '{"v":"1","n":1}', '{"v":"a","n":1}', '{"v":"b","n":2}', long,
      '{"v":1,"n":2}', '{"v":false,"n":1}', '{"v":null,"n":1}', '{"v":true,"n":1}',
    }, texts)
    assert.same({}, (grouped(text, {})))
  end)

  it("H05 may be grouped by several attributes", function()
    local documents = {}
    local pairs_of = { { "a", "b" }, { "a,1:b", "" }, { "a", "b" }, { "b", "a" } }
    for i, pair in ipairs(pairs_of) do
      documents[i] = { tags = { x = pair[1], y = pair[2] } }
    end
    local texts = grouped("SELECT tags.x, tags.y, COUNT() FROM devices "
      .. "GROUP BY tags.x, tags.y", documents)
    table.sort(texts)
    assert.same({ '{"x":"a","y":"b","$3":2}', '{"x":"a,1:b","y":"","$3":1}',
      '{"x":"b","y":"a","$3":1}' }, texts)
  end)

  it("H05 come in pages, with no more of them kept than a page takes", function()
    local text = "SELECT tags.v, COUNT() AS n FROM devices GROUP BY tags.v"
    local values = {}
    for i = 1, 300 do values[i] = i * 7 % 100 end
    local documents = with(values)
    local whole, pages, after = grouped(text, documents), {}, nil
    repeat
      local texts, list = grouped(text, documents, after, 7)
      assert.is_true(#list <= 14)
      for i = 1, math.min(7, #texts) do pages[#pages + 1] = texts[i] end
      after = list[7] and list[7].key
    until not after
    assert.equal(100, #whole)
    assert.same(whole, pages)
  end)
end)
