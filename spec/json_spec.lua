local checks = require "spec.support.checks"
local cjson = require "cjson"
local core = require "directmethods.core"
local json = require "directmethods.json"

local failure = checks.failure

-- What our own codec gives, whatever lua-cjson could do.
local function decode_ours(text)
  return core.json_decode(text, 64, cjson.decode, -1)
end

describe("json.decode", function()
  it("gives 64-bit integers as integers", function()
    for text, value in pairs {
      ["0"] = 0, ["-1"] = -1, ["9007199254740993"] = 9007199254740993,
      ["9223372036854775807"] = math.maxinteger,
      ["-9223372036854775808"] = math.mininteger,
    } do
      assert.equal(value, json.decode(text))
      assert.equal("integer", math.type(json.decode(text)))
      assert.equal(value, json.decode('{"a":[' .. text .. "]}").a[1])
    end
  end)

  it("refuses numbers that 64 bits cannot hold", function()
    for _, text in ipairs {
      "9223372036854775808", "-9223372036854775809", "[1,{\"a\":99999999999999999999}]",
      "1e400", "[-1e400]",
    } do
      local value, err = json.decode(text)
      assert.is_nil(value)
      assert.equal("InvalidJson", err.name)
      assert.matches("64 bits", err.message)
    end
  end)

  it("gives floats exactly", function()
    for _, value in ipairs { 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 2.5e-8 } do
      assert.equal(value, json.decode(("%.17g"):format(value)))
    end
    assert.equal("float", math.type(json.decode("1.0")))
    assert.equal("float", math.type(json.decode("1e2")))
    assert.equal(100.0, json.decode("1E+2"))
    assert.equal("-inf", tostring(1 / json.decode("-0.0")))
    assert.equal(0.1, json.decode("0.1" .. ("0"):rep(400)))
  end)

  it("gives null, at the top too", function()
    assert.equal(json.null, json.decode("null"))
    assert.equal(cjson.null, json.null)
    assert.same({ a = json.null, b = { json.null } },
      json.decode('{"a":null,"b":[null]}'))
    assert.equal(false, json.decode(" false "))
  end)

  it("gives strings with NUL, escapes and any UTF-8", function()
    assert.equal("a\0b", json.decode([["a\u0000b"]]))
    assert.equal('"\\/\b\f\n\r\t', json.decode([["\"\\\/\b\f\n\r\t"]]))
    assert.equal("é\u{1F600}\u{2028}", json.decode([["\u00e9\ud83d\ude00\u2028"]]))
    assert.equal("é\u{1F600}", json.decode('"é\u{1F600}"'))
    assert.same({ [""] = "", ["k\0"] = 1 }, json.decode([[{"":"","k\u0000":1}]]))
  end)

  it("keeps the last of two equal names", function()
    assert.same({ a = 2 }, json.decode('{"a":1,"a":2}'))
  end)

  it("bounds the depth at 64", function()
    local function nested(n) return ("["):rep(n) .. ("]"):rep(n) end
    assert.is_table(json.decode(nested(64)))
    local value, err = json.decode(nested(65))
    assert.is_nil(value)
    assert.equal("LimitExceeded", err.name)
    assert.is_nil(json.decode(nested(100000)))
    assert.is_table(json.decode(('{"a":'):rep(64) .. "1" .. ("}"):rep(64)))
  end)

  it("gives nil, err for what is not JSON", function()
    for _, text in ipairs {
      "", " ", "{", "[1,]", "{a:1}", "01", "1.", ".5", "+1", "NaN", "Infinity", "0x10",
      "'a'", '"\n"', '"\xff"', '"\\x"', "[1] 2", "nul", "\xEF\xBB\xBF1", "//x\n1", "-",
    } do
      local value, err = json.decode(text)
      assert.is_nil(value)
      assert.equal("InvalidJson", err.name)
    end
  end)

  it("raises for what is not text", function()
    assert.matches("json.decode: the text must be a string", failure(json.decode, nil))
    assert.matches("not a number", failure(json.decode, 1))
  end)
end)

