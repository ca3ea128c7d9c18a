--- Recordings as users of the command line have them: `hub --record`, `record`,
-- `invoke --record`, `fleet --record`.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local hub_process = require "spec.support.hub_process"
local stores = require "spec.support.stores"

local has = cli.has
local LAMP = [[{"devices":[{"id":"lamp","primary_key":"%s","methods":{
  "on":{"status":200,"payload":{"lit":true,"time":1}},"off":{"status":503}}}]}]]
local KEY = "S0VZIEtFWSBLRVkgS0VZIEtFWSBLRVkgS0VZIQ=="

describe("a recording of", function()
  local folder, process

  before_each(function()
    folder = stores.folder()
  end)

  after_each(function()
    if process then process:close() end
    process = nil
    stores.remove(folder)
  end)

  local function path()
    return folder .. "/calls.jsonl"
  end

  -- Start a hub with the device "lamp".
  local function start(...)
    stores.write(folder .. "/lamp.json", LAMP:format(KEY))
    process = hub_process.start(folder, { "--config", folder .. "/lamp.json", ... })
    return process:serves().facts
  end

  local function stop()
    process:kill "sigterm"
    return process:ended()
  end

  local function run(...)
    return cli.run({ ... },
      { variables = { DIRECTMETHODS_READY_FILE = process.ready } })
  end

  -- The calls in the file: their lines, decoded.
  local function calls()
    local list = {}
    for line in stores.read(path()):gmatch("([^\n]*)\n") do
      list[#list + 1] = assert(dm.json.decode(line))
    end
    assert.equal(1, table.remove(list, 1).version)
    return list
  end

  -- No key of the hub and no token is in the file.
  local function check_secrets(facts)
    local text = stores.read(path())
    for _, strings in ipairs { facts.connection_strings, facts.devices } do
      for _, each in pairs(strings) do
        local key = each:match("SharedAccessKey=([^;]+)")
        assert.is_nil(text:find(key, 1, true))
      end
    end
    for _, word in ipairs { KEY, "SharedAccess", "Authorization", "sig=" } do
      assert.is_nil(text:find(word, 1, true), word)
    end
  end

  describe("hub --record", function()
    it("has the calls, and no secret", function()
      local facts = start("--record", path(), "--admin-port", "0")
      assert.equal(0, run("invoke", "lamp", "on", '{"level":3}').status)
      assert.equal(1, run("invoke", "lamp", "off").status)
      assert.equal(3, run("invoke", "nobody", "on").status)
      assert.equal(0, stop().status)
      local list = calls()
      assert.equal(3, #list)
      assert.same({ level = 3 }, list[1].payload)
      assert.same({ lit = true, time = 1 }, list[1].answer.payload)
      assert.equal("2021-04-12", list[1].api_version)
      assert.same({ status = 503 }, list[2].answer)
      assert.same({ error = "DeviceNotFound", code = 404001 }, list[3].answer)
      check_secrets(facts)
    end)

    it("is there, all of it, after a kill", function()
      start("--record", path())
      assert.equal(0, run("invoke", "lamp", "on").status)
      process:kill "sigkill"
      process:ended()
      assert.equal(1, #calls())
    end)

    it("does not start without its file", function()
      local result = cli.run { "hub", "--mqtt-port", "0", "--https-port", "0",
        "--record", folder .. "/none/x" }
      assert.equal(4, result.status)
      has(result.stderr, "/none/x: No such file or directory")
      result = cli.run { "hub", "--mqtt-port", "0", "--https-port", "0",
        "--record", "/dev/full" }
      assert.equal(4, result.status)
      has(result.stderr, "No space left on device")
    end)
  end)
end)
