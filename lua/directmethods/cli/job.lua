--- `directmethods job`: calls a method of many devices, or changes their twins.

local command = require "directmethods.cli.command"
local group = require "directmethods.cli.group"
local core = require "directmethods.core"
local identity_name = require "directmethods.identity_name"
local json = require "directmethods.json"
local payloads = require "directmethods.cli.payload"
local progress = require "directmethods.cli.progress"
local suggestion = require "directmethods.suggestion"
local targets = require "directmethods.cli.target"

-- The widest range of all api-versions: the service checks that of the job's.
local OLDEST = core.contract()

local function text_of(status)
  return ("%s: %s, %d of %d devices done, %d failed, %d running, %d pending%s"):format(
    status.id, status.status, status.succeeded + status.failed, status.total,
    status.failed, status.running, status.pending,
    status.reason and "; " .. status.reason or "")
end

-- Print the status of a job; as JSON, it is the hub's own document.
local function show(args, status)
  if command.wants_json(args) then return command.put(args, status.document) end
  command.write(text_of(status), "\n")
end

local function verdict(status)
  local good = status.status == "completed" and status.failed == 0
  return good and command.OK or command.NO
end

local function await(args, job)
  local bar <close> = progress.new(args, "devices")
  local done, failed = 0, 0
  bar:watch(function() return done, failed end)
  local status = command.try(job.await, job, nil, function(...)
    done, failed, bar.total = ...
  end)
  bar:finish()
  show(args, status)
  if status.status == "completed" and status.total == 0 then
    command.note(args, "warning: the condition selected no device")
  end
  return verdict(status)
end

local ANY = {} -- an object with any members

-- The members of --twin.
local TWIN = { tags = ANY, properties = { desired = ANY }, etag = true }

local function refuse_update(rule, ...)
  command.fail(command.USAGE, "--twin: " .. rule:format(...))
end

local function check_update(value, members, place)
  if type(value) ~= "table" or getmetatable(value) or value[1] ~= nil then
    refuse_update("%s must be a JSON object", place or "it")
  elseif members == ANY then
    return
  end
  for name, inner in pairs(value) do
    local known = members[name]
    local inside = place and ("%s.%s"):format(place, name) or name
    if not known then
      refuse_update("unknown member '%s'%s", inside,
        suggestion(name, members))
    elseif known ~= true then
      check_update(inner, known, inside)
    end
  end
end

local function read_update(text)
  if not text then return nil end
  local update, err = json.decode(command.read_argument(text))
  if err then command.fail(command.USAGE, "--twin: " .. err.message) end
  check_update(update, TWIN)
  return update
end

-- Require exactly one of two options.
local function check_one_of(first, second, names)
  if (first == nil) ~= (second == nil) then return end
  command.fail(command.USAGE, names .. " is required, and not both")
end

local function start(args)
  local devices = args.device[1] and args.device or nil
  check_one_of(args.method, args.twin, "--method or --twin")
  check_one_of(args.query, devices, "--query or --device")
  local service <close> = targets.find(args):service()
  local job = command.try(service.jobs.schedule, service.jobs, {
    id = args.id,
    method = args.method,
    payload = payloads.read(args.payload),
    update = read_update(args.twin),
    query = args.query,
    devices = devices,
    delay = args.delay,
    max_execution = args.max_execution,
    response_timeout = targets.response_timeout(args.response_timeout),
    connect_timeout = args.connect_timeout,
  })
  if args.wait then return await(args, job) end
  show(args, command.try(job.status, job))
end

local function start_options(parser)
  parser:option("--method", "Call this method."):argname("METHOD")
  parser:option("--payload", payloads.HELP):argname("PAYLOAD")
  parser:option("--twin", "Or change the twins: JSON with tags or properties, or "
    .. "@FILE.")
    :argname("JSON")
  parser:option("--query", "Select devices by a condition; '*' selects all.")
    :argname("CONDITION")
  parser:option("--device", "Or select this device; may be repeated.")
    :argname("ID"):count("*")
  parser:option("--id", "Id of the job; default: a random one."):argname("ID")
  parser:option("--delay", "Start after S seconds."):argname("S")
    :convert(command.number("--delay", 0, 1e9))
  parser:option("--max-execution", "Seconds after which a device that is still "
    .. "offline has failed.")
    :argname("S"):convert(command.whole("--max-execution", 1, 2147483647))
  parser:option("--response-timeout", "Seconds within which each device must "
    .. "answer.")
    :argname("S"):convert(command.whole("--response-timeout", OLDEST.response_min,
      OLDEST.response_max))
  parser:option("--connect-timeout", "Seconds that the hub waits for each device "
    .. "to connect.")
    :argname("S"):convert(command.whole("--connect-timeout", 0, OLDEST.connect_max))
  parser:flag("--wait", "Wait until the job is over. The exit status is 1 if a "
    .. "device failed.")
  targets.options(parser)
end

local function with_id(parser)
  parser:argument("id", "Id of the job."):argname("JOB")
  targets.options(parser)
end

local function status(args)
  local service <close> = targets.find(args):service()
  local job = command.try(service.jobs.get, service.jobs, args.id)
  show(args, command.try(job.status, job))
end

local function cancel(args)
  local service <close> = targets.find(args):service()
  show(args, command.try(service.jobs.cancel, service.jobs, args.id))
end

local function line_of(result)
  local outcome = result.err and tostring(result.err)
    or result.reply and "status " .. tostring(result.reply.status) or result.status
  return ("%s: %s"):format(identity_name(result.device_id, result.module_id), outcome)
end

local function results(args)
  local service <close> = targets.find(args):service()
  local job = command.try(service.jobs.get, service.jobs, args.id)
  local rows = job:results { page_size = 1000 }
  local failed = false
  while true do
    local result = command.check(rows:next())
    if not result then break end
    failed = failed or result.err ~= nil
    command.put(args, result.document, function() return line_of(result) end)
  end
  return failed and command.NO or command.OK
end

return group.define("job", "Call a method of many devices, or change their twins.", {
  {
    name = "job start",
    summary = "Start a job, now or later, also for devices that are offline.",
    examples = {
      [[directmethods job start --method reboot --query "tags.site = 'north'" --wait]],
      "directmethods job start --device dev1 --device dev2 --method ping",
      [[directmethods job start --query '*' --twin '{"tags":{"ring":2}}']],
    },
    options = start_options,
    run = start,
  },
  {
    name = "job status",
    summary = "Print the status of a job.",
    examples = { "directmethods job status job-1" },
    options = with_id,
    run = status,
  },
  {
    name = "job cancel",
    summary = "Cancel a job: it calls no more devices.",
    examples = { "directmethods job cancel job-1" },
    options = with_id,
    run = cancel,
  },
  {
    name = "job results",
    summary = "Print the result of each device; as JSON, a line for each. The exit "
      .. "status is 1 if a device failed.",
    examples = { "directmethods job results job-1" },
    options = with_id,
    run = results,
  },
})
