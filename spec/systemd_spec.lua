--- The units of examples/systemd: systemd takes them, and their commands run.

local checks = require "spec.support.checks"
local cli = require "spec.support.cli"
local cli_hub = require "spec.support.cli_hub"
local dm = require "directmethods"
local folders = require "spec.support.folder"
local hub_process = require "spec.support.hub_process"
local managers = require "spec.support.manager"
local stores = require "spec.support.stores"

local UNITS = { "directmethods-hub.service", "directmethods-device@fan.service" }

local function text_of(unit)
  return stores.read("examples/systemd/" .. unit:gsub("@.*%.", "@."))
end

-- The words of a unit's command, with other folders instead of the system's.
local function command_of(unit, folder)
  local line = text_of(unit):match("\nExecStart=/usr/bin/directmethods ([^\n]+)")
  line = line:gsub("%%S/directmethods", folder):gsub("%%t/directmethods", folder)
    :gsub("%%i", "fan"):gsub("/etc/directmethods", "examples/systemd")
  local words = {}
  for word in line:gmatch("%S+") do words[#words + 1] = word end
  return words
end

local function has_systemd()
  return os.execute("command -v systemd-analyze >/dev/null 2>&1") == true
end

describe("examples/systemd", function()
  local folder, home

  before_each(function()
    home = cli_hub.new()
    folder = home.path
  end)

  after_each(function() home:close() end)

  for _, unit in ipairs(UNITS) do
    it(unit .. " is a unit for a service that tells how it is", function()
      local text = text_of(unit)
      for _, line in ipairs { "Type=notify", "DynamicUser=yes", "NoNewPrivileges=yes",
        "ProtectSystem=strict", "ExecReload=/bin/kill -HUP $MAINPID" } do
        checks.has(text, "\n" .. line .. "\n")
      end
      if not has_systemd() then return end
      local copy <close> = folders.new()
      stores.write(copy.path .. "/" .. unit, (text:gsub("/usr/bin/directmethods",
        "/bin/true")))
      local result = assert(dm.exec({ "systemd-analyze", "verify", "--man=no",
        copy.path .. "/" .. unit }, { timeout = 30 }))
      assert.equal("", result.stderr)
      assert.equal(0, result.status)
    end)
  end

  it("directmethods-hub.service's hub runs, and stops in good order", function()
    local manager <close> = managers.start(folder)
    local words = command_of(UNITS[1], folder)
    table.remove(words, 1)
    for _, word in ipairs { "--host", "127.0.0.1", "--hostname", "localhost" } do
      words[#words + 1] = word
    end
    local ready = folder .. "/hub.json"
    home.process = hub_process.start(folder, words,
      { "setsid", "env", "NOTIFY_SOCKET=" .. manager.name })
    home.process.ready = ready
    home.process:serves()
    manager:wait("READY=1")
    local result = cli.run { "invoke", "lamp", "on", "--raw", "--ready-file", ready }
    assert.equal('{"lit":true}\n', result.stdout, result.stderr)
    assert.equal(0, home:stop().status)
  end)

  it("directmethods-device@.service's device runs, and reads its script again",
    function()
      local hub <close> = assert(dm.hub {})
      assert(hub:add_device "fan")
      local manager <close> = managers.start(folder)
      local words = command_of(UNITS[2], folder)
      local script = folder .. "/fan.lua"
      stores.write(script, stores.read(words[3]))
      words[3] = script
      local own <close> = cli.start(words, { variables = {
        NOTIFY_SOCKET = manager.name, IOTHUB_CA_FILE = hub:ca_file(),
        HUB_MQTT_PORT = hub:ports().mqtt,
        IOTHUB_DEVICE_CONNECTION_STRING = hub:connection_string "fan",
      }, before = { "setsid" } })
      checks.has(manager:wait("READY=1"), "fan online")
      local service <close> = hub:service()
      assert.equal(7, assert(service:invoke("fan", "set_speed", 7)).payload.speed)
      stores.write(script, "return { stop = function() return 202 end }")
      own:kill "sighup"
      manager:wait("READY=1", 2)
      assert.equal(202, assert(service:invoke("fan", "stop")).status)
      assert.equal(501, assert(service:invoke("fan", "set_speed", 7)).status)
      stores.write(script, "return { stop = 1 }")
      own:kill "sighup"
      manager:wait("READY=1", 3)
      assert.equal(202, assert(service:invoke("fan", "stop")).status)
      own:kill "sigterm"
      local result = own:ended()
      assert.equal(0, result.status, result.stderr)
      checks.has(result.stderr, "reload: ")
      checks.has(result.stderr, "; the device goes on as it was\n")
      manager:wait("STOPPING=1")
    end)
end)
