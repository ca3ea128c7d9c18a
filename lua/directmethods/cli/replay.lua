--- `directmethods replay`: makes the calls of a recording again, or answers calls from
-- it.

local command = require "directmethods.cli.command"
local core = require "directmethods.core"
local differences = require "directmethods.cli.differences"
local dm = require "directmethods"
local identity_name = require "directmethods.identity_name"
local json = require "directmethods.json"
local json_line = require "directmethods.cli.json_line"
local outcome = require "directmethods.cli.outcome"
local reader = require "directmethods.recording.reader"
local signals = require "directmethods.cli.signals"
local targets = require "directmethods.cli.target"

local PARALLEL_MAX = 10000
local SPEED_MIN, SPEED_MAX = 0.001, 1000000
local ORDER = { "line", "device", "module", "method", table.unpack(outcome.ORDER) }

local function options(parser)
  parser:argument("file", "The recording."):argname("FILE")
  parser:option("--speed", "Make the calls N times as fast as they were recorded; "
    .. "default: 1.")
    :argname("N"):convert(command.number("--speed", SPEED_MIN, SPEED_MAX))
  parser:flag("--no-wait", "Make each call as soon as the one before has ended.")
  parser:option("--parallel", "At most N calls at a time; default: 1.")
    :argname("N"):default("1")
    :convert(command.whole("--parallel", 1, PARALLEL_MAX))
  parser:option("--api-version", "The api-version to use; default: the recorded one.")
    :argname("DATE")
  parser:flag("--diff", "Compare the answers with those recorded. The exit status is "
    .. "1 if one differs.")
  parser:option("--ignore", "A member that --diff does not compare, as payload.time "
    .. "or payload.list[*].id; may be repeated.")
    :argname("MEMBER"):count("*"):convert(differences.ignored)
  parser:option("--junit", "Write the results to this file, for a test server.")
    :argname("FILE")
  parser:option("--as-device", "Make no calls: connect as the recorded devices, or "
    .. "as DEVICE or DEVICE/MODULE alone, and answer calls as recorded.")
    :argname("DEVICE"):args("?")
  parser:flag("--delays", "With --as-device: take as long for each answer as "
    .. "recorded.")
  targets.options(parser)
end

-- Options that exclude each other, or need another one.
local function check_options(args)
  local function refuse(is_wrong, message)
    if is_wrong then command.fail(command.USAGE, message) end
  end
  refuse(args.speed and args.no_wait, "--speed and --no-wait exclude each other")
  refuse(args.ignore[1] and not args.diff, "--ignore needs --diff")
  refuse(args.delays and not args.as_device, "--delays needs --as-device")
  for _, name in ipairs { "diff", "junit", "no_wait", "api_version" } do
    refuse(args.as_device and args[name], ("--as-device and --%s exclude each other")
      :format((name:gsub("_", "-"))))
  end
end

local function read(args)
  local recording, why = reader.read(args.file)
  if not recording then command.fail(command.LOCAL, why) end
  if recording.cut then
    command.note(args, ("%s: the last line is not complete, and is left out")
      :format(args.file))
  end
  if recording.lost > 0 then
    command.note(args, ("%s: %d calls were lost when it was recorded"):format(
      args.file, recording.lost))
  end
  return recording
end

-- Making a call ----------------------------------------------------------------

-- The services of the target by api-version; closing the result closes all.
local function new_services(args)
  local target = targets.find(args)
  local services = {}
  return setmetatable({}, {
    __call = function(_, version)
      version = args.api_version or version
      local key = version or ""
      services[key] = services[key] or target:service {
        api_version = version,
        max_connections = args.parallel,
      }
      return services[key]
    end,
    __close = function()
      for _, service in pairs(services) do service:close() end
    end,
  })
end

-- The line of the file is wrong: no call can be made with its api-version.
local function fail_line(args, call, raised)
  local text = tostring(raised):gsub("^[^\n]-:%d+: ", ""):gsub("^[%w_.:]+: ", "")
    :gsub("^option ", "member ")
  command.fail(command.USAGE, ("%s:%d: %s"):format(args.file, call.line, text))
end

local function send(args, services, call)
  local service = services(call.api_version)
  local started = core.now()
  local ok, reply, err = pcall(service.invoke, service, call.device, call.method,
    call.payload and json.raw(call.payload), {
      module_id = call.module,
      response_timeout = targets.response_timeout(call.response_timeout),
      connect_timeout = call.connect_timeout,
    })
  if not ok then fail_line(args, call, reply) end
  return { call = call, reply = reply, err = err,
    elapsed = command.seconds(core.now() - started) }
end

-- Judging ----------------------------------------------------------------------

local function decoded(text)
  if text == nil then return json.null end
  local value = json.decode(text)
  if value == nil then return text end
  return value
end

