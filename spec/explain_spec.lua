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

  it("knows HTTP statuses: every code that comes with one", function()
    local result = explain "503"
    assert.equal(0, result.status)
    for code, entry in pairs(errors.codes) do
      local shown = result.stdout:find(("%d %s"):format(code, entry.name), 1, true)
      assert.equal(entry.http_status == 503, shown ~= nil, entry.name)
    end
  end)

  it("knows the statuses of devices without a handler, or with a broken one", function()
    assert.matches("^status 501 .-\n  cause:  The device has no handler",
      explain("501").stdout)
    local failed = explain("500").stdout
    assert.matches("status 500 %(a device's answer%)\n  cause:  The handler", failed)
    for code, entry in pairs(errors.codes) do
      local shown = failed:find(("%d %s"):format(code, entry.name), 1, true)
      assert.equal(entry.http_status == 500, shown ~= nil, entry.name)
    end
  end)

  it("knows numbers of CONNACKs, as MQTT clients tell them", function()
    for _, word in ipairs { "5", "rc=5", "RC 5", "connack 5", "0x05" } do
      assert.matches("^CONNACK 5\n  cause:  The device is not registered",
        explain(word).stdout)
    end
  end)

  it("knows parts of messages, of the hub and of other libraries", function()
    local found = explain("within the response timeout").stdout
    assert.matches("504101 GatewayTimeout\n", found, 1, true)
    for _, text in ipairs { "unable to verify the first certificate",
      "certificate verify failed", "Self-Signed certificate" } do
      assert.matches("NODE_EXTRA_CA_CERTS", explain(text).stdout, 1, true)
    end
    assert.matches("Not authorized (MQTT clients)", explain("not authorized").stdout,
      1, true)
    assert.matches("Azure's SDKs always use 8883 and 443",
      explain("ECONNREFUSED").stdout, 1, true)
  end)

  it("prints lines of JSON with --json, before and after what is asked", function()
    for _, words in ipairs { { "--json", "404103", "Timeout" },
      { "404103", "Timeout", "--json", "-v" } } do
      local result = explain(table.unpack(words))
      assert.equal(0, result.status, result.stderr)
      local lines = {}
      for line in result.stdout:gmatch "[^\n]+" do
        lines[#lines + 1] = assert(dm.json.decode(line))
      end
      assert.same({ "404103 DeviceNotOnline", "Timeout" },
        { lines[1].title, lines[2].title })
      assert.same({ true, false }, { lines[1].retriable, lines[2].retriable })
      assert.equal(errors.codes[404103].remedy, lines[1].remedy)
      assert.matches('^{"title":"404103', result.stdout)
    end
    local first = explain("--list", "--json").stdout:match "^[^\n]+"
    assert.equal("400000 GenericBadRequest", dm.json.decode(first).title)
  end)

  it("says nothing on stderr with --quiet", function()
    local result = explain("999999", "-q")
    assert.equal(1, result.status)
    assert.equal("", result.stderr)
  end)

  it("lists all", function()
    local lines = {}
    for line in explain("--list").stdout:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    assert.equal("400000 GenericBadRequest", lines[1])
    local text = "\n" .. table.concat(lines, "\n") .. "\n"
    assert.matches("\nUnauthorized\nCONNACK 1\n", text, 1, true)
  end)

  it("exits with 1 for what it does not know, with 2 for wrong use", function()
    local result = explain("404103", "999999")
    assert.equal(1, result.status)
    assert.matches("^404103 ", result.stdout)
    assert.matches("nothing is known of '999999'", result.stderr, 1, true)
    assert.equal(1, explain("Dev").status) -- too short for a part of a message
    for _, word in ipairs { "--bogus", "" } do
      result = word == "" and explain() or explain(word)
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      local said = "message is required" .. (word == "" and "\n" or ", not '--bogus'\n")
      assert.matches(said, result.stderr, 1, true)
    end
    assert.equal(0, explain("--help").status)
  end)
end)
