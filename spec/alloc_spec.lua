-- The main path with one allocation after another failing: nothing may crash, hang
-- or stay behind. Needs the sanitized interpreter, which makes them fail and finds
-- what is lost; elsewhere there is nothing to run.

if not rawget(_G, "fail_alloc") then return end

local dm = require "directmethods"
local scarce = require "spec.support.scarce"

local SEED = 20261122

describe("a failing allocation", function()
  setup(function()
    dm.log { level = "off" }
    assert.equal('["x"]', scarce.main_path())
  end)

  teardown(function() dm.log { level = "warn" } end)

  it("of ours ends in an error, or is done without", function()
    local n, failed, ok, result = 0
    repeat
      n = n + 1
      failed, ok, result = scarce.failing("c", n)
      assert.is_true(not ok or result == '["x"]')
    until not failed
    assert.is_true(ok, result)
    assert.is_true(n > 50)
  end)

  -- In a process of its own, which does not look for leaks: cjson has one then.
  it("of Lua ends in an error", function()
    local code = ([[require("spec.support.scarce").sample_lua(40, %d)
      os.exit(true)]]):format(SEED)
    local result = assert(dm.exec({ "env", "ASAN_OPTIONS=detect_leaks=0",
      os.getenv("LUA") or arg[-1], "-e", code }, { timeout = 100 }))
    assert.equal('40 of 40, then ["x"]\n', result.stdout, result.stderr)
    assert.equal(0, result.status)
  end)
end)
