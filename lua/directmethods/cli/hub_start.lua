--- Starts the hub of `directmethods hub`: its options, its devices and faults, and what
-- helps when it cannot start.

local ca_folder = require "directmethods.cli.ca_folder"
local cluster = require "directmethods.cli.cluster"
local command = require "directmethods.cli.command"
local dm = require "directmethods"
local hub_options = require "directmethods.cli.hub_options"
local logs = require "directmethods.cli.log"
local register = require "directmethods.cli.register"

local M = {}

local PORT_HINTS = {
  ["permission denied"] = "ports below 1024 are for root; allow it by sudo sysctl "
    .. "net.ipv4.ip_unprivileged_port_start=443, or choose another by %s (Azure's SDKs "
    .. "cannot use another)",
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

-- What dm.hub and hub:add_device raise, in the words of the command line.
local function translate(message)
  return (cluster.translate(tostring(message)):gsub("^[^\n]-:%d+: ", "")
    :gsub("^[%w_.:]+: ", "")
    :gsub("option '([%w_.]+)'", function(name)
      if name:find "^policies%." then return (name:gsub("^policies%.", "--policy ")) end
      name = name == "aliases" and "alias" or name:gsub("^tls%.", "")
      return "--" .. name:gsub("^([^.]+)", function(first)
        return (first:gsub("_", "-"))
      end)
    end)
    :gsub("'policies%.", "'")
    :gsub("must be of type integer, not a string", "must be a whole number")
    :gsub("must be of type number, not a string", "must be a number")
    :gsub("tls is false", "--plain is given")
    :gsub("set insecure = true", "give --insecure")
    :gsub("set admin_tls = true", "give --admin-tls")
    :gsub("give admin_token$", "give --admin-token-file"))
end

local function add_device(hub, device)
  local ok, done, err = pcall(register.add, hub, device.id, device.identity)
  if ok and done then
    device.identity = done
    return
  end
  local wrong_use = not ok or register.is_taken(err)
  command.fail(wrong_use and command.USAGE or command.LOCAL, ("--device %s: %s"):format(
    logs.word(device.id), ok and tostring(err) or translate(done)))
end

--- Add the devices and faults of the command line and of the file: at the start, and
-- again after a reset.
---@param hub directmethods.Hub
---@param args table
---@param file directmethods.HubFile
---@param kept "devices"? the reset has kept these
function M.populate(hub, args, file, kept)
  if kept ~= "devices" then
    for _, device in ipairs(args.device) do add_device(hub, device) end
    file:add_devices(hub)
  end
  file:add_faults(hub)
end

-- What the certificate of --ca-dir is for.
local function names_of(opts)
  return {
    hostname = opts.hostname or "localhost",
    device_hostname = opts.device_hostname,
    service_hostname = opts.service_hostname,
    host = opts.host or "127.0.0.1",
    admin_host = opts.admin_host,
    aliases = opts.aliases or {},
  }
end

--- The options of dm.hub, and the CA file of --ca-dir.
---@param args table
---@param file directmethods.HubFile
---@return table options
---@return string? ca_file
---@return number? due seconds until the certificate of --ca-dir is to be renewed
function M.options(args, file)
  local given = hub_options.given(args)
  local opts = hub_options.complete(given, file,
    args.command ~= nil or args.inspect or args.open or false)
  if not args.ca_dir or opts.tls == false then return opts, nil end
  local ca_file, due
  opts.tls, ca_file, due = ca_folder.open(args.ca_dir, names_of(opts))
  return opts, ca_file, due
end

--- End the command: an option of dm.hub is wrong, on the command line or in the file.
---@param message string that dm.hub has raised
---@param args table
---@param file directmethods.HubFile
function M.fail(message, args, file)
  local name = tostring(message):match("option '([^']+)'")
  if name and file:has(name, hub_options.given(args)) then
    file:fail(name:find "^policies" and {} or { "options" }, message)
  end
  command.fail(command.USAGE, translate(message))
end

--- Start the hub.
---@param args table
---@param file directmethods.HubFile
---@return directmethods.Hub hub
---@return string? ca_file
---@return table options of dm.hub
function M.listen(args, file)
  local opts, ca_file, due = M.options(args, file)
  local ok, hub, err = pcall(dm.hub, opts)
  if not ok then M.fail(hub, args, file) end
  if not hub then command.fail(command.LOCAL, explain(err)) end
  if due then dm.spawn(ca_folder.keep, hub, args.ca_dir, names_of(opts), due) end
  return hub, ca_file or command.check(hub:ca_file()), opts
end

return M
