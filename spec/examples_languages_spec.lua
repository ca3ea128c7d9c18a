--- The examples for Node, Python and C, as their users run them: `directmethods` is in
-- the PATH, the test starts the hub, or the hub starts the test.

local dm = require "directmethods"
local folders = require "spec.support.folder"
local installed = require "spec.support.installed"
local stage = require "spec.interop.stage"

local TAP = "npm test -- --test-reporter=tap"
local LINES_MAX = 60 -- of a file: a reader takes it in at once

describe("an example", function()
  local bin, copy

  -- A copy of the example's folder, so that nothing is left in the tree.
  before_each(function()
    bin, copy = folders.new(), folders.new()
    installed.into(bin)
  end)
  after_each(function()
    bin:__close()
    copy:__close()
  end)

  -- Run a shell script in the copy; what it printed.
  local function run(name, script, opts)
    opts = opts or {}
    assert(dm.exec { "cp", "-R", "examples/" .. name .. "/.", copy.path })
    local words = installed.sh(bin.path, copy.path, script, opts.variables)
    local result = assert((opts.runner or dm.exec)(words, { timeout = 100 }))
    assert.equal(0, result.status, result.stdout .. result.stderr)
    return result.stdout
  end

  local function count(text, pattern)
    return select(2, text:gsub(pattern, ""))
  end

  describe("for Node passes with Azure's SDKs", function()
    local opts = {
      runner = stage.in_namespace,
      variables = { NODE_PATH = installed.root() .. "/spec/interop/node_modules" },
    }

    it("when the test starts the hub", function()
      assert.equal(4, count(run("node", TAP, opts), "\nok %d"))
    end)

    it("when the hub starts the test", function()
      assert.equal(4, count(run("node", "directmethods hub --device fan "
        .. "--device attic --device pump -- " .. TAP, opts), "\nok %d"))
    end)
  end)

  it("ages an SDK by --speed: it renews its token, and is called each hour", function()
    local printed = run("node",
      "directmethods hub --quiet --speed 240 --device pump -- node ageing.js 2", {
        runner = stage.in_namespace,
        variables = {
          NODE_PATH = installed.root() .. "/spec/interop/node_modules",
          ASAN_OPTIONS = "verify_asan_link_order=0",
        },
      })
    assert.matches("after 1 h: status 200 at [^\n]*, [1-9]%d* renewals\n"
      .. "after 2 h: status 200 at [^\n]*, [1-9]%d* renewals\n", printed)
  end)

  describe("for pytest passes with paho-mqtt and requests", function()
    local pytest = "python3 -B -m pytest -q -p no:cacheprovider"

    it("when the test starts the hub", function()
      assert.matches("%f[%d]3 passed", run("pytest", pytest))
    end)

    it("when the hub starts the test", function()
      assert.matches("%f[%d]3 passed", run("pytest", "directmethods hub --mqtt-port 0 "
        .. "--https-port 0 --device fan --device attic -- " .. pytest))
    end)
  end)

  describe("for C passes with paho.mqtt.c", function()
    it("when the test starts the hub", function()
      assert.equal(5, count(run("c", "make test-own-hub"), "\nok: "))
    end)

    it("when the hub starts the test", function()
      assert.equal(5, count(run("c", "make test"), "\nok: "))
    end)
  end)

  for _, name in ipairs { "node", "pytest", "c" } do
    it(("for %s has at most %d lines a file"):format(name, LINES_MAX), function()
      local found = 0
      local list = assert(dm.exec { "find", "examples/" .. name, "-name",
        "node_modules", "-prune", "-o", "-type", "f", "-print" }).stdout
      for path in list:gmatch "[^\n]+" do
        local lines = 0
        for _ in io.lines(path) do lines = lines + 1 end
        assert(lines <= LINES_MAX, path)
        found = found + 1
      end
      assert.is_true(found >= 3)
    end)
  end
end)
