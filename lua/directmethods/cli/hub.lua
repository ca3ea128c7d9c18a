--- `directmethods hub`: a local hub in a process of its own.

local announce = require "directmethods.cli.announce"
local dm = require "directmethods"
local stderr = require "directmethods.stderr"
local traces = require "directmethods.cli.trace"

local M = {}

local FAILED, USAGE_ERROR = 1, 2 -- exit status
local STOP = 4 -- seconds that pending calls have at the end, which is to take 5
local WORD_MAX = 128 -- characters of a name in the log

local function complain(message)
  stderr.write("directmethods hub: " .. message)
end

-- Arguments ----------------------------------------------------------------

local function to_port(option)
  return function(text)
    local port = math.tointeger(tonumber(text))
    if port and port >= 0 and port <= 65535 then return port end
    return nil, option .. " must be a number from 0 to 65535 (0: any free one)"
  end
end

local function to_units(text)
  local units = math.tointeger(tonumber(text))
  if units then return units end
  return nil, "--units must be a whole number"
end

local function new_parser()
  local ok, argparse = pcall(require, "argparse")
  if not ok then
    return nil, "the command line needs argparse (LuaRocks: argparse, Debian: "
      .. "lua-argparse); from Lua, dm.hub does without it"
  end
  local parser = argparse("directmethods hub",
    "Run a local Azure IoT Hub for direct methods until SIGINT or SIGTERM.")
  parser:add_help(false)
  parser:option("--host", "Address to listen on.", "127.0.0.1"):argname("ADDRESS")
  parser:option("--mqtt-port", "Port for devices; 0: any free one.", "8883")
    :argname("PORT"):convert(to_port "--mqtt-port")
  parser:option("--https-port", "Port for services; 0: any free one.", "443")
    :argname("PORT"):convert(to_port "--https-port")
  parser:option("--hostname", "HostName of the connection strings.", "localhost")
    :argname("NAME")
  parser:option("--alias", "Further name that clients may use; may be repeated.")
    :count("*"):argname("NAME")
  parser:option("--device", "Register a device, or a module as DEVICE/MODULE; "
    .. "may be repeated."):count("*"):argname("ID")
  parser:option("--tier", "Throttles and daily quota of F1, S1, S2 or S3; default: "
    .. "none."):argname("TIER")
  parser:option("--units", "Units of --tier; default: 1."):argname("N")
    :convert(to_units)
  parser:flag("--plain", "Plain TCP instead of TLS.")
  parser:flag("--insecure", "Allow --plain beyond loopback.")
  parser:option("--cert", "Certificate of the server, PEM; default: one of its own.")
    :argname("FILE")
  parser:option("--key", "Private key of --cert, PEM."):argname("FILE")
  parser:option("--ca", "What clients of --cert trust, PEM."):argname("FILE")
  parser:option("--x509-ca", "Authority of the certificates that devices show, PEM.")
    :argname("FILE")
  parser:flag("--dev-keys", "The published keys instead of random ones.")
  parser:option("--store", "Keep devices, twins, policies and the CA in this file; "
    .. "made if it is not there."):argname("FILE")
  parser:option("--ready-file", "Written as JSON when the hub serves, removed when it "
    .. "ends."):argname("FILE")
  parser:option("--trace", "Add a line of JSON for each call to a file, without "
    .. "payloads."):argname("FILE")
  parser:option("--admin-port", "Port of the control listener; 0: any free one; "
    .. "default: none."):argname("PORT"):convert(to_port "--admin-port")
  parser:flag("--lasting-tokens", "Tokens do not expire.")
  parser:flag("--env", "Print shell exports instead of text.")
  parser:flag("-q --quiet", "No line on stderr for each call.")
  parser:flag("-h --help", "Show this text.")
  return parser
end

local function read_tls(args)
  if not args.cert and not args.key and not args.ca then return not args.plain end
  if args.plain then return nil, "--plain and --cert exclude each other" end
  if not args.cert or not args.key then return nil, "--cert and --key go together" end
  return { cert = args.cert, key = args.key, ca = args.ca }
end

-- The hub --------------------------------------------------------------------

local PORT_HINTS = {
  ["permission denied"] = "ports below 1024 are for root; choose another by %s, "
    .. "or allow it: sysctl net.ipv4.ip_unprivileged_port_start=443",
  ["address already in use"] = "another process has the port; choose another by %s "
    .. "(0: any free one)",
}

