--- The query language: protocol.md section 7, F04-F09.

local dm = require "directmethods"
local query = require "directmethods.hub.query"

local TWIN = {
  deviceId = "x",
  status = "enabled",
  connectionState = "Connected",
  capabilities = { iotEdge = false },
  tags = { floor = 3, location = { region = "eu" }, none = dm.null, ["a b"] = "c" },
  properties = { reported = { v = 1.5 }, desired = { list = { 1 } } },
}

local function holds(text, document)
  return assert(query.condition(text))(document or TWIN)
end

local function wrong(text)
  local predicate, why = query.condition(text)
  assert.is_nil(predicate)
  return why
end

describe("a condition", function()
  it("F04 selects by *, equality, membership and IS_DEFINED", function()
    for _, text in ipairs {
      "*", " * ", "deviceId = 'x'", "DeviceId IN ['x','y']", "IS_DEFINED(DeviceId)",
      "deviceId NIN ['y']", "is_defined ( tags.floor )", "capabilities.iotEdge = false",
    } do
      assert.is_true(holds(text), text)
    end
    for _, text in ipairs {
      "deviceId = 'y'", "deviceId IN []", "deviceId NIN ['x']", "IS_DEFINED(tags.zip)",
      "devices.deviceId = 'X'",
    } do
      assert.is_false(holds(text), text)
    end
    assert.is_true(holds("devices.tags.floor = 3"))
  end)

  it("F05 of SELECT is refused with line and column", function()
    assert.matches("^SQL query parse failed: line 1, column 15: expected ",
      wrong("SELECT * FROM devices"))
  end)

  it("F06 knows comparisons, precedence, NOT and parentheses", function()
    for _, text in ipairs {
      "tags.floor > 2", "tags.floor >= 3", "tags.floor < 4", "tags.floor <= 3",
      "tags.floor <> 4", "tags.floor != 4", "tags.location.region = 'eu'",
      "tags['a b'] = 'c'", "tags['location']['region'] = 'eu'",
      "tags.floor * 2 + 1 = 7", "tags.floor + 1 * 2 = 5", "(tags.floor + 1) * 2 = 8",
      "tags.floor % 2 = 1", "tags.floor / 2 = 1.5", "-tags.floor = -3",
      "tags.floor = 0x3", "tags.floor = 3.0", "tags.floor = 30e-1",
      "true OR false AND false", "NOT false AND true", "NOT (false OR false)",
      "false or Not False", "property.reported.v = 1.5", "'a' < 'b'",
    } do
      assert.is_true(holds(text), text)
    end
    assert.is_false(holds("(true OR false) AND false"))
    assert.is_false(holds("NOT true OR false"))
  end)

  it("F07 is false where something is undefined, null or of another type", function()
    for _, text in ipairs {
      "tags.zip = 1", "tags.zip != 1", "NOT tags.zip = 1", "tags.zip IN [1]",
      "tags.zip NIN [1]", "tags.floor = '3'", "tags.floor != '3'", "tags.floor < 'a'",
      "tags.location = tags.location", "tags.none = 0", "tags.none > 1",
      "tags.zip = undefined", "undefined = undefined", "tags.floor", "1", "'x'", "null",
      "tags", "tags.floor / 0 = 1", "tags.floor % 0 = 0", "true > false", "NOT 1",
      "deviceId.x = 1", "properties.desired.list = 1", "Tags.Floor = 3",
    } do
      assert.is_false(holds(text), text)
    end
    assert.is_true(holds("tags.none = null"))
    assert.is_true(holds("tags.zip = 1 OR true"))
    assert.is_false(holds("tags.zip = 1 AND true"))
  end)

  it("F08 is at most 8,192 characters long", function()
    local text = "deviceId = '" .. ("x"):rep(8192 - 13) .. "'"
    assert.is_false(holds(text))
    assert.matches("longer than 8192 characters", wrong(text .. " "))
  end)

  it("F09 reads strings with escapes and both quotes", function()
    for _, case in ipairs {
      { [['it\'s']], "it's" }, { [["it's"]], "it's" }, { [['say "x"']], 'say "x"' },
      { [["\\"]], "\\" }, { [['\u20ac']], "€" }, { [['\uD83D\ude00']], "😀" },
      { [['']], "" },
    } do
      assert.is_true(holds("deviceId = " .. case[1], { deviceId = case[2] }), case[1])
    end
    assert.matches("line 1, column 16: expected a quote", wrong("deviceId = 'abc"))
  end)

  it("F19 may be one over modules", function()
    local predicate, collection =
      query.condition("FROM devices.modules WHERE ModuleId = 'm'")
    assert.equal("devices.modules", collection)
    assert.is_true(predicate { deviceId = "x", moduleId = "m" })
    assert.is_false(predicate { deviceId = "x", moduleId = "n" })
  end)

  it("says line, column and what was expected", function()
    for text, why in pairs {
      [""] = "line 1, column 1: expected a condition or a value",
      ["deviceId ="] = "line 1, column 11: expected a value",
      ["deviceId\n= 'x'\nAND"] = "line 3, column 4: expected a value",
      ["(deviceId = 'x'"] = "line 1, column 16: expected ')'",
      ["deviceId == 'x'"] = "line 1, column 11: expected a value",
      ["deviceId IN 'x'"] = "line 1, column 13: expected '['",
      ["STARTS_WITH(deviceId, 'x')"] = "line 1, column 12: expected",
      ["deviceId = 'x' deviceId"] = "line 1, column 16: expected",
    } do
      assert.is_truthy(wrong(text):find("SQL query parse failed: " .. why, 1, true),
        wrong(text))
    end
  end)

  it("is bounded in depth, and quick where it nests (attack 60)", function()
    local nested = ("("):rep(32) .. "true" .. (")"):rep(32)
    assert.is_true(holds(nested))
    assert.matches("nested deeper than 32", wrong("(" .. nested .. ")"))
    assert.matches("nested deeper than 32", wrong(("NOT "):rep(33) .. "true"))
    assert.matches("nested deeper than 32", wrong(("-"):rep(2000) .. "1 = 1"))
    assert.is_true(holds("deviceId != '" .. ("("):rep(4000) .. "'"))
    assert.is_true(holds(("true AND "):rep(900) .. "true"))
  end)
end)

describe("a query", function()
  it("selects from devices, modules and jobs", function()
    for text, expected in pairs {
      ["SELECT * FROM devices"] = "devices",
      ["select * from Devices where deviceId = 'x'"] = "devices",
      ["SELECT * FROM devices.modules"] = "devices.modules",
      ["SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'J'"] = "devices.jobs",
    } do
      local predicate, collection = query.query(text)
      assert.is_function(predicate, collection)
      assert.equal(expected, collection)
    end
  end)

  it("F11 finds device jobs by their fields, in both spellings", function()
    local text = "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'J'"
      .. " AND devices.jobs.createdTimeUtc > '2026' AND status = 'completed'"
    local predicate = assert(query.query(text))
    local row = { jobId = "J", createdDateTimeUtc = "2026-11-22", status = "completed" }
    assert.is_true(predicate(row))
    row.jobId = "K"
    assert.is_false(predicate(row))
  end)

  it("selects whole documents only, and from nowhere else", function()
    for _, text in ipairs {
      "SELECT deviceId FROM devices", "SELECT * FROM messages", "devices", "",
      "SELECT * FROM devices WHERE", "SELECT * FROM devices ORDER BY deviceId",
    } do
      local predicate, why = query.query(text)
      assert.is_nil(predicate, text)
      assert.matches("^SQL query parse failed: line 1, column %d+: expected ", why)
    end
  end)
end)
