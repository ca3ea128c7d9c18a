--- `directmethods hub` as a service: its names, its admin listener for other machines,
-- and what it tells the system's service manager.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local cli_hub = require "spec.support.cli_hub"
local dm = require "directmethods"
local managers = require "spec.support.manager"
local stores = require "spec.support.stores"

local has = checks.has
local PORTS = { "--mqtt-port", "0", "--https-port", "0" }
local TOKEN = "a-token-of-mine-that-is-long"

describe("directmethods hub as a service", function()
  local folder, home

  before_each(function()
    home = cli_hub.new()
    folder = home.path
  end)

  after_each(function() home:close() end)

  -- A hub that does not start.
  local function refused(words)
    local all = { "hub", table.unpack(PORTS) }
    return cli.run(table.move(words, 1, #words, #all + 1, all))
  end

  describe("names", function()
    it("may differ for devices and services", function()
      local facts = home:start { "--device", "d", "--hostname", "hub.test",
        "--device-hostname", "hub.device.test",
        "--service-hostname", "hub.service.test" }
      has(facts.devices.d, "HostName=hub.test;DeviceHostName=hub.device.test;")
      has(facts.connection_strings.service,
        "HostName=hub.test;ServiceHostName=hub.service.test;")
      local result = cli.run { "invoke", "d", "m", "--ready-file", home.process.ready }
      has(result.stdout, "404103")
      home:stop()
    end)
  end)

  describe("the admin listener", function()
    it("is at the address that was given, over TLS", function()
      local facts = home:start { "--device", "d", "--hostname", "hub.test",
        "--admin-host", "0.0.0.0", "--admin-tls",
        "--admin-token-file", home:write("token", TOKEN .. "\n") }
      assert.equal(("https://127.0.0.1:%d"):format(facts.ports.admin), facts.admin_url)
      for _, words in ipairs {
        { "fault", "add", "http", "reject" }, { "advance", "5" }, { "fault", "list" },
      } do
        words[#words + 1], words[#words + 2] = "--ready-file", home.process.ready
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
      home:stop()
    end)

    it("is refused on other addresses without TLS and a given token", function()
      local token = home:write("token", TOKEN)
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

  describe("the service manager", function()
    -- What runs the hub, with these variables.
    local function with(variables)
      local words = { "env" }
      for name, value in pairs(variables) do
        words[#words + 1] = ("%s=%s"):format(name, value)
      end
      return words
    end

    it("is told that the hub is ready and that it stops", function()
      local manager <close> = managers.start(folder)
      local facts = home:start({ "--quiet" },
        with { NOTIFY_SOCKET = manager.name })
      assert.equal(("READY=1\nSTATUS=serves on 127.0.0.1, MQTT %d, HTTPS %d"):format(
        facts.ports.mqtt, facts.ports.https), manager:wait("READY=1"))
      home:stop()
      manager:wait("STOPPING=1\nSTATUS=stopping %(SIGTERM%)")
      assert.equal(2, #manager:messages())
    end)

    it("may have an abstract socket, and wants signs of life", function()
      local name = ("@directmethods-spec-%s"):format(folder:match("[^/]+$"))
      local manager <close> = managers.start(folder, name)
      home:start({ "--quiet" }, with { NOTIFY_SOCKET = name, WATCHDOG_USEC = "40000" })
      manager:wait("^WATCHDOG=1$", 5)
      home:stop()
    end)

    it("gets no signs of life that another process is to send", function()
      local manager <close> = managers.start(folder)
      home:start({ "--quiet" }, with {
        NOTIFY_SOCKET = manager.name, WATCHDOG_USEC = "1000", WATCHDOG_PID = "1",
      })
      home:stop()
      manager:wait("STOPPING=1")
      for _, text in ipairs(manager:messages()) do
        assert.is_nil(text:find("WATCHDOG", 1, true))
      end
    end)

    it("is not the COMMAND's business", function()
      local manager <close> = managers.start(folder)
      local words = cli.words({ "hub", "--mqtt-port", "0", "--https-port", "0", "--",
        "sh", "-c", "env | grep -E '^(NOTIFY|WATCHDOG)'; echo end" }, {
        NOTIFY_SOCKET = manager.name, WATCHDOG_USEC = "1000000", WATCHDOG_PID = "1",
      })
      local result = assert(dm.exec(words, { timeout = 30 }))
      assert.equal("end\n", result.stdout, result.stderr)
      manager:wait("READY=1")
    end)

    it("may be gone, or named by nonsense", function()
      for _, name in ipairs { folder .. "/nobody", "vsock:1:2", ("/"):rep(200), "@" } do
        home:start({ "--quiet" }, with { NOTIFY_SOCKET = name })
        assert.equal(0, home:stop().status)
      end
    end)
  end)

  describe("stderr", function()
    -- What a hub around a command that calls a method writes to its stderr, a file
    -- that is the journal, or is not.
    local function log_of(is_journal, ...)
      local path = home:write("journal", "")
      local words = cli.words { "hub", "--mqtt-port", "0", "--https-port", "0", ... }
      for _, word in ipairs { "--", "sh", "-c", '"$@" 2>"$0"', folder .. "/out",
        table.unpack(cli.bare_words { "invoke", "d", "m" }) } do
        words[#words + 1] = word
      end
      local script = is_journal
        and 'JOURNAL_STREAM=$(stat -c %d:%i "$0") exec "$@" 2>>"$0"'
        or 'JOURNAL_STREAM=1:1 exec "$@" 2>>"$0"'
      assert(dm.exec({ "sh", "-c", script, path, table.unpack(words) },
        { timeout = 30 }))
      return stores.read(path)
    end

    it("has priorities and no time where it is the journal", function()
      local text = log_of(true, "--log-level", "debug")
      assert.matches("<6>d m DeviceNotFound %(404001%) ", text)
      for line in text:gmatch("[^\n]+") do assert.matches("^<[34567]>", line) end
      assert.is_nil(text:find("20%d%d%-%d%d%-"))
    end)

    it("has the time where it is not", function()
      assert.matches("^20%d%d%-[^ ]+Z d m DeviceNotFound %(404001%) ", log_of(false))
    end)

    it("has the priority of an error that ends the command", function()
      local path = home:write("journal", "")
      assert(dm.exec { "sh", "-c",
        'JOURNAL_STREAM=$(stat -c %d:%i "$0") exec "$@" 2>>"$0"', path,
        table.unpack(cli.words { "hub", "--config", folder .. "/none" }) })
      assert.matches("^<3>directmethods hub: ", stores.read(path))
    end)
  end)
end)
