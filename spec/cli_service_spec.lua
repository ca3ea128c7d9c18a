--- `directmethods hub` as a service: its names, its admin listener for other machines,
-- and what it tells the system's service manager.

local cli = require "spec.support.cli"
local hub_process = require "spec.support.hub_process"
local stores = require "spec.support.stores"

local has = cli.has
local PORTS = { "--mqtt-port", "0", "--https-port", "0" }
local TOKEN = "a-token-of-mine-that-is-long"

describe("directmethods hub as a service", function()
  local folder, process

  before_each(function()
    folder = stores.folder()
  end)

  after_each(function()
    if process then process:close() end
    process = nil
    stores.remove(folder)
  end)

  local function write(name, text)
    local path = folder .. "/" .. name
    stores.write(path, text)
    return path
  end

  local function start(words, before)
    process = hub_process.start(folder, words, before)
    return process:serves().facts
  end

  local function stop()
    process:kill "sigterm"
    return process:ended()
  end

  -- A hub that does not start.
  local function refused(words)
    local all = { "hub", table.unpack(PORTS) }
    return cli.run(table.move(words, 1, #words, #all + 1, all))
  end

  describe("names", function()
    it("may differ for devices and services", function()
      local facts = start { "--device", "d", "--hostname", "hub.test",
        "--device-hostname", "hub.device.test",
        "--service-hostname", "hub.service.test" }
      has(facts.devices.d, "HostName=hub.test;DeviceHostName=hub.device.test;")
      has(facts.connection_strings.service,
        "HostName=hub.test;ServiceHostName=hub.service.test;")
      local result = cli.run { "invoke", "d", "m", "--ready-file", process.ready }
      has(result.stdout, "404103")
      stop()
    end)
  end)

  describe("the admin listener", function()
    it("is at the address that was given, over TLS", function()
      local facts = start { "--device", "d", "--hostname", "hub.test",
        "--admin-host", "0.0.0.0", "--admin-tls",
        "--admin-token-file", write("token", TOKEN .. "\n") }
      assert.equal(("https://127.0.0.1:%d"):format(facts.ports.admin), facts.admin_url)
      for _, words in ipairs {
        { "fault", "add", "http", "reject" }, { "advance", "5" }, { "fault", "list" },
      } do
        words[#words + 1], words[#words + 2] = "--ready-file", process.ready
        local result = cli.run(words)
        assert.equal(0, result.status, result.stderr)
      end
      local result = cli.run({ "fault", "list", "--json" }, { variables = {
        IOTHUB_CONNECTION_STRING = facts.connection_strings.iothubowner,
        IOTHUB_CA_FILE = facts.ca_file,
        HUB_ADMIN_URL = facts.admin_url,
        HUB_ADMIN_TOKEN = TOKEN,
      } })
      assert.equal(0, result.status, result.stderr)
      has(result.stdout, '"id":1')
      result = cli.run({ "fault", "list" }, { variables = {
        IOTHUB_CONNECTION_STRING = facts.connection_strings.iothubowner,
        HUB_ADMIN_URL = facts.admin_url,
        HUB_ADMIN_TOKEN = TOKEN,
      } })
      assert.equal(4, result.status) -- without the CA it is not trusted
      stop()
    end)

    it("is refused on other addresses without TLS and a given token", function()
      local token = write("token", TOKEN)
      for words, message in pairs {
        [{ "--admin-host", "0.0.0.0", "--admin-token-file", token }] =
          "--admin-host must be a loopback address, or else give --admin-tls",
        [{ "--admin-host", "0.0.0.0", "--admin-tls" }] =
          "--admin-host must be a loopback address, or else give --admin-token-file",
        [{ "--admin-tls", "--plain" }] = "--admin-tls must not be set when --plain",
      } do
        local result = refused(words)
        assert.equal(2, result.status)
        has(result.stderr, message)
      end
    end)

    it("says which HUB_ADMIN_URL cannot be one", function()
      local result = cli.run({ "fault", "list" }, { variables = {
        IOTHUB_CONNECTION_STRING = "HostName=h;SharedAccessKeyName=a;"
          .. "SharedAccessKey=Yg==",
        HUB_ADMIN_URL = "hub.test:1",
        HUB_ADMIN_TOKEN = TOKEN,
      } })
      assert.equal(2, result.status)
      has(result.stderr, "hub.test:1: is no URL of an admin listener")
    end)
  end)
end)