-- Names of errors count only where there is no code.
local function comparable(answer, other)
  if answer.error then
    local has_codes = answer.code and other.code
    return { error = not has_codes and answer.error or nil, code = answer.code }
  end
  return { status = answer.status, payload = decoded(answer.payload) }
end

local function answer_of(result)
  local reply, err = result.reply, result.err
  if err then return { error = err.name, code = err.code } end
  return { status = reply.status, payload = reply.body }
end

-- The differences from the recording; empty also if nothing can be compared.
local function compare(args, result)
  local recorded, now = result.call.answer, answer_of(result)
  if recorded.error == "CallerGone" then return {} end
  local ignored = args.ignore
  if recorded.payload_missing then
    ignored = table.move(ignored, 1, #ignored, 2, { { "payload" } })
  end
  return differences.find(comparable(recorded, now), comparable(now, recorded),
    ignored)
end

-- What is wrong with a result, and the exit status; nil: nothing.
local function judge(args, result)
  local reply, err = result.reply, result.err
  if args.diff then
    result.differences = compare(args, result)
    if not result.differences[1] then return nil end
    local status = err and command.status_of(err)
    return "the answer differs:\n" .. differences.text(result.differences),
      status == command.LOCAL and status or command.NO
  end
  if err then return tostring(err), command.status_of(err) end
  if not reply.ok then return ("status %d"):format(reply.status), command.NO end
end

-- Telling ----------------------------------------------------------------------

local function name_of(call)
  return ("%s %s"):format(identity_name(call.device, call.module), call.method)
end

local function show(args, result)
  local call = result.call
  local document = outcome.document(result)
  document.line, document.device, document.module = call.line, call.device, call.module
  document.method = call.method
  document.differences = result.differences and json.array(result.differences)
  command.write(json_line.text(document, ORDER), "\n")
  if result.problem then
    command.note(args, ("%s:%d: %s: %s"):format(args.file, call.line, name_of(call),
      result.problem))
  end
end

local function new_tally()
  return { calls = 0, failed = 0, skipped = 0, status = command.OK, cases = {} }
end

local function add(tally, result)
  tally.calls = tally.calls + 1
  if result.problem then
    tally.failed = tally.failed + 1
    tally.status = math.max(tally.status, result.status)
  end
  tally.cases[tally.calls] = { name = ("line %d: %s"):format(result.call.line,
    name_of(result.call)), elapsed = result.elapsed, problem = result.problem }
end

local function summary(args, tally, elapsed)
  local text = ("%d calls in %.1f s, %d %s"):format(tally.calls, elapsed, tally.failed,
    args.diff and "differ" or "failed")
  if tally.skipped == 0 then return text end
  return ("%s, %d not made"):format(text, tally.skipped)
end

-- Replaying --------------------------------------------------------------------

-- Wait until the time of a call, unless it has passed.
local function wait_for_turn(args, call, began, first, stopped)
  if args.no_wait then return end
  local offset = (call.time - first.time) / (args.speed or 1)
  local early = began + offset - core.now()
  if early > 0 then dm.wait_until(stopped, early) end
end

-- Make the calls in their order from args.parallel tasks.
local function replay(args, calls, stopped, make)
  local began, next, lanes = core.now(), 0, {}
  local function lane()
    while next < #calls and not stopped() do
      next = next + 1
      local call = calls[next]
      wait_for_turn(args, call, began, calls[1], stopped)
      if not stopped() then make(call) end
    end
  end
  for i = 1, math.min(args.parallel, #calls) do lanes[i] = lane end
  dm.all(lanes)
end

local function run(args)
  check_options(args)
  local recording = read(args)
  if args.as_device then
    return require "directmethods.cli.replay_device".run(args, recording)
  end
  local services <close> = new_services(args)
  local tally, began, stopped = new_tally(), core.now(), signals.stopper()
  replay(args, recording.calls, stopped, function(call)
    if call.payload_missing then
      tally.skipped = tally.skipped + 1
      return command.note(args, ("%s:%d: %s: not made, because its payload was not "
        .. "recorded"):format(args.file, call.line, name_of(call)))
    end
    local result = send(args, services, call)
    result.problem, result.status = judge(args, result)
    add(tally, result)
    show(args, result)
  end)
  command.note(args, summary(args, tally, core.now() - began))
  if args.junit then
    require "directmethods.cli.junit".write(args.junit, "replay " .. args.file,
      tally.cases)
  end
  return stopped() or tally.status
end

return command.define {
  name = "replay",
  summary = "Make the calls of a recording again, at any hub, and show each answer as "
    .. "JSON. With --diff, compare the answers with those recorded. With --as-device, "
    .. "answer calls from the recording.",
  examples = {
    "directmethods replay calls.jsonl",
    "directmethods replay calls.jsonl --no-wait --diff --ignore payload.time",
    "directmethods replay calls.jsonl --as-device dev1 --delays",
  },
  options = options,
  run = run,
}
