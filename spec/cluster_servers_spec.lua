-- Hubs of one name at several NATS servers, and at servers that ask who they are.

local dm = require "directmethods"
local folders = require "spec.support.folder"
local nats = require "spec.support.nats"
local nkeys = require "spec.support.nkeys"
local postgres = require "spec.support.postgres"

local WAIT = 60 -- seconds, at most

describe("several hubs", function()
  local database, store, folder
  local servers, hubs, clients

  setup(function() database = postgres.server() end)
  teardown(function() database:close() end)

  before_each(function()
    store, folder = database:new_url(), folders.new()
    servers, hubs, clients = {}, {}, {}
  end)

  after_each(function()
    for _, client in ipairs(clients) do client:close() end
    for _, hub in ipairs(hubs) do hub:close() end
    for _, hub in ipairs(hubs) do assert(hub:closed(WAIT)) end
    for _, server in ipairs(servers) do server:close() end
    getmetatable(folder).__close(folder)
  end)

  local function serve(config)
    local server = nats.server(config)
    servers[#servers + 1] = server
    return server
  end

  local function start(cluster)
    cluster.name = "lab"
    local hub, err = dm.hub { tls = false, store = store, cluster = cluster }
    hubs[#hubs + 1] = hub
    return hub, err
  end

  -- Two hubs, a device at the second one, and a service of the first one that reaches
  -- it.
  local function pair(cluster, handlers)
    local calling = assert(start(cluster))
    local holding = assert(start(cluster))
    assert(holding:add_device "dev1")
    local device, service = holding:device("dev1", handlers), calling:service()
    table.move({ device, service }, 1, 2, #clients + 1, clients)
    assert(device:connect())
    assert(dm.wait_until(function() return service:invoke("dev1", "ping") end, WAIT))
    return service, holding
  end

  local function ping() return 200, "here" end

  it("call each other while one of their servers after the other is killed", function()
    local route = 'cluster { name: bus, listen: "127.0.0.1:-1", routes: [%s] }'
    local first = serve(route:format "")
    local second = serve(route:format(("%q"):format(first.route)))
    local go, runs = false, 0
    local service, holding = pair({ url = first:url() .. "," .. second:url() }, {
      ping = ping,
      work = function()
        runs = runs + 1
        dm.wait_until(function() return go end)
        return 200, runs
      end,
    })
    local call = dm.spawn(service.invoke, service, "dev1", "work", nil,
      { response_timeout = 300 })
    assert(dm.wait_until(function() return runs == 1 end, WAIT))
    local function reaches()
      return dm.wait_until(function() return service:invoke("dev1", "ping") end, WAIT)
    end
    first:stop()
    assert(reaches())
    first:start(route:format(("%q"):format(second.route)))
    second:stop() -- a hub that was not connected to the first server is, to this one
    assert(reaches())
    go = true
    assert.equal(1, assert(call:await()).payload)
    assert.equal(1, runs)
    assert.equal(1, #holding:calls { method = "work" })
  end)

  -- The error of a hub at its start.
  local function refused(cluster)
    local hub, err = start(cluster)
    assert.is_nil(hub)
    return err.name .. ": " .. err.message:gsub("127%.0%.0%.1:%d+", "server")
  end

  it("log in with a user and a password", function()
    local server = serve 'authorization { user: hub, password: "right one" }'
    local path = folder:write("password", "wrong one\n")
    local cluster = { url = server:url(), user = "hub", password_file = path }
    assert.equal("Unauthorized: cluster: nats://server: Authorization Violation",
      refused(cluster))
    folder:write("password", "right one\n")
    pair(cluster, { ping = ping })
  end)

  it("log in with a JWT and its seed", function()
    local operator = nkeys.operator(folder, "own")
    local server = serve(operator.config)
    local path = operator:credentials("hub.creds", "dm.lab.>")
    pair({ url = server:url(), credentials_file = path }, { ping = ping })
  end)

  it("are refused with the credentials of others", function()
    local operator = nkeys.operator(folder, "own")
    local server = serve(operator.config)
    local own, seed = operator:credentials("own", "dm.lab.>")
    local elsewhere = nkeys.operator(folder, "other")
    for what, path in pairs {
      ["that have expired"] = operator:credentials("expired", "dm.lab.>",
        { expires = os.time() - 60 }),
      ["with another user's seed"] = operator:credentials("mixed", "dm.lab.>",
        { seed = seed }),
      ["of another operator"] = elsewhere:credentials("foreign", "dm.lab.>"),
    } do
      assert.equal("Unauthorized: cluster: nats://server: Authorization Violation",
        refused { url = server:url(), credentials_file = path }, what)
    end
    assert.equal("Unauthorized: cluster: nats://server: Authorization Violation",
      refused { url = server:url() })
    local text = folders.read(own)
    local half = folder:write("half", (text:gsub("%-+BEGIN USER NKEY.*", "")))
    local why = "ConnectFailed: cluster: nats://server: no nkey user seed found in '%s'"
    assert.equal(why:format(half),
      refused { url = server:url(), credentials_file = half })
  end)
end)