-- What went wrong, and which option helps.
local function explain(err)
  local text = err.message
  if err.name == "NameNotResolved" then return (text:gsub("^[%a_]+", "--host")) end
  local option = text:match("^([%a_]+): ")
  for reason, hint in pairs(PORT_HINTS) do
    if option and text:find(reason, 1, true) then
      return ("%s: %s"):format(text, hint:format("--" .. option:gsub("_", "-")))
    end
  end
  return tostring(err)
end

-- A foreign text as one word of a log line.
local function word(text)
  text = text:sub(1, WORD_MAX):gsub("[^!-~]", function(c)
    return ("\\x%02x"):format(c:byte())
  end)
  return text == "" and "-" or text
end

-- What dm.hub and hub:add_device raise, in the words of the command line.
local function translate(message)
  return (tostring(message):gsub("^[^\n]-:%d+: ", ""):gsub("^[%w_.:]+: ", "")
    :gsub("option '([%w_.]+)'", function(name)
      name = name == "aliases" and "alias" or name:gsub("^tls%.", ""):gsub("_", "-")
      return "--" .. name
    end)
    :gsub("tls is false", "--plain is given")
    :gsub("set insecure = true", "give --insecure"))
end

local KNOWN = { DeviceAlreadyExists = true, ModuleAlreadyExistsOnDevice = true }

-- Exit status and what was wrong; nil: the device is there. A store may know it.
local function register(hub, id, store)
  local ok, identity, err = pcall(hub.add_device, hub, id)
  if not ok then return USAGE_ERROR, translate(identity) end
  if identity or store and KNOWN[err.name] then return nil end
  return KNOWN[err.name] and USAGE_ERROR or FAILED, translate(err)
end

-- A hub with its devices; nil, exit status and what was wrong.
local function start(args, tls)
  local ok, hub, err = pcall(dm.hub, {
    host = args.host,
    mqtt_port = args.mqtt_port,
    https_port = args.https_port,
    hostname = args.hostname,
    aliases = args.alias,
    tier = args.tier,
    units = args.units,
    tls = tls,
    x509_ca = args.x509_ca,
    dev_keys = args.dev_keys or false,
    insecure = args.insecure or false,
    store = args.store,
    admin_port = args.admin_port,
    tokens = not args.lasting_tokens,
  })
  if not ok then return nil, USAGE_ERROR, translate(hub) end
  if not hub then return nil, FAILED, explain(err) end
  for _, id in ipairs(args.device) do
    local status, why = register(hub, id, args.store)
    if status then
      hub:close()
      return nil, status, ("--device %s: %s"):format(word(id), why)
    end
  end
  return hub
end

-- Calls are logged without their payloads.
local function log_call(call)
  local who = word(call.device_id)
  if call.module_id then who = who .. "/" .. word(call.module_id) end
  local outcome = tostring(call.status)
  if call.outcome ~= "Answered" then
    outcome = ("%s (%d)"):format(call.outcome, call.code)
  end
  stderr.write(("%s %s %s %s %.1f ms"):format(os.date("!%Y-%m-%dT%TZ"), who,
    word(call.method), outcome, call.elapsed * 1000))
end

local function open_trace(args)
  if not args.trace then return nil end
  return traces.open(args.trace, complain)
end

-- Tell of calls as the arguments say.
local function watch(hub, args, trace)
  if args.quiet and not trace then return end
  hub:on("call", function(call)
    if trace then trace:add(call) end
    if not args.quiet then log_call(call) end
  end)
end

-- Serve until a signal comes. Runs on the main thread.
local function serve(hub, args, trace)
  watch(hub, args, trace)
  local failed
  dm.spawn(function()
    local ok, err = announce.all(hub, args)
    if ok then return end
    failed = err
    dm.stop()
  end)
  local why = dm.run()
  announce.withdraw(args)
  if not failed then complain(("stopping (%s)"):format(why)) end
  hub:stop(STOP)
  if trace then trace:close() end
  if not failed then return 0 end
  complain(tostring(failed))
  return FAILED
end

--- Run the command.
---@param argv string[] what follows the command's name
---@return integer status
function M.run(argv)
  local parser, missing = new_parser()
  if not parser then
    complain(missing)
    return FAILED
  end
  local ok, args = parser:pparse(argv)
  if ok and args.help then
    io.stdout:write(parser:get_help(), "\n")
    return 0
  end
  local tls, wrong
  if ok then tls, wrong = read_tls(args) else wrong = args end
  if wrong then
    complain(wrong)
    return USAGE_ERROR
  end
  local trace, unwritable = open_trace(args)
  if unwritable then
    complain("--trace: " .. unwritable)
    return FAILED
  end
  local hub <close>, status, why = start(args, tls)
  if hub then return serve(hub, args, trace) end
  complain(why)
  return status
end

return M
