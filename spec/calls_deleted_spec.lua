-- Calls that a user deletes: from Lua, at the admin listener, and in streams of events.

local admin = require "spec.support.admin"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local wires = require "spec.support.wire"

describe("calls that are deleted", function()
  local hub, service

  local function open(o)
    hub = fixture.hub(o or { admin_port = 0 })
    service = hub:service()
  end

  -- Calls of nobody, which end at once: their ids are 1, 2, ...
  local function call(count)
    for i = 1, count do service:invoke("nobody", "m", i) end
  end

  before_each(function()
    open()
    call(5)
  end)

  after_each(function()
    service:close()
    fixture.finish(hub)
  end)

  local function ids()
    local list = {}
    for i, each in ipairs(hub:calls()) do list[i] = each.id end
    return list
  end

  describe("from Lua", function()
    it("are gone, and the others stay with their payloads", function()
      assert.equal(2, hub:delete_calls { 4, 2 })
      assert.same({ 1, 3, 5 }, ids())
      assert.equal("3", hub:calls { id = 3 }[1].payload)
      assert.same({}, hub:calls { id = 2 })
    end)

    it("leave counters and later ids as they are", function()
      assert.equal(1, hub:delete_calls { 5 })
      call(1)
      assert.same({ 1, 2, 3, 4, 6 }, ids())
      assert.equal(6, hub:metrics().outcomes.DeviceNotFound)
    end)

    it("are not counted if they were gone before", function()
      assert.equal(1, hub:delete_calls { 1 })
      assert.equal(1, hub:delete_calls { 1, 2, 2 })
      assert.equal(0, hub:delete_calls {})
      assert.same({ 3, 4, 5 }, ids())
    end)

    it("make room like others, and are no hole in the memory", function()
      service:close()
      fixture.finish(hub)
      open { limits = { trace_bytes = 16384 } }
      call(200)
      local kept = ids()
      assert.is_true(kept[1] > 1)
      assert.equal(2, hub:delete_calls { kept[1], kept[#kept] })
      call(200)
      kept = ids()
      assert.equal(400, kept[#kept])
      assert.equal(kept[#kept] - #kept + 1, kept[1])
    end)

    it("have ended: wrong ids raise, and nothing is deleted", function()
      for _, wrong in ipairs { 6, 0, -1, 1.5, "1" } do
        assert.error_matches(function() hub:delete_calls { 1, wrong } end,
          "hub:delete_calls: ids%[2%] must be the id of a call that has ended")
      end
      for _, wrong in ipairs { 3, "3", { id = 3 } } do
        assert.error_matches(function() hub:delete_calls(wrong) end,
          "hub:delete_calls: ids must be a list")
      end
      assert.error_matches(function() hub:delete_calls() end,
        "hub:delete_calls: ids must be a list")
      assert.same({ 1, 2, 3, 4, 5 }, ids())
    end)
  end)

  describe("at the admin listener", function()
    it("are named in the query, or one in the path", function()
      local status, body = admin.ask(hub, "DELETE", "/calls?ids=2,4")
      assert.same({ 200, { deleted = 2 } }, { status, body })
      assert.same({ 1, 3, 5 }, ids())
      status, body = admin.ask(hub, "DELETE", "/calls?ids=1,2")
      assert.same({ 200, { deleted = 1 } }, { status, body })
      assert.equal(204, (admin.ask(hub, "DELETE", "/calls/3")))
      assert.equal(404, (admin.ask(hub, "DELETE", "/calls/3")))
      assert.same({ 5 }, ids())
    end)

    it("must be named: without ids nothing is deleted", function()
      for _, query in ipairs { "", "?ids=", "?ids=a", "?ids=1,,2", "?ids=1;2",
        "?ids=1.5", "?device=nobody" } do
        assert.equal(400, (admin.ask(hub, "DELETE", "/calls" .. query)), query)
      end
      assert.equal(5, #ids())
    end)

    it("have ended: one that is under way is refused, and stays", function()
      hub:add_device "d1"
      local device = fixture.device(hub, "d1")
      local wire = wires.connect(hub:ports().admin)
      wire:send(http.request(admin.request(hub, "POST", "/devices/d1/methods/m")))
      local _, rid = device:request()
      for _, target in ipairs { "/calls/6", "/calls?ids=1,6" } do
        local status, body = admin.ask(hub, "DELETE", target)
        assert.equal(400, status)
        assert.matches("must be the id of a call that has ended", body.Message)
      end
      device:answer(rid, 200)
      assert.equal(200, http.read(wire).status)
      wire:close()
      device:close()
      assert.same({ 1, 2, 3, 4, 5, 6 }, ids())
      assert.equal(204, (admin.ask(hub, "DELETE", "/calls/6")))
    end)
  end)
end)
