--- hub:snapshot and hub:restore.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"

describe("a snapshot", function()
  local hub, service, owner

  local function start(o)
    hub = fixture.hub(o or { admin_port = 0 })
    service, owner = hub:service(), hub:service "iothubowner"
  end

  before_each(function() start() end)

  after_each(function()
    fixture.finish(hub, service, owner)
  end)

  local function ids()
    local list = {}
    for i, device in ipairs(hub:devices()) do
      list[i] = device.device_id .. " " .. table.concat(device.modules, ",")
    end
    return list
  end

  it("brings back devices, modules and their keys", function()
    hub:add_device "a"
    hub:add_device "gate/lock"
    local before = { hub:connection_string "a", hub:connection_string "gate/lock" }
    assert.is_true(hub:snapshot "s")
    hub:add_device "later/m"
    assert(owner.registry:delete "gate")
    assert(owner.registry:delete "a")
    hub:add_device "a"
    assert.is_true(hub:restore "s")
    assert.same({ "a ", "gate lock" }, ids())
    assert.same(before,
      { hub:connection_string "a", hub:connection_string "gate/lock" })
    assert.is_nil((owner.registry:get "later"))
    assert(hub:add_device "later")
    assert.is_true(hub:restore "s")
    assert.is_true(hub:restore "s")
    assert.same({ "a ", "gate lock" }, ids())
  end)

  it("lets devices that are as they were stay connected", function()
    hub:add_device "same"
    hub:add_device "key"
    hub:add_device "off"
    hub:snapshot "s"
    hub:add_device "new"
    local devices = {}
    for _, id in ipairs { "same", "off", "new" } do
      devices[id] = fixture.device(hub, id)
    end
    assert(owner.registry:update("key",
      { primary_key = "ZGlyZWN0bWV0aG9kcyBwdWJsaWMga2V5OiBmaXJzdCE=" }))
    devices.key = fixture.device(hub, "key")
    assert(hub:restore "s")
    for _, id in ipairs { "new", "key" } do
      assert.is_true(devices[id].wire:wait_closed(), id)
    end
    for _, id in ipairs { "same", "off" } do
      devices[id]:send(mqtt.PINGREQ)
      assert.equal(13, devices[id]:read().type, id)
    end
    for _, device in pairs(devices) do device:close() end
  end)

  it("brings twins back, tells devices, and goes on counting", function()
    local device <close> = hub:device("d", {})
    assert(device:connect())
    assert(owner.twins:patch("d", { tags = { a = 1 },
      properties = { desired = { x = 1, y = { z = 1 } } } }))
    hub:snapshot "s"
    local told = {}
    local raw = fixture.device(hub, "d", { subscribe = false })
    raw:subscribe(0, "$iothub/twin/PATCH/properties/desired/#")
    assert(owner.twins:replace("d", { tags = { b = 2 },
      properties = { desired = { y = { z = 2 }, new = true } } }))
    told[1] = raw:read()
    assert(hub:restore "s")
    told[2] = raw:read()
    local patch = told[2].body:match "{.*$"
    local twin = assert(owner.twins:get "d")
    assert.same({ { a = 1 }, { x = 1, y = { z = 1 } } },
      { twin.tags, { x = twin.properties.desired.x, y = twin.properties.desired.y } })
    assert.is_nil(twin.properties.desired.new)
    patch = assert(dm.json.decode(patch))
    assert.equal(twin.properties.desired["$version"], patch["$version"])
    patch["$version"] = nil
    assert.same({ x = 1, y = { z = 1 }, new = dm.json.null }, patch)
    local version = twin.version
    assert(hub:restore "s")
    assert.equal(version, assert(owner.twins:get "d").version)
    raw:close()
  end)

  it("brings fault rules back, with the times that were left", function()
    hub:add_device "d"
    assert(hub:fault { stage = "http", action = "reject", code = 429001, times = 2 })
    local used = assert(hub:fault { stage = "http", action = "reject", code = 503001,
      times = 1, device = "d" })
    local function code() return select(2, service:invoke("d", "m")).code end
    assert.equal(429001, code())
    hub:snapshot "s"
    assert.same({ 429001, 503001, 404103 }, { code(), code(), code() })
    assert.equal(1, used.hits)
    hub:fault { stage = "http", action = "reject", code = 500001 }
    assert(hub:restore "s")
    assert.same({ 429001, 503001, 404103 }, { code(), code(), code() })
  end)

  it("brings jobs back: those that were to start start", function()
    hub:add_device "d"
    assert(service.jobs:schedule { id = "j", method = "m", query = "*", delay = 50 })
    hub:snapshot "s"
    assert(service.jobs:schedule { id = "late", method = "m", query = "*", delay = 50 })
    assert(service.jobs:get "j":cancel())
    assert(hub:restore "s")
    local list = service.jobs:list():all()
    assert.same({ "j", "scheduled", nil }, { list[1].id, list[1].status, list[2] })
    local device <close> = hub:device("d", { m = function() return 200 end })
    assert(device:connect())
    dm.advance(51)
    assert.equal("completed", assert(service.jobs:get "j":await(60)).status)
    hub:snapshot "done"
    assert(hub:reset())
    assert(hub:restore "done")
    assert.equal("completed", assert(service.jobs:get "j":status()).status)
  end)

  it("brings canned answers of the admin listener back", function()
    local function put(id, methods)
      assert.equal(200, (admin.ask(hub, "PUT", "/devices/" .. id,
        { body = { methods = methods } })))
    end
    local function status(id)
      local reply, err = service:invoke(id, "on")
      return reply and reply.status or err.code
    end
    put("lamp", { on = { status = 201 } })
    put("fan", { on = { { status = 503 }, { status = 200 } } })
    hub:snapshot "s"
    put("lamp", { on = { status = 202 } })
    put("new", { on = {} })
    assert.same({ 503, 200, 202 }, { status "fan", status "fan", status "lamp" })
    assert(hub:restore "s")
    assert.same({ 503, 200, 201, 404001 },
      { status "fan", status "fan", status "lamp", status "new" })
    admin.ask(hub, "DELETE", "/devices/lamp")
    assert(hub:restore "s")
    assert.equal(201, status "lamp")
  end)

  it("is bounded in number, names and size", function()
    for _, wrong in ipairs { "", "a b", ("x"):rep(65), 1 } do
      assert.error_matches(function() hub:snapshot(wrong) end,
        "^hub:snapshot: name must")
    end
    for i = 1, 16 do assert.is_true(hub:snapshot("s" .. i)) end
    local done, err = hub:snapshot "more"
    assert.same({ nil, "LimitExceeded" }, { done, err.name })
    assert.is_true(hub:snapshot "s1")
    hub:drop_snapshot "s2"
    assert.is_true(hub:snapshot "more")
    assert.equal(16, #hub:snapshots())
    assert.error_matches(function() hub:restore "mroe" end,
      "^hub:restore: 'mroe' is no snapshot of this hub .*'more'")
    for i = 1, 1001 do assert(hub:add_device("d" .. i)) end
    assert(hub:snapshot "s1")
    local shown = hub:snapshots()[2]
    assert.same({ "s1", 1001, 0 }, { shown.name, shown.identities, shown.jobs })
    assert(hub:restore "s3")
    assert.equal(0, hub:metrics().identities)
    assert(hub:restore "s1")
    assert.equal(1001, hub:metrics().identities)
  end)

  it("is there for every language", function()
    hub:add_device "a"
    local function ask(...)
      local status, body = admin.ask(hub, ...)
      return { status, body }
    end
    local made = ask("POST", "/snapshots/ready")
    assert.same({ 200, "ready", 1 }, { made[1], made[2].name, made[2].identities })
    hub:add_device "b"
    assert.same({ 204 }, ask("POST", "/snapshots/ready/restore"))
    assert.same({ "a " }, ids())
    assert.same({ 200, { made[2] } }, ask("GET", "/snapshots"))
    assert.equal(404, ask("POST", "/snapshots/other/restore")[1])
    assert.equal(400, ask("POST", "/snapshots/a%20b")[1])
    assert.same({ 204 }, ask("DELETE", "/snapshots/ready"))
    assert.equal(404, ask("DELETE", "/snapshots/ready")[1])
  end)

  it("works on a store in a file", function()
    local stores = require "spec.support.stores"
    local folder = stores.folder()
    finally(function() stores.remove(folder) end)
    fixture.finish(hub, service, owner)
    start { store = folder .. "/hub.db" }
    hub:add_device "a"
    local before = hub:connection_string "a"
    hub:snapshot "s"
    assert(owner.registry:delete "a")
    assert(hub:restore "s")
    fixture.finish(hub, service, owner)
    start { store = folder .. "/hub.db" }
    assert.equal(before, hub:connection_string "a")
  end)
end)
