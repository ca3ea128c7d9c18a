-- Checklist I: what a twin may hold, and how a device and the service change it
-- (docs/protocol.md 13.2).

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local rest = require "spec.support.rest"

local read = rest.read

local REPORT = "$iothub/twin/PATCH/properties/reported/?$rid="
local MIN, MAX = -4503599627370496, 4503599627370495

-- An object of so many nested objects, with a value in the innermost.
local function nested(depth)
  return ('{"x":'):rep(depth) .. "1" .. ("}"):rep(depth)
end

describe("twins", function()
  local hub, device

  before_each(function()
    hub = fixture.hub()
    hub:add_device("d")
    hub:add_device("d/m")
    device = fixture.device(hub, "d", { subscribe = false })
    device:subscribe(0, "$iothub/twin/res/#")
    device:subscribe(0, "$iothub/twin/PATCH/properties/desired/#")
  end)

  after_each(function() fixture.finish(hub, device) end)

  local function ask(method, target, body, o)
    return rest.ask(hub, method, target, body, o)
  end

  -- What a report is answered with: status, version and body.
  local function report(body, more)
    device:send(mqtt.publish(REPORT .. "7" .. (more or ""), body))
    local packet = assert(device:read())
    local status, version = packet.topic:match(
      "^%$iothub/twin/res/(%d+)/%?%$rid=7&?%$?v?e?r?s?i?o?n?=?(%d*)$")
    return tonumber(status), tonumber(version), packet.payload
  end

  local function reported()
    return read(ask("GET", "/twins/d")).properties.reported
  end

  -- Every way by which a value comes into a twin: functions of JSON text that give the
  -- status and the text of an error.
  local WAYS = {}

  function WAYS.report(text)
    local status, _, body = report(('{"v":%s}'):format(text))
    return status, body
  end

  local function of_reply(reply) return reply.status, reply.body end

  function WAYS.patch_tags(text)
    return of_reply(ask("PATCH", "/twins/d", ('{"tags":{"v":%s}}'):format(text)))
  end

  function WAYS.patch_desired(text)
    return of_reply(ask("PATCH", "/twins/d/modules/m",
      ('{"properties":{"desired":{"v":%s}}}'):format(text)))
  end

  function WAYS.put(text)
    return of_reply(ask("PUT", "/twins/d", ('{"tags":{"v":%s}}'):format(text)))
  end

  function WAYS.bulk(text)
    return of_reply(ask("POST", "/devices",
      ('[{"id":"d","importMode":"updateTwin","tags":{"v":%s}}]'):format(text)))
  end

  function WAYS.job(text)
    local id = "j" .. tostring(dm.now()):gsub("%D", "")
    return of_reply(ask("PUT", "/jobs/v2/" .. id, ([[{"jobId":"%s",
      "type":"scheduleUpdateTwin","queryCondition":"deviceId = 'nobody'",
      "updateTwin":{"etag":"*","tags":{"v":%s}}}]]):format(id, text)))
  end

  local function by_every_way(text, allowed, part)
    for name, way in pairs(WAYS) do
      local status, body = way(text)
      local what = ("%s by %s: %s %s"):format(text, name, status, body)
      assert.equal(allowed, status < 300, what)
      if not allowed then
        assert.equal(400, status, what)
        if part then assert.truthy(body:find(part, 1, true), what) end
      end
    end
  end

  describe("hold", function()
    it("I01 whole numbers from -2^52 to 2^52 - 1", function()
      for _, n in ipairs { 0, MIN, MAX } do by_every_way(tostring(n), true) end
      for _, n in ipairs { MIN - 1, MAX + 1, math.maxinteger } do
        by_every_way(tostring(n), false, "whole number")
        by_every_way(("[1,%d]"):format(n), false, "v[1]")
        by_every_way(('{"a":{"b":%d}}'):format(n), false, "v.a.b")
      end
    end)

    it("I02 no null inside an array, at any depth", function()
      for _, text in ipairs { "[null]", '[{"b":null}]', "[[1,[null]]]",
        '{"a":[{"b":{"c":null}}]}' } do
        by_every_way(text, false, "null")
      end
      by_every_way('[{"b":1},[2]]', true)
    end)

    it("I03 ten objects nested, not eleven", function()
      by_every_way(nested(10), true)
      by_every_way(nested(11), false, "nested")
    end)

    it("I04 names and texts as documented", function()
      for _, name in ipairs { "a.b", "$a", "a b", "a\\u0001", "" } do
        by_every_way(('{"%s":1}'):format(name), false, "name")
      end
      by_every_way('"' .. ("x"):rep(4096) .. '"', true)
      by_every_way('"' .. ("x"):rep(4097) .. '"', false, "text")
    end)
  end)

  -- JSON of an object whose names and texts have so many bytes, the signs not counted.
  local function of_size(size)
    local members = {}
    while size > 0 do
      local length = math.min(size, 4000) - 2
      members[#members + 1] = ('"%02d":"%s"'):format(#members, ("x"):rep(length))
      size = size - length - 2
    end
    return "{" .. table.concat(members, ",") .. "}"
  end

  -- JSON of an object of so many members, each with a name of three bytes.
  local function of_members(count, value)
    local members = {}
    for i = 1, count do members[i] = ('"%03x":%s'):format(i, value) end
    return "{" .. table.concat(members, ",") .. "}"
  end

  local SECTIONS = {
    tags = function(text)
      return ask("PATCH", "/twins/d", ('{"tags":%s}'):format(text)).status
    end,
    desired = function(text)
      return ask("PATCH", "/twins/d/modules/m",
        ('{"properties":{"desired":%s}}'):format(text)).status
    end,
    reported = function(text) return (report(text)) end,
  }

  it("I11 has sections of 8 and 32 KB: names and values, without JSON's signs",
    function()
      for name, size in pairs { tags = 8192, desired = 32768, reported = 32768 } do
        local write = SECTIONS[name]
        assert.is_true(write(of_size(size)) < 300, name)
        assert.equal(413, write '{"z":""}', name)
        assert.is_true(write '{"00":null,"z":{"z":[""]}}' < 300, name)
      end
    end)

  it("I11 counts 8 bytes for a number, 4 for a boolean, none for control characters",
    function()
      assert.equal(200, SECTIONS.tags(of_members(744, "1"))) -- of 11 bytes
      assert.equal(413, SECTIONS.tags(of_members(745, "1")))
      assert.equal(200, SECTIONS.desired(of_members(2978, "[false,true]")))
      assert.equal(413, SECTIONS.desired(of_members(2979, "[false,true]")))
      assert.equal(204, SECTIONS.reported(of_members(4095,
        [["\u0001\u009f12345"]])))
      assert.equal(413, SECTIONS.reported(of_members(4095, [["\u007f123456"]])))
    end)

  it("I11 bounds what counts nothing", function()
    assert.equal(413, SECTIONS.tags('{"a":[' .. ("[],"):rep(11000) .. "[]]}"))
  end)

  it("I05 null removes by PATCH and by a report, and is refused by PUT", function()
    read(ask("PATCH", "/twins/d", { tags = { a = 1, b = { c = 2, d = 3 } } }))
    local found = read(ask("PATCH", "/twins/d", '{"tags":{"a":null,"b":{"c":null}}}'))
    assert.same({ b = { d = 3 } }, found.tags)
    assert.equal(204, (report('{"a":1,"b":2}')))
    assert.equal(204, (report('{"a":null}')))
    assert.is_nil(reported().a)
    rest.refused(ask("PUT", "/twins/d", '{"tags":{"my-tag":null}}'), 400,
      "ArgumentInvalid")
    rest.refused(ask("PUT", "/twins/d", '{"properties":{"desired":{"a":{"b":null}}}}'),
      400, "ArgumentInvalid")
    assert.same({ b = { d = 3 } }, read(ask("GET", "/twins/d")).tags)
  end)

  it("I06 'desired': null removes all desired properties, and the device is told",
    function()
      read(ask("PATCH", "/twins/d", { properties = { desired = { a = 1, b = 2 } } }))
      assert.truthy(device:read().payload:find('"a":1', 1, true))
      local found = read(ask("PATCH", "/twins/d", '{"properties":{"desired":null}}',
        { if_match = "*" }))
      assert.is_nil(found.properties.desired.a)
      assert.equal(3, found.properties.desired["$version"])
      local told = dm.json.decode(device:read().payload)
      assert.same({ a = dm.null, b = dm.null, ["$version"] = 3 }, told)
      -- tags alone: nothing changes (azure-docs#32289)
      read(ask("PATCH", "/twins/d", { tags = { a = 1 } }))
      assert.same({ a = 1 }, read(ask("PATCH", "/twins/d", '{"tags":null}')).tags)
    end)

  describe("a report's $version", function()
    before_each(function()
      assert.same({ 204, 2, "" }, { report('{"a":1}') })
      assert.same({ 204, 3, "" }, { report('{"a":2}') })
    end)

    it("I07 is a condition: another one is 412, and nothing is written", function()
      for _, version in ipairs { 0, 2, 4 } do
        local status, _, body = report('{"a":9}', "&$version=" .. version)
        assert.equal(412, status)
        assert.equal(412001, dm.json.decode(body).errorCode)
      end
      assert.equal(2, reported().a)
      assert.equal(204, (report('{"a":3}', "&$version=3")))
      assert.equal(3, reported().a)
    end)

    it("I08 must be a number", function()
      for _, text in ipairs { "", "=", "=x", "=-1", "=3.0", "=0x3" } do
        local status, _, body = report('{"a":9}', "&$version" .. text)
        assert.equal(400, status, text)
        assert.truthy(body:find("$version", 1, true), body)
      end
      assert.equal(2, reported().a)
    end)
  end)

  it("I09 a refusal to a device says why, in IoT Hub's words", function()
    local cases = {
      { '{"$x":1}', 400004, "properties.reported.$x" },
      { "[1]", 400004, "JSON object" },
      { "{", 400004, "" },
      { '{"a":1,"a":', 400004, "" },
      { '{"a":18446744073709551616}', 400004, "" },
      { '{"a":"' .. ("x"):rep(4097) .. '"}', 400004, "properties.reported.a" },
    }
    for _, case in ipairs(cases) do
      local text, code, part = table.unpack(case)
      local status, _, body = report(text)
      local found = assert(dm.json.decode(body), body)
      assert.equal(code // 1000, status)
      assert.equal(code, found.errorCode)
      assert.truthy(found.message:find(part, 1, true), body)
      assert.truthy(found.message ~= "")
      assert.matches("^%x+%-TimeStamp:", found.trackingId)
      assert.matches("^20%d%d%-%d%d%-%d%dT[%d:.]+Z$", found.timestampUtc)
      assert.is_nil(found.info)
    end
    assert.equal(413, (report('{"a":["' .. ("x"):rep(4000) .. ('","' .. ("x"):rep(4000))
      :rep(9) .. '"]}')))
  end)

  it("I10 a request says what is wrong with its body", function()
    local big = '{"tags":{"a":18446744073709551616}}'
    for _, text in ipairs { big, '{"tags":{"a":1e400}}', "{", "",
      '{"tags":' .. nested(70) .. "}" } do
      local reply = ask("PATCH", "/twins/d", text)
      local why = rest.refused(reply, 400, "ArgumentInvalid")
      assert.is_nil(why:find("must be a JSON object", 1, true), why)
    end
    for text, part in pairs {
      ["[1]"] = "the body must be a JSON object",
      ['{"tags":1}'] = "'tags' must be a JSON object",
      ['{"properties":[1]}'] = "'properties' must be a JSON object",
      ['{"properties":{"desired":"x"}}'] = "'properties.desired' must be a JSON object",
    } do
      local why = rest.refused(ask("PATCH", "/twins/d", text), 400, "ArgumentInvalid")
      assert.truthy(why:find(part, 1, true), why)
    end
  end)
end)
