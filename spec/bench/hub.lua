--- A plain hub of `make bench`, in a process of its own until SIGTERM.
--
--     hub.lua FILE plain|tls|sdk     sdk: TLS on the ports that Azure's SDKs insist on
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

local hub <close> = assert(dm.hub(OPTIONS[arg[2]]))
assert(hub:add_device("bench"))
assert(hub:add_device("idle"))
write_facts(hub, arg[1])
bench.print_id()
dm.run()
