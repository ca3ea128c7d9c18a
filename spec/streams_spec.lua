-- GET /events at the admin listener: server-sent events over a raw socket.

local core = require "directmethods.core"
local dm = require "directmethods"
local fixture = require "spec.support.fixture"
local http = require "spec.support.http"
local rest = require "spec.support.rest"
local wires = require "spec.support.wire"

local ECHO = { echo = function(request) return 200, request.payload end }

describe("a stream of events", function()
  local hub, device, service, open

  local function start(opts)
    local o = { admin_port = 0 }
    for name, value in pairs(opts or {}) do o[name] = value end
    hub, open = fixture.hub(o), {}
    device = hub:device("dev1", ECHO)
    assert(device:connect())
    service = hub:service()
  end

  after_each(function()
    for _, w in ipairs(open) do w:close() end
    service:close()
    device:close()
    assert(device:closed(5))
    fixture.finish(hub)
  end)

  -- A raw request of a stream: its wire.
  local function ask(query, fields)
    local w = wires.connect(hub:ports().admin)
    open[#open + 1] = w
    w:send(("GET /events%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sAuthorization: Bearer %s"
      .. "\r\n\r\n"):format(query or "", fields or "", hub:admin_token()))
    return w
  end

  -- The next message: its id, event and data.
  local function read(w)
    local text
    repeat
      text = assert(w:read_to("\n\n", 20))
    until text:find("event: ", 1, true)
    local id, event, data =
      text:match "id: ([^\n]+)\nevent: ([^\n]+)\ndata: ([^\n]+)\n\n$"
    return { id = id, event = event, data = assert(dm.json.decode(data)) }
  end

  -- A stream that has said hello.
  local function listen(query, fields)
    local w = ask(query, fields)
    local head = assert(w:read_to("\r\n\r\n"))
    assert.matches("^HTTP/1.1 200 OK\r\n", head)
    local hello = read(w)
    assert.equal("hello", hello.event)
    return w, hello, head
  end

  local function invoke(payload)
    assert(service:invoke("dev1", "echo", payload))
  end

  it("begins with a hello, and ends with the connection", function()
    start()
    local _, hello, head = listen()
    assert.matches("\r\nContent%-Type: text/event%-stream; charset=utf%-8\r\n", head)
    assert.matches("\r\nCache%-Control: no%-store\r\n", head)
    assert.matches("\r\nConnection: close\r\n", head)
    assert.is_nil(head:lower():find("content-length", 1, true))
    assert.is_false(hello.data.resumed)
    assert.equal(1, hello.data.speed)
    assert.is_true(math.abs(hello.data.time - dm.time()) < 60)
  end)

  it("tells of calls, without their payloads", function()
    start()
    local w = listen "?kinds=calls"
    invoke { secret = "SECRET" }
    local call = read(w)
    assert.equal("call", call.event)
    assert.same({ "dev1", "echo", "Answered", 200, 1 }, { call.data.device_id,
      call.data.method, call.data.outcome, call.data.status, call.data.id })
    assert.is_nil(call.data.payload)
    assert.is_nil(call.data.response)
    assert.is_true(call.data.request_size > 0)
    service:invoke("nobody", "echo")
    assert.equal("DeviceNotFound", read(w).data.outcome)
  end)

  it("tells payloads if asked for, cut to a bound", function()
    start()
    local w = listen "?kinds=calls&payloads=1"
    invoke { a = 1 }
    local call = read(w)
    assert.same({ a = 1 }, call.data.payload)
    assert.same({ a = 1 }, call.data.response)
    invoke(("\u{20ac}"):rep(2000))
    call = read(w)
    assert.is_nil(call.data.payload)
    assert.is_true(call.data.payload_cut)
    assert.equal('"' .. ("\u{20ac}"):rep(1365), call.data.payload_text)
    assert.is_true(call.data.response_cut)
  end)

  it("tells of devices", function()
    start()
    local w = listen "?kinds=devices"
    hub:add_device("dev2")
    fixture.device(hub, "dev2", { subscribe = false }):close()
    local event = read(w)
    assert.equal("device", event.event)
    assert.equal("connected", event.data.event)
    assert.equal("dev2", event.data.device_id)
    assert.equal("disconnected", read(w).data.event)
  end)

  it("tells of one device alone", function()
    start()
    hub:add_device("dev2")
    local w = listen "?device=dev1"
    fixture.device(hub, "dev2", { subscribe = false }):close()
    service:invoke("dev2", "echo")
    invoke(1)
    assert.equal("dev1", read(w).data.device_id)
  end)

  it("tells of rules for faults that come, act and go", function()
    start()
    local w = listen "?kinds=faults"
    local fault = hub:fault { stage = "http", action = "delay", delay = 0.001 }
    local added = read(w).data
    assert.same({ "added", 1, "http" }, { added.event, added.fault, added.rule.stage })
    invoke(1)
    local hit = read(w).data
    assert.same({ "hit", 1, 1 }, { hit.event, hit.fault, hit.hits })
    fault:remove()
    fault:remove()
    local removed = read(w).data
    assert.same({ "removed", 1, 1 }, { removed.event, removed.fault, removed.hits })
    hub:fault { stage = "connect", action = "drop" }
    hub:clear_faults()
    assert.equal("added", read(w).data.event)
    assert.equal("removed", read(w).data.event)
  end)

  it("tells of jobs", function()
    start()
    local w = listen "?kinds=jobs"
    local function job(id, at)
      rest.read(rest.ask(hub, "PUT", "/jobs/v2/" .. id, {
        jobId = id, type = "scheduleDeviceMethod", startTime = at,
        cloudToDeviceMethod = { methodName = "echo", payload = 1 },
        queryCondition = "deviceId = 'dev1'", maxExecutionTimeInSeconds = 60,
      }, { policy = "iothubowner" }))
    end
    job("j1", os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(dm.time()) - 5))
    local seen = {}
    for i = 1, 3 do seen[i] = read(w).data end
    assert.same({ "queued", "running", "completed" },
      { seen[1].event, seen[2].event, seen[3].event })
    assert.same({ "j1", false, true }, { seen[1].job, seen[1].ended, seen[3].ended })
    job("j2", os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(dm.time()) + 3600))
    assert.equal("queued", read(w).data.event)
    rest.ask(hub, "POST", "/jobs/v2/j2/cancel")
    local cancelled = read(w).data
    assert.same({ "cancelled", "j2", true },
      { cancelled.event, cancelled.job, cancelled.ended })
  end)

  it("tells of calls that are deleted, to those that follow calls", function()
    start()
    for i = 1, 3 do invoke(i) end
    local w, devices = listen "?kinds=calls", listen "?kinds=devices"
    hub:delete_calls { 3, 1 }
    local deleted = read(w)
    assert.same({ "deleted", { 1, 3 } }, { deleted.event, deleted.data.ids })
    assert.is_true(math.abs(deleted.data.time - dm.time()) < 60)
    hub:delete_calls { 1 } -- gone before: no event
    hub:delete_calls { 2 }
    assert.same({ 2 }, read(w).data.ids)
    device:close()
    assert.equal("disconnected", read(devices).data.event)
  end)

  it("tells that the clock was moved, and how fast it runs", function()
    start()
    local w = listen "?kinds=clock"
    dm.advance(60)
    local moved = read(w)
    assert.equal("clock", moved.event)
    assert.equal("advanced", moved.data.event)
    assert.is_true(math.abs(moved.data.seconds - 60) < 1)
    finally(function() dm.speed(1) end)
    dm.speed(2)
    assert.same({ "speed", 2 }, { read(w).data.event, dm.speed() })
  end)

  it("has ids that go on, over all kinds", function()
    start()
    local w, hello = listen()
    local boot = hello.id:match "^(%x+)%-0%-2%-0$"
    assert.is_string(boot)
    invoke(1)
    hub:fault { stage = "http", action = "delay", delay = 0.001 }
    assert.equal(boot .. "-1-2-0", read(w).id)
    assert.equal(boot .. "-1-2-1", read(w).id)
  end)

  describe("resumes", function()
    it("by Last-Event-ID, as a header or in the query", function()
      start()
      local w = listen()
      invoke(1)
      local first = read(w)
      w:close()
      invoke(2)
      invoke(3)
      for _, how in ipairs { { "", "Last-Event-ID: " .. first.id .. "\r\n" },
        { "?last_event_id=" .. first.id, "" } } do
        local again, hello = listen(how[1], how[2])
        assert.is_true(hello.data.resumed)
        assert.equal(2, read(again).data.id)
        assert.equal(3, read(again).data.id)
      end
    end)

    it("with what there is, and says how much is lost", function()
      start { limits = { trace_bytes = 16384 } }
      local w = listen "?kinds=calls"
      invoke(1)
      local first = read(w)
      w:close()
      for i = 1, 90 do invoke(i) end
      local kept = #hub:calls()
      assert.is_true(kept < 91)
      w = listen("?kinds=calls&last_event_id=" .. first.id)
      local skipped = read(w)
      assert.equal("skipped", skipped.event)
      assert.equal(90 - kept, skipped.data.count)
      assert.equal(91 - kept + 1, read(w).data.id)
    end)

    it("without calls that were deleted, which are not missed", function()
      start()
      local _, hello = listen "?kinds=calls"
      for i = 1, 4 do invoke(i) end
      hub:delete_calls { 1, 3 }
      local w = listen("?kinds=calls&last_event_id=" .. hello.id)
      assert.equal(2, read(w).data.id)
      assert.equal(4, read(w).data.id)
      assert.same({ 1, 3 }, read(w).data.ids)
    end)

    it("from the oldest when another hub had the id, or it is none", function()
      start()
      invoke(1)
      for _, id in ipairs { "ffffffff-7-7-7", "nonsense", "1" } do
        local w, hello = listen("?kinds=calls&last_event_id=" .. id)
        assert.is_false(hello.data.resumed)
        assert.equal(1, read(w).data.id)
      end
    end)

    it("never beyond what has happened", function()
      start()
      local w, hello = listen "?kinds=calls"
      w:close()
      local id = hello.id:match "^%x+" .. "-999999999999999999999-9-9"
      w = listen("?kinds=calls&last_event_id=" .. id)
      invoke(1)
      assert.equal(1, read(w).data.id)
    end)
  end)

  it("tells of a reset, and goes on with new ids", function()
    start()
    invoke(1)
    local w, hello = listen "?kinds=calls"
    assert(hub:reset { keep = "devices" })
    local reset = read(w)
    assert.equal("reset", reset.event)
    assert.not_equal(hello.id:match "^%x+", reset.id:match "^%x+")
    invoke(2)
    local call = read(w)
    assert.equal(1, call.data.id)
    assert.equal(reset.id:match "^%x+", call.id:match "^%x+")
  end)

  it("tells the latest of too many at once, and how many it skips", function()
    start()
    local w = listen "?kinds=devices"
    for _ = 1, 150 do
      assert.equal(401, fixture.call(hub, { device = "dev1", token = false }).status)
      hub.state.streams.list[1].place.devices = 2 -- as if all came in one tick
    end
    local seen, last, skipped = 0, 0, 0
    repeat
      local message = read(w)
      if message.event == "skipped" then skipped = message.data.count end
      if message.event == "device" then
        seen, last = seen + 1, message.data.id
      end
    until last == 152
    assert.is_true(seen >= 100)
    assert.is_true(skipped > 0)
  end)

  it("costs a slow reader its events, and the hub nothing", function()
    start { limits = { trace_bytes = 1048576 } }
    local w, hello = listen "?kinds=calls&payloads=1"
    w.socket:recv_buffer_size(65536)
    w.socket:read_stop()
    local payload, most = ("x"):rep(4000), 0
    local request = hub.state.streams.list[1].request
    local function turn()
      for _ = 1, 50 do invoke(payload) end
      core.step(0.06)
      most = math.max(most, hub.state.plane:stream_queued(request))
    end
    for _ = 1, 40 do turn() end
    -- what may wait, one batch more, and no more than that
    assert.is_true(most > 65536, most)
    assert.is_true(most < 65536 + 100 * 10000, most)
    assert.equal(1, #hub.state.streams.list)
    w.socket:read_start(function(_, bytes) w.bytes = w.bytes .. bytes end)
    local seen, skipped, last = 0, 0, 0
    repeat
      local message = read(w)
      if message.event == "skipped" then
        skipped = skipped + message.data.count
      else
        seen, last = seen + 1, message.data.id
      end
    until last == 2000
    assert.is_true(skipped > 0)
    assert.equal(2000, seen + skipped)
    assert.is_string(hello.id)
  end)

  it("says now and then that it is there", function()
    start()
    local w = listen()
    local stream = hub.state.streams.list[1]
    stream.spoke = stream.spoke - 16
    assert.equal(": still here\n\n", w:read_to("\n\n"))
    assert.is_true(core.real() - stream.spoke < 10)
  end)

  it("is forgotten when its caller has gone", function()
    start()
    local w = listen()
    local reset = listen()
    assert.equal(2, #hub.state.streams.list)
    w:close()
    reset:reset()
    assert(dm.wait_until(function() return not hub.state.streams.list[1] end))
    assert.equal(0, hub:counters().http_gone)
    invoke(1)
  end)

  it("is one of sixteen at most", function()
    start()
    for _ = 1, 16 do listen() end
    local w = ask()
    local reply = assert(http.read(w))
    assert.equal(503, reply.status)
    open[1]:close()
    assert(dm.wait_until(function() return #hub.state.streams.list == 15 end))
    listen()
  end)

  it("takes no slot of the control plane", function()
    start { limits = { control_requests = 1 } }
    for _ = 1, 3 do listen() end
    assert.equal(200, rest.ask(hub, "GET", "/devices/dev1").status)
    assert.equal(0, hub.state.requests.used)
  end)

  it("ends in order when the hub stops", function()
    start()
    local w = listen()
    local closing = dm.now()
    local stopping = dm.spawn(hub.stop, hub, 60)
    assert.equal("end", read(w).event)
    assert.is_true(w:wait_closed())
    w:close()
    assert(stopping:await())
    assert.is_true(dm.now() - closing < 30)
  end)

  it("ends with the hub that is closed", function()
    start()
    local w = listen()
    hub:close()
    assert.is_true(w:wait_closed())
  end)

  it("is refused for what it cannot be", function()
    start()
    for _, query in ipairs { "?kinds=x", "?kinds=calls,x", "?payloads=2", "?no=1" } do
      local reply = assert(http.read(ask(query)))
      assert.equal(400, reply.status, query)
    end
    local w = wires.connect(hub:ports().admin)
    w:send "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    assert.equal(401, assert(http.read(w)).status)
    w:close()
  end)

  it("takes nothing that its caller still sends", function()
    start()
    local w = listen "?kinds=calls"
    w:send "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    invoke(1)
    assert.equal("call", read(w).event)
    assert.equal("", w.bytes)
  end)
end)
