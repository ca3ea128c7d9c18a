--- `directmethods bench`: measures the rate and duration of calls.

local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local dm = require "directmethods"
local payloads = require "directmethods.cli.payload"
local progress = require "directmethods.cli.progress"
local signals = require "directmethods.cli.signals"
local targets = require "directmethods.cli.target"

local COUNT = 1000 -- calls by default

-- Call from args.parallel tasks until all calls are done or the time is over.
local function measure(args, service, payload, stopped)
  local device_id, module_id = targets.split(args.device)
  local opts = { module_id = module_id }
  local numbers = {
    started = 0, done = 0, failed = 0, times = dm.histogram(), errors = {},
  }
  local stop = args.duration and core.precise() + args.duration or math.huge
  local count = args.count or not args.duration and COUNT or math.huge
  local function lane()
    while numbers.started < count and core.precise() < stop and not stopped() do
      numbers.started = numbers.started + 1
      local began = core.precise()
      local reply, err = command.call(service.invoke, service, device_id, args.method,
        payload, opts)
      numbers.done = numbers.done + 1
      if reply then numbers.times:record(core.precise() - began) end
      if not reply or not reply.ok then
        local why = err and err.name or "status " .. reply.status
        numbers.failed = numbers.failed + 1
        numbers.errors[why] = (numbers.errors[why] or 0) + 1
      end
    end
  end
  local lanes = {}
  for i = 1, args.parallel do lanes[i] = lane end
  local bar = progress.new(args, "calls", count < math.huge and count or nil)
  bar:watch(function() return numbers.done, numbers.failed end)
  local began = core.precise()
  dm.all(lanes)
  bar:finish()
  numbers.elapsed = core.precise() - began
  return numbers
end

local function result_of(numbers)
  local times, elapsed = numbers.times, numbers.elapsed
  local result = {
    calls = numbers.done,
    failed = numbers.failed,
    elapsed = command.seconds(elapsed),
    rate = elapsed > 0 and command.seconds(numbers.done / elapsed) or nil,
    errors = next(numbers.errors) and numbers.errors or nil,
  }
  if times.count > 0 then
    for _, p in ipairs { 50, 95, 99 } do
      result["p" .. p] = command.seconds(times:percentile(p))
    end
    result.max = command.seconds(times:max())
  end
  return result
end

local function text_of(numbers)
  return function(result)
    local lines = {
      ("%d calls in %.1f s: %.0f/s, %d failed"):format(result.calls, result.elapsed,
        result.rate or 0, result.failed),
    }
    for why, count in pairs(numbers.errors) do
      lines[#lines + 1] = ("  %s: %d"):format(why, count)
    end
    table.sort(lines, function(a, b) return a:sub(1, 1) ~= " " and b:sub(1, 1) == " "
      or a:sub(1, 1) == b:sub(1, 1) and a < b end)
    lines[#lines + 1] = tostring(numbers.times)
    return table.concat(lines, "\n")
  end
end

local function run(args)
  local service <close> = targets.find(args):service {
    max_connections = args.parallel,
  }
  local stopped = signals.stopper()
  local numbers = measure(args, service, payloads.read(args.payload), stopped)
  command.put(args, result_of(numbers), text_of(numbers))
  return stopped() or numbers.failed == 0 and command.OK or command.NO
end

return command.define {
  name = "bench",
  summary = "Call a method repeatedly and print the rate and percentiles (in "
    .. "seconds). The exit status is 1 if a call failed.",
  examples = { "directmethods bench dev1 ping --for 10 --parallel 16" },
  options = function(parser)
    parser:argument("device", "DEVICE, or DEVICE/MODULE."):argname("DEVICE")
    parser:argument("method", "Name of the method."):argname("METHOD")
    parser:argument("payload", payloads.HELP):argname("PAYLOAD"):args("?")
    parser:option("--count", "Number of calls; default: 1000, or no limit with "
      .. "--for.")
      :argname("N"):convert(command.whole("--count", 1, 1000000000))
    parser:option("--for", "Call for S seconds."):argname("S"):target("duration")
      :convert(command.number("--for", 0.1, 86400))
    parser:option("--parallel", "At most N calls at a time; default: 1."):argname("N")
      :default("1"):convert(command.whole("--parallel", 1, 10000))
    targets.options(parser)
  end,
  run = run,
}
