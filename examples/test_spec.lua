-- A busted spec with the hub inside: `busted examples/test_spec.lua`. No port is
-- fixed, no cloud account needed, and an hour passes in no time.
-- luacheck: std +busted

local dm = require "directmethods"

describe("a door", function()
  local hub, door, service

  setup(function()
    hub = assert(dm.hub {})
    door = hub:device("door", {
      open = function(request)
        if request.payload.code ~= 1234 then return 403, { open = false } end
        return 200, { open = true }
      end,
      open_slowly = function()
        dm.sleep(3600)
        return 200
      end,
    })
    assert(door:connect())
    service = hub:service()
  end)

  teardown(function()
    service:close()
    door:close()
    hub:close()
  end)

  it("opens with the right code", function()
    local reply = assert(service:invoke("door", "open", { code = 1234 }))
    assert.same({ 200, true }, { reply.status, reply.payload.open })
  end)

  it("stays closed with another", function()
    assert.equal(403, assert(service:invoke("door", "open", { code = 1 })).status)
  end)

  it("is given up when it takes longer than a minute", function()
    local call = dm.spawn(function()
      return service:invoke("door", "open_slowly", {}, { response_timeout = 60 })
    end)
    dm.advance(61)
    local reply, err = call:await()
    assert.is_nil(reply)
    assert.equal("GatewayTimeout", err.name)
  end)
end)
