-- `directmethods hub --workers N`: hubs of one cluster that share the ports.

local cli = require "spec.support.cli"
local dm = require "directmethods"
local folders = require "spec.support.folder"
local postgres = require "spec.support.postgres"
local shell = require "directmethods.shell"
local workers = require "directmethods.cli.workers"

local PATIENCE = 60 -- seconds, for processes that hang

describe("hub --workers", function()
  local server, folder, running

  setup(function() server = postgres.server() end)
  teardown(function() server:close() end)
  before_each(function() folder = folders.new() end)

  after_each(function()
    if running then running:cancel() end
    running = nil
    folder:__close()
  end)

  local function ready_facts()
    local file <close> = io.open(folder.path .. "/ready.json")
    return file and dm.json.decode(file:read("a"))
  end

  -- Run them, with these environment variables.
  local function run(count, variables)
    local config = folder:write("hub.json", dm.json.encode {
      options = { cluster = { name = "lab" }, store = server:url("workers") },
    })
    local words = cli.words({ "hub", "--workers", tostring(count), "--config", config,
      "--plain", "--mqtt-port", "0", "--https-port=0", "--admin-port", "0", "--quiet",
      "--device", "dev1", "--ready-file", folder.path .. "/ready.json" }, variables)
    running = dm.spawn(dm.exec, words, { timeout = PATIENCE })
  end

  -- Start them; what the ready file tells.
  local function start(count)
    run(count)
    local facts
    assert(dm.wait_until(function()
      facts = ready_facts()
      return facts or running:ended()
    end, PATIENCE))
    if not facts then error(running:await().stderr) end
    return facts
  end

  local function send(signal, pid)
    assert.equal(0, assert(dm.exec { "kill", "-s", signal, tostring(pid) }).status)
  end

  local function is_there(pid)
    return assert(dm.exec { "kill", "-s", "0", tostring(pid) }).status == 0
  end

  local function ended()
    local result = assert(running:await())
    running = nil
    return result
  end

  it("starts hubs with the same ports and one ready file, and stops them", function()
    local facts = start(2)
    assert.equal(2, #facts.workers)
    assert.not_equal(facts.workers[1].pid, facts.workers[2].pid)
    assert.not_equal(facts.workers[1].admin_url, facts.workers[2].admin_url)
    assert.equal(facts.admin_url, facts.workers[1].admin_url)
    for _, worker in ipairs(facts.workers) do
      local result = assert(dm.exec { "curl", "-sS", "-H",
        "Authorization: Bearer " .. worker.admin_token, worker.admin_url .. "/hub" })
      local hub = dm.json.decode(result.stdout)
      assert.equal(facts.ports.mqtt, hub.ports.mqtt, result.stdout)
      assert.equal(facts.ports.https, hub.ports.https)
    end
    send("TERM", facts.pid)
    local result = ended()
    assert.equal(0, result.status, result.stderr)
    assert.matches("directmethods hub serves on 127.0.0.1", result.stdout)
    for _, worker in ipairs(facts.workers) do assert.is_false(is_there(worker.pid)) end
    assert.is_nil(ready_facts())
  end)

  it("ends all when one of them ends, and says which", function()
    local facts = start(2)
    send("KILL", facts.workers[2].pid)
    local result = ended()
    assert.equal(4, result.status)
    assert.matches("worker 2 has ended with exit status 137: stopping the others",
      result.stderr)
    assert.is_false(is_there(facts.workers[1].pid))
  end)

  it("ends its hubs when it is killed", function()
    local facts = start(2)
    send("KILL", facts.pid)
    -- it ends when no worker has its stderr any more
    assert.equal(9, ended().signal)
    for _, worker in ipairs(facts.workers) do assert.is_false(is_there(worker.pid)) end
  end)

  -- A program mkfifo that waits for the file `go` before it makes what `pattern` fits,
  -- and says so in the file `held`.
  local function hold_mkfifo(pattern)
    local script = [[#!/bin/sh
cd %s
case $3 in %s)
  echo "$PPID" >held.new && mv held.new held
  until [ -e go ]; do sleep 0.02; done
esac
exec /usr/bin/mkfifo "$@"
]]
    script = script:format(shell.quote(folder.path), pattern)
    local path = folder:write("mkfifo", script)
    assert.equal(0, assert(dm.exec { "chmod", "700", path }).status)
  end

  -- The first number in a file that appears.
  local function number_in(path)
    return assert(dm.wait_until(function()
      local file <close> = io.open(path)
      return file and file:read("n")
    end, PATIENCE))
  end

  it("stops a worker that is being started when a signal comes", function()
    hold_mkfifo "*/2/end"
    run(3, { PATH = folder.path .. ":" .. os.getenv("PATH"), TMPDIR = folder.path })
    local parent = number_in(folder.path .. "/held")
    local found = assert(dm.exec { "sh", "-c", 'echo "$1"/*/1/pid', "sh", folder.path })
    local first = number_in(found.stdout:gsub("\n", ""))
    send("TERM", parent)
    assert(dm.wait_until(function() return not is_there(first) end, PATIENCE))
    folder:write("go", "")
    local result = ended()
    assert.equal(0, result.status, result.stderr)
    assert.not_matches("worker", result.stderr)
  end)

  it("stops all when one does not serve in time", function()
    local before, said = arg, nil
    finally(function() _G.arg = before end)
    local started = folder.path .. "/started"
    _G.arg = { [-2] = "sh", [-1] = "-c",
      [0] = ("echo 1 >%s; exec sleep 600"):format(shell.quote(started)) }
    running = dm.spawn(workers.run, {
      count = 2, words = {}, options = { mqtt_port = 0, https_port = 0 },
      log = { say = function(_, level, text) said = level .. ": " .. text end },
      on_ready = error,
    })
    number_in(started)
    dm.advance(300)
    assert.equal(4, ended())
    assert.equal("error: worker 1 does not serve after 300 s: stopping all", said)
  end)

  it("ends when a hub cannot start", function()
    local result = cli.run { "hub", "--workers", "2", "--config",
      folder:write("hub.json", dm.json.encode {
        options = { cluster = { name = "lab" }, store = server:url("workers") },
      }), "--plain", "--host", "192.0.2.1", "--insecure", "--mqtt-port", "0",
      "--https-port", "0" }
    assert.equal(4, result.status)
    assert.matches("192.0.2.1", result.stderr)
    assert.matches("worker 1 has ended with exit status 4", result.stderr)
  end)

  for name, case in pairs {
    ["a cluster"] = { {}, "needs --cluster and --store postgres://" },
    ["no COMMAND"] = { { "--", "true" }, "is not for use with a COMMAND" },
    ["no trace"] = { { "--trace", "t.jsonl" }, "is not for use with --trace" },
  } do
    it("needs " .. name, function()
      local words = { "hub", "--workers", "2" }
      if name ~= "a cluster" then
        table.move({ "--config", folder:write("hub.json", dm.json.encode {
          options = { cluster = { name = "lab" }, store = "postgres:///none" },
        }) }, 1, 2, 4, words)
      end
      table.move(case[1], 1, #case[1], #words + 1, words)
      local result = cli.run(words)
      assert.equal(2, result.status, result.stderr)
      assert(result.stderr:find("--workers " .. case[2], 1, true), result.stderr)
    end)
  end
end)
