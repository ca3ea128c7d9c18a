--- Mosquitto's clients as devices, and its broker as a bridge between local clients and
-- the hub. Neither knows anything of Azure.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local folders = require "spec.support.folder"

local PATIENCE = 30 -- seconds for one program

-- Debian has the broker where only root looks.
local PATH = "PATH=" .. os.getenv "PATH" .. ":/usr/sbin"

-- The program's output; it ends well.
local function run(...)
  local words = { "env", PATH, ... }
  local result = assert(dm.exec(words, { timeout = PATIENCE }))
  assert(result.status == 0, result.stderr)
  return result.stdout
end

-- How to log in as a device, as fields of its CONNECT.
local function login_of(hub, id)
  return fixture.connect_fields(hub, id)
end

describe("Mosquitto's clients", function()
  local hub

  before_each(function()
    hub = fixture.hub { tls = true }
    hub:add_device "d"
  end)

  after_each(function() fixture.finish(hub) end)

  -- A client that is device d, over TLS.
  local function client(program, ...)
    local login = login_of(hub, "d")
    return run(program, "-h", "localhost", "-p", tostring(hub:ports().mqtt),
      "--cafile", hub:ca_file(), "-V", "mqttv311", "-i", login.client_id,
      "-u", login.username, "-P", login.password, ...)
  end

  it("send telemetry with properties (C28)", function()
    client("mosquitto_pub", "-q", "1", "-t",
      "devices/d/messages/events/level=3&%24.ct=text%2Fplain", "-m", "hello")
    local message = hub:messages()[1]
    assert.equal("hello", message.body)
    assert.same({ level = "3", ["$.ct"] = "text/plain" }, message.properties)
  end)

  it("leave a will when they are cut off (M06)", function()
    local cut = dm.spawn(client, "mosquitto_sub",
      "-t", "devices/+/messages/devicebound/#",
      "--will-topic", "devices/d/messages/events/", "--will-payload", "gone")
    assert(dm.wait_until(function() return hub:devices()[1].connected end, PATIENCE))
    cut:cancel() -- kills it
    assert(dm.wait_until(function() return hub:messages()[1] end, PATIENCE))
    assert.equal("gone", hub:messages()[1].body)
  end)

  it("are called, on the documented topic (D01)", function()
    local called = dm.spawn(client, "mosquitto_sub", "-t", "$iothub/methods/POST/#",
      "-C", "1", "-F", "%t %q %r %p")
    local service <close> = hub:service()
    local _, err = service:invoke("d", "reboot", { delay = 3 },
      { connect_timeout = PATIENCE })
    assert.equal(404104, err.code) -- it went away without an answer
    assert.equal('$iothub/methods/POST/reboot/?$rid=1 0 0 {"delay":3}\n',
      called:await())
  end)

  it("are refused with a wrong password (C07)", function()
    local login = login_of(hub, "d")
    local result = assert(dm.exec({ "mosquitto_pub", "-h", "localhost",
      "-p", tostring(hub:ports().mqtt), "--cafile", hub:ca_file(), "-i", "d",
      "-u", login.username, "-P", login.password .. "x", "-t",
      "devices/d/messages/events/", "-m", "x" }, { timeout = PATIENCE }))
    assert.equal(5, result.status)
    assert.same({}, hub:messages())
  end)
end)

-- Local topics that stand for the device's own at the hub.
local BRIDGE = [[
listener 0 %s
allow_anonymous true
persistence false
queue_qos0_messages true
log_dest none
user root
connection hub
address localhost:%d
bridge_cafile %s
bridge_protocol_version mqttv311
try_private false
notifications false
cleansession true
remote_clientid %s
remote_username %s
remote_password %s
topic # in 0 methods/ $iothub/methods/POST/
topic # out 0 answers/ $iothub/methods/res/
topic # out 1 events/ devices/d/messages/events/
topic # out 0 twin/ $iothub/twin/
topic # in 0 results/ $iothub/twin/res/
]]

describe("A bridge of Mosquitto", function()
  local hub, folder, socket, broker

  setup(function()
    hub = fixture.hub { tls = true }
    hub:add_device "d"
    folder = folders.new()
    socket = folder.path .. "/socket"
    local login = login_of(hub, "d")
    local config = folder:write("bridge.conf", BRIDGE:format(socket, hub:ports().mqtt,
      hub:ca_file(), login.client_id, login.username, login.password))
    broker = dm.spawn(run, "mosquitto", "-c", config)
    assert(dm.wait_until(function()
      return hub:devices()[1].subscribed or broker:ended()
    end, PATIENCE))
    assert(not broker:ended(), "the broker has ended")
  end)

  teardown(function()
    broker:cancel()
    assert(dm.wait_until(function() return broker:ended() end, PATIENCE))
    fixture.finish(hub)
    folder:__close()
  end)

  local function client(program, ...)
    return run(program, "--unix", socket, ...)
  end

  it("brings calls to local clients, and their answers back (D01, D05)", function()
    -- a session that keeps the call until its client looks
    client("mosquitto_sub", "-i", "local", "-c", "-q", "1", "-t", "methods/#", "-E")
    local service <close> = hub:service()
    for i = 1, 3 do
      local call = dm.spawn(service.invoke, service, "d", "dim", { level = i })
      local topic, payload = client("mosquitto_sub", "-i", "local", "-c", "-q", "1",
        "-t", "methods/#", "-C", "1", "-F", "%t %p"):match("^(%S+) (.*)\n$")
      assert.equal(("methods/dim/?$rid=%x"):format(i), topic)
      assert.equal(('{"level":%d}'):format(i), payload)
      client("mosquitto_pub", "-t", "answers/20" .. i .. topic:match("/%?.*"),
        "-m", '{"was":0}')
      local reply = assert(call:await())
      assert.same({ 200 + i, { was = 0 } }, { reply.status, reply.payload })
    end
  end)

  it("brings requests for the twin to the hub, and their results back (C24)", function()
    client("mosquitto_sub", "-i", "twin", "-c", "-q", "1", "-t", "results/#", "-E")
    local function ask(topic, body)
      client("mosquitto_pub", "-t", "twin/" .. topic, "-m", body)
      return client("mosquitto_sub", "-i", "twin", "-c", "-q", "1", "-t", "results/#",
        "-C", "1", "-F", "%t %p")
    end
    assert.equal('results/200/?$rid=1 {"desired":{"$version":1},'
      .. '"reported":{"$version":1}}\n', ask("GET/?$rid=1", ""))
    assert.equal("results/204/?$rid=2&$version=2 \n",
      ask("PATCH/properties/reported/?$rid=2", '{"on":true}'))
  end)

  it("brings telemetry to the hub (C28)", function()
    client("mosquitto_pub", "-q", "1", "-t", "events/a=b", "-m", "from afar")
    assert(dm.wait_until(function() return hub:messages()[1] end, PATIENCE))
    local message = hub:messages()[1]
    assert.same({ "d", "from afar", { a = "b" } },
      { message.device_id, message.body, message.properties })
  end)
end)
