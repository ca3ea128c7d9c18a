--- The environment variables that describe a hub, in the syntax of each shell.

local shell = require "directmethods.shell"

local M = {}

--- Files in which systems keep the certificates of their authorities.
M.SYSTEM_CERTIFICATES = {
  "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

--- The variables that give a program the fast time of a hub with --speed.
M.FASTER = {
  "FAKETIME", "FAKETIME_SHARED", "FAKETIME_DONT_FAKE_MONOTONIC", "LD_PRELOAD",
}

---@alias directmethods.CliVariables { [1]: string, [2]: string }[] name and value

--- The variables for the content of a ready file.
---@param facts table
---@param first_device string? whose connection string devices are given
---@param ready_file string? its path
---@return directmethods.CliVariables
function M.of(facts, first_device, ready_file)
  local list = {}
  local function add(name, value)
    if value then list[#list + 1] = { name, tostring(value) } end
  end
  add("IOTHUB_CONNECTION_STRING", facts.connection_strings.iothubowner)
  add("IOTHUB_DEVICE_CONNECTION_STRING", facts.devices[first_device])
  add("IOTHUB_CA_FILE", facts.ca_file)
  add("NODE_EXTRA_CA_CERTS", facts.ca_file)
  add("HUB_MQTT_PORT", facts.ports.mqtt)
  add("HUB_HTTPS_PORT", facts.ports.https)
  add("HUB_ADMIN_PORT", facts.ports.admin)
  add("HUB_ADMIN_URL", facts.admin_url)
  add("HUB_ADMIN_TOKEN", facts.admin_token)
  add("DIRECTMETHODS_READY_FILE", ready_file)
  local environment = facts.environment or {}
  for _, name in ipairs(M.FASTER) do add(name, environment[name]) end
  return list
end

local FORMATS = {
  sh = function(name, value)
    return ("export %s=%s"):format(name, shell.quote(value))
  end,
  fish = function(name, value)
    return ("set -gx %s '%s'"):format(name, (value:gsub("[\\']", "\\%0")))
  end,
  powershell = function(name, value)
    return ("$env:%s = '%s'"):format(name, (value:gsub("'", "''")))
  end,
  -- single quotes cannot contain a quote
  dotenv = function(name, value)
    if not value:find("'", 1, true) then return ("%s='%s'"):format(name, value) end
    return ('%s="%s"'):format(name, (value:gsub('[\\"$`]', "\\%0")))
  end,
}

--- The names of the formats.
M.FORMATS = { "sh", "fish", "powershell", "dotenv" }

--- Format the variables for a shell, or for programs that read .env files.
---@param list directmethods.CliVariables
---@param format "sh"|"fish"|"powershell"|"dotenv"
---@return string
function M.text(list, format)
  local lines = {}
  for i, each in ipairs(list) do
    lines[i] = FORMATS[format](each[1], each[2])
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
