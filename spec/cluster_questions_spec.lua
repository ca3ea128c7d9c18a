-- Questions of a hub's Lua to that of other hubs, over a real NATS server.

local buses = require "directmethods.hub.bus"
local dm = require "directmethods"
local nats = require "spec.support.nats"

local NO_PART = 0

describe("a question to other hubs", function()
  local server, opened, clients

  setup(function() server = nats.server() end)
  teardown(function() server:close() end)
  before_each(function() opened, clients = {}, {} end)
  after_each(function()
    for _, client in ipairs(clients) do client:close() end
    for _, each in ipairs(opened) do each:close() end
  end)

  -- Wait until the server knows what a new bus has subscribed to.
  local function wait_for(id)
    local client = nats.client(server):subscribe "dm.lab.hub.h0"
    assert(dm.wait_until(function()
      client:publish("dm.lab.hub." .. id, nats.wire("ping", "lab", "h0"),
        "dm.lab.hub.h0")
      return not client:message().nobody
    end))
    client:close()
  end

  -- on_question: fun(hub, text, done)
  local function open(id, on_question)
    local bus = assert(buses.open({ url = server:url(), name = "lab" }, id))
    bus.on_question = on_question
    opened[#opened + 1] = bus
    wait_for(id)
    return bus
  end

  local function echo(hub, text, done) done { hub .. " ", text } end

  local function foreign_hub() return nats.foreign_hub(server, clients) end

  local function dropped(bus, why)
    return bus:count({})["bus_" .. why]
  end

  local function reply_of(id, part, more, text)
    return nats.wire("reply", "lab", "h9", string.pack(">I8i4i4", id, part, more)
      .. nats.text(text))
  end

  -- Have h1 ask h9: the task, the id of the question.
  local function asked(bus, client, hubs)
    local call = dm.spawn(bus.ask, bus, hubs or { "h9" }, "what?")
    local kind, id = nats.read(assert(client:message()).bytes)
    assert.equal("question", kind)
    return call, id
  end

  it("has the replies of all of them, in parts", function()
    local bus = open "h1"
    open("h2", echo)
    open("h3", function(_, _, done) dm.spawn(done, { "later" }) end)
    local replies = assert(bus:ask({ "h2", "h3" }, "a\0b"))
    assert.same({ h2 = { "h1 ", "a\0b" }, h3 = { "later" } }, replies)
    assert.same({}, assert(bus:ask({}, "x")))
  end)

  it("does not wait for a hub that is not there", function()
    local bus, went = open "h1", os.time()
    open("h2", echo)
    local replies
    for _ = 1, 50 do replies = assert(bus:ask({ "h2", "gone", "no word" }, "x")) end
    assert.same({ h2 = { "h1 ", "x" } }, replies)
    assert.is_true(os.time() - went < 50 * 2)
  end)

  it("ends after two seconds without one that is silent", function()
    local bus, client = open "h1", foreign_hub()
    open("h2", echo)
    local call = asked(bus, client, { "h9", "h2" })
    assert.same({ h2 = { "h1 ", "what?" } }, (call:await()))
  end)

  it("takes no reply that is not whole", function()
    local bus, client = open "h1", foreign_hub()
    local call, id = asked(bus, client)
    client:publish("dm.lab.hub.h1", reply_of(id, 1, 1, "a"))
    client:publish("dm.lab.hub.h1", reply_of(id, 3, 0, "c"))
    assert.same({}, (call:await()))
    assert.equal(1, dropped(bus, "late"))
  end)

  it("drops and counts replies that are foreign, repeated or late", function()
    local bus, client = open "h1", foreign_hub()
    local call, id = asked(bus, client)
    client:publish("dm.lab.hub.h1", nats.wire("reply", "lab", "h8",
      string.pack(">I8i4i4", id, 1, 0) .. nats.text "lie"))
    client:publish("dm.lab.all", reply_of(id, 1, 0, "lie"))
    client:publish("dm.lab.hub.h1", reply_of(id, 1, 1, "a"))
    client:publish("dm.lab.hub.h1", reply_of(id, 1, 1, "a"))
    client:publish("dm.lab.hub.h1", reply_of(id, NO_PART, 1, "a"))
    client:publish("dm.lab.hub.h1", reply_of(id, 17, 1, "z"))
    client:publish("dm.lab.hub.h1", reply_of(id, 2, 0, nil))
    assert.same({ h9 = { "a", "" } }, (call:await()))
    client:publish("dm.lab.hub.h1", reply_of(id, 3, 0, "b"))
    client:publish_nobody(("dm.lab.hub.h1.q%x"):format(id))
    assert(dm.wait_until(function() return dropped(bus, "late") == 2 end))
    assert.equal(2, dropped(bus, "foreign"))
    assert.equal(2, dropped(bus, "replayed"))
    assert.equal(1, dropped(bus, "full"))
  end)

  it("is answered once, and dropped when it is malformed or foreign", function()
    local seen = {}
    local bus = open("h1", function(_, text, done)
      seen[#seen + 1] = text
      done(text ~= "wrong" and { "yes" } or nil)
    end)
    local client = foreign_hub()
    local function question(id, number, text)
      return nats.wire("question", "lab", "h9", string.pack(">I8I8", id, number)
        .. nats.text(text))
    end
    client:publish("dm.lab.hub.h1", question(5, 1, "right"))
    assert.same({ "reply", 5 }, { nats.read(client:message().bytes) })
    client:publish("dm.lab.hub.h1", question(5, 1, "right"))
    client:publish("dm.lab.hub.h1", question(6, 2, "wrong"))
    client:publish("dm.lab.hub.h1", question(7, 3, nil))
    client:publish("dm.lab.all", question(8, 4, "right"))
    assert(dm.wait_until(function() return dropped(bus, "foreign") == 1 end))
    assert.equal(1, dropped(bus, "replayed"))
    assert.equal(2, dropped(bus, "malformed"))
    assert.same({ "right", "wrong" }, seen)
  end)

  it("is dropped where too many wait", function()
    local waiting = {}
    local bus = open("h1", function(_, _, done) waiting[#waiting + 1] = done end)
    local client = foreign_hub()
    for i = 1, 70 do
      client:publish("dm.lab.hub.h1", nats.wire("question", "lab", "h9",
        string.pack(">I8I8", i, i) .. nats.text "x"))
    end
    assert(dm.wait_until(function() return dropped(bus, "full") == 6 end))
    assert.equal(64, #waiting)
    for _, done in ipairs(waiting) do done { "yes" } end
    for i = 1, 64 do
      assert.same({ "reply", i }, { nats.read(client:message().bytes) })
    end
  end)

  it("is not sent where too many are under way", function()
    local bus = open "h1"
    local client = foreign_hub()
    for _ = 1, 8 do asked(bus, client) end
    local replies, err = bus:ask({ "h9" }, "x")
    assert.is_nil(replies)
    assert.equal(503001, err.code)
    assert.matches("8 questions", err.message)
  end)

  it("ends with the bus, and fails without a server", function()
    local bus, client = open "h1", foreign_hub()
    local call = asked(bus, client)
    local other = open "h2"
    server:stop()
    assert(dm.wait_until(function() return not other:connected() end, 20))
    local replies, err = other:ask({ "h9" }, "x")
    assert.is_nil(replies)
    assert.equal("ServiceUnavailable (503001): this hub has no connection to a NATS "
      .. "server, so it cannot ask the others", tostring(err))
    bus:close()
    assert.same({}, call:await() or {})
    server:start()
  end)
end)
