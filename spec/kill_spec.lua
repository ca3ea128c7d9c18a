--- A hub that is killed while identities, twins, reports, sessions and jobs are written
--- and devices reconnect, all at once, and that is started again on its store: what it
--- has acknowledged is there, and no device was called twice.
--
-- KILL_ROUNDS: how often it is killed.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local hub_process = require "spec.support.hub_process"
local mqtt = require "spec.support.mqtt"
local records = require "spec.support.acknowledged"
local stores = require "spec.support.stores"
local uv = require "luv"
local wire = require "spec.support.wire"

local ROUNDS = tonumber(os.getenv("KILL_ROUNDS")) or 6
local MOST = 20 -- changes that a hub acknowledges at least, at most so many
local LONGEST = 300 -- milliseconds that it lives on after that
local NAMES = 8 -- identities, twins and sessions each
local FLEET = 60 -- devices that jobs call
local PATIENCE = 30 -- seconds

describe("a hub that is killed under load", function()
  local folder, process, ports, fleet, owner
  local is_killed -- the hub of this round
  local acknowledged = 0 -- changes
  local wanted = 0 -- acknowledged changes after which the hub may be killed
  local timer

  local function start()
    is_killed = false
    process = hub_process.start(folder, { "--quiet", "--plain", "--dev-keys",
      "--store", folder .. "/hub.db", "--device", "reporter",
      "--mqtt-port", tostring(ports.mqtt), "--https-port", tostring(ports.https) })
    process:serves()
    ports = process:ports()
  end

  -- With dev keys every device has the same key.
  local function string_of(id)
    return (process:connection_string("reporter"):gsub("reporter", id))
  end

  local keys = { connection_string = function(_, id) return string_of(id) end }

  -- A raw device that subscribes to nothing.
  local function device(id, is_clean)
    return fixture.device(process, id, {
      subscribe = false, clean = is_clean, password = fixture.device_token(keys, id),
    })
  end

  local function kill_when_due()
    if timer or acknowledged < wanted then return end
    timer = uv.new_timer()
    timer:start(math.random(0, LONGEST), 0, function()
      is_killed = true
      process:kill "sigkill"
    end)
  end

  local function change(record)
    local is_done, why = record:change()
    assert(is_done or is_killed, why)
    if is_done then acknowledged = acknowledged + 1 end
    kill_when_due()
  end

  -- Reported properties, over one connection for each hub.
  local reporter

  local function report(n)
    if not reporter then
      reporter = device("reporter", true)
      reporter:subscribe(0, "$iothub/twin/res/#")
    end
    reporter:send(mqtt.publish("$iothub/twin/PATCH/properties/reported/?$rid=1",
      ('{"n":%d}'):format(n)))
    local packet, why = reporter:read()
    return packet and packet.topic:find("^%$iothub/twin/res/204/"), why
  end

  local function plan_report(_, _, n)
    return n, function() return report(n) end
  end

  local function read_report(id)
    return assert(owner.twins:get(id)).properties.reported.n or 0
  end

  -- Sessions: are they subscribed to methods?
  local function plan_session(id, is_subscribed)
    return not is_subscribed, function()
      local one = device(id, is_subscribed)
      local _ <close> = setmetatable({}, { __close = function() one:close() end })
      return one.code == 0 and (is_subscribed or one:subscribe() == 0)
    end
  end

  -- Does a call reach a device that comes back and does not subscribe?
  local function read_session(id)
    local one = device(id, false)
    local call = dm.spawn(owner.invoke, owner, id, "m")
    wire.turn_until(function() return call:ended() or #one.wire.bytes > 0 end)
    if #one.wire.bytes > 0 then
      local _, rid = one:request()
      one:answer(rid, 200)
    end
    local reply, err = call:await(PATIENCE)
    one:close()
    assert(reply or err.name == "DeviceNotOnline", err)
    return reply ~= nil
  end

  -- Jobs. `calls`: job -> device -> how often it was called.

  local calls, jobs = {}, {}

  local function start_fleet()
    local strings = {}
    for i = 1, FLEET do strings[i] = string_of("fleet" .. i) end
    fleet = assert(dm.fleet {
      connection_strings = strings, port = ports.mqtt, tls = false,
      reconnect = { min = 0.02, max = 0.1 },
      handlers = {
        m = function(request)
          local of_job, id = calls[request.payload], request.device_id
          of_job[id] = (of_job[id] or 0) + 1
          return 200, id
        end,
      },
    })
    dm.spawn(function() fleet:connect(PATIENCE) end)
  end

  -- The last job goes on, or there is another one.
  local function go_on_with_jobs()
    local last = jobs[#jobs]
    if last and not assert(owner.jobs:get(last):status()).over then return end
    local id = "job" .. #jobs + 1
    jobs[#jobs + 1], calls[id] = id, {}
    assert(owner.jobs:schedule {
      id = id, method = "m", payload = id, query = "STARTSWITH(deviceId, 'fleet')",
    })
  end

  -- What the hub says of each device is what has happened to it.
  local function check_job(id)
    local status = assert(owner.jobs:get(id):await(PATIENCE))
    assert.same({ "completed", FLEET, 0 },
      { status.status, status.succeeded + status.failed, status.pending })
    local seen = 0
    for result in owner.jobs:get(id):results { page_size = 1000 } do
      local count = calls[id][result.device_id] or 0
      local what = ("%s of %s, called %d times: %s"):format(result.device_id, id, count,
        result.err or result.status)
      if result.status == "completed" then
        assert.equal(1, count, what)
      else
        assert(count <= 1 and result.err.name == "UnknownOutcome", what)
      end
      seen = seen + 1
    end
    assert.equal(FLEET, seen)
  end

  setup(function()
    folder, ports = stores.folder(), { mqtt = 0, https = 0 }
    start()
    owner = dm.service {
      connection_string = process:connection_string("iothubowner"),
      port = ports.https, tls = false,
    }
    local ids = {}
    for i = 1, FLEET do ids[i] = "fleet" .. i end
    for i = 1, NAMES do
      ids[#ids + 1] = "twin" .. i
      ids[#ids + 1] = "session" .. i
    end
    assert(assert(owner.registry:bulk(ids)).ok)
    start_fleet()
  end)

  teardown(function()
    if owner then owner:close() end
    if fleet then
      fleet:close()
      assert(fleet:closed(10))
    end
    if process then process:close() end
    stores.remove(folder)
  end)

  -- In a task, until the hub is killed.
  local function keep_changing(record)
    return dm.spawn(function()
      repeat change(record) until is_killed
    end)
  end

  local function keep_reconnecting()
    return dm.spawn(function()
      repeat
        local one = fleet:device(math.random(FLEET))
        if one.state == "online" then one:reconnect() end
        dm.sleep(0.01)
      until is_killed
    end)
  end

  it("has lost nothing that it acknowledged, and calls no device twice", function()
    local function service() return owner end
    local identities = records.identities(records.names("identity", NAMES), service)
    local twins = records.twins(records.names("twin", NAMES), service)
    local reports = records.new({ "reporter" }, 0, plan_report, read_report)
    local sessions = records.new(records.names("session", NAMES), false, plan_session,
      read_session)
    local all = { identities, twins, reports, sessions }
    for round = 1, ROUNDS do
      go_on_with_jobs()
      wanted = acknowledged + (round == 1 and MOST or math.random(0, MOST))
      kill_when_due()
      local tasks = {
        keep_changing(identities), keep_changing(twins), keep_reconnecting(),
      }
      repeat -- raw devices turn the loop themselves
        change(math.random(8) == 1 and sessions or reports)
      until is_killed
      timer:close()
      dm.all(tasks)
      timer = nil
      assert.equal(9, process:ended().signal)
      if reporter then reporter:close() end
      reporter = nil
      start()
      for _, record in ipairs(all) do record:check_after_kill() end
    end
    for _, id in ipairs(jobs) do check_job(id) end
    assert.is_true(acknowledged >= MOST, acknowledged)
    process:kill "sigterm"
    assert.equal(0, process:ended().status)
  end)
end)
