local dm = require "directmethods"
local errors = require "directmethods.errors"

local LUA = os.getenv("LUA") or "lua5.4"

local function explain(...)
  return assert(dm.exec({ "env", "LUA_PATH=" .. package.path,
    "LUA_CPATH=" .. package.cpath, LUA, "build-aux/directmethods", "explain", ... },
    { timeout = 20 }))
end

describe("directmethods explain", function()
  it("says what a code means", function()
    local result = explain "404103"
    assert.equal(0, result.status)
    local entry = errors.codes[404103]
    assert.equal(("404103 DeviceNotOnline\n  cause:  %s\n  remedy: %s\n"
      .. "  The call did not run, and may be tried again.\n"):format(entry.cause,
      entry.remedy), result.stdout)
  end)

  it("knows names in any case, and our own", function()
    local result = explain("gatewaytimeout", "Timeout")
    assert.equal(0, result.status)
    assert.matches("^504101 GatewayTimeout\n  cause:  .-\nTimeout\n  cause:  ",
      result.stdout)
    assert.is_nil(result.stdout:find("tried again", 1, true))
  end)

  it("lists all", function()
    local lines = {}
    for line in explain("--list").stdout:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    assert.equal("400000 GenericBadRequest", lines[1])
    assert.equal("Unauthorized", lines[#lines])
  end)

  it("exits with 1 for what it does not know, with 2 for wrong use", function()
    local result = explain("404103", "999999")
    assert.equal(1, result.status)
    assert.matches("^404103 ", result.stdout)
    assert.matches("there is no error '999999'", result.stderr, 1, true)
    assert.equal(1, explain("Device").status)
    for _, word in ipairs { "--bogus", "" } do
      result = word == "" and explain() or explain(word)
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      local said = "name is required" .. (word == "" and "\n" or ", not '--bogus'\n")
      assert.matches(said, result.stderr, 1, true)
    end
    assert.equal(0, explain("--help").status)
  end)
end)
