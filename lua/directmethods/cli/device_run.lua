--- `directmethods device run`: runs a device, by a script or without code.

local answers = require "directmethods.cli.answers"
local command = require "directmethods.cli.command"
local devices = require "directmethods.device"
local dm = require "directmethods"
local managers = require "directmethods.cli.manager"
local signals = require "directmethods.cli.signals"
local speeds = require "directmethods.cli.speed"
local stderr = require "directmethods.stderr"
local targets = require "directmethods.cli.target"

local function is_script(what)
  if not what:find("%.lua$") then return false end
  local file <close> = io.open(what)
  return file ~= nil
end

-- The handlers that a script returns. The script is the user's own program, so it runs
-- without restrictions, as a task.
local function load_script(path)
  local chunk, why = loadfile(path)
  if not chunk then command.fail(command.LOCAL, why) end
  local ok, handlers = pcall(function() return dm.spawn(chunk):await() end)
  if not ok then command.fail(command.LOCAL, tostring(handlers)) end
  if type(handlers) ~= "table" then
    command.fail(command.LOCAL, path
      .. ": must return a table of handlers, as { reboot = function(request) ... end }")
  end
  return command.call(devices.check_handlers, handlers)
end

-- The handlers of the device, and its id (nil: the default one).
local function read(args)
  if is_script(args.what) then return load_script(args.what), args.id end
  if args.id then
    command.fail(command.USAGE, ("there is no script %s (--id is for scripts)"):format(
      args.what))
  elseif not args.answer[1] then
    local script = args.what:find("%.lua$")
      and ("there is no script %s, and "):format(args.what) or ""
    command.fail(command.USAGE, script
      .. "--answer is required: what the device is to answer")
  end
  return answers.handlers(args), args.what
end

-- Write a line for each call, without its payload.
local function tell(args, name, handlers)
  local told = {}
  for method, handler in pairs(handlers) do
    told[method] = function(request)
      command.note(args, ("%s %s"):format(name, method))
      return handler(request)
    end
  end
  return told
end

-- Have the device answer with the handlers of the script as it is now, in place of
-- those in `told`. Raises before it changes anything when the script is wrong.
local function replace(args, device, name, told)
  local handlers = tell(args, name, (read(args)))
  for method, handler in pairs(handlers) do device:method(method, handler) end
  for method in pairs(told) do
    if not handlers[method] then device:method(method, nil) end
    told[method] = nil
  end
  for method, handler in pairs(handlers) do told[method] = handler end
end

-- Read the script again. What is wrong with it is said in one line.
local function reload(args, device, name, told)
  local ok, why = pcall(replace, args, device, name, told)
  if ok then return command.note(args, name .. " reloaded") end
  stderr.write(("directmethods device run: reload: %s; the device goes on as it was")
    :format(tostring(why):gsub("\n.*", "")), "error")
end

local function run(args)
  local manager = managers.open()
  local handlers, id = read(args)
  local options, name = targets.device(args, id)
  options.handlers = tell(args, name, handlers)
  local device <close> = command.try(dm.device, options)
  device:on("state", function(new, _, why)
    if new == "connecting" then return end
    local reason = why and ": " .. tostring(why) or ""
    command.note(args, ("%s %s%s"):format(name, new, reason))
  end)
  local stopped = signals.unless_stopped(function()
    command.try(device.connect, device, speeds.timeout(args.timeout))
  end)
  if stopped then return manager:stopping(stopped) end
  manager:ready(name .. " online")
  signals.on_reload(function()
    manager:reloading()
    reload(args, device, name, options.handlers)
    manager:ready(name .. " online")
  end)
  manager:stopping(signals.wait())
end

return {
  name = "device run",
  summary = "Run a device until SIGINT or SIGTERM. A Lua script returns its "
    .. "handlers, or --answer says what its methods answer.",
  examples = {
    [[directmethods device run dev1 --answer on='200:{"lit":true}' --delay 0.5]],
    "directmethods device run fan.lua --id fan",
  },
  options = function(parser)
    parser:argument("what", "A Lua script, if it ends in .lua and exists; "
      .. "otherwise DEVICE or DEVICE/MODULE."):argname("SCRIPT|DEVICE")
    parser:option("--id", "Id of the device that a script runs; default: the "
      .. "device of IOTHUB_DEVICE_CONNECTION_STRING, or the only one in the ready "
      .. "file.")
      :argname("ID")
    answers.options(parser)
    parser:option("--timeout", "Seconds within which the device must be online; "
      .. "default: 30.")
      :argname("S"):default("30"):convert(command.number("--timeout", 0.1, 86400))
    targets.options(parser)
  end,
  run = run,
}
