--- `directmethods fleet`: runs many devices in one process.

local answers = require "directmethods.cli.answers"
local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local dm = require "directmethods"
local json = require "directmethods.json"
local progress = require "directmethods.cli.progress"
local recordings = require "directmethods.cli.recording"
local signals = require "directmethods.cli.signals"
local speeds = require "directmethods.cli.speed"
local targets = require "directmethods.cli.target"

local KEY_BYTES = 32
local PARALLEL = 32 -- requests for devices that are there already

local function id_format(text)
  local ok, id = pcall(string.format, text, 1)
  if ok and id ~= text then return text end
  return nil, "--id must hold one number, as dev-%04d does"
end

-- Register the devices that the hub does not know; the keys of all devices by id.
local function register(service, ids)
  local entries, keys = {}, {}
  for i, id in ipairs(ids) do
    local key = core.base64_encode(core.random(KEY_BYTES))
    keys[id] = key
    entries[i] = { id = id, mode = "create", primary_key = key,
      secondary_key = core.base64_encode(core.random(KEY_BYTES)) }
  end
  local result = command.try(service.registry.bulk, service.registry, entries)
  local known = {}
  for _, err in ipairs(result.errors) do
    if err.name ~= "DeviceAlreadyExists" then
      command.fail(command.HUB, ("%s: %s"):format(err.device_id, err.message))
    end
    known[#known + 1] = err.device_id
  end
  local function lane()
    while known[1] do
      local id = table.remove(known)
      keys[id] = command.try(service.registry.get, service.registry, id).primary_key
    end
  end
  local lanes = {}
  for i = 1, math.min(PARALLEL, #known) do lanes[i] = lane end
  dm.all(lanes)
  return keys
end

local function strings_of(args, target)
  local service <close> = target:service()
  local ids, strings = {}, {}
  for i = 1, args.count do ids[i] = args.id:format(i) end
  local keys = register(service, ids)
  for i, id in ipairs(ids) do
    strings[i] = target:string_of { device_id = id, primary_key = keys[id] }
  end
  return strings
end

local function connect(args, fleet)
  local bar = progress.new(args, "online", args.count)
  local connected, err = fleet:connect(speeds.timeout(args.timeout), function(online)
    bar:update(online, 0)
  end)
  bar:finish()
  command.check(connected, err)
  command.note(args, ("%d devices are online"):format(args.count))
end

-- The record of a call that a device has answered, as of hub:calls.
local function record_of(request, time, elapsed, status, payload)
  return {
    time = time, elapsed = elapsed,
    device_id = request.device_id, method = request.method,
    payload = request.body ~= "" and request.body or nil,
    status = status, response = payload and json.encode(payload),
  }
end

-- The same handlers, whose calls are recorded.
local function recorded(handlers, recording)
  local result = {}
  for method, handler in pairs(handlers) do
    result[method] = function(request)
      local time, started = core.time(), core.now()
      local status, payload = handler(request)
      recording:add(record_of, request, time, core.now() - started, status, payload)
      return status, payload
    end
  end
  return result
end

local function run(args)
  local target = targets.find(args)
  local recording = recordings.open(args)
  local options = target:device_options(nil)
  options.connection_strings = strings_of(args, target)
  options.handlers = recorded(answers.handlers(args), recording)
  options.connect_rate = args.connect_rate
  local fleet <close> = command.try(dm.fleet, options)
  if not signals.unless_stopped(function() connect(args, fleet) end) then
    signals.wait(args.duration)
  end
  recording:close()
  local stats = fleet:stats()
  command.put(args, { devices = args.count, online = stats.online, calls = stats.calls,
    errors = stats.errors, reconnects = stats.reconnects },
    ("%d devices, %d online, %d calls, %d errors, %d reconnects"):format(args.count,
      stats.online, stats.calls, stats.errors, stats.reconnects))
end

return command.define {
  name = "fleet",
  summary = "Run many devices until SIGINT or SIGTERM. Devices that the hub does "
    .. "not know are registered, and not removed at the end.",
  examples = {
    "directmethods fleet 1000 --answer ping=200 --connect-rate 100",
    [[directmethods fleet 50 --id 'truck-%03d' --answer 'where={"lat":1}' --for 60]],
  },
  options = function(parser)
    parser:argument("count", "Number of devices."):argname("COUNT")
      :convert(command.whole("COUNT", 1, 100000))
    parser:option("--id", "Format of the ids, with a place for the number; "
      .. "default: dev-%04d.")
      :argname("FORMAT"):default("dev-%04d"):convert(id_format)
    answers.options(parser)
    parser:option("--connect-rate", "Connect at most N devices a second.")
      :argname("N"):convert(command.number("--connect-rate", 0.01, 1000000))
    parser:option("--timeout", "Seconds within which all must be online; default: "
      .. "no limit.")
      :argname("S"):convert(command.number("--timeout", 0.1, 86400))
    recordings.option(parser)
    parser:option("--for", "End after S seconds."):argname("S"):target("duration")
      :convert(command.number("--for", 0.1, 1e9))
    targets.options(parser)
  end,
  run = run,
}
