local options = require "directmethods.options"

local SPEC = {
  connection_string = { "string", required = true },
  port = { "integer", default = 443, min = 1, max = 65535 },
  name = { "string", min = 1, max = 4 },
  ratio = { "number", min = 0 },
  transport = { "string", choices = { "mqtt", "websocket" } },
  tls = { "table|boolean", default = true, fields = {
    ca = { "string" }, verify = { "boolean", default = true } } },
  handler = { "function" },
  payload = { "any" },
  id = { "string", check = options.rules.identity },
}

local function make(opts)
  local checked = options.check(opts, SPEC, "dm.device")
  return checked
end

local function message_of(opts)
  local ok, message = pcall(make, opts)
  assert.is_false(ok)
  return message
end

local function with(name, value)
  return { connection_string = "secret", [name] = value }
end

describe("options.check", function()
  it("fills in defaults and leaves the caller's table alone", function()
    local given = with("tls", { ca = "file" })
    local checked = make(given)
    assert.equal(443, checked.port)
    assert.same({ ca = "file", verify = true }, checked.tls)
    assert.same({ ca = "file" }, given.tls)
    assert.is_nil(given.port)
    assert.is_false(make(with("tls", false)).tls)
  end)

  it("takes no table for no options", function()
    local spec = { a = { "integer", default = 1 } }
    local checked = options.check(nil, spec, "f")
    assert.same({ a = 1 }, checked)
  end)

  it("names an unknown option and the one that was meant", function()
    assert.matches("dm.device: unknown option 'conection_string' "
      .. "%(did you mean 'connection_string'%?%)",
      message_of { conection_string = "x" })
    assert.matches("unknown option 'zzz'$", message_of(with("zzz", 1)))
    assert.matches("unknown option 'string' %(did you mean 'connection_string'%?%)",
      message_of(with("string", 1)))
    assert.matches("unknown option 'tls.verfy' %(did you mean 'tls.verify'%?%)",
      message_of(with("tls", { verfy = false })))
  end)

  it("names the type that it wants", function()
    assert.matches("dm.device: option 'port' must be of type integer, not a string",
      message_of(with("port", "443")))
    assert.matches("option 'port' must be of type integer, not a number with",
      message_of(with("port", 1.5)))
    assert.matches("option 'tls' must be of type table or boolean, not a string",
      message_of(with("tls", "no")))
    assert.matches("option 'tls.ca' must be of type string, not an integer",
      message_of(with("tls", { ca = 1 })))
    assert.matches("option 'ratio' must be of type number, not NaN",
      message_of(with("ratio", 0 / 0)))
    assert.matches("option 'handler' must be of type function, not a table",
      message_of(with("handler", {})))
    assert.matches("options must be a table, not a string", message_of("text"))
  end)

  it("takes what can be called for a function, an integral float for an integer",
    function()
      local callable = setmetatable({}, { __call = function() end })
      assert.equal(callable, make(with("handler", callable)).handler)
      assert.equal("integer", math.type(make(with("port", 8883.0)).port))
      assert.equal(false, make(with("payload", false)).payload)
    end)

  it("names the range", function()
    assert.matches("option 'port' must be from 1 to 65535, not 0",
      message_of(with("port", 0)))
    assert.matches("option 'port' must be from 1 to 65535, not 65536",
      message_of(with("port", 65536)))
    assert.equal(65535, make(with("port", 65535)).port)
    assert.matches("option 'ratio' must be at least 0, not %-0.5",
      message_of(with("ratio", -0.5)))
    assert.matches("option 'name' must be from 1 to 4 bytes long",
      message_of(with("name", "12345")))
    assert.matches("option 'name' must be", message_of(with("name", "")))
  end)

  it("names the choices", function()
    assert.matches("option 'transport' must be one of: mqtt, websocket",
      message_of(with("transport", "udp")))
  end)

  it("names what is required", function()
    assert.matches("dm.device: option 'connection_string' is required", message_of {})
  end)

  it("never shows a text", function()
    local secret = "HostName=h;SharedAccessKey=c2VjcmV0"
    for _, opts in ipairs {
      { secret }, { [secret] = true }, with("transport", secret),
      with("name", secret), with("port", secret), with("id", secret .. "\n"),
      with("tls", { [secret] = 1 }),
    } do
      local message = message_of(opts)
      assert.is_nil(message:find("c2VjcmV0", 1, true))
      assert.is_nil(message:find("SharedAccessKey", 1, true))
    end
    assert.matches("unknown option %[1%]; options are given by name",
      message_of { secret })
  end)

  it("raises at the user's line", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local _, message = pcall(function() make { conection_string = 1 } end)
    assert.matches("options_spec.lua:" .. line .. ": dm.device", message)
  end)
end)

describe("options.rules", function()
  it("identity", function()
    for _, id in ipairs {
      "d", ("x"):rep(128), "a-b.c+d%e_f#g*h?i!j(k),l=m@n$o'p:q;r",
    } do
      assert.is_nil(options.rules.identity(id))
    end
    for _, id in ipairs {
      "", ("x"):rep(129), "a/b", "a b", "a\n", "a\0", "é", "a\"",
    } do
      assert.is_string(options.rules.identity(id))
    end
  end)

  it("method_name", function()
    for _, name in ipairs {
      "reboot", ("x"):rep(100), "comp*cmd", "a-b.c_d", "!&'^`|~",
    } do
      assert.is_nil(options.rules.method_name(name))
    end
    for c in ('$()<>@,;:\\"/[]?={}#+% \t\n\0'):gmatch(".") do
      assert.is_string(options.rules.method_name("a" .. c))
    end
    assert.is_string(options.rules.method_name(""))
    assert.is_string(options.rules.method_name(("x"):rep(101)))
    assert.is_string(options.rules.method_name("é"))
  end)

  it("api_version and header_value", function()
    assert.is_nil(options.rules.api_version("2018-06-30"))
    assert.is_nil(options.rules.api_version("2016-09-30-preview"))
    assert.is_string(options.rules.api_version("2018-06"))
    assert.is_string(options.rules.api_version("2018-06-30&x=y"))
    assert.is_nil(options.rules.header_value("abc-123"))
    assert.is_string(options.rules.header_value("a\r\nb"))
    assert.is_string(options.rules.header_value(""))
  end)
end)
