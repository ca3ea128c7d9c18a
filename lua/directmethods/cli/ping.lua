--- `directmethods ping`: checks whether a device takes calls, without calling a method.

local admin = require "directmethods.cli.admin"
local command = require "directmethods.cli.command"
local targets = require "directmethods.cli.target"

-- The admin listener knows whether a device is subscribed; a registry only knows
-- whether it is connected.
local function look(target, name)
  local device_id, module_id = targets.split(name)
  if admin.is_there(target) then
    local path = admin.path("/devices/", device_id)
    if module_id then path = admin.path(path .. "/modules/", module_id) end
    local device = admin.ask(target, "GET", path)
    return { device_id = name, connected = device.connected,
      subscribed = device.subscribed }
  end
  local service <close> = target:service()
  local identity = command.try(service.registry.get, service.registry, device_id,
    { module_id = module_id })
  return { device_id = name, connected = identity.connected }
end

local function text_of(found)
  if not found.connected then return found.device_id .. ": not connected" end
  if found.subscribed == nil then
    return found.device_id .. ": connected (this hub does not say if it is subscribed)"
  end
  return found.device_id .. (found.subscribed and ": connected and subscribed"
    or ": connected, but not subscribed to methods")
end

local function run(args)
  local found = look(targets.find(args), args.device)
  command.put(args, found, text_of(found))
  local ready = found.connected and found.subscribed ~= false
  return ready and command.OK or command.NO
end

return command.define {
  name = "ping",
  summary = "Check whether a device is connected and subscribed to methods: exit "
    .. "status 0, otherwise 1. No method is called. Azure tells only whether it is "
    .. "connected.",
  examples = { "directmethods ping dev1 && directmethods invoke dev1 reboot" },
  options = function(parser)
    parser:argument("device", "DEVICE, or DEVICE/MODULE."):argname("DEVICE")
    targets.options(parser)
  end,
  run = run,
}
