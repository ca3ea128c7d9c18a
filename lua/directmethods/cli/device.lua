--- `directmethods device`: runs a device, and manages the registry of a hub.

local command = require "directmethods.cli.command"
local group = require "directmethods.cli.group"
local identity_name = require "directmethods.identity_name"
local targets = require "directmethods.cli.target"

local function with_id(more)
  return function(parser)
    parser:argument("id", "DEVICE, or DEVICE/MODULE."):argname("DEVICE")
    if more then more(parser) end
    targets.options(parser)
  end
end

local function keys_flag(parser)
  parser:flag("--show-keys", "Print the connection string, which contains a key.")
end

-- What is printed of an identity: keys only with --show-keys.
local function shown(target, identity, with_keys)
  return {
    device_id = identity_name(identity.device_id, identity.module_id),
    status = identity.status,
    authentication = identity.authentication,
    connected = identity.connected,
    etag = identity.etag,
    connection_string = with_keys and target:string_of(identity) or nil,
  }
end

local ORDER = { "device_id", "status", "authentication", "connected",
  "connection_string" }

local function lines_of(found)
  local rows = {}
  for _, name in ipairs(ORDER) do
    local value = found[name]
    if value ~= nil then rows[#rows + 1] = { name, tostring(value) } end
  end
  return command.columns(rows)
end

-- Call a method of the registry client for the identity that the command names.
local function ask(args, method, opts)
  local target = targets.find(args)
  local service <close> = target:service()
  local device_id, module_id = targets.split(args.id)
  opts.module_id = module_id
  local found = command.try(service.registry[method], service.registry, device_id, opts)
  return target, found
end

local function add(args)
  local target, made = ask(args, "create", {
    primary_key = args.key_file and command.read_argument("@" .. args.key_file),
    status = args.disabled and "disabled" or nil,
  })
  command.put(args, shown(target, made, args.show_keys), lines_of, ORDER)
end

local function get(args)
  local target, found = ask(args, "get", {})
  command.put(args, shown(target, found, args.show_keys), lines_of, ORDER)
end

local function remove(args)
  ask(args, "delete", {})
end

local function list(args)
  local service <close> = targets.find(args):service()
  local query = service:query("SELECT * FROM devices", { page_size = 1000 })
  local rows, count = { { "DEVICE", "STATUS", "CONNECTION" } }, 0
  local json = command.wants_json(args)
  while true do
    local twin = command.check(query:next())
    if not twin or count == args.top then break end
    count = count + 1
    local connected = twin.connectionState == "Connected"
    if json then
      command.put(args, { device_id = twin.deviceId, status = twin.status,
        connected = connected }, "", ORDER)
    else
      rows[#rows + 1] = { twin.deviceId, tostring(twin.status),
        connected and "connected" or "-" }
    end
  end
  if not json then command.write(command.columns(rows), "\n") end
end

return group.define("device", "Run a device; list, add, get and remove the "
  .. "devices of a hub.", {
  require "directmethods.cli.device_run",
  {
    name = "device list",
    summary = "Print the registered devices; as JSON, a line for each.",
    examples = {
      "directmethods device list",
      "directmethods device list --json | jq .device_id",
    },
    options = function(parser)
      parser:option("--top", "Print at most N devices."):argname("N")
        :convert(command.whole("--top", 1, 1000000))
      targets.options(parser)
    end,
    run = list,
  },
  {
    name = "device add",
    summary = "Register a device, or a module of one.",
    examples = {
      "directmethods device add dev1",
      "directmethods device add dev2 --key-file dev2.key --show-keys",
    },
    options = with_id(function(parser)
      parser:option("--key-file", "File with the primary key, base64; default: a "
        .. "random key.")
        :argname("FILE")
      parser:flag("--disabled", "The device may not connect.")
      keys_flag(parser)
    end),
    run = add,
  },
  {
    name = "device get",
    summary = "Print a device or module.",
    examples = { "directmethods device get dev1 --show-keys" },
    options = with_id(keys_flag),
    run = get,
  },
  {
    name = "device remove",
    summary = "Remove a device with its modules, or a module.",
    examples = { "directmethods device remove dev1" },
    options = with_id(),
    run = remove,
  },
})
