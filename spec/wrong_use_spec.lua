--- Wrong use raises at the line of the user's call, wherever the library noticed it.

local dm = require "directmethods"

local KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
local DEVICE = "HostName=hub.test;DeviceId=d1;SharedAccessKey=" .. KEY
local SERVICE = "HostName=hub.test;SharedAccessKeyName=service;SharedAccessKey=" .. KEY
local NOT_A_FILE = "/no/such/file"

-- Call role(opts) on a line of its own; the message without that line's place.
local function message_of(role, ...)
  local args = table.pack(...)
  local line
  local ok, err = pcall(function()
    line = debug.getinfo(1, "l").currentline + 1
    local _ = role(table.unpack(args, 1, args.n))
  end)
  assert.is_false(ok)
  local source = debug.getinfo(1, "S").short_src
  local place = ("%s:%d: "):format(source, line)
  assert.equal(place, err:sub(1, #place))
  return err:sub(#place + 1)
end

describe("wrong use is blamed on its caller", function()
  local hub, service

  setup(function()
    hub = assert(dm.hub { tls = false })
    service = hub:service()
  end)

  teardown(function()
    service:close()
    hub:close()
    assert(hub:closed(10))
  end)

  local CASES = {
    { "device", {} },
    { "device", { connection_string = "x" } },
    { "device", { connection_string = DEVICE, prt = 1 } },
    { "device", { connection_string = DEVICE, handlers = { reboot = 1 } } },
    { "device", { connection_string = DEVICE, token_renew = 3600 } },
    { "device", { connection_string = DEVICE, tls = { ca = NOT_A_FILE } } },
    { "service", {} },
    { "service", { connection_string = DEVICE } },
    { "service", { connection_string = SERVICE, prt = 1 } },
    { "service", { connection_string = SERVICE, tls = { ca = NOT_A_FILE } } },
    { "hub", { prt = 1 } },
    { "hub", { host = "0.0.0.0", tls = false } },
    { "hub", { tls = { cert = NOT_A_FILE, key = NOT_A_FILE } } },
  }
  for i, case in ipairs(CASES) do
    local role, opts = table.unpack(case)
    it(("by dm.%s, case %d"):format(role, i), function()
      assert.matches("^dm%." .. role .. ": option", (message_of(dm[role], opts)
        :gsub("unknown option", "option")))
    end)
  end

  it("by the methods of a hub", function()
    assert.equal("dm.device: option 'handlers.reboot' must be a function, not a number",
      message_of(hub.device, hub, "dev1", { reboot = 1 }))
    assert.equal("dm.device: unknown option 'prt' (did you mean 'port'?)",
      message_of(hub.device, hub, "dev1", {}, { prt = 1 }))
    assert.equal("dm.service: unknown option 'prt' (did you mean 'port'?)",
      message_of(hub.service, hub, "service", { prt = 1 }))
    assert.matches("^hub:add_device: device id must be",
      message_of(hub.add_device, hub, ""))
  end)

  it("by service:invoke", function()
    assert.matches("^service:invoke: device_id", message_of(service.invoke, service))
    assert.matches("^service:invoke: option 'response_timeout'",
      message_of(service.invoke, service, "d", "m", nil, { response_timeout = 0 }))
    assert.matches("^service:invoke: payload", message_of(service.invoke, service, "d",
      "m", print))
  end)

  it("by a method that is called with a dot", function()
    local task = dm.spawn(function() end)
    assert.matches("^service:invoke: called on a nil", message_of(service.invoke))
    assert.matches("^service:close: called on a string", message_of(service.close, "s"))
    assert.matches("^task:await: called on a nil", message_of(task.await))
    assert.equal("hub:service: called on a string (is it hub:service(...) with a "
      .. "colon?)", message_of(hub.service, "service"))
    assert.matches("^task:cancel: called on a number", message_of(task.cancel, 1))
    task:await()
  end)

  it("by a device in the place of its id", function()
    local device <close> = dm.device { connection_string = DEVICE }
    local rule = "must be a string, not a device: pass its device_id"
    for what, message in pairs {
      ["service:invoke: device_id "] = message_of(service.invoke, service, device, "m"),
      ["service:invoke_many: ids[1] "] = message_of(service.invoke_many, service,
        { device }, "m"),
      ["twins:get: id "] = message_of(service.twins.get, service.twins, device),
      ["hub:device: device id "] = message_of(hub.device, hub, device),
    } do
      assert.equal(what .. rule, message)
    end
  end)

  it("says each thing once", function()
    assert.equal("dm.device: option 'connection_string' is wrong: a field has an "
      .. "unknown name", message_of(dm.device, { connection_string = "x" }))
  end)
end)

describe("an older Lua", function()
  for _, module in ipairs { "directmethods", "directmethods.testing" } do
    it("is told which one " .. module .. " needs", function()
      local result = assert(dm.exec { "lua5.1", "-e",
        "package.path = 'lua/?.lua;lua/?/init.lua'; require '" .. module .. "'" })
      assert.equal(1, result.status)
      assert.matches("directmethods needs Lua 5.4 (busted: --lua=lua5.4), "
        .. "this is Lua 5.1", result.stderr, 1, true)
    end)
  end
end)
