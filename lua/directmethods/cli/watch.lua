--- `directmethods watch`: prints what happens to a local hub.

local command = require "directmethods.cli.command"
local json = require "directmethods.json"
local lines = require "directmethods.cli.event_lines"
local signals = require "directmethods.cli.signals"
local sources = require "directmethods.cli.event_source"
local targets = require "directmethods.cli.target"
local calls = require "directmethods.service.call"

local STATUS = { SIGHUP = 129, SIGINT = 130, SIGTERM = 143 }

local function path_of(args)
  local parts = {}
  if args.kinds then parts[#parts + 1] = "kinds=" .. calls.escape(args.kinds) end
  if args.device then parts[#parts + 1] = "device=" .. calls.escape(args.device) end
  if args.payloads then parts[#parts + 1] = "payloads=1" end
  return "/events" .. (parts[1] and "?" .. table.concat(parts, "&") or "")
end

local function print_event(args, event)
  if command.wants_json(args) then
    return command.write(('{"id":%s,"event":%s,"data":%s}\n'):format(
      json.encode(event.id), json.encode(event.name), event.text))
  end
  local line = lines.text(event.name, json.decode(event.text))
  if line then command.write(line, "\n") end
end

local function run(args)
  local source = sources.new(function() return targets.find(args) end, path_of(args))
  local status = command.OK
  signals.catch()
  signals.on(function(name)
    status = STATUS[name]
    source:stop()
  end)
  function source.on_lost(why)
    command.note(args, ("directmethods watch: %s: trying again"):format(why))
  end
  for event in function() return source:next() end do print_event(args, event) end
  return status
end

return command.define {
  name = "watch",
  summary = "Print what happens to a local hub until Ctrl-C: calls, devices that come, "
    .. "go or are refused, faults, jobs, moves of the clock.",
  examples = {
    "directmethods watch",
    "directmethods watch --kinds calls,devices --device dev1",
    "directmethods watch --json | jq .data",
  },
  options = function(parser)
    parser:option("--kinds", "Only these, with commas between: calls, devices, faults, "
      .. "jobs, clock."):argname("KINDS")
    parser:option("--device", "Only calls and events of this device."):argname("ID")
    parser:flag("--payloads", "Calls with their payloads, in JSON.")
    targets.options(parser)
  end,
  run = run,
}
