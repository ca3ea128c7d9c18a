-- Where log lines go.

local dm = require "directmethods"
local core = require "directmethods.core"
local fixture = require "spec.support.fixture"
local hub_process = require "spec.support.hub_process"
local stores = require "spec.support.stores"
local task = require "directmethods.task"
local wire = require "spec.support.wire"

describe("a sink of the log", function()
  local stderr, written

  before_each(function()
    stderr, written = io.stderr, {}
    rawset(io, "stderr", {
      write = function(_, ...) table.insert(written, table.concat { ... }) end,
    })
  end)

  after_each(function()
    rawset(io, "stderr", stderr)
    dm.log { level = "warn" }
    task.cancel_all()
  end)

  it("is called at once, whatever else the loop waits for", function()
    local called
    dm.log { sink = function() called = called or dm.now() end }
    dm.spawn(error, "lost")
    local began = dm.now()
    dm.sleep(0.5)
    assert.is_truthy(called, "it was not called")
    assert.is_true(called - began < 0.4)
    assert.same({}, written)
  end)

  it("is not told that it failed itself", function()
    local calls = 0
    dm.log { sink = function()
      calls = calls + 1
      error("the sink is broken")
    end }
    core.log("warn", "one line")
    dm.sleep(0.05)
    assert.equal(1, calls)
    assert.equal("directmethods: warn: one line\n", written[1])
    assert.matches("^directmethods: error: the log's sink failed: .*broken\n$",
      written[2])
    assert.is_nil(written[3])
  end)
end)

describe("a log that nobody reads", function()
  local folder, process

  before_each(function()
    folder = stores.folder()
  end)

  after_each(function()
    process:close()
    stores.remove(folder)
  end)

  it("holds up nobody; what was lost is counted (74)", function()
    -- nobody reads the hub's stderr until there is a file "go"
    local reader = ([[cd '%s'; while [ ! -e go ]; do sleep 0.02; done; cat >log]])
      :format(folder)
    process = hub_process.start(folder, { "--plain" },
      { "sh", "-c", [["$@" 2>&1 >/dev/null | { ]] .. reader .. "; }", "sh" })
    process:serves()
    local device, name = ("d"):rep(128), ("m"):rep(100)
    local call = { device = device, body = ('{"methodName":"%s"}'):format(name),
      wire = wire.connect(process:ports().https) }
    local CALLS = 600 -- of 300 bytes each: more than two pipes hold
    for _ = 1, CALLS do assert.equal(404, fixture.call(process, call).status) end
    stores.write(folder .. "/go", "")
    assert(dm.wait_until(function()
      fixture.call(process, call)
      local file <close> = io.open(folder .. "/log")
      return file and file:read("a"):find("lines were lost", 1, true)
    end, 10))
    call.wire:close()
    process:kill("sigterm")
    process:ended()
    local lines, lost = 0, nil
    for line in io.lines(folder .. "/log") do
      lost = lost or line:match("^directmethods: warn: (%d+) lines were lost: ")
      if line:find(name, 1, true) then lines = lines + 1 end
    end
    assert.is_true(tonumber(lost) > 100 and tonumber(lost) < CALLS, lost)
    assert.is_true(lines > 100)
  end)
end)
