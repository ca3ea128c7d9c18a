local errors = require "directmethods.errors"

local TRACKING = "aa761f96e9174d0e849c96a8b2e10a8c-TimeStamp:03/14/2024 09:54:49"

local function json_string(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

local function format_m(document)
  return '{"Message":' .. json_string(document) .. ',"ExceptionMessage":""}'
end

local function format_e(message, tracking)
  return ('{"Message":%s,"ExceptionMessage":"Tracking ID:%s"}'):format(
    json_string(message), tracking)
end

describe("errors.new", function()
  it("makes one good sentence", function()
    local err = errors.new { name = "Timeout", message = "timed out" }
    assert.equal("Timeout: timed out", tostring(err))
    err = errors.new { name = "DeviceNotOnline", code = 404103, http_status = 404,
      message = "not online" }
    assert.equal("DeviceNotOnline (404103): not online", tostring(err))
    err = errors.new { name = "ProtocolError", http_status = 418, message = "tea" }
    assert.equal("ProtocolError (HTTP 418): tea", tostring(err))
  end)

  it("can be raised", function()
    local ok, err = pcall(error, errors.new { name = "Closed", message = "closed" })
    assert.is_false(ok)
    assert.is_true(errors.is_error(err))
    assert.equal("Closed", err.name)
  end)

  it("knows what is retriable", function()
    local function retriable(name, code)
      return errors.new { name = name, code = code, message = "x" }.retriable
    end
    assert.is_true(retriable("ConnectFailed"))
    assert.is_true(retriable("DeviceNotOnline", 404103))
    assert.is_true(retriable("ThrottlingException"))
    assert.is_false(retriable("TlsFailed"))
    assert.is_false(retriable("GatewayTimeout", 504101))
    assert.is_true(errors.new {
      name = "TlsFailed", message = "x", retriable = true }.retriable)
  end)

  it("refuses other fields and types, at the caller's line", function()
    local ok, message = pcall(errors.new, { name = "A", message = "b", cod = 1 })
    assert.is_false(ok)
    assert.matches("field 'cod'", message)
    assert.has_error(function() errors.new { name = "A" } end)
    assert.has_error(function() errors.new { name = 1, message = "x" } end)
  end)

  it("is an error object only with its class", function()
    assert.is_false(errors.is_error({ name = "A", message = "b" }))
    assert.is_false(errors.is_error("text"))
    assert.is_false(errors.is_error(nil))
  end)
end)

describe("errors.from_http", function()
  it("reads Format M", function()
    local err = errors.from_http(404, "iothub-errorcode: DeviceNotOnline\r\n",
      format_m('{"errorCode":404103,"trackingId":"' .. TRACKING
        .. [[","message":"The device isn't online.","info":{"timeout":"00:01:00"},]]
        .. '"timestampUtc":"2024-03-14T09:54:49.6536567Z"}'))
    assert.equal("DeviceNotOnline", err.name)
    assert.equal(404103, err.code)
    assert.equal("integer", math.type(err.code))
    assert.equal(404, err.http_status)
    assert.equal("The device isn't online.", err.message)
    assert.equal(TRACKING, err.tracking_id)
    assert.same({ timeout = "00:01:00" }, err.info)
    assert.is_true(err.retriable)
  end)

  it("names a code that it does not know by the header", function()
    local err = errors.from_http(400, "IotHub-ErrorCode: Strange\r\n",
      format_m('{"errorCode":400999,"trackingId":"t","message":"so it is"}'))
    assert.equal("Strange", err.name)
    assert.equal(400999, err.code)
    assert.equal("so it is", err.message)
    assert.is_nil(err.info)
    assert.is_false(err.retriable)
  end)

  it("explains where the hub says only a word", function()
    local err = errors.from_http(400, "", format_m('{"errorCode":400027,'
      .. '"trackingId":"t","message":"BadRequest","info":{}}'))
    assert.equal("ConnectionForcefullyClosedOnNewConnection", err.name)
    assert.equal(errors.codes[400027].cause, err.message)
    assert.same({}, err.info)
  end)

  it("reads Format E", function()
    local err = errors.from_http(404, "",
      format_e("ErrorCode:DeviceNotOnline;Timed out waiting for device to connect.",
        "0123-G:9-TimeStamp:07/03/2018 16:29:58"))
    assert.equal("DeviceNotOnline", err.name)
    assert.equal(404103, err.code)
    assert.equal("Timed out waiting for device to connect.", err.message)
    assert.equal("0123-G:9-TimeStamp:07/03/2018 16:29:58", err.tracking_id)
  end)

  it("reads an error that quotes another", function()
    local inner = format_e("ErrorCode:ThrottlingMaxActiveJobCountExceeded;429", "inner")
    local err = errors.from_http(429, "Retry-After: 7\r\n",
      format_e("ErrorCode:ThrottlingMaxActiveJobCountExceeded;Error: 429 " .. inner,
        "outer"))
    assert.equal("ThrottlingMaxActiveJobCountExceeded", err.name)
    assert.equal(429004, err.code)
    assert.equal("outer", err.tracking_id)
    assert.equal(errors.codes[429004].cause, err.message)
    assert.equal(7, err.retry_after)
    assert.is_true(err.retriable)
  end)

  it("stops at a body that quotes itself many times", function()
    local body = format_e("ErrorCode:A;the end", "t")
    for _ = 1, 9 do body = format_e("ErrorCode:A; x " .. body, "t") end
    local err = errors.from_http(500, "", body)
    assert.equal("A", err.name)
    assert.is_true(#err.message <= 1003)
  end)

  it("takes a plain Message", function()
    local err = errors.from_http(405, nil,
      [[{"Message":"The requested resource does not support http method 'GET'."}]])
    assert.equal("GenericMethodNotAllowed", err.name)
    assert.is_nil(err.code)
    assert.matches("http method 'GET'", err.message, 1, true)
  end)

  it("falls back to the status", function()
    for _, body in ipairs { "", "<html>", "{", "[]", "{}", '{"Message":7}', "null" } do
      local err = errors.from_http(503, "", body)
      assert.equal("GenericServiceUnavailable", err.name)
      assert.is_nil(err.code)
      assert.equal(503, err.http_status)
      assert.is_true(err.retriable)
    end
    local err = errors.from_http(302, "Location: http://other/\r\n", "")
    assert.equal("ProtocolError", err.name)
    assert.matches("302", err.message)
    assert.is_false(err.retriable)
  end)

  it("names what the header alone says", function()
    local err = errors.from_http(401, "iothub-errorcode: IotHubUnauthorizedAccess", "")
    assert.equal("IotHubUnauthorizedAccess", err.name)
    assert.equal(401002, err.code)
    assert.equal(errors.codes[401002].cause, err.message)
  end)

  it("reads Retry-After when it is a number of seconds", function()
    for text, seconds in pairs { ["7"] = 7, ["0"] = 0, ["1.5"] = 1.5, ["-1"] = false,
      ["0x10"] = false, ["inf"] = false, ["Wed, 21 Oct 2015 07:28:00 GMT"] = false } do
      local err = errors.from_http(429, "Retry-After: " .. text, "")
      assert.equal(seconds or nil, err.retry_after)
    end
  end)

  it("keeps a foreign message on one line and short", function()
    local err = errors.from_http(500, "",
      '{"Message":"a\\r\\n\\u001b[31m b ' .. ("é"):rep(2000) .. '"}')
    assert.is_nil(err.message:find("%c"))
    assert.is_true(#err.message <= 1003)
    assert.is_truthy(utf8.len(err.message))
  end)
end)

describe("errors.codes", function()
  it("has cause and remedy for every code", function()
    local count = 0
    for code, entry in pairs(errors.codes) do
      count = count + 1
      assert.equal(code, entry.code)
      assert.equal(code // 1000, entry.http_status)
      assert.matches("^%u%w+$", entry.name)
      assert.matches("%.$", entry.cause)
      assert.matches("[%.%)]$", entry.remedy)
      assert.equal("boolean", type(entry.retriable))
    end
    assert.is_true(count > 80)
  end)

  it("has each name once", function()
    local seen = {}
    for code, entry in pairs(errors.codes) do
      assert.is_nil(seen[entry.name], entry.name .. " " .. code)
      seen[entry.name] = true
    end
    for name, entry in pairs(errors.names) do
      assert.is_nil(seen[name])
      assert.matches("%.$", entry.cause)
      assert.matches("%.$", entry.remedy)
    end
  end)

  it("has all names that C reports", function()
    local file <close> = assert(io.open("csrc/base/err.h"))
    local count = 0
    for name in file:read("a"):gmatch('X%([%u_]+, "(%a+)"') do
      if name ~= "OK" then
        count = count + 1
        assert.is_truthy(errors.names[name], name)
      end
    end
    assert.is_true(count > 5)
  end)

  it("has all codes that the hub answers", function()
    local file <close> = assert(io.open("csrc/hub/errors.h"))
    local count = 0
    for code, name in file:read("a"):gmatch('X%([%u_]+, (%d+), "(%a+)"') do
      count = count + 1
      assert.equal(name, errors.codes[tonumber(code)].name)
    end
    assert.is_true(count > 10)
  end)

  it("has the codes of direct methods", function()
    for code, name in pairs {
      [400001] = "InvalidProtocolVersion", [400004] = "ArgumentInvalid",
      [400027] = "ConnectionForcefullyClosedOnNewConnection",
      [401002] = "IotHubUnauthorizedAccess", [403002] = "IotHubQuotaExceeded",
      [403800] = "DeviceMaximumInflightMethodExceeded", [404001] = "DeviceNotFound",
      [404010] = "ModuleNotFound", [404103] = "DeviceNotOnline",
      [404104] = "DeviceConnectionClosedRemotely", [429001] = "ThrottlingException",
      [502001] = "InvalidResponseWhileProxying", [504101] = "GatewayTimeout",
    } do
      assert.equal(name, errors.codes[code].name)
    end
  end)
end)

describe("errors.field", function()
  it("finds a header field in any case", function()
    local fields = "HTTP/1.1 200 OK\r\nX-Ms-Request-Id:  abc \r\nETag: \"1\"\r\n"
    assert.equal("abc", errors.field(fields, "x-ms-request-id"))
    assert.equal('"1"', errors.field(fields, "ETag"))
    assert.is_nil(errors.field(fields, "request-id"))
    assert.is_nil(errors.field(nil, "x"))
  end)
end)
