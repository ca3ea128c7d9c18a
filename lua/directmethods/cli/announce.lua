--- How a hub in a process of its own says that it serves: text, shell exports, and a
-- file for scripts.

local dm = require "directmethods"
local errors = require "directmethods.errors"
local life = require "directmethods.hub.life"

local M = {}

local POLICY = "iothubowner" -- the one that unmodified SDKs are given

-- Everything that a client needs.
local function facts_of(hub, args)
  local ca_file, err = hub:ca_file()
  if err then return nil, err end
  local facts = {
    host = args.host,
    hostname = hub.hostname,
    ports = hub:ports(),
    tls = not args.plain,
    ca_file = ca_file,
    connection_strings = {},
    devices = {},
    admin_token = hub:admin_token(),
  }
  for _, policy in ipairs(life.POLICY_NAMES) do
    facts.connection_strings[policy] = hub:connection_string(policy)
  end
  for _, id in ipairs(args.device) do
    facts.devices[id] = hub:connection_string(id)
  end
  return facts
end

local function text(facts, args)
  local lines = {
    ("directmethods hub serves on %s"):format(facts.host),
    ("  %-22s %d"):format(facts.tls and "MQTT over TLS, port" or "MQTT, port",
      facts.ports.mqtt),
    ("  %-22s %d"):format(facts.tls and "HTTPS, port" or "HTTP, port",
      facts.ports.https),
  }
  local function add(name, value)
    lines[#lines + 1] = ("  %-22s %s"):format(name, value)
  end
  if facts.ca_file then add("CA file", facts.ca_file) end
  if facts.admin_token then
    add("admin", ("http://127.0.0.1:%d"):format(facts.ports.admin))
    add("admin token", facts.admin_token)
  end
  for _, policy in ipairs { POLICY, "service" } do
    add("policy " .. policy, facts.connection_strings[policy])
  end
  for _, id in ipairs(args.device) do
    add("device " .. id, facts.devices[id])
  end
  return lines
end

local function quoted(value)
  return "'" .. tostring(value):gsub("'", "'\\''") .. "'"
end

local function exports(facts, args)
  local lines = {}
  local function add(name, value)
    if value then lines[#lines + 1] = ("export %s=%s"):format(name, quoted(value)) end
  end
  add("IOTHUB_CONNECTION_STRING", facts.connection_strings[POLICY])
  add("IOTHUB_DEVICE_CONNECTION_STRING", facts.devices[args.device[1]])
  add("IOTHUB_CA_FILE", facts.ca_file)
  add("NODE_EXTRA_CA_CERTS", facts.ca_file)
  add("HUB_MQTT_PORT", facts.ports.mqtt)
  add("HUB_HTTPS_PORT", facts.ports.https)
  add("HUB_ADMIN_PORT", facts.ports.admin)
  add("HUB_ADMIN_TOKEN", facts.admin_token)
  for i = 2, #args.device do
    lines[#lines + 1] = "# " .. quoted(facts.devices[args.device[i]])
  end
  return lines
end

local function failed(why)
  return nil, errors.new { name = "SystemError", message = "--ready-file: " .. why }
end

-- Only this user may read the file, and nobody ever sees half of it.
local function write_ready_file(path, facts)
  local made, err = dm.exec { "mktemp", "--", path .. ".XXXXXX" }
  if not made then return nil, err end
  local temporary = made.stdout:match("^([^\n]+)\n$")
  if made.status ~= 0 or not temporary then
    return failed("cannot make a file beside " .. path)
  end
  local file, why = io.open(temporary, "w")
  local ok = file and file:write(dm.json.encode(facts), "\n") and file:close()
  if ok then ok, why = os.rename(temporary, path) end
  if ok then return true end
  os.remove(temporary)
  return failed(why or "cannot write it")
end

--- Print what clients need, and write the ready file.
---@return boolean? done
---@return directmethods.Error? err
function M.all(hub, args)
  local facts, err = facts_of(hub, args)
  if not facts then return nil, err end
  local lines = (args.env and exports or text)(facts, args)
  io.stdout:write(table.concat(lines, "\n"), "\n")
  io.stdout:flush()
  if not args.ready_file then return true end
  return write_ready_file(args.ready_file, facts)
end

--- Remove the ready file: the hub serves no longer.
function M.withdraw(args)
  if args.ready_file then os.remove(args.ready_file) end
end

return M
