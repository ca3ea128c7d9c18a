--- Lists and queries of many devices are read and answered in parts: no read of the
--- store gives more rows than a slice of the loop has time for.

local background = require "directmethods.hub.background"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local identities = require "spec.bench.identities"
local rest = require "spec.support.rest"

local COUNT = 250
local READ_MAX = 100 -- rows

describe("many devices", function()
  local hub, most, reads

  before_each(function()
    hub = fixture.hub()
    identities.fill(hub, COUNT, 50)
    local db = hub.state.store.db
    most, reads = 0, 0
    function db:read(list)
      local results, err = getmetatable(db).__index.read(self, list)
      local rows = 0
      for _, result in ipairs(results or {}) do rows = rows + #result end
      most, reads = math.max(most, rows), reads + 1
      return results, err
    end
  end)

  after_each(function() fixture.finish(hub) end)

  local function ids_of(reply)
    local ids = {}
    for i, each in ipairs(rest.read(reply)) do ids[i] = each.deviceId end
    return ids
  end

  local function expected(count)
    local ids = {}
    for i = 1, count do ids[i] = identities.id_of(i) end
    return ids
  end

  it("are listed in parts", function()
    for _, top in ipairs { 1, 99, 100, 101, 200, 249, 250, 251, 1000 } do
      local reply = rest.ask(hub, "GET", "/devices", nil, { query = "top=" .. top })
      assert.same(expected(math.min(top, COUNT)), ids_of(reply))
    end
    assert.is_true(most > 0 and most <= READ_MAX, most)
  end)

  it("are told whole, some of them at a time", function()
    local reply = rest.ask(hub, "POST", "/devices/query",
      dm.json.encode { query = "SELECT * FROM devices" },
      { headers = { "x-ms-max-item-count: 1000" } })
    assert.same(expected(COUNT), ids_of(reply))
    assert.is_true(most <= READ_MAX, most)
    assert.is_true(reads < COUNT / 4, reads)
  end)

  it("are told in their order where a condition leaves some of them out", function()
    local reply = rest.ask(hub, "POST", "/devices/query",
      dm.json.encode { query = "SELECT * FROM devices WHERE tags.site = 'north'" },
      { headers = { "x-ms-max-item-count: 1000" } })
    local ids = ids_of(reply)
    assert.equal(50, #ids)
    for i, id in ipairs(ids) do assert.equal(identities.id_of(i * 5), id) end
  end)
end)

describe("work whose slices are over at once", function()
  local hub, deadline, pauses

  before_each(function()
    hub, deadline, pauses = fixture.hub(), background.deadline, 0
    function background.deadline() return 0 end
    local pause = hub.state.background.pause
    function hub.state.background:pause()
      pauses = pauses + 1
      return pause(self)
    end
  end)

  after_each(function()
    background.deadline = deadline
    fixture.finish(hub)
  end)

  local function bulk(o)
    local entries = {}
    for i = 1, o.count do
      entries[i] = { id = identities.id_of(i), importMode = o.mode, tags = o.tags }
    end
    return dm.json.encode(entries)
  end

  it("pauses for each entry of a bulk, twice", function()
    rest.read(rest.ask(hub, "POST", "/devices", bulk { count = 20, mode = "create" }))
    assert.is_true(pauses >= 40, pauses)
    assert.equal(20, #rest.read(rest.ask(hub, "GET", "/devices")))
    assert.is_true(pauses >= 60, pauses)
  end)

  it("is done whole, one after the other, where bulks meet", function()
    local owner <close> = hub:service("iothubowner")
    local tasks = {}
    for i = 1, 4 do
      tasks[i] = function()
        local entries = {}
        for n = 1, 20 do
          entries[n] = { id = identities.id_of(n), tags = { by = i } }
        end
        return assert(owner.registry:bulk(entries)).ok
      end
    end
    assert.same({ true, true, true, true }, (dm.all(tasks)))
    local by = owner.twins:get(identities.id_of(1)).tags.by
    for n = 2, 20 do
      assert.equal(by, owner.twins:get(identities.id_of(n)).tags.by)
    end
  end)
end)
