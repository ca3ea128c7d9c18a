-- Attack 72: somebody sets the clock of a hub's machine by an hour, forward and back.
-- The hub is a process of its own under faketime, which a file tells how far; the
-- monotonic clock is the machine's.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local hub_process = require "spec.support.hub_process"
local stores = require "spec.support.stores"
local uv = require "luv"

local HOUR = 3600
local PATIENCE = 5 -- seconds a time-out may be late, on a busy machine

describe("a hub whose clock is set", function()
  local folder, process, device, calls

  local function step(seconds)
    stores.write(folder .. "/clock.new", ("%+d\n"):format(seconds))
    assert(os.rename(folder .. "/clock.new", folder .. "/clock"))
  end

  setup(function()
    folder = stores.folder()
    step(0)
    process = hub_process.start(folder, { "--plain", "--quiet", "--device", "d",
      "--store", folder .. "/hub.db" }, { "faketime", "-m", "-f", "+0", "env", "-u",
      "FAKETIME", "FAKETIME_TIMESTAMP_FILE=" .. folder .. "/clock",
      "FAKETIME_NO_CACHE=1", "DONT_FAKE_MONOTONIC=1",
      "ASAN_OPTIONS=verify_asan_link_order=0" }):serves() -- the preloaded one is first
    device = dm.device {
      connection_string = process:connection_string "d", tls = false,
      port = process:ports().mqtt,
      handlers = {
        count = function(request)
          local name = request.payload or 0
          calls[name] = (calls[name] or 0) + 1
          return 200
        end,
        deaf = function(request) request:defer() end,
      },
    }
    assert(device:connect(10))
  end)

  before_each(function()
    calls = {}
    step(0)
  end)

  teardown(function()
    device:close()
    process:kill("sigterm")
    assert.equal(0, process:ended().status)
    assert(device:closed(10))
    stores.remove(folder)
  end)

  -- By the machine's clock: specs move this process's.
  local function token(seconds, policy)
    policy = policy or "service"
    return fixture.token {
      key = fixture.key(process, policy), policy = policy,
      expiry = os.time() + seconds,
    }
  end

  it("judges tokens by the clock of now, also one that it knows", function()
    local tokens, wires = { token(HOUR // 2), token(-HOUR // 2) }, {}
    local function judged()
      local seen = {}
      for i, each in ipairs(tokens) do
        local o = { device = "d", token = each, body = '{"methodName":"count"}' }
        local anew = assert(fixture.call(process, o)).status
        o.wire = wires[i]
        wires[i] = fixture.send_call(process, o)
        seen[i] = assert(http.read(wires[i])).status
        assert.equal(anew, seen[i])
      end
      return seen
    end
    assert.same({ 200, 401 }, judged())
    step(HOUR)
    assert.same({ 401, 401 }, judged())
    step(-HOUR)
    assert.same({ 200, 200 }, judged())
    step(0)
    assert.same({ 200, 401 }, judged())
    assert.equal("online", device.state)
    for _, wire in ipairs(wires) do wire:close() end
  end)

  for what, seconds in pairs { ["forward"] = HOUR, ["back"] = -HOUR } do
    it("ends calls neither early nor late, set " .. what, function()
      local function call(body)
        return fixture.send_call(process, { device = "d", version = fixture.OLD,
          token = token(2 * HOUR), body = body })
      end
      local function is_answered()
        local wire = call '{"methodName":"count"}'
        assert.equal(200, assert(http.read(wire)).status)
        wire:close()
      end
      local began = uv.hrtime()
      local waiting = call '{"methodName":"deaf","responseTimeoutInSeconds":1}'
      is_answered()
      step(seconds)
      is_answered()
      assert.equal(504, assert(http.read(waiting, 1 + PATIENCE)).status)
      waiting:close()
      local took = (uv.hrtime() - began) / 1e9
      assert.is_true(took >= 1 and took < 1 + PATIENCE, took)
    end)
  end

  it("runs no job twice", function()
    local function ask(method, id, document)
      local reply = assert(http.exchange(process:ports().https, {
        method = method,
        target = ("/jobs/v2/%s?api-version=%s"):format(id, fixture.NEW),
        headers = { "Authorization: " .. token(3 * HOUR, "iothubowner") },
        body = document and dm.json.encode(document),
      }))
      assert.equal(200, reply.status, reply.body)
      return dm.json.decode(reply.body)
    end
    local function run(id)
      ask("PUT", id, {
        jobId = id, type = "scheduleDeviceMethod", queryCondition = "*",
        cloudToDeviceMethod = { methodName = "count", payload = id },
        maxExecutionTimeInSeconds = 60,
      })
      assert(dm.wait_until(function()
        return ask("GET", id).status == "completed"
      end, PATIENCE))
    end
    run "first"
    for i, seconds in ipairs { -HOUR, HOUR, 0 } do
      step(seconds)
      run("later" .. i)
    end
    assert.same({ first = 1, later1 = 1, later2 = 1, later3 = 1 }, calls)
  end)
end)
