-- The bus between hubs of one name, on a real NATS server.

local cluster_core = require "directmethods.cluster_core"
local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local folders = require "spec.support.folder"
local http = require "spec.support.http"
local nats = require "spec.support.nats"
local pem = require "spec.support.pem"
local task = require "directmethods.task"
local uv = require "luv"

local MODE = os.getenv "MODE" or "release"
local KEY = "a2V5IG9mIHRoZSBkZXZpY2VzIG9mIHNwZWNz" -- of all devices

-- Open a bus: the bus, or nil, name, message.
local function open(opts)
  local bus, id, message = cluster_core.bus(core.loop, opts)
  if not bus then return nil, id, message end
  local event, name, why = task.wait(id)
  if event == "open" then return bus end
  bus:close()
  return nil, name, why
end

local function options(server, hub, more)
  local o = { urls = server:url(), cluster = "lab", hub = hub }
  for name, value in pairs(more or {}) do o[name] = value end
  return o
end

-- Hubs of one name, with the same devices, and their buses.
local function new_world(server, ids)
  local world = { hubs = {}, buses = {}, clients = {} }

  for _, id in ipairs(ids) do
    local hub = fixture.hub()
    local bus = assert(open(options(server, id)))
    local functions, context = bus:join(hub.state.plane:bus_events())
    hub.state.plane:join(functions, context, id)
    world.hubs[id], world.buses[id] = hub, bus
    for _, device in ipairs { "dev1", "a.b", "*" } do
      assert(hub:add_device(device, { primary_key = KEY }))
    end
  end

  function world.device(id, name, handlers)
    local device = world.hubs[id]:device(name, handlers)
    table.insert(world.clients, device)
    assert(device:connect())
    return device
  end

  function world.service(id)
    local service = world.hubs[id]:service()
    table.insert(world.clients, service)
    return service
  end

  -- Wait until a hub's calls reach the device: its interest takes a moment.
  function world.reachable(id, device)
    local service = world.service(id)
    assert(dm.wait_until(function()
      return service:invoke(device, "ping", nil, { response_timeout = 5 })
    end))
    return service
  end

  function world.dropped(id, why)
    return world.buses[id]:dropped()[why]
  end

  function world.close()
    for _, client in ipairs(world.clients) do client:close() end
    for _, hub in pairs(world.hubs) do hub:close() end
    for _, hub in pairs(world.hubs) do fixture.finish(hub) end
    for _, bus in pairs(world.buses) do bus:close() end
  end

  return world
end

