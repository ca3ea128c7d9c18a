-- What a device answers to calls, on a connection that keeps what it is told to send.

local dm = require "directmethods"
local core = require "directmethods.core"
local fake = require "spec.support.fake_connection"
local task = require "directmethods.task"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

describe("a device answers", function()
  local device, connection, connections, restore, lines, rid

  local function online(options)
    options.connection_string = "HostName=hub.test;DeviceId=d1;SharedAccessKey=" .. KEY
    device = dm.device(options)
    assert(device:connect(5))
    connection = connections[#connections]
  end

  -- A call comes in; what was answered by the time that nothing moves any more.
  local function call(method, body)
    rid = rid + 1
    connection:event("request", method, ("%x"):format(rid), body or "")
  end

  local function answer(method, body)
    connection.replies = {}
    call(method, body)
    dm.advance(0)
    assert.equal(1, #connection.replies)
    return connection.replies[1][2], connection.replies[1][3]
  end

  local function log() return table.concat(lines, "\n") end

  before_each(function()
    rid, lines = 0, {}
    dm.log { level = "warn", sink = function(_, line) table.insert(lines, line) end }
    connections, restore = fake.install {}
  end)

  after_each(function()
    device:close()
    assert.is_true(device:closed(1))
    dm.advance(0)
    restore()
    dm.log { level = "warn" }
    for _, each in ipairs(connections) do core.free_id(each.event_id) end
    assert.equal(0, task.count())
    assert.is_nil(core.next_deadline())
    assert.equal(0, device.calls.running)
    assert.equal(0, device.calls.queued)
  end)

  it("what the handler returns", function()
    online { handlers = {
      two = function(request) return 201, { got = request.payload.a } end,
      one = function() return 299 end,
      none = function() end,
      null = function() return 200, dm.null end,
      odd = function() return -1.0, "text" end,
    } }
    assert.same({ 201, '{"got":1}' }, { answer("two", '{"a":1}') })
    assert.same({ 299, "" }, { answer("one") })
    assert.same({ 200, "" }, { answer("none") })
    assert.same({ 200, "null" }, { answer("null") })
    assert.same({ -1, '"text"' }, { answer("odd") })
    assert.same({ 5, 0 }, { device:stats().calls, device:stats().errors })
  end)

  it("when the handler's task is cancelled before it ran", function()
    online { handlers = { m = function() return 200 end }, max_concurrent = 1 }
    call("m")
    task.cancel_all()
    assert.equal('1 500 {"error":"the method was cancelled"}', connection:said())
    assert.equal(0, device:stats().running)
    assert.same({ 200, "" }, { answer("m") })
  end)

  it("gives the handler what came", function()
    local seen
    online { handlers = { m = function(request) seen = request end },
      handler_timeout = 7 }
    call("m", "[1]")
    dm.advance(0)
    assert.same({ "m", "1", "[1]", "d1", false }, {
      seen.method, seen.rid, seen.body, seen.device_id, seen.cancelled,
    })
    assert.is_nil(seen.module_id)
    assert.is_true(math.abs(seen.deadline - seen.received - 7) < 0.1)
    assert.is_true(math.abs(seen.received - dm.now()) < 5)
  end)

  it("500 when a handler fails, and logs where", function()
    online { handlers = {
      boom = function() error("it broke") end,
      object = function() error(setmetatable({}, {
        __tostring = function() return "an object broke" end,
      })) end,
    } }
    assert.same({ 500, '{"error":"the method failed"}' }, { answer("boom") })
    assert.same({ 500, '{"error":"the method failed"}' }, { answer("object") })
    assert.is_truthy(log():find("device_calls_spec.lua:%d+: it broke"))
    assert.is_truthy(log():find("stack traceback:", 1, true))
    assert.is_truthy(log():find("an object broke", 1, true))
    assert.equal(2, device:stats().errors)
  end)

  it("500 when the payload cannot be decoded, only if it is looked at", function()
    online { handlers = {
      looks = function(request) return 200, request.payload end,
      does_not = function(request) return 200, request.body end,
    } }
    assert.equal(500, (answer("looks", "{secret")))
    assert.equal(200, (answer("does_not", "{")))
    assert.is_nil(log():find("secret", 1, true))
  end)

  it("500 to a return value that is no status, and names its type", function()
    local values = {
      ["a string"] = "200", ["a table"] = {}, ["a boolean"] = true,
      ["the number 1.5"] = 1.5, ["the number 2147483648"] = 2147483648,
    }
    local value
    online { handlers = { m = function() return value end } }
    for words, wrong in pairs(values) do
      value = wrong
      assert.same({ 500, '{"error":"the method gave no valid answer"}' },
        { answer("m") })
      assert.is_truthy(log():find("it returned " .. words, 1, true), log())
    end
    value = nil
    assert.equal(500, (answer("m")))
    assert.is_truthy(log():find("it returned a nil", 1, true))
  end)

  it("500 to a payload that is no JSON or over the contract", function()
    online { handlers = {
      code = function() return 200, { f = print } end,
      fits = function() return 200, ("x"):rep(8190) end,
      large = function() return 200, ("x"):rep(8191) end,
    } }
    assert.equal(500, (answer("code")))
    assert.equal(200, (answer("fits")))
    assert.equal(500, (answer("large")))
    assert.is_truthy(log():find("8193 bytes; api_version 2018-06-30 allows 8192", 1,
      true))
  end)

  it("what dm.reject says, from however deep", function()
    online { handlers = {
      deep = function()
        local function check() dm.reject(418, { tea = true }) end
        check()
      end,
      bare = function() dm.reject(400) end,
    } }
    assert.same({ 418, '{"tea":true}' }, { answer("deep") })
    assert.same({ 400, "" }, { answer("bare") })
    assert.same({}, lines)
  end)

  it("501 without a handler, or what the fallback says", function()
    online { handlers = { m = function() return 200 end } }
    assert.same({ 501, "" }, { answer("unknown") })
    device:fallback(function(request) return 404, request.method end)
    assert.same({ 404, '"unknown"' }, { answer("unknown") })
    device:method("m", nil)
    assert.same({ 404, '"m"' }, { answer("m") })
    device:fallback(nil)
    assert.same({ 501, "" }, { answer("m") })
    device:method("m", function() return 202 end)
    assert.same({ 202, "" }, { answer("m") })
  end)

  it("later when the call was deferred", function()
    local kept
    online { handlers = { m = function(request)
      kept = request:defer()
      return "x"
    end } }
    call("m")
    dm.advance(10)
    assert.equal("", connection:said())
    assert.equal(0, device:stats().running)
    assert.is_true(kept:reply(202, "late but in time"))
    local again, err = kept:reply(203)
    assert.is_nil(again)
    assert.equal("Closed", err.name)
    assert.equal('1 202 "late but in time"', connection:said())
    assert.same({}, lines)
  end)

  it("500 when a handler fails after it deferred", function()
    online { handlers = { m = function(request) request:defer() error("oh") end } }
    assert.equal(500, (answer("m")))
  end)

  it("once when the handler replied by itself", function()
    online { handlers = {
      returns = function(request) request:reply(201) return 202 end,
      fails = function(request) request:reply(201) error("too late") end,
      rejects = function(request) request:reply(201) dm.reject(400) end,
    } }
    assert.equal(201, (answer("returns")))
    assert.equal(201, (answer("fails")))
    assert.equal(201, (answer("rejects")))
    assert.is_truthy(log():find("too late", 1, true))
  end)

  it("each call by itself, in any order", function()
    online { handlers = { m = function(request)
      dm.sleep(request.payload)
      return 200, request.payload
    end } }
    for _, seconds in ipairs { 3, 1, 2 } do call("m", tostring(seconds)) end
    dm.advance(5)
    assert.equal("2 200 1, 3 200 2, 1 200 3", connection:said())
  end)

  it("429 beyond max_concurrent and max_queue, at once", function()
    online { max_concurrent = 2, max_queue = 1, handlers = {
      m = function() dm.sleep(10) return 200 end,
    } }
    for _ = 1, 5 do call("m") end
    local busy = ' 429 {"error":"the device is busy"}'
    assert.equal("4" .. busy .. ", 5" .. busy, connection:said())
    local stats = device:stats()
    assert.same({ 5, 2, 1, 2 },
      { stats.calls, stats.running, stats.queued, stats.rejected })
    connection.replies = {}
    dm.advance(11)
    assert.equal("1 200 , 2 200 ", connection:said())
    assert.equal(1, device:stats().running)
    dm.advance(10)
    assert.equal("1 200 , 2 200 , 3 200 ", connection:said())
  end)

  it("429 to a call of which only the rid was kept", function()
    online {}
    connection:event("overflow", "2f")
    assert.equal('2f 429 {"error":"the device is busy"}', connection:said())
    assert.equal(1, device:stats().rejected)
  end)

  it("504 after handler_timeout, and ends the task", function()
    local ended, seen
    online { handler_timeout = 2, max_concurrent = 1, handlers = {
      slow = function(request)
        seen = request
        local function on_end() ended = dm.now() end
        local _ <close> = setmetatable({}, { __close = on_end })
        dm.sleep(100)
      end,
      quick = function() dm.sleep(1) return 200 end,
    } }
    call("quick")
    dm.advance(5)
    call("slow")
    call("quick") -- waits for the slow one, whose time does not count for it
    dm.advance(1.5)
    assert.equal("1 200 ", connection:said())
    dm.advance(2)
    assert.equal('1 200 , 2 504 {"error":"the method timed out"}, 3 200 ',
      connection:said())
    assert.is_true(seen.cancelled)
    assert.is_true(ended <= seen.deadline + 0.1)
    assert.equal(1, device:stats().errors)
  end)

  it("500 when the handler's task is cancelled", function()
    online { handlers = { m = function() dm.sleep(100) end } }
    call("m")
    dm.advance(1)
    for each in pairs(task.all()) do each:cancel() end
    dm.advance(1)
    assert.equal('1 500 {"error":"the method was cancelled"}', connection:said())
  end)

  it("nothing on another connection than the call came on", function()
    local results = {}
    online { max_concurrent = 1, reconnect = { min = 0.1 }, handlers = {
      m = function(request)
        dm.sleep(10)
        results.cancelled = request.cancelled
        results.reply = table.pack(request:reply(200))
      end,
    } }
    call("m")
    call("m")
    dm.advance(1)
    connection:event("lost", "ConnectFailed", "the line broke")
    dm.advance(20)
    assert.equal(2, #connections)
    assert.same({ "", "" }, { connections[1]:said(), connections[2]:said() })
    assert.is_true(results.cancelled)
    assert.equal("Closed", results.reply[2].name)
    local stats = device:stats()
    assert.same({ 1, 1, "online" }, { stats.late, stats.dropped, stats.state })
  end)

  it("nothing once it is closed", function()
    local reply
    online { handlers = { m = function(request)
      dm.sleep(1)
      reply = table.pack(request:reply(200))
    end } }
    call("m")
    dm.advance(0.5)
    device:close()
    dm.advance(1)
    assert.equal("", connection:said())
    assert.is_nil(reply[1])
    assert.equal("Closed", reply[2].name)
    assert.equal(1, device:stats().late)
  end)

  it("with an error to the caller when too many answers wait", function()
    local kept
    online { handlers = { m = function(request) kept = request:defer() end } }
    call("m")
    dm.advance(0)
    connection.full = true
    local ok, err = kept:reply(200)
    assert.is_nil(ok)
    assert.equal("LimitExceeded", err.name)
    connection.full = false
    assert.is_true(kept:reply(200))
  end)

  it("and tells when a call's task first waits", function()
    online { max_concurrent = 1, handlers = {
      sleeps = function() dm.sleep(1) dm.sleep(1) end,
      ends = function() end,
    } }
    call("ends")
    assert.equal(0, connection.seen_count)
    dm.advance(0)
    assert.equal(1, connection.seen_count)
    call("sleeps")
    dm.advance(0)
    assert.equal(2, connection.seen_count)
    call("ends") -- queued: it waits for the other
    assert.equal(3, connection.seen_count)
    call("unknown")
    assert.equal(4, connection.seen_count)
    dm.advance(5)
    assert.equal(4, connection.seen_count)
  end)

  it("in turns, so that a busy device starves no other", function()
    local order = {}
    local function note(name)
      return function() table.insert(order, name) return 200 end
    end
    online { max_concurrent = 10, max_queue = 2000, handlers = { m = note("busy") } }
    local busy = connection
    local other <close> = dm.device {
      host_name = "hub.test", device_id = "d2", key = KEY,
      handlers = { m = note("other") },
    }
    assert(other:connect(5))
    for i = 1, 1000 do busy:event("request", "m", ("%x"):format(i), "") end
    connections[#connections]:event("request", "m", "1", "")
    dm.advance(0)
    assert.equal(1001, #order)
    assert.equal("other", order[11])
  end)

  it("a bounded number of calls in a turn of the loop", function()
    local count = 0
    local function m() count = count + 1 end
    online { max_concurrent = 5000, handlers = { m = m } }
    for i = 1, 5000 do connection:event("request", "m", ("%x"):format(i), "") end
    dm.loop.step(0)
    assert.is_true(count > 0 and count <= 512, count)
    dm.advance(0)
    assert.equal(5000, count)
  end)
end)
