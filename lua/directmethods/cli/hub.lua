--- `directmethods hub`: runs a local hub until a signal comes, or while another command
-- runs.

local announce = require "directmethods.cli.announce"
local children = require "directmethods.cli.child"
local command = require "directmethods.cli.command"
local desktop = require "directmethods.cli.desktop"
local dm = require "directmethods"
local files = require "directmethods.cli.files"
local hub_file = require "directmethods.cli.hub_file"
local hub_options = require "directmethods.cli.hub_options"
local hub_start = require "directmethods.cli.hub_start"
local json_line = require "directmethods.cli.json_line"
local logs = require "directmethods.cli.log"
local managers = require "directmethods.cli.manager"
local reloads = require "directmethods.cli.hub_reload"
local signals = require "directmethods.cli.signals"
local speeds = require "directmethods.cli.speed"
local traces = require "directmethods.cli.trace"
local variables = require "directmethods.cli.variables"
local workers = require "directmethods.cli.workers"

local M = {}

local STOP = 4 -- seconds that pending calls have at the end, which is to take 5

-- Lua's collector does work for what was allocated; by default it may go through all
-- memory at once after a long answer, and hold the loop for 20 ms.
local COLLECTOR_STEP = 25 -- percent; Lua's own is 100

-- Write each call to the log and to the trace, and what became of devices to the log.
local function watch(hub, args, log, trace)
  if args.quiet and not trace then return end
  hub:on("call", function(call)
    if trace then trace:add(call) end
    if not args.quiet then log:call(call) end
  end)
  if not args.quiet then hub:on("device", function(event) log:device(event) end) end
end

local function banner(args, facts, devices, ready_file)
  if args.env then
    local list = variables.of(facts, devices[1], ready_file)
    return command.write(variables.text(list, args.env[1] or "sh"))
  elseif args.json then
    return command.write(json_line.text(facts), "\n")
  end
  command.write(announce.text(facts, devices, ready_file))
end

-- The page's URL stands alone on its line. A COMMAND has stdout for itself. The result
-- is to be closed when the hub ends.
local function show_inspector(args, facts, log)
  if not args.inspect and not args.open then return nil end
  local out = (args.command or args.env or args.json) and io.stderr or io.stdout
  out:write("inspector:\n", facts.inspector_url, "\n")
  out:flush()
  if not args.open then return nil end
  local folder = files.folder()
  dm.spawn(function()
    local opened, why = desktop.open(facts.inspector_url, folder)
    if not opened then
      log:say("warn", ("--open: %s; open the inspector's URL yourself"):format(why))
    end
  end)
  return folder
end

