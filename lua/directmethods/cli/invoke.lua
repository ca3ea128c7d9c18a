--- `directmethods invoke`: calls a method, once or many times.

local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local dm = require "directmethods"
local expect = require "directmethods.cli.expect"
local json = require "directmethods.json"
local outcome = require "directmethods.cli.outcome"
local payloads = require "directmethods.cli.payload"
local recordings = require "directmethods.cli.recording"
local signals = require "directmethods.cli.signals"
local targets = require "directmethods.cli.target"

local CALLS_MAX = 1000000
local PARALLEL_MAX = 10000
local NAMES = { "status", "payload", "code", "elapsed" } -- of a condition

-- The widest range of all api-versions: the service checks that of the call's.
local OLDEST = core.contract()

local function options(parser)
  parser:argument("device", "DEVICE, or DEVICE/MODULE."):argname("DEVICE")
  parser:argument("method", "Name of the method."):argname("METHOD")
  parser:argument("payload", payloads.HELP):argname("PAYLOAD"):args("?")
  parser:flag("--digital-twin", "METHOD is a command of the device's digital twin "
    .. "(IoT Plug and Play).")
  parser:option("--component", "METHOD is a command of this component of the digital "
    .. "twin."):argname("NAME")
  parser:option("--response-timeout", "Seconds within which the device must answer.")
    :argname("S"):convert(command.whole("--response-timeout", OLDEST.response_min,
      OLDEST.response_max))
  parser:option("--connect-timeout", "Seconds that the hub waits for the device to "
    .. "connect.")
    :argname("S"):convert(command.whole("--connect-timeout", 0, OLDEST.connect_max))
  parser:option("--api-version", "The api-version to use; default: 2021-04-12.")
    :argname("DATE")
  parser:option("--repeat", "Call N times; default: 1."):argname("N"):default("1")
    :target("count"):convert(command.whole("--repeat", 1, CALLS_MAX))
  parser:option("--interval", "Start a call every S seconds; default: at once.")
    :argname("S"):default("0"):convert(command.number("--interval", 0, 86400))
  parser:option("--parallel", "At most N calls at a time; default: 1.")
    :argname("N"):default("1")
    :convert(command.whole("--parallel", 1, PARALLEL_MAX))
  parser:option("--expect", "A condition on status, payload, code (of the error) "
    .. "and elapsed. The exit status is 1 if it is false."):argname("CONDITION")
  parser:option("--junit", "Write the results to this file, for a test server.")
    :argname("FILE")
  recordings.option(parser)
  parser:flag("--raw", "Print only the payload, as the device sent it.")
  targets.options(parser)
end

local function read_condition(args)
  if not args.expect then return nil end
  local condition, wrong = expect.compile(args.expect, NAMES)
  if not condition then command.fail(command.USAGE, "--expect " .. wrong) end
  return condition
end

local function show(args, result)
  if not args.raw then
    command.write(outcome.text(result), "\n")
  elseif result.reply then
    command.write(result.reply.body, "\n")
  end
end

-- What is wrong with the result of a call, and the exit status; nil: it is right.
local function judge(args, result)
  local reply, err = result.reply, result.err
  if args.condition then
    local scope = { elapsed = result.elapsed, code = err and err.code,
      status = reply and reply.status, payload = reply and reply.payload }
    if args.condition(scope) then return nil end
  end
  if err then return tostring(err), command.status_of(err) end
  if args.condition then
    return ("status %d, and not %s"):format(reply.status, args.expect), command.NO
  end
  if not reply.ok then return ("status %d"):format(reply.status), command.NO end
end

local function line_of(args, result)
  if result.err then
    return ("%s: %s"):format(args.device, command.text_of(result.err))
  end
  return ("%s %s: status %d in %.1f ms%s"):format(args.device, args.method,
    result.reply.status, result.elapsed * 1000,
    result.problem and args.condition and ", which is not as expected" or "")
end

-- The record of a call, as of hub:calls.
local function record_of(service, args, result)
  local reply, err = result.reply, result.err
  return {
    time = result.time, elapsed = result.elapsed,
    device_id = args.device_id, module_id = args.module_id,
    method = args.component and args.component .. "*" .. args.method or args.method,
    payload = args.body and json.encode(args.body),
    response_timeout = args.response_timeout, connect_timeout = args.connect_timeout,
    api_version = service.api_version,
    status = reply and reply.status, response = reply and reply.body,
    outcome = err and err.name, code = err and err.code,
  }
