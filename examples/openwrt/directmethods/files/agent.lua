#!/usr/bin/env lua5.4
--- The device agent of a router. procd starts it with the options of
-- /etc/config/directmethods (see directmethods.init); docs/openwrt.md describes it.
--
--   --connection-string FILE   a file with the connection string, or instead:
--   --host H --device D --cert FILE --key FILE
--   --ca FILE --port N --keepalive SECONDS --transport mqtt|websocket --proxy URL
--   --methods DIR    *.lua files, each returns a table of handlers
--   --exec DIR       programs as rpcd has them, each is asked for its methods
--   --allow "OBJECT METHOD"    may be called by the method `ubus`; more than once
--   --log LEVEL --alive FILE   the file is touched each minute while it is online
--
-- SIGHUP: read the methods again, and reconnect now. SIGTERM: answer what is in
-- progress, and end.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local dm = require "directmethods"
local methods = require "agent_methods"

local ALIVE = 60 -- seconds between two touches of the file

local function fail(...)
  io.stderr:write("directmethods-agent: ", string.format(...), "\n")
  os.exit(2)
end

local LISTS = { allow = true }

-- "--name value" pairs; those of LISTS become lists.
local function read_arguments(words)
  local options = { allow = {} }
  for i = 1, #words, 2 do
    local name, value = words[i]:match("^%-%-([%l-]+)$"), words[i + 1]
    if not name or not value then fail("wrong argument '%s'", words[i]) end
    if LISTS[name] then
      table.insert(options[name], value)
    else
      options[name] = value
    end
  end
  return options
end

local function read_file(path)
  local file, why = io.open(path)
  if not file then fail("%s", why) end
  local text = file:read("a")
  file:close()
  return (text:gsub("%s+$", ""))
end

local function number_of(options, name)
  local value = options[name]
  if not value then return nil end
  return math.tointeger(tonumber(value)) or fail("--%s must be a number", name)
end

local function device_options(options)
  local x509 = options.cert and { cert = options.cert, key = options.key }
  local file = options["connection-string"]
  return {
    connection_string = file and read_file(file),
    host_name = options.host,
    device_id = options.device,
    x509 = x509,
    tls = { ca = options.ca },
    port = number_of(options, "port"),
    keepalive = number_of(options, "keepalive"),
    transport = options.transport,
    proxy = options.proxy,
    api_version = "2021-04-12",
    engine = "uv",
    persist = true,
    max_concurrent = 8,
    max_queue = 32,
    handler_timeout = 300,
  }
end

-- Show a watchdog that the device is online: touch a file.
local function keep_alive_file(device, path)
  local function touch()
    if device.state ~= "online" then return end
    local file = io.open(path, "w")
    if file then file:write(os.time(), "\n"):close() end
  end
  device:on("state", touch)
  while true do
    dm.sleep(ALIVE)
    touch()
  end
end

local function serve(options)
  local ok, device = pcall(dm.device, device_options(options))
  if not ok then fail("%s", device) end
  local function load_methods()
    for name, handler in pairs(methods.load(options)) do
      device:method(name, handler or nil)
    end
  end
  load_methods()
  dm.on_signal("SIGHUP", function()
    load_methods()
    device:reconnect()
  end)
  if options.alive then dm.spawn(keep_alive_file, device, options.alive) end
  dm.spawn(device.connect, device)
  dm.run()
  device:close()
  device:closed(10)
end

local options = read_arguments(arg)
dm.log { level = options.log or "warn" }
serve(options)
