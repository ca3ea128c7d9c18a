--- The control plane's requests: each a task, answered whatever happens.

local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local mqtt = require "spec.support.mqtt"
local problems = require "directmethods.hub.problems"
local requests = require "directmethods.hub.requests"

describe("the queue of requests", function()
  local function run_all(queue)
    dm.wait_until(function() return queue.used == 0 and not next(queue.lanes) end, 5)
  end

  it("runs those of one connection in order, one at a time", function()
    local queue, order, running = requests.new(8), {}, 0
    for i = 1, 5 do
      queue:add("a", {
        run = function()
          running = running + 1
          assert(running == 1)
          dm.sleep(0)
          running = running - 1
          order[#order + 1] = i
        end,
        fail = error,
      })
    end
    run_all(queue)
    assert.same({ 1, 2, 3, 4, 5 }, order)
  end)

  it("has connections take turns", function()
    local queue, order = requests.new(1), {}
    for _, name in ipairs { "a1", "a2", "a3", "b1", "c1" } do
      queue:add(name:sub(1, 1), {
        run = function() order[#order + 1] = name end,
        fail = error,
      })
    end
    run_all(queue)
    assert.same({ "a1", "b1", "c1", "a2", "a3" }, order)
  end)

  it("runs a bounded number; one that waits for other things holds no slot", function()
    local queue, running, most, open = requests.new(3), 0, 0, false
    for i = 1, 10 do
      queue:add(i, {
        run = function()
          running = running + 1
          most = math.max(most, running)
          dm.sleep(0)
          running = running - 1
        end,
        fail = error,
      })
    end
    for i = 11, 15 do
      queue:add(i, {
        run = function(request)
          request.release()
          dm.wait_until(function() return open end)
        end,
        fail = error,
      })
    end
    dm.wait_until(function() return queue.used == 0 end, 5)
    assert.equal(3, most)
    open = true
    run_all(queue)
    assert.is_nil(next(queue.running))
  end)

  it("calls fail for one that raises, and goes on", function()
    local queue, failed, ran = requests.new(1), 0, false
    local lines = {}
    dm.log { level = "error", sink = function(_, line) lines[#lines + 1] = line end }
    queue:add("a", {
      run = function() error "a defect" end,
      fail = function() failed = failed + 1 end,
    })
    queue:add("a", { run = function() ran = true end, fail = error })
    run_all(queue)
    dm.log { level = "warn" }
    assert.equal(1, failed)
    assert.is_true(ran)
    assert(table.concat(lines):find("a defect", 1, true))
    assert(table.concat(lines):find("stack traceback", 1, true))
  end)

  it("ends what runs and starts nothing when it is closed", function()
    local queue, closed, started = requests.new(1), false, false
    queue:add("a", {
      run = function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        dm.wait_until(function() return false end)
      end,
      fail = error,
    })
    queue:add("b", { run = function() started = true end, fail = error })
    dm.sleep(0)
    queue:close()
    dm.wait_until(function() return closed end, 5)
    dm.sleep(0)
    assert.is_false(started)
  end)
end)

describe("requests of a device and of an HTTP caller", function()
  it("do not wait for each other, whatever their numbers are", function()
    local hub = fixture.hub { admin_port = 0 }
    -- the request waits for its device, whose first packets are requests, too
    local reply = http.exchange(hub:ports().admin, {
      method = "PUT",
      target = "/devices/dev1",
      headers = { "Authorization: Bearer " .. hub:admin_token() },
      body = '{"methods":{"on":{"status":201}}}',
    })
    assert.equal(200, reply.status)
    assert.equal(201, dm.json.decode(fixture.call(hub, {
      device = "dev1", body = '{"methodName":"on"}',
    }).body).status)
    hub.state.admin.clients:close()
    assert(hub.state.admin.clients:wait_closed(10))
    fixture.finish(hub)
  end)
end)

describe("a request that meets a defect of the hub", function()
  local hub, lines, key

  before_each(function()
    hub = fixture.hub { admin_port = 0 }
    hub:add_device("dev1")
    key = fixture.key(hub, "dev1")
    lines = {}
    dm.log { level = "error", sink = function(_, line) lines[#lines + 1] = line end }
    local function fail() error "a defect of the hub" end
    hub.state.store.pairs, hub.state.store.find = fail, fail
    hub.state.store.devices = fail
  end)

  after_each(function()
    dm.log { level = "warn" }
    fixture.finish(hub)
  end)

  -- Logged once, with where it was, and counted.
  local function is_told()
    local text -- a sink runs as a task
    assert(dm.wait_until(function()
      text = table.concat(lines, "\n")
      return text:find("control_requests_spec.lua", 1, true)
    end, 5), text)
    local _, times = text:gsub("task failed: ", "")
    assert.equal(1, times, text)
    assert.equal(1, hub:counters().internal_errors)
  end

  it("is answered 500 in the registry's format", function()
    local reply = http.exchange(hub:ports().https, {
      method = "GET",
      target = "/devices/dev1?api-version=2021-04-12",
      headers = { "Authorization: " .. fixture.service_token(hub, "iothubowner") },
    })
    assert.equal(500, reply.status)
    assert(reply.body:find("InternalServerError", 1, true), reply.body)
    is_told()
  end)

  it("is answered res/500 to a device", function()
    local device = fixture.device(hub, "dev1", {
      password = fixture.token { resource = "localhost/devices/dev1", key = key },
    })
    device:subscribe(0, "$iothub/twin/res/#")
    device:send(mqtt.publish("$iothub/twin/GET/?$rid=7", ""))
    local packet = device:read()
    assert.equal("$iothub/twin/res/500/?$rid=7", packet.topic)
    device:close()
    is_told()
  end)

  it("is answered 500 at the admin listener", function()
    local reply = http.exchange(hub:ports().admin, {
      method = "GET",
      target = "/devices",
      headers = { "Authorization: Bearer " .. hub:admin_token() },
    })
    assert.equal(500, reply.status)
    is_told()
  end)
end)

describe("the text of a refusal", function()
  local hub, device, token

  -- What the hub answers is what it could not know before: any text.
  local TEXTS = {
    short = { "'é' is wrong", "'é' is wrong" },
    ["too long"] = { ("é"):rep(5000), ("é"):rep(1024) },
    ["cut in a character"] = { "x" .. ("é"):rep(5000), "x" .. ("é"):rep(1023) },
    ["of bytes to be escaped"] = { ("\1"):rep(9000), ("\1"):rep(2048) },
    ["not UTF-8"] = { "a\xff\xc3 b", "a?? b" },
  }

  before_each(function()
    hub = fixture.hub()
    hub:add_device("dev1")
    token = fixture.service_token(hub, "iothubowner")
    device = fixture.device(hub, "dev1")
    device:subscribe(0, "$iothub/twin/res/#")
  end)

  after_each(function() fixture.finish(hub, device) end)

  for name, case in pairs(TEXTS) do
    local text, shown = table.unpack(case)

    it("is JSON in the registry's format: " .. name, function()
      function hub.state.registry.get()
        return nil, problems.new("ArgumentInvalid", text)
      end
      local reply = http.exchange(hub:ports().https, {
        method = "GET",
        target = "/devices/dev1?api-version=2021-04-12",
        headers = { "Authorization: " .. token },
      })
      assert.equal(400, reply.status)
      local _, told = fixture.error_e(reply)
      assert.equal(shown, told)
    end)

    it("is JSON to a device: " .. name, function()
      function hub.state.registry.change()
        return nil, problems.new("ArgumentInvalid", text)
      end
      device:send(mqtt.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", "{}"))
      local document = assert(dm.json.decode(device:read().payload))
      assert.equal(shown, document.message)
    end)
  end
end)
