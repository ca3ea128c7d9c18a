--- The options of `directmethods hub`, and the options of dm.hub that they make.

local cluster = require "directmethods.cli.cluster"
local command = require "directmethods.cli.command"
local identity = require "directmethods.hub.identity"
local option_rules = require "directmethods.hub.option_rules"
local speeds = require "directmethods.cli.speed"
local variables = require "directmethods.cli.variables"

local M = {}

local PORT_MQTT, PORT_HTTPS = 8883, 443
local MOST_WORKERS = 256
local NESTED = { "limits", "jobs" } -- options that are tables of options

-- "ID=KEY": an id may hold "=", and keys end in some.
local function device(text)
  for at = #text, 1, -1 do
    if text:byte(at) == 61 and not identity.wrong_key(text:sub(at + 1)) then
      local key = text:sub(at + 1)
      return { id = text:sub(1, at - 1), identity = { primary_key = key } }
    end
  end
  return { id = text, identity = {} }
end

local function policy(text)
  local name, key = text:match("^([^=]+)=(.+)$")
  if name then return { name = name, key = key } end
  return nil, "a policy must be given as NAME=KEY"
end

local function add_listeners(parser)
  parser:option("--host", "Address to listen on; default: 127.0.0.1.")
    :argname("ADDRESS")
  parser:option("--mqtt-port", "Port for devices; 0: any free one; default: 8883.")
    :argname("PORT"):convert(command.whole("--mqtt-port", 0, 65535))
  parser:option("--https-port", "Port for services; 0: any free one; default: 443.")
    :argname("PORT"):convert(command.whole("--https-port", 0, 65535))
  parser:flag("--reuse-port", "Other hubs of the cluster with this option may have "
    .. "the same --mqtt-port and --https-port.")
  parser:option("--workers", "Run N hubs of one cluster, which share the ports; "
    .. "worker I of 0, 1, ... has --admin-port + I. It needs --cluster and --store "
    .. "postgres://...")
    :argname("N"):convert(command.whole("--workers", 1, MOST_WORKERS))
  parser:option("--hostname", "HostName of the connection strings; default: "
    .. "localhost."):argname("NAME")
  parser:option("--device-hostname", "The hub's name for devices, DeviceHostName of "
    .. "their connection strings (api-version 2026-11-01); default: none.")
    :argname("NAME")
  parser:option("--service-hostname", "Likewise for services, ServiceHostName; "
    .. "default: none.")
    :argname("NAME")
  parser:option("--alias", "Another host name that clients may use; may be "
    .. "repeated.")
    :count("*"):argname("NAME")
  parser:flag("--plain", "Plain TCP instead of TLS.")
  parser:flag("--insecure", "Allow --plain beyond loopback.")
  parser:option("--cert", "The server's certificate, PEM; default: the hub makes "
    .. "one.")
    :argname("FILE")
  parser:option("--key", "The private key of --cert, PEM."):argname("FILE")
  parser:option("--ca", "The authority that clients trust with --cert, PEM.")
    :argname("FILE")
  parser:option("--ca-dir", "Keep the hub's CA in this folder, so that it is the "
    .. "same at each start. The folder is created if it does not exist.")
    :argname("FOLDER")
  parser:option("--x509-ca", "The authority that signs the certificates of "
    .. "devices, PEM.")
    :argname("FILE")
  parser:option("--admin-port", "Port of the admin listener; 0: any free one; "
    .. "default: off, or any free one with a COMMAND.")
    :argname("PORT"):convert(command.whole("--admin-port", 0, 65535))
  parser:flag("--inspect", "Print the URL of the inspector, a page to look at the hub "
    .. "and to steer it. It is at the admin listener, on any free port without "
    .. "--admin-port.")
  parser:flag("--open", "As --inspect, and open the URL in the desktop's browser.")
  parser:option("--admin-host", "Address of the admin listener; default: 127.0.0.1. "
    .. "Another than a loopback address needs --admin-tls and --admin-token-file.")
    :argname("ADDRESS")
  parser:flag("--admin-tls", "HTTPS at the admin listener, with the hub's "
    .. "certificate.")
  parser:option("--admin-token-file", "File with the token of the admin listener; "
    .. "default: a random token."):argname("FILE")
end

local function add_identities(parser)
  parser:option("--device", "Register a device, or a module as DEVICE/MODULE; may "
    .. "be repeated. Other users can see a KEY in an argument: use --config to "
    .. "hide it.")
    :count("*"):argname("ID[=KEY]"):convert(device)
  parser:option("--policy", "Set the primary key of a policy; may be repeated.")
    :count("*"):argname("NAME=KEY"):convert(policy)
  parser:flag("--dev-keys", "Use the published keys instead of random ones.")
  parser:option("--store", "Keep devices, twins, policies and the CA in this file. "
    .. "It is created if it does not exist."):argname("FILE")
  parser:option("--config", "Read options, policies, devices, canned answers and "
    .. "faults from a JSON file, or the devices of an export of Azure. Options on the "
    .. "command line replace those in the file."):argname("FILE")
end

