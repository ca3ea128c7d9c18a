-- Where log lines go.

local dm = require "directmethods"
local core = require "directmethods.core"
local task = require "directmethods.task"

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