-- A file with the system's authorities and the hub's CA, for programs that read only
-- one file. Nil: the hub has no CA of its own.
local function bundle_of(facts)
  if not facts.ca_file then return nil end
  local parts = {}
  local paths = table.move(variables.SYSTEM_CERTIFICATES, 1,
    #variables.SYSTEM_CERTIFICATES, 2, { os.getenv "SSL_CERT_FILE" or "" })
  for _, path in ipairs(paths) do
    local file <close> = io.open(path)
    if file then
      parts[1] = file:read("a")
      break
    end
  end
  parts[#parts + 1] = command.read_file(facts.ca_file)
  return files.write_public("bundle", table.concat(parts, "\n"))
end

local BUNDLE_NAMES = { "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE" }

-- Run the command to its end; its exit status.
local function run_command(args, facts, devices, ready_file)
  local folder <close> = files.folder()
  if not ready_file then
    ready_file = folder.path .. "/ready.json"
    announce.write(ready_file, facts)
  end
  local list = variables.of(facts, devices[1], ready_file)
  local bundle = bundle_of(facts)
  local _ <close> = setmetatable({}, {
    __close = function() if bundle then os.remove(bundle) end end,
  })
  for _, name in ipairs(bundle and BUNDLE_NAMES or {}) do
    list[#list + 1] = { name, bundle }
  end
  local child = children.start(args.command, list, folder.path)
  signals.on(function(name) child:signal(name) end)
  return child:wait()
end

-- The ids of all devices; those of the command line come first.
local function names_of(args, file)
  local names, seen = {}, {}
  local function add(id)
    if not seen[id] then names[#names + 1] = id end
    seen[id] = true
  end
  for _, device in ipairs(args.device) do add(device.id) end
  for _, id in ipairs(file:ids()) do add(id) end
  return names
end

-- Remove the ready file, if there is one, when the result is closed.
local function remove_at_end(path)
  return setmetatable({}, {
    __close = function() if path then os.remove(path) end end,
  })
end

-- Wait for a signal; the exit status.
local function wait(log, manager)
  local why = signals.wait()
  manager:stopping(why)
  log:say("info", ("stopping (%s)"):format(why))
  return command.OK
end

-- Say that the hub serves, and wait for the end; the exit status.
local function serve(hub, ca_file, reload, manager)
  local args, opts = reload.args, reload.opts
  local pid, folder = files.process()
  local ready_file = args.ready_file and files.absolute(args.ready_file, folder)
  local facts, devices
  local function tell()
    devices = names_of(args, reload.file)
    facts = announce.facts(hub, {
      pid = pid,
      host = opts.host or "127.0.0.1",
      tls = opts.tls ~= false,
      ca_file = ca_file and files.absolute(ca_file, folder),
    }, devices)
    if args.clock then args.clock:add_to(facts) end
    if ready_file then announce.write(ready_file, facts) end
    manager:ready(announce.status(facts))
  end
  if ca_file then files.publish(ca_file) end
  collectgarbage("incremental", 0, COLLECTOR_STEP)
  local _ <close> = remove_at_end(ready_file)
  tell()
  reload:at_hangup(manager, tell)
  if args.command then
    local _ <close> = show_inspector(args, facts, reload.log)
    return run_command(args, facts, devices, ready_file)
  end
  banner(args, facts, devices, ready_file)
  local _ <close> = show_inspector(args, facts, reload.log)
  return wait(reload.log, manager)
end

local function open_trace(args, log)
  if not args.trace then return nil end
  local trace, why = traces.open(args.trace, function(message)
    log:say("info", message)
  end)
  if not trace then command.fail(command.LOCAL, "--trace: " .. why) end
  return trace
end

-- The file of --config and the log.
local function open_both(args)
  local file = args.config and hub_file.read(args.config) or hub_file.new()
  local log = logs.open {
    format = args.log_format or "text",
    path = args.log_file,
    level = args.log_level,
  }
  for _, line in ipairs(file.left_out) do
    log:say("warn", ("%s: %s"):format(file.path, line))
  end
  return file, log
end

-- Several hubs, each in a process of its own.
local function run_workers(args, words)
  local file, log = open_both(args)
  local given = hub_options.given(args)
  local opts = hub_options.complete(given, file, args.inspect or false)
  workers.check(args, opts)
  local pid, folder = files.process()
  local ready_file = args.ready_file and files.absolute(args.ready_file, folder)
  local _ <close> = remove_at_end(ready_file)
  local manager = managers.open()
  signals.catch()
  local status = workers.run {
    count = args.workers, words = words, options = opts, log = log,
    on_ready = function(facts)
      facts.pid = pid
      if ready_file then announce.write(ready_file, facts) end
      manager:ready(announce.status(facts))
      banner(args, facts, names_of(args, file), ready_file)
    end,
  }
  file:close()
  log:close()
  return status
end

local function run(args, own)
  if args.ready_file then os.remove(args.ready_file) end -- of one that was killed
  if args.workers then return run_workers(args, own) end
  local file, log = open_both(args)
  local trace = open_trace(args, log)
  local manager = managers.open()
  signals.catch()
  local clock <close> = speeds.start(args.speed, args.command ~= nil, function(message)
    log:say("warn", message)
  end)
  args.clock = clock
  local hub <close>, ca_file, opts = hub_start.listen(args, file)
  hub_start.populate(hub, args, file)
  local reload = reloads.new { hub = hub, args = args, file = file, opts = opts,
    log = log }
  hub:on("reset", function(kept)
    hub_start.populate(hub, args, reload.file, kept)
  end)
  if args.record then command.check(hub:record(args.record)) end
  watch(hub, args, log, trace)
  local status = serve(hub, ca_file, reload, manager)
  reload.file:close()
  hub:stop(STOP)
  log:close()
  if trace then trace:close() end
  return status
end

M.spec = {
  name = "hub",
  summary = "Run a local Azure IoT Hub for direct methods until SIGINT or SIGTERM. "
    .. "With `-- COMMAND`, run the command and stop when it has ended, with its "
    .. "exit status.",
  examples = {
    "directmethods hub --device dev1 --ready-file hub.json",
    "directmethods hub --device dev1 -- node app.js",
    "directmethods hub --speed 600 --device dev1 -- node app.js",
    "directmethods hub --config lab.json --store lab.db --host 0.0.0.0",
  },
  surplus = "a command to run must follow --",
  notes = hub_options.notes(),
  options = hub_options.add,
  run = run,
}

-- The words behind the first "--"; nil: there is none.
local function split(argv)
  for i, word in ipairs(argv) do
    if word == "--" then
      return table.move(argv, 1, i - 1, 1, {}), table.move(argv, i + 1, #argv, 1, {})
    end
  end
  return argv, nil
end

---@param argv string[] what follows the command's name
---@return integer status
function M.run(argv)
  local own, words = split(argv)
  local spec = setmetatable({
    run = function(args)
      if words and not words[1] then
        command.fail(command.USAGE, "a command must follow --")
      elseif words and args.env then
        command.fail(command.USAGE, "--env is not for use with a COMMAND, which gets "
          .. "all variables anyway")
      end
      args.command = words
      return run(args, own)
    end,
  }, { __index = M.spec })
  return command.run(spec, own)
end

return M
