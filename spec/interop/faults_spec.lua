--- Azure SDKs for Node, unmodified, against a hub that does wrong on command, and
-- against one whose clock is moved.

local stage = require "spec.interop.stage"

local FIRST_FAILS = {
  error = "UnauthorizedError", -- so the SDK calls whatever ends its first attempt
  message = "mqtt.js returned Failure on first connection (Not authorized): "
    .. "Unable to establish a connection error",
}

-- What `open` gives on the first connection.
local OPENING = {
  drop = { first = FIRST_FAILS },
  delay = { first = { value = "open" }, late = true },
  disconnect = { first = FIRST_FAILS },
  reject = { first = { value = "open" } }, -- the SDK has tried again
}

-- Of a call: what the service SDK gives, how often the device's handler ran for it and
-- for the call that follows it, and what the trace says.
local CALLING = {
  ["http:delay"] = { value = true, handled = 2, outcome = "Answered", late = true },
  ["http:disconnect"] = {
    error = "Error", message = "socket hang up", handled = 1, outcome = "CallerGone",
  },
  ["http:reject"] = {
    error = "ThrottlingError", status = 429, code = 429001, handled = 1,
    outcome = "ThrottlingException",
  },
  ["request:drop"] = {
    error = "GatewayTimeoutError", status = 504, code = 504101, handled = 1,
    outcome = "GatewayTimeout",
  },
  ["request:delay"] = { value = true, handled = 2, outcome = "Answered", late = true },
  ["request:duplicate"] = { value = true, handled = 3, outcome = "Answered" },
  ["request:disconnect"] = {
    error = "Error", status = 404, code = 404104, handled = 1,
    outcome = "DeviceConnectionClosedRemotely",
  },
  ["request:reject"] = {
    error = "ServiceUnavailableError", status = 503, code = 503001, handled = 1,
    outcome = "ServiceUnavailable",
  },
  ["response:drop"] = {
    error = "GatewayTimeoutError", status = 504, code = 504101, handled = 2,
    outcome = "GatewayTimeout",
  },
  ["response:delay"] = { value = true, handled = 2, outcome = "Answered", late = true },
  ["response:duplicate"] = { value = true, handled = 2, outcome = "Answered" },
  ["response:disconnect"] = {
    error = "Error", status = 404, code = 404104, handled = 2,
    outcome = "DeviceConnectionClosedRemotely",
  },
  ["response:reject"] = {
    error = "InternalServerError", status = 500, code = 500001, handled = 2,
    outcome = "ServerError",
  },
}

describe("Azure SDKs for Node, when the hub does wrong:", function()
  local seen, clock

  setup(function()
    local all = stage.play "faults_scenarios.lua"
    seen, clock = all.faults, all.clock
  end)

  describe("a device that connects", function()
    for action, expected in pairs(OPENING) do
      it("for the first time is told of connect:" .. action, function()
        local found = seen["connect:" .. action].opening
        assert.same(expected.first, found.first)
        assert.equal(expected.late, found.late)
        assert.same({ "there", 1 }, { found.after, found.hits })
      end)

      it("again comes back by itself after connect:" .. action, function()
        local found = seen["connect:" .. action]
        assert.same({ after = "back", hits = 1 }, found.returning)
        assert.equal(action == "reject" and 2 or 0, found.refused)
      end)
    end
  end)

  describe("a call", function()
    for what, expected in pairs(CALLING) do
      it("under " .. what .. " is told of it, and the next one is answered", function()
        local found = seen[what]
        local value = -found.after
        local during = found.during
        assert.equal(expected.value and value, during.value)
        for _, field in ipairs { "error", "message", "status", "code" } do
          assert.equal(expected[field], during[field])
        end
        assert.equal(expected.late, found.late)
        assert.equal(1, found.hits)
        assert.equal(expected.handled, found.handled)
      end)

      it("under " .. what .. " is in the trace with what the rule did", function()
        assert.equal(expected.outcome, seen[what].outcome)
        assert.same({ { what }, "none" }, seen[what].faults)
      end)
    end

    it("under http:drop hears nothing, while others are answered", function()
      assert.same({ after = "answered", settled = false, hits = 1 }, seen["http:drop"])
      assert.same({ "http:drop" }, seen.gone)
    end)

    it("is sent again by the service SDK, unless it is told not to", function()
      assert.same({ 100, 1 }, { seen.retried.during.value, seen.retried.hits })
    end)

    it("meets the rules of a seed as any other caller and device do", function()
      local first, again, other = table.unpack(seen.patterns)
      assert.equal(first, again)
      assert.equal(first, seen.same)
      assert.not_equal(first, other)
      assert.truthy(first:find("x", 1, true) and first:find(".", 1, true))
    end)
  end)

  describe("a device that asks for a fault", function()
    for _, kind in ipairs { "KillTcp", "ShutDownMqtt" } do
      it(("gets %s in its time, comes back and is called"):format(kind), function()
        assert.same({ before = true, after = kind }, seen[kind])
      end)
    end

    it("is counted, and its reason logged", function()
      assert.equal(6, seen.asked)
      assert.matches("closed: 'node%-faults': fault message: byebye", seen.log)
    end)
  end)

  describe("a device, when the hub's clock is moved by two hours,", function()
    it("stays where tokens do not expire", function()
      assert.same({ after = "still there", connects = 0, expired = 0 }, seen.hours)
    end)

    it("is disconnected where they do, and cannot come back", function()
      assert.same({ expired = 1, code = 404103 }, clock)
    end)
  end)
end)
