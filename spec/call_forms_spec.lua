--- GET /calls/{id}/as/{form}: each text is run, and must give what the call gave.

local admin = require "spec.support.admin"
local cli = require "spec.support.cli"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local folders = require "spec.support.folder"
local forms = require "directmethods.hub.call_forms"

-- What a shell, a program or JSON could misread.
local HARD = [[{"a":"it's \"$HOME\" `id` \\ %s {x} \u2028 é","b":[null,1.50,{}]}]]

describe("a recorded call", function()
  local hub, service, folder, variables

  -- Run a program with the variables of the hub.
  local function run(words, more)
    local argv = { "env" }
    for _, set in ipairs { variables, more or {} } do
      for name, value in pairs(set) do
        argv[#argv + 1] = name .. "=" .. tostring(value)
      end
    end
    table.move(words, 1, #words, #argv + 1, argv)
    return assert(dm.exec(argv, { timeout = 60 }))
  end

  local function write(name, text)
    local inner = name:match "^(.*)/"
    if inner then run { "mkdir", "-p", folder.path .. "/" .. inner } end
    return folder:write(name, text)
  end

  setup(function()
    folder = folders.new()
    hub = fixture.hub { tls = true, admin_port = 0 }
    service = hub:service()
    variables = cli.variables(hub)
    variables.HUB_ADMIN_URL = "http://127.0.0.1:" .. hub:ports().admin
    variables.HUB_ADMIN_TOKEN = hub:admin_token()
    assert(hub:add_device "away")
    for _, id in ipairs { "it's", "gate/lock" } do
      local target = "/devices/" .. id:gsub("'", "%%27"):gsub("/", "/modules/")
      assert.equal(200, (admin.ask(hub, "PUT", target, { body = { methods = {
        on = { status = 207, payload = dm.json.raw(HARD) },
      } } })))
    end
  end)

  teardown(function()
    fixture.finish(hub, service)
    folder:__close()
  end)

  -- Make a call; its record.
  local function call(id, payload, opts)
    local device, module = id:match("^([^/]+)/?(.*)$")
    opts = opts or {}
    opts.module_id = module ~= "" and module or nil
    service:invoke(device, "on", payload, opts)
    local calls = hub:calls()
    return calls[#calls]
  end

  local function as(form, record)
    local target = ("/calls/%d/as/%s"):format(record.id, form)
    local status, _, reply = admin.ask(hub, "GET", target)
    assert.equal(200, status, reply.body)
    assert.equal("text/plain; charset=utf-8", reply.headers["content-type"])
    return reply.body
  end

  local function newest()
    local calls = hub:calls()
    return calls[#calls]
  end

  -- The calls that each form is tried with.
  local function cases()
    return {
      call("it's", dm.json.raw(HARD), { response_timeout = 44, connect_timeout = 3 }),
      call("it's"), call("it's", dm.null), call("gate/lock", "x"), call("away", 1),
      call("nobody"),
    }
  end

  -- That the call has been made again: the same request, the same end.
  local function check_again(record, again)
    assert.is_true(again.id > record.id, "no call was made")
    for _, name in ipairs { "device_id", "module_id", "method", "outcome", "status",
      "code", "response_timeout", "connect_timeout" } do
      assert.equal(record[name], again[name], name)
    end
    assert.same(record.payload and dm.json.decode(record.payload),
      again.payload and dm.json.decode(again.payload))
  end

  it("runs as curl", function()
    for _, record in ipairs(cases()) do
      local result = run { "sh", "-c", as("curl", record) }
      check_again(record, newest())
      local answer = dm.json.decode(result.stdout)
      assert.equal(record.outcome == "Answered" and 207 or nil, answer.status)
    end
  end)

  it("runs as a command line", function()
    for _, record in ipairs(cases()) do
      local text = as("cli", record):gsub("^directmethods", 'exec "$0" "$@"', 1)
      local result = run({ "sh", "-c", text, table.unpack(cli.bare_words {}) })
      check_again(record, newest())
      if record.outcome == "Answered" then
        assert.same(dm.json.decode(HARD), dm.json.decode(result.stdout).payload
          or dm.json.decode(result.stdout))
      end
    end
  end)

  it("runs as Lua", function()
    for _, record in ipairs(cases()) do
      local path = write("call.lua", as("lua", record))
      local result = run({ os.getenv("LUA") or "lua5.4", path },
        { LUA_PATH = package.path, LUA_CPATH = package.cpath })
      assert.equal("", result.stderr)
      check_again(record, newest())
      if record.outcome == "Answered" then
        assert.same(dm.json.decode(HARD),
          dm.json.decode(result.stdout:match "^207\t(.*)\n$"))
      else
        assert.matches(tostring(record.code), result.stdout)
      end
    end
  end)

  it("runs as a test of busted", function()
    for _, record in ipairs(cases()) do
      local path = write("call_spec.lua", as("busted", record))
      local result = run({ os.getenv("LUA") or "lua5.4", "-e",
        ("arg = { %q }"):format(path), "-e",
        "require 'busted.runner' { standalone = false }" },
        { LUA_PATH = package.path, LUA_CPATH = package.cpath })
      assert.matches("1 success", result.stdout .. result.stderr)
    end
  end)

  it("runs as a test of pytest", function()
    for _, record in ipairs(cases()) do
      local path = write("test_call.py", as("pytest", record)
        .. "\n\nif __name__ == '__main__':\n    test_on()\n")
      local result = run { "python3", path }
      assert.same({ 0, "" }, { result.status, result.stderr })
      check_again(record, newest())
    end
  end)

  it("fails as the pytest says when the answer is another one", function()
    local text = as("pytest", cases()[1]):gsub('"status\\":207', '"status\\":208')
    local path = write("test_call.py", text .. "\n\ntest_on()\n")
    assert.matches("AssertionError", run { "python3", path }.stderr)
  end)

  it("runs as Python with Azure's SDK", function()
    write("azure/iot/hub/__init__.py", [[
class IoTHubRegistryManager:
    @classmethod
    def from_connection_string(cls, text):
        assert "SharedAccessKey=" in text
        return cls()
    def invoke_device_method(self, device, method):
        method.show([device])
        return method
    def invoke_device_module_method(self, device, module, method):
        method.show([device, module])
        return method
]])
    write("azure/iot/hub/models.py", [[
import json, sys
class CloudToDeviceMethod:
    status, payload = 200, None
    def __init__(self, **fields):
        self.fields = fields
    def show(self, ids):
        print(json.dumps([ids, self.fields]), file=sys.stderr)
]])
    for _, record in ipairs(cases()) do
      local result = run({ "python3", "-c", as("python", record) },
        { PYTHONPATH = folder.path })
      local ids, fields = table.unpack(assert(dm.json.decode(result.stderr)))
      assert.same({ record.device_id, record.module_id }, ids)
      assert.same({ record.method, record.response_timeout, record.connect_timeout }, {
        fields.method_name, fields.response_timeout_in_seconds,
        fields.connect_timeout_in_seconds })
      assert.same(record.payload and dm.json.decode(record.payload), fields.payload)
    end
  end)

  it("runs as Node with Azure's SDK", function()
    write("azure-iothub/index.js", [[
exports.Client = { fromConnectionString: (text) => ({
  invokeDeviceMethod: async (...words) => {
    if (!text.includes('SharedAccessKey=')) throw new Error('no key');
    return { result: words };
  },
}) };
]])
    for _, record in ipairs(cases()) do
      local result = run({ "node", "-e", as("node", record) },
        { NODE_PATH = folder.path })
      local words = assert(dm.json.decode(result.stdout), result.stderr)
      local fields = table.remove(words)
      assert.same({ record.device_id, record.module_id }, words)
      assert.same({ record.method, record.response_timeout, record.connect_timeout }, {
        fields.methodName, fields.responseTimeoutInSeconds,
        fields.connectTimeoutInSeconds })
      assert.same(record.payload and dm.json.decode(record.payload), fields.payload)
    end
  end)

  it("runs as az", function()
    write("az", '#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\n')
    run { "chmod", "+x", folder.path .. "/az" }
    for _, record in ipairs(cases()) do
      local result = run({ "sh", "-c", as("az", record) },
        { PATH = folder.path .. ":/usr/bin:/bin" })
      local expected = { "iot", "hub",
        record.module_id and "invoke-module-method" or "invoke-device-method",
        "--login", variables.IOTHUB_CONNECTION_STRING, "--device-id", record.device_id }
      local function add(name, value)
        if not value then return end
        table.move({ name, tostring(value) }, 1, 2, #expected + 1, expected)
      end
      add("--module-id", record.module_id)
      add("--method-name", "on")
      add("--method-payload", record.payload)
      add("--timeout", record.response_timeout)
      assert.equal(table.concat(expected, "\n") .. "\n", result.stdout)
    end
  end)

  it("is made again from a recording", function()
    for _, record in ipairs(cases()) do
      local path = write("one.jsonl", as("recording", record))
      local result = run(cli.bare_words { "replay", path, "--diff" })
      assert.equal(0, result.status, result.stderr .. result.stdout)
      check_again(record, newest())
    end
  end)

  it("makes the next one fail, as a fault rule", function()
    local seen = {}
    for i, record in ipairs { call("it's", 1), call("away"), call("gate/lock") } do
      local text = as("fault", record):gsub("^directmethods", 'exec "$0" "$@"', 1)
      local result = run({ "sh", "-c", text, table.unpack(cli.bare_words {}) })
      assert.equal(0, result.status, result.stderr)
      local module = record.module_id
      local id = record.device_id .. (module and "/" .. module or "")
      seen[i] = { call(id).code, call(id).code }
      hub:clear_faults()
    end
    assert.same({ { 503001, 0 }, { 404103, 404103 }, { 503001, 0 } }, seen)
  end)

  it("has no keys and no token in any form", function()
    local record = call("it's")
    local key = fixture.key(hub, "iothubowner")
    for _, form in ipairs(forms.NAMES) do
      local text = as(form, record)
      assert.is_nil(text:find(hub:admin_token(), 1, true), form)
      assert.is_nil(text:find(key, 1, true), form)
      assert.is_nil(text:find "[^\n]\n[ \t]*\n\n\n" or text:find "%z", form)
    end
  end)

  it("is refused in words where it cannot be told", function()
    local record = call("it's")
    for path, expected in pairs {
      ["999999/as/curl"] = 404, ["x/as/curl"] = 404,
      [record.id .. "/as/java"] = 404,
    } do
      local status, body = admin.ask(hub, "GET", "/calls/" .. path)
      assert.equal(expected, status, path)
      assert.is_string(body.Message)
    end
    admin.ask(hub, "POST", "/devices/away/methods/no%20name")
    local status, body = admin.ask(hub, "GET",
      ("/calls/%d/as/curl"):format(newest().id))
    assert.same({ 409, "The request named no method." }, { status, body.Message })
  end)
end)
