-- The calls of all hubs of a cluster, on a real PostgreSQL and a real NATS server.

local admin = require "spec.support.admin"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local nats = require "spec.support.nats"
local postgres = require "spec.support.postgres"

local WAIT = 30 -- seconds, at most

describe("the calls of all hubs", function()
  local database, server, a, b, device, service, clients
  local id_a, id_b

  local function start(store)
    return fixture.hub { store = store, admin_port = 0,
      cluster = { name = "lab", url = server:url() } }
  end

  local function until_true(fn)
    assert(dm.wait_until(fn, WAIT))
  end

  setup(function()
    database, server = postgres.server(), nats.server()
    local store = database:new_url()
    a, b = start(store), start(store)
    id_a, id_b = a.state.cluster.id, b.state.cluster.id
    assert(a:add_device "dev1")
    until_true(function() return b.state.plane:identity "dev1" end)
    device = b:device("dev1", {
      work = function(request) return 200, request.payload end,
      big = function() return 200, ("y"):rep(9000) end,
    }, { api_version = fixture.NEW })
    assert(device:connect())
    service = a:service(nil, { api_version = fixture.NEW })
    until_true(function() return service:invoke("dev1", "work") end)
    until_true(function() return a.state.cluster:others()[1] end)
    until_true(function() return b.state.cluster:others()[1] end)
  end)

  teardown(function()
    b:close()
    fixture.finish(a, device, service)
    fixture.finish(b)
    server:close()
    database:close()
  end)

  before_each(function()
    clients = {}
    assert(a:delete_calls {} == 0)
    for _, hub in ipairs { a, b } do
      local ids = {}
      for i, call in ipairs(hub:calls()) do ids[i] = call.id end
      hub:delete_calls(ids)
    end
  end)
  after_each(function()
    for _, client in ipairs(clients) do client:close() end
  end)

  local function call(method, payload)
    return assert(service:invoke("dev1", method, payload))
  end

  local function foreign_hub() return nats.foreign_hub(server, clients) end

  local function get(hub, path)
    return admin.ask(hub, "GET", path)
  end

  local function dropped(hub, why)
    return hub:counters()["bus_" .. why]
  end

  it("show both parts of a call between two of them", function()
    call("work", { n = 1 })
    for _, hub in ipairs { a, b } do
      local found = assert(hub:cluster_calls())
      assert.same({}, found.missing)
      assert.equal(2, #found.calls)
      local asking, holder = found.calls[1], found.calls[2]
      if asking.hub == id_b then asking, holder = holder, asking end
      assert.equal(asking.cluster_call, holder.cluster_call)
      assert.same({ id_a, id_b }, { asking.hub, asking.called_by, asking.asked_by })
      assert.same({ id_b, id_a }, { holder.hub, holder.asked_by, holder.called_by })
      assert.same({ '{"n":1}', '{"n":1}' }, { holder.payload, holder.response })
      local own = hub == a and asking or holder
      local kept = hub:calls()[1]
      kept.hub = own.hub
      assert.same(kept, own)
    end
  end)

  it("are selected and counted at each of them", function()
    for i = 1, 3 do call("work", i) end
    call("big")
    local found = assert(a:cluster_calls {
      method = "work", last = 2, payloads = false,
    })
    assert.equal(2, #found.calls)
    local left = 0
    for _, each in ipairs(found.hubs) do left = left + each.left_out end
    assert.equal(4, left)
    assert.is_nil(found.calls[1].payload)
    assert.equal(2, #found.hubs)
    found = assert(a:cluster_calls { hub = id_b, method = "work" })
    assert.same({ { id = id_b, left_out = 0 } }, found.hubs)
    assert.same({ "1", "2", "3" }, { found.calls[1].payload, found.calls[2].payload,
      found.calls[3].payload })
    assert.equal(0, #assert(a:cluster_calls { last = 0 }).calls)
    assert.equal(0, #assert(a:cluster_calls { device = "nobody" }).calls)
    local one = assert(b:cluster_calls { hub = id_b, id = found.calls[2].id })
    assert.equal("2", one.calls[1].payload)
  end)

  it("are at most half a megabyte of each, in several messages", function()
    local text = ("x"):rep(9000)
    for _ = 1, 50 do call("big", text) end
    local found = assert(a:cluster_calls { hub = id_b })
    local last = found.calls[#found.calls]
    assert.is_true(#found.calls >= 25 and #found.calls < 40)
    assert.equal(50 - #found.calls, found.hubs[1].left_out)
    assert.same({ true, true, 8192, 9002 }, { last.payload_cut, last.response_cut,
      #last.payload, last.request_size })
    local calls = b:calls()
    assert.equal(calls[#calls].id, last.id)
  end)

  it("are shown by the admin listener", function()
    call("work", { n = 1 })
    call("big")
    local status, found = get(a, "/calls?hubs=all&device=dev1&since=0")
    assert.equal(200, status)
    assert.same({ 4, 2, 0 }, { #found.calls, #found.hubs, #found.missing })
    for _, each in ipairs(found.calls) do
      if each.method == "work" then
        assert.same({ n = 1 }, each.payload)
      else
        assert.equal(8192, #each.response_text)
        assert.is_true(each.response_cut)
        assert.is_nil(each.response)
      end
    end
    status, found = get(b, "/calls?hubs=all&last=1&payloads=0&method=work")
    assert.equal(200, status)
    assert.equal(1, #found.calls)
    assert.is_nil(found.calls[1].payload)
    assert.equal(400, (get(a, "/calls?hubs=some")))
    assert.equal(400, (get(a, "/calls?hubs=all&last=1001")))
    assert.equal(400, (get(a, "/calls?hubs=all&device=%FF")))
  end)

  it("are shown one by one", function()
    call("work", { n = 1 })
    local kept = b:calls()[1]
    local path = ("/calls/%d?hub="):format(kept.id)
    local status, shown = get(a, path .. id_b)
    assert.equal(200, status)
    assert.same({ id_b, id_a, { n = 1 }, '{"n":1}' },
      { shown.hub, shown.asked_by, shown.payload, shown.response_text })
    assert.equal(200, (get(b, path .. id_b)))
    assert.equal(404, (get(a, "/calls/99999?hub=" .. id_b)))
    assert.equal(404, (get(a, "/calls/x?hub=" .. id_b)))
    local why
    status, why = get(a, path .. "gone")
    assert.same({ 503, "The hub of the call does not reply." }, { status, why.Message })
  end)

  it("name the hubs that do not reply", function()
    local client = foreign_hub()
    a.state.cluster.others = function() return { "h9", id_b, "gone" } end
    call("work")
    local found = assert(a:cluster_calls())
    a.state.cluster.others = nil
    assert.equal("question", (nats.read(client:message().bytes)))
    assert.same({ "h9", "gone" }, found.missing)
    assert.equal(2, #found.calls)
  end)

  -- What a is told when h9 replies with this text.
  local function told(client, text)
    local asked = dm.spawn(a.cluster_calls, a, { hub = "h9" })
    local _, id = nats.read(assert(client:message()).bytes)
    client:publish("dm.lab.hub." .. id_a, nats.wire("reply", "lab", "h9",
      string.pack(">I8i4i4", id, 1, 0) .. nats.text(text)))
    return assert(asked:await())
  end

  local CALL = '{"id":1,"time":2,"device_id":"d","method":"m","outcome":"Answered",'
    .. '"status":200,"code":0,"http_status":200,"elapsed":0.5,"stages":{"received":0},'
    .. '"request_size":0,"response_size":0%s}'

  it("take no reply that is malformed, and nothing unknown of another", function()
    local client = foreign_hub()
    local before, wrong = dropped(a, "malformed"), { "", "[]", "1", '{"found":1}',
      '{"found":"1","calls":[]}', '{"found":1,"calls":[1]}', '{"found":1,"calls":[{}]}',
    }
    for _, more in ipairs { ',"rid":1', ',"faults":[1]', ',"elapsed":1e400',
      ',"stages":{"received":"now"}', ',"code":1.5', ',"payload_cut":"yes"' } do
      wrong[#wrong + 1] = ('{"found":1,"calls":[%s]}'):format(CALL:format(more))
    end
    for i, text in ipairs(wrong) do
      assert.same({ "h9" }, told(client, text).missing, text)
      assert.equal(before + i, dropped(a, "malformed"), text)
    end
    local found = told(client, ('{"found":3,"calls":[%s]}'):format(
      CALL:format ',"job_id":"\\ud800","key":"x","hub":"lie"'))
    assert.same({ {
      id = 1, time = 2, device_id = "d", method = "m", outcome = "Answered",
      status = 200, code = 0, http_status = 200, elapsed = 0.5,
      stages = { received = 0 }, request_size = 0, response_size = 0, hub = "h9",
      job_id = found.calls[1].job_id,
    } }, found.calls)
    assert.same({ { id = "h9", left_out = 2 } }, found.hubs)
  end)

  it("are not told to who asks wrongly", function()
    local client = foreign_hub()
    local before = dropped(a, "malformed")
    for i, text in ipairs { "{}", "x", '{"calls":{}}', '{"calls":{"last":-1}}',
      '{"calls":{"last":1001}}', '{"calls":{"last":1,"device":1}}', '{"calls":3}' } do
      client:publish("dm.lab.hub." .. id_a, nats.wire("question", "lab", "h9",
        string.pack(">I8I8", i, i) .. nats.text(text)))
      until_true(function() return dropped(a, "malformed") == before + i end)
    end
    client:publish("dm.lab.hub." .. id_a, nats.wire("question", "lab", "h9",
      string.pack(">I8I8", 8, 8) .. nats.text '{"calls":{"last":1}}'))
    assert.same({ "reply", 8 }, { nats.read(client:message().bytes) })
  end)

  it("are asked for in the right way", function()
    for option, value in pairs { device = 1, last = 1001, since = "x", hub = false,
      method = "\xFF", outcome = ("x"):rep(1025), nothing = 1 } do
      assert.error_matches(function() a:cluster_calls { [option] = value } end,
        "hub:cluster_calls: .*option '" .. option .. "'")
    end
  end)

  it("cannot be had without NATS", function()
    server:stop()
    until_true(function() return not a.state.bus:connected() end)
    local found, err = a:cluster_calls()
    assert.is_nil(found)
    assert.equal(503001, err.code)
    local status, why = get(a, "/calls?hubs=all")
    assert.equal(503, status)
    assert.matches("no connection to a NATS server", why.Message)
    server:start()
    until_true(function() return a:cluster_calls() end)
  end)
end)

describe("a hub that cannot ask others", function()
  it("is alone", function()
    local hub = fixture.hub { admin_port = 0 }
    assert.error_matches(function() hub:cluster_calls() end,
      "hub:cluster_calls: the hub is in no cluster: the option cluster is not set")
    for _, path in ipairs { "/calls?hubs=all", "/calls/1?hub=x" } do
      local status, why = admin.ask(hub, "GET", path)
      assert.equal(400, status)
      assert.matches("the hub is in no cluster", why.Message)
    end
    fixture.finish(hub)
  end)

  it("has no cluster.url", function()
    local database = postgres.server()
    local hub = fixture.hub { store = database:new_url(), cluster = { name = "lab" } }
    assert.error_matches(function() hub:cluster_calls() end,
      "hub:cluster_calls: .*cluster.url is not set")
    fixture.finish(hub)
    database:close()
  end)
end)
