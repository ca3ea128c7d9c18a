-- hub:devices and GET /devices: pages of devices, and those whose id contains a text.

local admin = require "spec.support.admin"
local fixture = require "spec.support.fixture"

describe("the list of devices", function()
  local hub

  setup(function()
    hub = fixture.hub { admin_port = 0 }
    for _, id in ipairs { "Lamp-2", "a%b", "a_b", "ab", "lamp-1", "lamp-1/m", "lamp!",
      "pump" } do assert(hub:add_device(id)) end
  end)

  teardown(function() fixture.finish(hub) end)

  local function ids(list)
    local found = {}
    for i, device in ipairs(list) do found[i] = device.device_id end
    return found
  end

  local function found(filter) return ids((hub:devices(filter))) end

  it("is in pages, by id", function()
    assert.same({ "Lamp-2", "a%b", "a_b", "ab", "lamp!", "lamp-1", "pump" }, found())
    assert.same({ "Lamp-2", "a%b" }, found { top = 2 })
    assert.same({ "a_b", "ab" }, found { top = 2, after = "a%b" })
  end)

  it("has those whose id contains a text, in capital letters or small", function()
    assert.same({ "Lamp-2", "lamp!", "lamp-1" }, found { contains = "lAMP" })
    assert.same({ "lamp-1" }, found { contains = "-1" })
    assert.same({ "lamp!" }, found { contains = "lamp", top = 1, after = "ab" })
    assert.same(found(), found { contains = "" })
    assert.same({}, found { contains = "lamp-1/m" })
    assert.same({ "m" }, hub:devices({ contains = "lamp-1" })[1].modules)
  end)

  it("takes each character for itself", function()
    assert.same({ "a%b" }, found { contains = "%" })
    assert.same({ "a_b" }, found { contains = "A_B" })
    assert.same({ "lamp!" }, found { contains = "!" })
    for _, text in ipairs { "\\", "'", "\0", "\xff", "\u{e4}" } do
      assert.same({}, found { contains = text })
    end
  end)

  it("is at the admin listener", function()
    local status, list = admin.ask(hub, "GET", "/devices?contains=LAMP&top=2")
    assert.same({ 200, { "Lamp-2", "lamp!" } }, { status, ids(list) })
  end)

  it("raises for what is no filter", function()
    assert.error_matches(function() hub:devices { contains = 1 } end,
      "hub:devices: option 'contains' must be of type string")
  end)
end)
