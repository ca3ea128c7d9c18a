--- `directmethods token`: prints a SAS token for a policy or a device.

local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local targets = require "directmethods.cli.target"

local TTL = 3600 -- default seconds
local TTL_MAX = 365 * 86400

local function resource_of(fields)
  if not fields.device_id then return fields.host_name end
  local module = fields.module_id and "/modules/" .. fields.module_id or ""
  return ("%s/devices/%s%s"):format(fields.host_name, fields.device_id, module)
end

local function run(args)
  local target = targets.find(args)
  local text = target.policies[args.name] or target:device_string(args.name)
  local fields = assert(core.connstr(text))
  if not fields.key then command.fail(command.LOCAL, args.name .. " has no key") end
  local token, _, why = core.sas_sign(resource_of(fields), fields.key,
    math.floor(core.time()) + (args.ttl or target:token_ttl() or TTL), fields.key_name)
  if not token then command.fail(command.LOCAL, why) end
  command.write(token, "\n")
end

return command.define {
  name = "token",
  summary = "Print a SAS token for a policy or a device (DEVICE or DEVICE/MODULE), "
    .. "for use with curl and other tools.",
  examples = {
    [[curl -H "Authorization: $(directmethods token iothubowner)" ...]],
    "directmethods token dev1 --ttl 86400",
  },
  options = function(parser)
    parser:argument("name", "Name of a policy, or else of a device."):argname("NAME")
    parser:option("--ttl", "Seconds until it expires; default: 3600, or a year for "
      .. "a local hub, whose clock can be moved."):argname("S")
      :convert(command.whole("--ttl", 1, TTL_MAX))
    targets.options(parser)
  end,
  run = run,
}
