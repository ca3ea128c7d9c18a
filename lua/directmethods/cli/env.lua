--- `directmethods env`: prints the environment variables of a hub that is running.

local command = require "directmethods.cli.command"
local files = require "directmethods.cli.files"
local targets = require "directmethods.cli.target"
local variables = require "directmethods.cli.variables"

local function run(args)
  local target = targets.find(args)
  local first = next(target.devices)
  local only = first and next(target.devices, first) == nil and first or nil
  local device = args.device or only
  if args.device and not target.devices[args.device] then
    target.devices[args.device] = target:device_string(args.device)
  end
  local function absolute(path)
    return path and files.absolute(path, select(2, files.process()))
  end
  local list = variables.of({
    connection_strings = { iothubowner = target.connection_string },
    devices = target.devices,
    ca_file = target.tls and absolute(target.tls.ca),
    ports = target.ports,
    admin_url = target.admin_url,
    admin_token = target.admin_token,
    environment = target.environment,
  }, device, absolute(target.ready_file))
  command.write(variables.text(list, args.format or "sh"))
end

return command.define {
  name = "env",
  summary = "Print the environment variables of a hub that is running, for a shell "
    .. "or a .env file. They contain keys.",
  examples = {
    [[eval "$(directmethods env --ready-file hub.json)"]],
    "directmethods env fish --ready-file hub.json | source",
  },
  options = function(parser)
    parser:argument("format", "sh, fish, powershell or dotenv; default: sh.")
      :argname("FORMAT"):args("?"):choices(variables.FORMATS)
    parser:option("--device", "Device whose connection string is printed; default: "
      .. "the only one in the ready file."):argname("ID")
    targets.options(parser)
  end,
  run = run,
}