local function add_rules(parser)
  parser:option("--contract", "Use the contract of 2017 or 2019 for every "
    .. "api-version.")
    :argname("YEAR")
  parser:option("--tier", "Apply the throttles and daily quota of F1, S1, S2 or "
    .. "S3; default: none."):argname("TIER")
  parser:option("--units", "Number of units of --tier; default: 1."):argname("N")
    :convert(command.whole("--units", 0, 200))
  parser:option("--failed-logins", "Refuse an address for a minute after so many "
    .. "failed log-ins within a minute; 0: never.")
    :argname("N"):convert(command.whole("--failed-logins", 0, 1000000))
  parser:flag("--retry-after", "Send Retry-After with 429 and 503.")
  parser:flag("--lasting-tokens", "Tokens do not expire.")
  parser:option("--speed", "Let time run N times as fast, for the hub and, under "
    .. "libfaketime, for COMMAND and its children."):argname("N")
    :convert(command.number("--speed", 1, speeds.MAX))
  for _, option in ipairs(NESTED) do
    for _, name in ipairs(option_rules.names_in(option)) do
      parser:option(("--%s.%s"):format(option, name)):argname("VALUE"):hidden(true)
        :convert(function(text) return tonumber(text) or text end)
    end
  end
end

local function add_output(parser)
  parser:option("--ready-file", "Write ports, CA and connection strings to this "
    .. "file, as JSON, when the hub is ready. It is removed when the hub ends.")
    :argname("FILE")
  parser:option("--env", "Print environment variables for sh, fish, powershell or "
    .. "dotenv instead of text."):args("?"):argname("FORMAT"):choices(variables.FORMATS)
  parser:option("--trace", "Append a line of JSON for each call to this file, "
    .. "without payloads."):argname("FILE")
  parser:option("--record", "Write each call with its payloads to this file, for "
    .. "`directmethods replay`. The file is replaced if it exists.")
    :argname("FILE")
  parser:option("--log-file", "Write the log to this file instead of stderr.")
    :argname("FILE")
  parser:option("--log-level", "debug, info, warn, error or off; default: warn.")
    :argname("LEVEL"):choices { "debug", "info", "warn", "error", "off" }
  parser:option("--log-format", "text or json; default: text."):argname("FORMAT")
    :choices { "text", "json" }
end

--- Add the options.
function M.add(parser)
  add_listeners(parser)
  add_identities(parser)
  cluster.add(parser)
  add_rules(parser)
  add_output(parser)
end

--- The options that are too many for the list.
---@return string
function M.notes()
  local lines = { "Limits and jobs, as of dm.hub (docs/hub.md):" }
  for _, option in ipairs(NESTED) do
    lines[#lines + 1] = ("  --%s.NAME VALUE, where NAME is one of: %s"):format(option,
      table.concat(option_rules.names_in(option), ", "))
  end
  return table.concat(lines, "\n")
end

-- What stands in "--limits.NAME" and the like.
local function nested(args, option)
  local values = {}
  for _, name in ipairs(option_rules.names_in(option)) do
    values[name] = args[option .. "." .. name]
  end
  return next(values) and values
end

local function tls_of(args)
  local pair = args.cert or args.key or args.ca
  if not pair then
    if args.plain then return false end
    return nil
  end
  if args.plain then
    command.fail(command.USAGE, "--plain and --cert exclude each other")
  elseif args.ca_dir then
    command.fail(command.USAGE, "--ca-dir and --cert exclude each other")
  elseif not args.cert or not args.key then
    command.fail(command.USAGE, "--cert and --key go together")
  end
  return { cert = args.cert, key = args.key, ca = args.ca }
end

local function list_of_policies(args)
  local keys = {}
  for _, each in ipairs(args.policy) do keys[each.name] = each.key end
  return next(keys) and keys
end

local function merge(under, over)
  local merged = {}
  for name, value in pairs(under or {}) do merged[name] = value end
  for name, value in pairs(over or {}) do merged[name] = value end
  return merged
end

--- The options of dm.hub that the command line gives.
---@param args table
---@return table
function M.given(args)
  return {
    host = args.host,
    mqtt_port = args.mqtt_port,
    https_port = args.https_port,
    reuse_port = args.reuse_port,
    hostname = args.hostname,
    device_hostname = args.device_hostname,
    service_hostname = args.service_hostname,
    aliases = args.alias[1] and args.alias,
    tier = args.tier,
    units = args.units,
    tls = tls_of(args),
    x509_ca = args.x509_ca,
    contract = args.contract,
    failed_logins = args.failed_logins,
    retry_after = args.retry_after,
    dev_keys = args.dev_keys,
    insecure = args.insecure,
    store = args.store,
    cluster = cluster.given(args),
    admin_port = args.admin_port,
    admin_host = args.admin_host,
    admin_tls = args.admin_tls,
    admin_token = args.admin_token_file
      and command.read_argument("@" .. args.admin_token_file),
    tokens = args.lasting_tokens and false,
    policies = list_of_policies(args) or nil,
    limits = nested(args, "limits") or nil,
    jobs = nested(args, "jobs") or nil,
  }
end

--- All options of dm.hub: those given, else those of a file, else the command's own.
---@param given table
---@param file directmethods.HubFile
---@param needs_admin boolean listen for the admin even if no option of it is given
---@return table
function M.complete(given, file, needs_admin)
  local all = merge(file.options, given)
  all.policies = merge(file.policies, given.policies)
  for _, option in ipairs { "cluster", table.unpack(NESTED) } do
    local under = file.options[option]
    if type(under) == "table" then all[option] = merge(under, given[option]) end
  end
  all.mqtt_port = all.mqtt_port or PORT_MQTT
  all.https_port = all.https_port or PORT_HTTPS
  if needs_admin or all.admin_host or all.admin_tls or all.admin_token then
    all.admin_port = all.admin_port or 0
  end
  return all
end

return M
