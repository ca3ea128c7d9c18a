-- A test with the hub inside: busted --lua=lua5.4 examples/test_spec.lua
-- No port is fixed, no cloud account needed, and an hour passes in no time. See
-- docs/testing.md.
-- luacheck: std +busted

local dm = require "directmethods"
local testing = require "directmethods.testing"

describe("a door", function()
  local t

  before_each(function()
    t = testing.new {}
    t:device("door", {
      open = function(request)
        if request.payload.code ~= 1234 then return 403, { open = false } end
        return 200, { open = true }
      end,
      open_slowly = function()
        dm.sleep(3600)
        return 200
      end,
    })
  end)

  after_each(function() t:close() end)

  it("opens with the right code", function()
    local reply = assert(t.service:invoke("door", "open", { code = 1234 }))
    assert.answered(200, reply)
    assert.is_true(reply.payload.open)
  end)

  it("stays closed with another", function()
    t:expect_call("door", "open", { code = 1 })
    assert.answered(403, t.service:invoke("door", "open", { code = 1 }))
  end)

  it("is given up when it takes longer than a minute", function()
    local call = dm.spawn(function()
      return t.service:invoke("door", "open_slowly", {}, { response_timeout = 60 })
    end)
    t:advance(61)
    assert.failed_with("GatewayTimeout", call:await())
  end)
end)