end

-- Call the method, or the command of the digital twin.
local function invoke(service, args)
  local call = args.digital_twin and service.command or service.invoke
  return command.call(call, service, args.device_id, args.method, args.body, {
    module_id = args.module_id,
    component = args.component,
    response_timeout = targets.response_timeout(args.response_timeout),
    connect_timeout = args.connect_timeout,
  })
end

local function call_once(service, args, number)
  local started, time = core.now(), core.time()
  local reply, err = invoke(service, args)
  local result = { number = number, reply = reply, err = err, time = time,
    elapsed = command.seconds(core.now() - started) }
  result.problem, result.status = judge(args, result)
  return result
end

-- Call from args.parallel tasks; each call waits until its time by args.interval.
local function call_all(service, args, stopped, report)
  local began, started, tasks = core.now(), 0, {}
  local function lane()
    while started < args.count and not stopped() do
      started = started + 1
      local number = started
      local early = began + (number - 1) * args.interval - core.now()
      if early > 0 then dm.sleep(early) end
      report(call_once(service, args, number))
    end
  end
  for i = 1, math.min(args.parallel, args.count) do tasks[i] = lane end
  dm.all(tasks)
end

-- Numbers of all calls.
local function new_tally(args)
  return {
    calls = 0,
    failed = 0,
    status = command.OK, -- the worst
    times = dm.histogram(), -- of those that were answered
    cases = args.junit and {},
  }
end

local function add(tally, result)
  tally.calls = tally.calls + 1
  if result.reply then tally.times:record(result.elapsed) end
  if result.problem then
    tally.failed = tally.failed + 1
    tally.status = math.max(tally.status, result.status)
  end
  if tally.cases then
    tally.cases[tally.calls] = {
      number = result.number, elapsed = result.elapsed, problem = result.problem,
    }
  end
end

local function summary(tally, elapsed)
  local text = ("%d calls in %.1f s, %d failed"):format(tally.calls, elapsed,
    tally.failed)
  local times = tally.times
  if times.count == 0 then return text end
  return ("%s; answered: %d, p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms")
    :format(text, times.count, times:percentile(50) * 1000,
      times:percentile(95) * 1000, times:percentile(99) * 1000, times:max() * 1000)
end

-- Read the arguments of each call.
local function read_call(args)
  args.condition = read_condition(args)
  args.body = payloads.read(args.payload)
  args.device_id, args.module_id = targets.split(args.device)
  args.digital_twin = args.digital_twin or args.component ~= nil
  if args.digital_twin and args.module_id then
    command.fail(command.USAGE, "commands of digital twins are for devices, not for "
      .. "modules")
  end
end

local function run(args)
  read_call(args)
  local service <close> = targets.find(args):service {
    api_version = args.api_version,
    max_connections = args.parallel,
  }
  local recording = recordings.open(args)
  local tally, began = new_tally(args), core.now()
  local stopped = args.count > 1 and signals.stopper() or function() end
  call_all(service, args, stopped, function(result)
    add(tally, result)
    recording:add(record_of, service, args, result)
    show(args, result)
    if args.count == 1 or result.problem then
      command.note(args, line_of(args, result))
    end
  end)
  if args.count > 1 then command.note(args, summary(tally, core.now() - began)) end
  if args.junit then
    require "directmethods.cli.junit".write(args.junit,
      args.device .. " " .. args.method, tally.cases)
  end
  recording:close()
  return stopped() or tally.status
end

return command.define {
  name = "invoke",
  summary = "Call a method of a device and show the answer as JSON. The exit status is "
    .. "0 for a device status below 400, 1 from 400 on, 2 for wrong arguments, 3 when "
    .. "the hub refuses, 4 when the hub cannot be reached.",
  examples = {
    [[directmethods invoke dev1 reboot '{"why":"update"}']],
    "directmethods invoke dev1/modem status --expect 'status == 200 and payload.ok'",
    "directmethods invoke dev1 report null --component thermostat1",
    "directmethods invoke dev1 ping --repeat 100 --parallel 10 --junit ping.xml",
  },
  options = options,
  run = run,
}
