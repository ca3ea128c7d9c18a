--- A hub that is killed while it runs a job goes on with it when it is started again:
--- no device is called twice, none is forgotten (attack 70).

local dm = require "directmethods"
local stores = require "spec.support.stores"
local uv = require "luv"

local LUA = os.getenv("LUA") or "lua5.4"
local ROUNDS = 30
local DEVICES = 1000
local LONGEST = 0.4 -- seconds from the start to the kill
local PATIENCE = 30 -- seconds for the hub to start, and for the jobs to end

describe("a job of a hub that is killed", function()
  local folder, child, facts, fleet, service

  setup(function()
    folder = stores.folder()
    facts = { mqtt = 0, https = 0 }
  end)

  teardown(function()
    if service then service:close() end
    if fleet then
      fleet:close()
      assert(fleet:closed(10))
    end
    if child then
      child:cancel()
      child:await()
    end
    stores.remove(folder)
  end)

  -- Start the hub, on the ports that it had before; its process.
  local function start()
    local ready = folder .. "/ready"
    os.remove(ready)
    child = dm.spawn(dm.exec, { "env", "LUA_PATH=" .. package.path,
      "LUA_CPATH=" .. package.cpath, "sh", "-c", 'echo $$ >"$0"; exec "$@"',
      folder .. "/pid", LUA, "spec/support/job_hub.lua", folder .. "/hub.db", ready,
      tostring(DEVICES), tostring(facts.mqtt), tostring(facts.https) },
      { timeout = 120 })
    assert(dm.wait_until(function()
      local file = io.open(ready)
      if file then file:close() end
      return file or child:ended()
    end, PATIENCE))
    assert(not child:ended(), function() return child:await().stderr end)
    facts = assert(dm.json.decode(stores.read(ready)))
    return tonumber(stores.read(folder .. "/pid"):match("%d+"))
  end

  -- The devices, which stay while hubs come and go, and what each was called for.
  local function start_devices(calls)
    local strings = {}
    for i = 1, DEVICES do
      strings[i] = facts.device:gsub("d0001", ("d%04d"):format(i))
    end
    fleet = assert(dm.fleet {
      connection_strings = strings, port = facts.mqtt, tls = false,
      reconnect = { min = 0.02, max = 0.2 },
      handlers = {
        m = function(request)
          local of_job = calls[request.payload]
          local id = request.device_id
          of_job[id] = (of_job[id] or 0) + 1
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

  it("goes on, and calls no device twice", function()
    local calls, jobs = {}, {}
    local cut, killed_at_work = 0, 0
    for round = 1, ROUNDS do
      local pid = start()
      service = service or dm.service {
        connection_string = facts.service, port = facts.https, tls = false,
      }
      if not fleet then start_devices(calls) end
      local last = jobs[#jobs]
      if not last or service.jobs:get(last):status().over then
        last = "job" .. round
        jobs[#jobs + 1] = last
        calls[last] = {}
        assert(service.jobs:schedule {
          id = last, method = "m", payload = last, query = "*",
        })
      end
      dm.sleep(math.random() * LONGEST)
      local done = next(calls[last]) ~= nil
      uv.kill(pid, "sigkill")
      assert.equal(9, assert(child:await(10)).signal)
      if done then killed_at_work = killed_at_work + 1 end
    end
    local pid = start()
    for _, id in ipairs(jobs) do cut = cut + check(id, calls[id]) end
    assert.is_true(killed_at_work >= ROUNDS / 4, killed_at_work)
    assert.is_true(cut > 0)
    uv.kill(pid, "sigterm")
    assert.equal(0, assert(child:await(10)).status)
  end)
end)
