--- A plain hub of `make bench`, in a process of its own until SIGTERM.
--
--     hub.lua FILE plain|tls|sdk [STORE [NATS]]
--
-- sdk: TLS on the ports that Azure's SDKs insist on. STORE and NATS are URLs: with both
-- the hub is one of several, at the addresses 127.0.0.1 to 127.0.0.8.
--
-- FILE gets a line each: the ports of MQTT and HTTP, tokens of the device "bench" and
-- of the policy "service", the connection strings of "bench" and "idle", the CA's
-- path, the connection string of the policy "service". Then the process id is printed.

local bench = require "spec.bench.process"
local core = require "directmethods.core"
local dm = require "directmethods"

local TOKEN_SECONDS = 3600

local function key_of(connection_string)
  return assert(core.connstr(connection_string)).key
end

local function token(hub, name, resource, policy)
  local key = key_of(hub:connection_string(name))
  local expiry = math.floor(dm.time()) + TOKEN_SECONDS
  return assert(core.sas_sign(resource, key, expiry, policy))
end

local function write_facts(hub, path)
  local ports = hub:ports()
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(table.concat({
    ports.mqtt,
    ports.https,
    token(hub, "bench", "localhost/devices/bench"),
    token(hub, "service", "localhost", "service"),
    hub:connection_string("bench"),
    hub:connection_string("idle"),
    hub:ca_file() or "",
    hub:connection_string("service"),
  }, "\n"), "\n"))
end

local OPTIONS = {
  plain = { tls = false },
  tls = { tls = true },
  sdk = { tls = true, mqtt_port = 8883, https_port = 443 },
}

local options = OPTIONS[arg[2]]
options.store = arg[3]
if arg[4] then
  options.cluster = { name = "bench", url = arg[4] }
  dm.log { level = "error" } -- the load leaves without its last answers
  options.host, options.insecure, options.aliases = "0.0.0.0", true, {}
  for i = 1, 8 do options.aliases[i] = "127.0.0." .. i end
end
local hub <close> = assert(dm.hub(options))
for _, id in ipairs { "bench", "idle" } do
  -- another hub may have registered it
  if not hub.state.plane:identity(id) then assert(hub:add_device(id)) end
end
write_facts(hub, arg[1])
bench.print_id()
dm.run()