describe("json.encode", function()
  it("writes numbers that read back as they were", function()
    for value, text in pairs {
      [0] = "0", [math.maxinteger] = "9223372036854775807",
      [math.mininteger] = "-9223372036854775808", [0.1] = "0.1",
      [1 / 3] = "0.3333333333333333", [1e300] = "1e+300", [-2.5e-9] = "-2.5e-09",
      [0.1 + 0.2] = "0.30000000000000004",
    } do
      assert.equal(text, json.encode(value))
    end
    assert.equal("3.0", json.encode(3.0))
    assert.equal("3", json.encode(3))
    assert.equal("9007199254740992.0", json.encode(2.0 ^ 53))
    assert.equal("-0.0", json.encode(-0.0))
  end)

  it("writes strings", function()
    assert.equal([["\"\\/\b\f\n\r\t\u0000\u001f]] .. "\127é\u{1F600}\"",
      json.encode("\"\\/\b\f\n\r\t\0\31\127é\u{1F600}"))
    assert.equal([["\ud800"]], json.encode(json.decode([["\uD800"]])))
  end)

  it("tells {} from []", function()
    assert.equal("{}", json.encode({}))
    assert.equal("[]", json.encode(json.array()))
    assert.equal("[]", json.encode(json.array({})))
    assert.equal("[1]", json.encode(json.array({ 1 })))
    for _, text in ipairs { "[]", "{}", "[[]]", "[{},[]]", '{"a":[]}', '{"a":{}}' } do
      assert.equal(text, json.encode(json.decode(text)))
    end
  end)

  it("takes the markers of lua-cjson where it has them", function()
    if cjson.empty_array then
      assert.equal("[]", json.encode(cjson.empty_array))
      assert.equal("[]", json.encode(setmetatable({}, cjson.array_mt)))
      assert.equal("[]", json.encode(setmetatable({}, cjson.empty_array_mt)))
    end
    assert.equal("null", json.encode(cjson.null))
  end)

  it("passes raw text through untouched", function()
    local text = ' {"b":1.50, "a":1e400,"a":12345678901234567890 }\n'
    assert.equal(text, json.encode(json.raw(text)))
    assert.equal("[" .. text .. ",1]", json.encode({ json.raw(text), 1 }))
    assert.equal(text, tostring(json.raw(text)))
    assert.matches("json.raw: not valid JSON", failure(json.raw, "{"))
    assert.matches("json.raw: the text must be a string", failure(json.raw, {}))
  end)

  it("counts the depth of raw text", function()
    local deep = json.raw(("["):rep(64) .. ("]"):rep(64))
    assert.is_string(json.encode(deep))
    assert.matches("value%[1%]: the value is nested deeper",
      failure(json.encode, { deep }))
  end)

  it("names the place of what has no JSON form", function()
    local cycle = { a = {} }
    cycle.a.b = { cycle }
    for path, case in pairs {
      ["value.a.b[3]: a function"] = { a = { b = { 1, 2, print } } },
      ["value: NaN"] = 0 / 0,
      ["value[1]: an infinite"] = { math.huge },
      ["value.u: a userdata"] = { u = io.stdout },
      ["value.c: a coroutine"] = { c = coroutine.create(print) },
      ["value: the array has holes"] = { 1, 2, nil, 4 },
      ["value.x: the array has holes"] = { x = { [2] = 1 } },
      ["value: the array has holes;"] = { [0] = 1 },
      ["value: the table has both names and numbers"] = { 1, a = 2 },
      ["value.y: the table has both"] = { y = { a = 1, [5] = 2 } },
      ["value: a key must be a string"] = { [true] = 1 },
      ["value: a key must be a string or"] = { [1.5] = 1 },
      ["value.s: the string is not valid UTF-8"] = { s = "a\xff" },
      ["value.??: the key is not valid UTF-8"] = { ["\n\xff"] = 1 },
      ["value.a.b[1]: the table contains itself"] = cycle,
      ["value: the table has"] = json.array({ a = 1 }),
    } do
      local message = failure(json.encode, case)
      assert.is_truthy(message:find("json.encode: " .. path, 1, true), message)
    end
    assert.matches("json.encode: value: nil has no JSON form", failure(json.encode))
  end)

  it("bounds the depth at 64", function()
    local function nested(n)
      local t = json.array()
      for _ = 2, n do t = { t } end
      return t
    end
    assert.is_string(json.encode(nested(64)))
    assert.matches("nested deeper than 64", failure(json.encode, nested(65)))
  end)

  it("runs no metamethod", function()
    local t = setmetatable({ a = 1 }, {
      __index = error, __pairs = error, __len = error, __tostring = error })
    assert.equal('{"a":1}', json.encode(t))
  end)

  it("writes texts that outgrow every first guess", function()
    local long = ("x"):rep(300000)
    assert.equal('["' .. long .. '"]', json.encode({ long }))
    local many = {}
    for i = 1, 50000 do many[i] = i end
    assert.same(many, json.decode(json.encode(many)))
  end)

  it("raises at the user's line", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local message = failure(function() json.encode(print) end)
    assert.matches("json_spec.lua:" .. line .. ": json.encode", message)
  end)
end)

describe("json.array", function()
  it("marks a table in place, and outlives its module", function()
    local t = {}
    assert.equal(t, json.array(t))
    package.loaded["directmethods.json"] = nil
    local again = require "directmethods.json"
    package.loaded["directmethods.json"] = json
    assert.equal("[]", again.encode(t))
  end)

  it("refuses what it cannot mark", function()
    assert.matches("json.array: the list must be", failure(json.array, 1))
    assert.matches("json.array: the list must be",
      failure(json.array, setmetatable({}, {})))
  end)
end)

describe("json codecs", function()
  local random = math.random
  local PARTS = { "abc", "\\n", "é", "\\u00e9", "\\ud83d\\ude00", "\\u0000", "/", "\\/",
    "\\\"", "\u{1F600}", "" }
  local random_text

  local function random_items(depth, prefix)
    local items = {}
    for i = 1, random(0, 4) do
      items[i] = prefix:format(i) .. random_text(depth - 1)
    end
    return table.concat(items, " ,")
  end

  local KINDS = {
    function() return "null" end,
    function() return random(2) == 1 and "true" or "false" end,
    function() return tostring(random(0) >> random(60)) end,
    function() return ("%.17g"):format((random() - 0.5) * 10.0 ^ random(-300, 300)) end,
    function() return '"' .. PARTS[random(#PARTS)] .. PARTS[random(#PARTS)] .. '"' end,
    function(depth) return "[" .. random_items(depth, "") .. "]" end,
    function(depth) return "{" .. random_items(depth, '"k%d": ') .. "}" end,
  }

  function random_text(depth)
    return KINDS[random(depth > 0 and #KINDS or #KINDS - 2)](depth)
  end

  it("agree where lua-cjson is exact, and decode never shows which one ran", function()
    math.randomseed(42)
    for _ = 1, 2000 do
      local text = random_text(4)
      local ours, value = decode_ours(text), json.decode(text)
      assert.same(ours, value)
      assert.same(json.encode(ours):len(), json.encode(value):len())
      assert.same(value, json.decode(json.encode(value)))
    end
  end)

  it("agree with lua-cjson itself where it is exact", function()
    for _, text in ipairs {
      '"text"', "[true,false,null]", '{"a":{"b":["c"]},"d":{}}',
      [["\u00e9\ud83d\ude00"]],
      [["\"\\\/\b\f\n\r\t"]], "null", " [ { } , [ \"x\" ] ] ",
    } do
      assert.same(cjson.new().decode(text), decode_ours(text))
    end
  end)

  it("use lua-cjson for texts that it is exact for", function()
    local seen = 0
    local function decode(text, inexact)
      return core.json_decode(text, 64, function(t)
        seen = seen + 1
        return cjson.decode(t)
      end, inexact)
    end
    assert.same({ a = "b" }, decode('{"a":"b"}', core.JSON_NUMBERS))
    assert.equal(1, seen)
    assert.same({ a = 1 }, decode('{"a":1}', core.JSON_NUMBERS))
    assert.equal("[]", json.encode(decode("[]", core.JSON_EMPTY_ARRAYS)))
    assert.equal("\0", decode([["\u0000"]], core.JSON_NUL))
    assert.equal(1, seen)
  end)
end)

describe("core.json_members", function()
  it("slices the members of an object", function()
    assert.same({ n = 3, true, "200", '{ "a" : 1.50 }' },
      table.pack(core.json_members(
        ' {"status":200 ,"x":[1],"payload": { "a" : 1.50 } } ', "status", "payload")))
    assert.same({ n = 3, true, nil, "null" },
      table.pack(core.json_members('{"b":null}', "a", "b")))
  end)

  it("refuses what is no object, twice the same member, and broken JSON", function()
    local _, name = core.json_members("[]", "a")
    assert.equal("ProtocolError", name)
    _, name = core.json_members('{"a":1,"\\u0061":2}', "a")
    assert.equal("ProtocolError", name)
    _, name = core.json_members('{"a":1', "a")
    assert.equal("InvalidJson", name)
  end)
end)