describe("the bus", function()
  local server, world

  setup(function() server = nats.server() end)
  teardown(function() server:close() end)

  before_each(function() world = new_world(server, { "h1", "h2" }) end)
  after_each(function() world.close() end)

  local function ping() return 200, "pong" end

  it("takes a call to the hub that has the device", function()
    world.device("h2", "dev1", { ping = ping })
    local service = world.reachable("h1", "dev1")
    local result = assert(service:invoke("dev1", "ping", { n = 1 }))
    assert.same({ 200, "pong" }, { result.status, result.payload })
  end)

  it("says at once that nobody has a device", function()
    local result, err = world.service("h1"):invoke("dev1", "ping")
    assert.is_nil(result)
    assert.equal(404103, err.code)
  end)

  it("keeps ids apart that mean something to NATS", function()
    world.device("h2", "*", { ping = ping })
    local service = world.reachable("h1", "*")
    local _, err = service:invoke("dev1", "ping")
    assert.equal(404103, err.code)
    _, err = service:invoke("a.b", "ping")
    assert.equal(404103, err.code)
  end)

  it("tells a caller that waits when its device comes to another hub", function()
    local service = world.service("h1")
    local call = dm.spawn(service.invoke, service, "dev1", "ping", nil,
      { connect_timeout = 30 })
    assert(dm.wait_until(function()
      return world.hubs.h1:counters().calls_asked > 0
    end))
    world.device("h2", "dev1", { ping = ping })
    assert.equal(200, assert(call:await()).status)
  end)

  -- A foreign hub -------------------------------------------------------------

  -- A client that plays the hub "h9", which has the device "dev1".
  local function foreign_hub()
    local client = nats.foreign_hub(server, world.clients)
    return client:subscribe("dm.lab.call.dev1", "holder")
  end

  local function from_h9(kind, fields)
    return nats.wire(kind, "lab", "h9", fields)
  end

  -- Have the foreign hub take the next call of h1: its id there.
  local function take(client)
    local kind, id
    repeat kind, id = nats.read(assert(client:message()).bytes) until kind == "call"
    client:publish("dm.lab.hub.h1", from_h9("taken", string.pack(">I8", id)))
    return id
  end

  -- Have h1 call dev1, whose call the foreign hub takes: the call's task, its id there.
  local function taken_by(client)
    local service = world.service("h1")
    local call = dm.spawn(service.invoke, service, "dev1", "ping", nil,
      { response_timeout = 60 })
    return call, take(client)
  end

  -- h1 asks for life after it has seen that its call was taken.
  local function wait_asked(client)
    repeat until nats.read(assert(client:message()).bytes) == "ping"
  end

  it("ends the calls of a hub that is dead", function()
    local client = foreign_hub()
    local call = taken_by(client)
    client:close()
    local result, err = call:await()
    assert.is_nil(result)
    assert.equal(404104, err.code)
  end)

  it("ends the calls of a hub that is silent", function()
    local client = foreign_hub()
    local call = taken_by(client)
    local _, err = call:await()
    assert.equal(404104, err.code)
    client:flush()
    local kinds = {}
    while #client.messages > 0 do
      kinds[#kinds + 1] = nats.read(client:message().bytes)
    end
    assert.equal("ping ping ping ping", table.concat(kinds, " "))
  end)

  it("lets a hub that gives signs of life take its time", function()
    local client = foreign_hub()
    local call, id = taken_by(client)
    for _ = 1, 6 do
      wait_asked(client)
      client:publish("dm.lab.hub.h1", from_h9("pong"))
    end
    client:publish("dm.lab.hub.h1", from_h9("answered",
      string.pack(">I8i4", id, 201) .. nats.text("7")))
    local result = assert(call:await())
    assert.same({ 201, 7 }, { result.status, result.payload })
  end)

  it("tells a hub that its caller has left", function()
    local client = foreign_hub()
    local call, id = taken_by(client)
    wait_asked(client)
    call:cancel()
    local kind, cancelled
    repeat kind, cancelled = nats.read(assert(client:message()).bytes)
    until kind == "cancel"
    assert.equal(id, cancelled)
  end)

  -- Bad messages --------------------------------------------------------------

  -- bytes nil: NATS's answer "nobody is there".
  local function dropped_by(why, subject, bytes)
    local client = nats.client(server)
    table.insert(world.clients, client)
    local before = world.dropped("h1", why)
    if bytes then client:publish(subject, bytes) else client:publish_nobody(subject) end
    assert(dm.wait_until(function() return world.dropped("h1", why) == before + 1 end))
  end

  it("drops and counts what is malformed", function()
    dropped_by("malformed", "dm.lab.hub.h1", "")
    dropped_by("malformed", "dm.lab.hub.h1", "\1")
    dropped_by("malformed", "dm.lab.all", ("\1"):rep(1000))
    dropped_by("malformed", "dm.lab.hub.h1", from_h9("taken"))
    dropped_by("malformed", "dm.lab.hub.h1", from_h9("pong", "x"))
    dropped_by("newer", "dm.lab.hub.h1", "\2" .. from_h9("pong"):sub(2))
  end)

  it("drops and counts what is too long, unread", function()
    dropped_by("oversized", "dm.lab.hub.h1", ("x"):rep(200000))
  end)

  it("drops and counts what is foreign", function()
    dropped_by("foreign", "dm.lab.hub.h1", nats.wire("ping", "other", "h9"))
    dropped_by("foreign", "dm.lab.hub.h1", nats.wire("ping", "lab", "h1"))
    dropped_by("foreign", "dm.lab.all", from_h9("ping"))
    dropped_by("foreign", "dm.lab.hub.h1", from_h9("hello"))
    dropped_by("foreign", "dm.lab.all", from_h9("call",
      nats.call { id = 1, number = 1, device = "dev1", method = "ping" }))
  end)

  it("drops and counts that nobody is there, when it had asked for nobody", function()
    dropped_by("foreign", "dm.lab.all")
    dropped_by("foreign", "dm.lab.hub.h1")
    dropped_by("foreign", "dm.lab.hub.h1.x1")
    dropped_by("late", "dm.lab.hub.h1.c1")
  end)

  it("drops and counts results of calls that have ended", function()
    local nothing = string.pack(">I8", 77)
    dropped_by("late", "dm.lab.hub.h1", from_h9("gone", nothing))
    dropped_by("late", "dm.lab.hub.h1", from_h9("answered",
      nothing .. string.pack(">i4", 200) .. nats.text(nil)))
    local client = foreign_hub()
    dropped_by("late", "dm.lab.hub.h1", from_h9("taken", nothing))
    assert.same({ "cancel", 77 }, { nats.read(client:message().bytes) })
  end)

  it("takes no result from a hub that has not taken the call", function()
    local client = foreign_hub()
    local call, id = taken_by(client)
    wait_asked(client)
    local fields = string.pack(">I8i4", id, 200) .. nats.text("1")
    dropped_by("foreign", "dm.lab.hub.h1", nats.wire("answered", "lab", "h8", fields))
    dropped_by("replayed", "dm.lab.hub.h1", from_h9("taken", string.pack(">I8", id)))
    client:publish("dm.lab.hub.h1", from_h9("answered", fields))
    assert.equal(1, assert(call:await()).payload)
  end)

  it("runs a call once that comes twice", function()
    local runs = 0
    world.device("h1", "dev1", { ping = function() runs = runs + 1 return 200 end })
    world.reachable("h2", "dev1")
    runs = 0
    local client = nats.client(server)
    table.insert(world.clients, client)
    client:subscribe("dm.lab.hub.h9")
    local call = from_h9("call",
      nats.call { id = 5, number = 9, device = "dev1", method = "ping" })
    client:publish("dm.lab.call.dev1", call)
    assert.same({ "taken", 5 }, { nats.read(client:message().bytes) })
    assert.same({ "answered", 5 }, { nats.read(client:message().bytes) })
    dropped_by("replayed", "dm.lab.call.dev1", call)
    assert.equal(1, runs)
  end)

  it("makes no call that no caller could make", function()
    world.device("h1", "dev1", { ping = ping })
    world.reachable("h2", "dev1")
    local before = world.hubs.h1:counters().calls_lent
    local client = nats.client(server)
    table.insert(world.clients, client)
    client:subscribe("dm.lab.hub.h9")
    local calls = {
      { method = "a/b" }, { method = "#" }, { method = "ping", payload = "{" },
      { method = "ping", name = "\xFF" }, { method = "ping", version = "\xFF" },
    }
    for i, call in ipairs(calls) do
      call.id, call.number, call.device = i, i, "dev1"
      client:publish("dm.lab.call.dev1", from_h9("call", nats.call(call)))
      assert.same({ "gone", i }, { nats.read(client:message().bytes) })
    end
    assert.equal(before, world.hubs.h1:counters().calls_lent)
  end)

  it("takes no header line from another hub", function()
    local client = foreign_hub()
    local caller = fixture.send_call(world.hubs.h1, { device = "dev1",
      body = '{"methodName":"ping","responseTimeoutInSeconds":60}' })
    table.insert(world.clients, caller)
    client:publish("dm.lab.hub.h1", from_h9("failed",
      string.pack(">I8i4i4", take(client), 499001, 0) .. nats.text("No\r\nX-Foreign: 1")
        .. nats.text("\xFF") .. nats.text(nil)))
    local reply = assert(http.read(caller))
    assert.equal(499, reply.status)
    assert.is_nil(reply.headers["x-foreign"])
    assert.is_nil(reply.headers["iothub-errorcode"])
  end)
end)

describe("the bus of a server that goes", function()
  local server, world

  before_each(function()
    server = nats.server()
    world = new_world(server, { "h1", "h2" })
  end)
  after_each(function()
    world.close()
    server:close()
  end)

  -- Calls fail at once while there is no bus.
  local function wait_down(service)
    local err
    assert(dm.wait_until(function() return not world.buses.h1:connected() end, 20))
    assert(dm.wait_until(function()
      local _
      _, err = service:invoke("dev1", "ping", nil)
      return err and err.http_status == 503
    end))
  end

  it("is made again when the server is back", function()
    world.device("h2", "dev1", { ping = function() return 200 end })
    local service = world.reachable("h1", "dev1")
    server:stop()
    wait_down(service)
    assert.is_false(world.buses.h1:connected())
    server:start()
    assert(dm.wait_until(function() return service:invoke("dev1", "ping") end, 20))
  end)

  it("loses no answer of a call that runs meanwhile", function()
    local go, runs = false, 0
    world.device("h2", "dev1", {
      ping = function() return 200 end,
      work = function()
        runs = runs + 1
        dm.wait_until(function() return go end)
        return 200, runs
      end,
    })
    local service = world.reachable("h1", "dev1")
    local call = dm.spawn(service.invoke, service, "dev1", "work", nil,
      { response_timeout = 60 })
    assert(dm.wait_until(function() return runs == 1 end))
    server:stop()
    wait_down(service)
    go = true
    assert(dm.wait_until(function() return world.hubs.h2:calls()[1] ~= nil end))
    server:start()
    assert.equal(1, assert(call:await()).payload)
    assert.equal(1, runs)
  end)

  it("is lost when the server stands still, and calls do not wait for it", function()
    local service = world.service("h1")
    server:signal("sigstop")
    wait_down(service)
    server:signal("sigcont")
    assert(dm.wait_until(function()
      local _, err = service:invoke("dev1", "ping")
      return err.code == 404103
    end, 20))
  end)
end)

describe("a bus that asks who one is", function()
  local folder, server

  before_each(function() folder = folders.new() end)
  after_each(function()
    if server then server:close() end
    getmetatable(folder).__close(folder)
    server = nil
  end)

  it("is refused without a password and with a wrong one", function()
    server = nats.server 'authorization { user: hub, password: "right one" }'
    local bus, name, why = open(options(server, "h1"))
    assert.is_nil(bus)
    assert.equal("Unauthorized", name)
    assert.equal(server:url() .. ": Authorization Violation", why)
    local path = folder:write("password", "wrong one\n")
    local login = { user = "hub", password_file = path }
    bus, name, why = open(options(server, "h1", login))
    assert.is_nil(bus)
    assert.equal("Unauthorized", name)
    assert.is_nil(why:find("wrong one", 1, true))
    folder:write("password", "right one\n")
    assert(open(options(server, "h1", login))):close()
  end)

  it("is refused when the file with the password is not there", function()
    server = nats.server()
    local bus, _, why = open(options(server, "h1",
      { user = "hub", password_file = folder.path .. "/none" }))
    assert.is_nil(bus)
    assert.equal(folder.path .. "/none: No such file or directory", why)
  end)

  local function tls_server(common_name, more)
    local authority = pem.authority("authority")
    local own = pem.issue(authority, common_name, { usage = "serverAuth" })
    local ca = folder:write("ca.pem", authority.cert)
    server = nats.server(('tls { cert_file: "%s", key_file: "%s" %s }'):format(
      folder:write("cert.pem", own.cert), folder:write("key.pem", own.key),
      more and more(authority) or ""))
    return ca
  end

  it("is reached over TLS", function()
    local ca = tls_server("localhost")
    local url = "tls://localhost:" .. server.port
    assert(open(options(server, "h1", { urls = url, ca_file = ca }))):close()
    local bus, name = open(options(server, "h1", { urls = url }))
    assert.is_nil(bus)
    assert.equal("TlsFailed", name)
  end)

  it("is refused when its certificate is for another name", function()
    local ca = tls_server("elsewhere")
    local bus, name, why = open(options(server, "h1",
      { urls = "tls://localhost:" .. server.port, ca_file = ca }))
    assert.is_nil(bus)
    assert.equal("TlsFailed", name)
    assert.matches("hostname mismatch", why, 1, true)
  end)

  it("is refused when it has no TLS", function()
    server = nats.server()
    local bus, _, why = open(options(server, "h1", { urls = server:url("tls") }))
    assert.is_nil(bus)
    assert.matches("Secure Connection not available", why)
  end)

  it("knows a hub by its certificate", function()
    local client
    local ca = tls_server("localhost", function(authority)
      client = pem.issue(authority, "hub")
      return (', ca_file: "%s/ca.pem", verify: true'):format(folder.path)
    end)
    local o = { urls = "tls://localhost:" .. server.port, ca_file = ca }
    assert.is_nil(open(options(server, "h1", o)))
    o.cert_file = folder:write("client.pem", client.cert)
    o.key_file = folder:write("client.key", client.key)
    assert(open(options(server, "h1", o))):close()
  end)

  it("has the configuration of examples/cluster", function()
    local authority = pem.authority("authority")
    local own = pem.issue(authority, "localhost", { usage = "serverAuth" })
    local files = folders.new()
    files:write("passwords.conf", 'HUB_PASSWORD: "right one"\n')
    files:write("server.pem", own.cert)
    files:write("server.key", own.key)
    local config = folders.read "examples/cluster/nats-server.conf"
    server = nats.server(config:gsub('"(server%.%l+)"', '"' .. files.path .. '/%1"'),
      files)
    local login = {
      urls = "tls://localhost:" .. server.port, user = "hub",
      ca_file = folder:write("ca.pem", authority.cert),
      password_file = folder:write("password", "right one\n"),
    }
    assert(open(options(server, "h1", login))):close()
    login.password_file = folder:write("password", "wrong one\n")
    assert.is_nil(open(options(server, "h1", login)))
  end)
end)

describe("a bus", function()
  it("says where no server is", function()
    local bus, name, why = open { urls = "nats://127.0.0.1:1", cluster = "lab",
      hub = "h1" }
    assert.is_nil(bus)
    assert.equal("ConnectFailed", name)
    assert.matches("nats://127.0.0.1:1: ", why, 1, true)
  end)

  it("names the option that is wrong", function()
    for field, value in pairs { urls = false, cluster = "a.b", hub = "" } do
      local o = { urls = "nats://127.0.0.1:1", cluster = "lab", hub = "h1" }
      o[field] = value or nil
      assert.error_matches(function() cluster_core.bus(core.loop, o) end,
        "field '" .. field .. "'")
    end
  end)

  it("takes another server of its list", function()
    local server = nats.server()
    local bus = assert(open(options(server, "h1",
      { urls = "nats://127.0.0.1:1," .. server:url() })))
    bus:close()
    bus:close()
    server:close()
  end)
end)

describe("a bus that is closed while it connects", function()
  local servers -- accept connections and never answer

  before_each(function()
    servers = {}
    for i = 1, 3 do
      servers[i] = assert(uv.new_tcp())
      assert(servers[i]:bind("127.0.0.1", 0))
      assert(servers[i]:listen(8, function() end))
    end
  end)

  after_each(function()
    for _, server in ipairs(servers) do server:close() end
    uv.run("nowait")
  end)

  it("is waited for when its loop ends", function()
    local urls = {}
    for i, server in ipairs(servers) do
      urls[i] = ("nats://127.0.0.1:%d"):format(server:getsockname().port)
    end
    local result = assert(dm.exec({ "env", "CLOSED_BUSES=" .. table.concat(urls, ","),
      "MALLOC_PERTURB_=85", ("build/%s/two_states"):format(MODE),
      "spec/support/closed_buses.lua" }, { timeout = 60 }))
    assert.same({ 0, 0, "" }, { result.status, result.signal, result.stderr })
  end)
end)
