-- Where log lines go.

local dm = require "directmethods"
local core = require "directmethods.core"
local task = require "directmethods.task"

describe("a sink of the log", function()
  local stderr, written

  before_each(function()
    stderr, written = io.stderr, {}
    io.stderr = {
      write = function(_, ...) table.insert(written, table.concat { ... }) end,
    }
  end)

  after_each(function()
    io.stderr = stderr
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
end)
