--- Why a call failed, in sentences.

local reasons = require "directmethods.hub.call_reasons"

local function call(fields)
  local record = { device_id = "dev1", method = "on", outcome = "Answered",
    status = 200, code = 0, time = 100, elapsed = 0.1, stages = { received = 0 } }
  for name, value in pairs(fields) do record[name] = value end
  return record
end

describe("the reasons of a call", function()
  local function of(fields, history)
    return reasons.of(call(fields), history or {})
  end

  it("are not there when it was answered", function()
    assert.is_nil(of {})
    assert.is_nil(of { status = 299 })
  end)

  it("tell what statuses of devices mean that SDKs send by themselves", function()
    assert.equal("The device has no handler for this method.",
      of { status = 501 }.cause)
    assert.equal("The device's handler of the method raised an error.",
      of { status = 500 }.cause)
  end)

  it("tell what was wrong with the device, and what became of it before", function()
    local absent = { outcome = "DeviceNotOnline", code = 404103,
      reason = "not connected", connect_timeout = 0 }
    assert.equal("dev1 is not connected.", of(absent).cause)
    local history = {
      { event = "connected", time = 80 },
      { event = "disconnected", time = 97.5, text = "the device sent DISCONNECT" },
      { event = "disconnected", time = 98, module_id = "m", text = "another" },
      { event = "connected", time = 101 },
    }
    assert.equal("dev1 is not connected. It was disconnected 2.5 s before: "
      .. "the device sent DISCONNECT.", of(absent, history).cause)
    absent.connect_timeout = 5
    assert.matches(" The call waited 5 s for it%.$", of(absent).cause)
    assert.equal("a%1/m is not connected.", of { outcome = "DeviceNotOnline",
      reason = "not connected", device_id = "a%1", module_id = "m" }.cause)
    assert.equal("dev1 is not registered at this hub.",
      of { outcome = "DeviceNotFound", reason = "not registered" }.cause)
    assert.equal("dev1 is disabled.", of { outcome = "x", reason = "disabled" }.cause)
    assert.matches("has not subscribed",
      of { outcome = "DeviceNotOnline", reason = "not subscribed" }.cause)
  end)

  it("tell of a timeout whether the device had the request", function()
    local late = { outcome = "GatewayTimeout", code = 504101, response_timeout = 5,
      stages = { received = 0, published = 0.002 } }
    assert.equal("dev1 got the request after 2.0 ms and did not answer within 5 s.",
      of(late).cause)
    assert.matches("may have run", of(late).remedy)
    late.faults, late.stages.answered = { "response:drop" }, 0.0304
    assert.equal("dev1 answered after 30.4 ms, but the answer was not passed on within "
      .. "5 s. A fault rule acted: response:drop.", of(late).cause)
    assert.matches("Remove the rule", of(late).remedy)
    late.stages = { received = 0 }
    assert.matches("was not sent to dev1", of(late).cause)
  end)

  it("tell what IoT Hub's code means otherwise", function()
    assert.equal("Wait, then call again with growing pauses.",
      of { outcome = "GenericTimeout", code = 408000 }.remedy)
    assert.matches("closed its connection", of { outcome = "CallerGone" }.cause)
    assert.matches("fault rule", of { outcome = "Rejected" }.cause)
    assert.same({ cause = "Unheard.", remedy = "" }, of { outcome = "Unheard" })
  end)
end)
