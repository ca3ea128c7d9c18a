--- What `directmethods hub` tells when it is ready: text for people, and the ready file
-- for programs.

local configs = require "directmethods.hub.config"
local files = require "directmethods.cli.files"
local json_line = require "directmethods.cli.json_line"
local option_rules = require "directmethods.hub.option_rules"

local M = {}

local POLICY = "iothubowner" -- the one that unmodified SDKs are given

-- The admin listener's, for clients on this machine; nil: there is none.
local function admin_url(hub)
  local port, host = hub:ports().admin, configs.reach_admin(hub.config)
  if not port then return nil end
  return ("%s://%s:%d"):format(hub.config.admin_tls and "https" or "http",
    host:find(":", 1, true) and "[" .. host .. "]" or host, port)
end

-- The URL of the inspector; the token is in the fragment, which is sent to nobody.
local function inspector_url(facts)
  return facts.admin_url and ("%s/#token=%s"):format(facts.admin_url,
    facts.admin_token:gsub("[^%w]", function(byte)
      return ("%%%02X"):format(byte:byte())
    end))
end

--- Everything that a client needs.
---@param hub directmethods.Hub
---@param opts { pid: integer, host: string, tls: boolean, ca_file: string? }
---@param devices string[] ids
---@return table
function M.facts(hub, opts, devices)
  local facts = {
    pid = opts.pid,
    host = opts.host,
    hostname = hub.hostname,
    ports = hub:ports(),
    tls = opts.tls,
    ca_file = opts.ca_file,
    connection_strings = {},
    devices = {},
    admin_url = admin_url(hub),
    admin_token = hub:admin_token(),
  }
  facts.inspector_url = inspector_url(facts)
  for _, policy in ipairs(option_rules.POLICIES) do
    facts.connection_strings[policy[1]] = hub:connection_string(policy[1])
  end
  for _, id in ipairs(devices) do
    facts.devices[id] = hub:connection_string(id)
  end
  return facts
end

-- What can be done next, in another terminal; id: a registered device, or nil.
local function try_next(id, ready_file)
  if not ready_file then
    return {
      "Next: directmethods hub -- COMMAND runs a command with all it needs in its "
        .. "environment;",
      "      with --ready-file hub.json, other terminals find this hub.",
    }
  end
  local lines = {
    "Next, in other terminals:",
    ("  export DIRECTMETHODS_READY_FILE='%s'"):format(ready_file),
  }
  if not id then
    id = "dev1"
    lines[#lines + 1] = "  directmethods device add " .. id
  end
  lines[#lines + 1] = ("  directmethods device run %s --answer 'status={\"ok\":true}'")
    :format(id)
  lines[#lines + 1] = ("  directmethods invoke %s status"):format(id)
  return lines
end

--- The text for people.
---@param facts table
---@param devices string[]
---@param ready_file string?
---@return string
function M.text(facts, devices, ready_file)
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
    add("admin", facts.admin_url)
    add("admin token", facts.admin_token)
  end
  for _, policy in ipairs { POLICY, "service" } do
    add("policy " .. policy, facts.connection_strings[policy])
  end
  for _, id in ipairs(devices) do
    add("device " .. id, facts.devices[id])
  end
  for _, line in ipairs(try_next(devices[1], ready_file)) do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n") .. "\n"
end

--- A line for the service manager.
---@param facts table
---@return string
function M.status(facts)
  return ("serves on %s, MQTT %d, HTTPS %d"):format(facts.host, facts.ports.mqtt,
    facts.ports.https)
end

--- Write the ready file.
---@param path string
---@param facts table
function M.write(path, facts)
  files.write_private(path, json_line.text(facts) .. "\n", "--ready-file")
end

return M
