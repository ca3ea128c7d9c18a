--- Jobs of hubs that share one PostgreSQL database: on a real server, two hubs in this
-- process, and one in a child process that is killed.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local mqtt = require "spec.support.mqtt"
local postgres = require "spec.support.postgres"
local stores = require "spec.support.stores"

local LUA = os.getenv("LUA") or "lua5.4"
local WAIT = 60 -- seconds, at most
local CLUSTER = { name = "lab" }

describe("jobs of hubs with one database", function()
  local server, url
  local hubs = {}

  setup(function() server = postgres.server() end)
  teardown(function() server:close() end)

  before_each(function() url = server:new_url() end)

  after_each(function()
    for _, hub in ipairs(hubs) do hub:close() end
    for _, hub in ipairs(hubs) do assert(hub:closed(WAIT)) end
    hubs = {}
    dm.log { level = "warn" }
  end)

  local function start(jobs)
    local hub = assert(dm.hub {
      tls = false, store = url, cluster = CLUSTER, jobs = jobs,
    })
    hubs[#hubs + 1] = hub
    return hub
  end

  local function until_true(fn, what)
    assert(dm.wait_until(fn, WAIT), what)
  end

  local function jobs_of(hub) return assert(hub:service("iothubowner")).jobs end

  local function sql(text)
    return (server:sql(url:match("///([^?]+)"), text):gsub("%s+$", ""))
  end

  -- Devices with these ids, and how often each was called, on whose hub.
  local function devices(hub, first, last, calls)
    for i = first, last do
      local id = ("dev%02d"):format(i)
      local device = assert(hub:device(id, {
        reboot = function()
          calls[#calls + 1] = { id = id, time = dm.time() }
          return 200
        end,
      }))
      assert(device:connect())
    end
  end

  local function once_each(calls, count)
    local seen = {}
    for _, call in ipairs(calls) do seen[call.id] = (seen[call.id] or 0) + 1 end
    for i = 1, count do assert.equal(1, seen[("dev%02d"):format(i)]) end
    assert.equal(count, #calls)
  end

  local function ended(jobs, id, status)
    local job = assert(jobs:get(id))
    until_true(function() return assert(job:status()).status == status end, status)
    return assert(job:status())
  end

  it("call each device once, by the hub that it is connected to", function()
    local a, b = start(), start()
    local calls = {}
    devices(a, 1, 10, calls)
    devices(b, 11, 20, calls)
    local jobs = jobs_of(a)
    local job = assert(jobs:schedule { method = "reboot", query = "*" })
    local status = ended(jobs_of(b), job.id, "completed")
    once_each(calls, 20)
    assert.equal(20, status.succeeded)
    local owners = sql("SELECT string_agg(DISTINCT owner, ' ' ORDER BY owner) "
      .. "FROM device_jobs")
    local both = { a.state.cluster.id, b.state.cluster.id }
    table.sort(both)
    assert.equal(table.concat(both, " "), owners)
  end)

  it("change each twin once, and wait for devices wherever they come", function()
    local a, b = start(), start()
    assert(a:add_device("dev01"))
    local jobs = jobs_of(b)
    local update = assert(jobs:schedule { update = { tags = { n = 1 } }, query = "*" })
    ended(jobs_of(a), update.id, "completed")
    assert.equal("2", sql("SELECT version FROM twins"))
    local job = assert(jobs:schedule { method = "reboot", query = "*" })
    until_true(function() return a.state.jobs.runs[job.id] end, "help")
    local calls = {}
    devices(a, 1, 1, calls)
    ended(jobs, job.id, "completed")
    once_each(calls, 1)
  end)

  it("are cancelled at any hub", function()
    local a, b = start(), start()
    assert(a:add_device("dev01"))
    local job = assert(jobs_of(a):schedule { method = "reboot", query = "*" })
    until_true(function() return b.state.jobs.runs[job.id] end, "help")
    assert(jobs_of(b):cancel(job.id))
    until_true(function()
      return not next(a.state.jobs.runs) and not next(b.state.jobs.runs)
    end, "runs")
    assert.equal("cancelled canceled",
      sql("SELECT j.status || ' ' || r.state FROM jobs j JOIN device_jobs r ON true"))
  end)

  it("call a device that came here while another hub had its device job", function()
    local a, b = start(), start()
    assert(a:add_device("dev01"))
    local job = assert(jobs_of(a):schedule { method = "reboot", query = "*" })
    until_true(function() return b.state.jobs.runs[job.id] end, "help")
    -- what the other hub does that takes the device job and cannot call the device
    sql(("UPDATE device_jobs SET state = 'running', owner = '%s';"
      .. "UPDATE jobs SET pending = 0, running = 1"):format(a.state.cluster.id))
    local calls = {}
    devices(b, 1, 1, calls)
    local queue = b.state.jobs.runs[job.id].queue
    until_true(function()
      return select(2, b.state.plane:connected("dev01")) and not next(queue.queued)
    end, "b has looked")
    assert.equal(0, #calls)
    sql("UPDATE device_jobs SET state = 'pending', owner = '';"
      .. "UPDATE jobs SET pending = 1, running = 0")
    ended(jobs_of(a), job.id, "completed")
    once_each(calls, 1)
  end)

  it("share one rate", function()
    local RATE = 4
    local a, b = start { rate = RATE }, start { rate = RATE }
    local calls = {}
    devices(a, 1, 10, calls)
    devices(b, 11, 20, calls)
    local begun = dm.time()
    local jobs = jobs_of(a)
    local job = assert(jobs:schedule { method = "reboot", query = "*" })
    ended(jobs, job.id, "completed")
    once_each(calls, 20)
    for i, call in ipairs(calls) do
      -- as many as a second allows may begin at once
      local allowed = RATE + RATE * (call.time - begun)
      assert.is_true(i <= allowed + 1, ("%d calls, %f allowed"):format(i, allowed))
    end
  end)

  describe("of a hub that is killed", function()
    local folder

    before_each(function() folder = stores.folder() end)
    after_each(function() stores.remove(folder) end)

    -- A hub in a process of its own: its facts, and the task that waits for its end.
    local function child()
      stores.write(folder .. "/plan", dm.json.encode {
        hub = { tls = false, store = url, cluster = CLUSTER },
        devices = dm.json.array {}, faults = dm.json.array {},
      })
      local process = dm.spawn(dm.exec, { "env", "LUA_PATH=" .. package.path,
        "LUA_CPATH=" .. package.cpath, LUA, "spec/support/jobs_hub.lua",
        folder .. "/plan", folder .. "/ready" }, { timeout = 300 })
      until_true(function()
        local file = io.open(folder .. "/ready")
        if file then file:close() end
        return file or process:ended()
      end, "the child")
      assert(not process:ended(), function() return process:await().stderr end)
      return dm.json.decode(stores.read(folder .. "/ready")), process
    end

    -- A raw device, connected to the child, that takes a call and does not answer.
    local function silent_device(hub, facts, id)
      local code, _, wire = mqtt.open(facts.ports.mqtt, fixture.connect_fields(hub, id))
      assert.equal(0, code)
      wire:send(mqtt.subscribe({ { "$iothub/methods/POST/#", 0 } }, 7))
      assert.equal(9, assert(mqtt.read(wire, WAIT)).type)
      return wire
    end

    it("go on at another: what was begun has an unknown outcome", function()
      dm.log { level = "off" }
      local a = start()
      assert(a:add_device("silent"))
      local facts, process = child()
      local wire = silent_device(a, facts, "silent")
      local there <close> = assert(dm.service {
        connection_string = facts.owner, port = facts.ports.https, tls = false,
      })
      assert(a:add_device("dev01"))
      local job = assert(there.jobs:schedule { method = "reboot", query = "*",
        response_timeout = 300 })
      assert.equal(3, assert(mqtt.read(wire, WAIT)).type) -- it is called
      assert(require("luv").kill(facts.pid, "sigkill"))
      process:await()
      until_true(function()
        return sql("SELECT count(*) FROM hubs") == "1"
      end, "it is found dead")
      local calls = {}
      devices(a, 1, 1, calls)
      local status = ended(jobs_of(a), job.id, "completed")
      once_each(calls, 1)
      assert.equal(1, status.succeeded)
      assert.equal(1, status.failed)
      assert.equal("UnknownOutcome",
        sql("SELECT error_code FROM device_jobs WHERE device_id = 'silent'"))
      wire:close()
    end)
  end)
end)
