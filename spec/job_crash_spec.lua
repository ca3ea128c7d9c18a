--- A hub that is killed while it runs a job goes on with it when it is started again:
--- no device is called twice, none is forgotten (attack 70).

local dm = require "directmethods"
local hub_process = require "spec.support.hub_process"
local stores = require "spec.support.stores"

local ROUNDS = tonumber(os.getenv("KILL_ROUNDS")) or 12
local DEVICES = 1000
local MOST = 20 -- calls of a hub before it is killed in the midst of one, at most
local LONGEST = 0.25 -- seconds from the start to the kill, if it is killed by time
local PATIENCE = 30 -- seconds for the jobs to end

local function id_of(i) return ("d%04d"):format(i) end

describe("a job of a hub that is killed", function()
  local folder, process, ports, fleet, service
  local calls_left -- the hub is killed at the last of them; nil: it is not

  setup(function()
    folder = stores.folder()
    ports = { mqtt = 0, https = 0 }
  end)

  teardown(function()
    if service then service:close() end
    if fleet then
      fleet:close()
      assert(fleet:closed(10))
    end
    if process then process:close() end
    stores.remove(folder)
  end)

  -- Start the hub, on the ports that it had before.
  local function start()
    process = hub_process.start(folder, { "--plain", "--dev-keys",
      "--store", folder .. "/hub.db", "--device", id_of(1),
      "--mqtt-port", tostring(ports.mqtt), "--https-port", tostring(ports.https) })
    process:serves()
    ports = process:ports()
  end

  local function client_of(policy)
    return dm.service {
      connection_string = process:connection_string(policy), port = ports.https,
      tls = false,
    }
  end

  local function register()
    local ids = {}
    for i = 2, DEVICES do ids[#ids + 1] = id_of(i) end
    local owner <close> = client_of "iothubowner"
    assert(assert(owner.registry:bulk(ids)).ok)
  end

  -- The devices, which stay while hubs come and go, and what each was called for.
  local function start_devices(calls)
    local strings, first = {}, process:connection_string(id_of(1))
    for i = 1, DEVICES do strings[i] = first:gsub(id_of(1), id_of(i)) end
    fleet = assert(dm.fleet {
      connection_strings = strings, port = ports.mqtt, tls = false,
      reconnect = { min = 0.02, max = 0.2 },
      handlers = {
        m = function(request)
          local of_job = calls[request.payload]
          local id = request.device_id
          of_job[id] = (of_job[id] or 0) + 1
          if calls_left then
            calls_left = calls_left - 1
            if calls_left == 0 then process:kill "sigkill" end
          end
          return 200, id
        end,
      },
    })
    dm.spawn(function() fleet:connect(PATIENCE) end)
  end

  -- What the hub says of each device is what has happened to it.
  local function check(id, called)
    local status = assert(assert(service.jobs:get(id)):await(PATIENCE))
    assert.same({ "completed", DEVICES, 0 },
      { status.status, status.succeeded + status.failed, status.pending })
    local seen, unknown = 0, 0
    for result in assert(service.jobs:get(id)):results { page_size = 1000 } do
      seen = seen + 1
      local count = called[result.device_id] or 0
      local what = ("%s of %s, called %d times: %s"):format(result.device_id, id, count,
        result.err or result.status)
      if result.status == "completed" then
        assert(count == 1 and result.reply.payload == result.device_id, what)
      else
        assert(count <= 1 and result.err.name == "UnknownOutcome", what)
        unknown = unknown + 1
      end
    end
    assert.equal(DEVICES, seen)
    return unknown
  end

  -- What a killed hub is asked to do: the last job, or a new one when that is over.
  local function go_on(jobs, calls, round)
    local last = jobs[#jobs]
    if last and not service.jobs:get(last):status().over then return last end
    last = "job" .. round
    jobs[#jobs + 1] = last
    calls[last] = {}
    assert(service.jobs:schedule {
      id = last, method = "m", payload = last, query = "*",
    })
    return last
  end

  -- Kill the hub while a device has a call that it has not answered. False: the job was
  -- over before.
  local function kill_in_a_call(job)
    calls_left = math.random(MOST)
    local status
    repeat
      dm.sleep(0.01)
      local handle = service.jobs:get(job)
      status = handle and handle:status()
    until calls_left <= 0 or not status or status.over
    local in_a_call = calls_left <= 0
    calls_left = nil
    if not in_a_call then process:kill "sigkill" end
    return in_a_call
  end

  local function kill_by_time()
    dm.sleep(math.random() * LONGEST)
    process:kill "sigkill"
  end

  it("goes on, and calls no device twice", function()
    local calls, jobs = {}, {}
    local cut, killed_in_a_call = 0, 0
    start()
    register()
    start_devices(calls)
    service = client_of "service"
    for round = 1, ROUNDS do
      local last = go_on(jobs, calls, round)
      if round % 2 == 0 then
        kill_by_time()
      elseif kill_in_a_call(last) then
        killed_in_a_call = killed_in_a_call + 1
      end
      assert.equal(9, process:ended().signal)
      start()
    end
    for _, id in ipairs(jobs) do cut = cut + check(id, calls[id]) end
    assert.is_true(killed_in_a_call > 0)
    assert.is_true(cut > 0)
    process:kill "sigterm"
    assert.equal(0, process:ended().status)
  end)
end)
