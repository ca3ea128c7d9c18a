--- The command line: `directmethods COMMAND ...`. Each command has a file, which is
-- loaded when the command is used.

local suggestion = require "directmethods.suggestion"

local M = {}

--- The commands in the order of the list: name, what it does.
M.COMMANDS = {
  { "demo", "show a hub, a device and calls" },
  { "hub", "run a local hub, alone or with another command" },
  { "invoke", "call a method of a device" },
  { "device", "run a device; list, add, get, remove devices" },
  { "ping", "check whether a device takes calls" },
  { "job", "call a method of many devices, or change their twins" },
  { "fleet", "run many devices" },
  { "bench", "measure calls" },
  { "record", "write the calls of a local hub to a file" },
  { "replay", "make recorded calls again, or answer them" },
  { "watch", "show what happens to a local hub" },
  { "fault", "inject faults at a local hub" },
  { "advance", "move the clock of a local hub" },
  { "token", "print a SAS token of a policy or device" },
  { "env", "print the environment variables of a hub" },
  { "explain", "explain an error, and what helps" },
  { "completion", "print a script that completes commands in a shell" },
}

local USAGE_ERROR, LOCAL_ERROR = 2, 4 -- exit statuses

local HELP = { help = true, ["--help"] = true, ["-h"] = true }

-- Options that all commands have, as people write them before the command.
local COMMON = { ["-v"] = true, ["-vv"] = true, ["-q"] = true, ["--json"] = true,
  ["--verbose"] = true, ["--quiet"] = true }

local function help()
  local lines = {
    "Usage: directmethods COMMAND [options]",
    "       directmethods help [COMMAND]",
    "       directmethods --version",
    "",
    "Azure IoT Hub direct methods, with and without a cloud.",
    "",
    "Commands:",
  }
  for _, command in ipairs(M.COMMANDS) do
    lines[#lines + 1] = ("  %-10s %s"):format(command[1], command[2])
  end
  for _, line in ipairs {
    "  help       show this text, or the options of a command",
    "",
    "`directmethods COMMAND --help` shows the options of a command, and an example.",
    "",
    "Examples:",
    "  directmethods demo",
    "  directmethods help hub",
    "  directmethods hub --device dev1 -- node app.js",
    "",
    "Exit status: 0 success, 1 the device answered 400 or more, 2 wrong arguments,",
    "3 the hub refused, 4 an error on this side.",
  } do lines[#lines + 1] = line end
  return table.concat(lines, "\n") .. "\n"
end

local function refuse(message)
  io.stderr:write("directmethods: ", message, "\n",
    "Try `directmethods --help`.\n")
  return USAGE_ERROR
end

local function is_command(name)
  for _, command in ipairs(M.COMMANDS) do
    if command[1] == name then return true end
  end
  return false
end

local function refuse_command(name)
  if COMMON[name] then
    return refuse(("write '%s' after the command"):format(name))
  end
  local known = {}
  for _, command in ipairs(M.COMMANDS) do known[command[1]] = true end
  return refuse(("there is no command or option '%s'%s"):format(name,
    suggestion(name, known)))
end

local function run_command(name, argv)
  if not is_command(name) then return refuse_command(name) end
  local ok, command = pcall(require, "directmethods.cli." .. name)
  if ok then return command.run(argv) end
  if not command:find("module 'directmethods.hub", 1, true) then error(command, 0) end
  io.stderr:write("directmethods ", name, ": the hub is not installed (LuaRocks: "
    .. "directmethods-hub)\n")
  return LOCAL_ERROR
end

--- Run a command as the whole program.
---@param argv string[]
---@return integer status
function M.program(argv)
  require "directmethods.cli.signals".by_default()
  return M.run(argv)
end

--- Run a command.
---@param argv string[]
---@return integer status of directmethods.cli.command
function M.run(argv)
  local name = argv[1]
  if name == nil then return refuse("a command is required") end
  if name == "--version" then
    print("directmethods " .. require "directmethods.core".version)
    return 0
  elseif name == "help" and argv[2] and not HELP[argv[2]] then
    local words = table.move(argv, 3, #argv, 1, {})
    words[#words + 1] = "--help"
    return run_command(argv[2], words)
  elseif HELP[name] then
    io.stdout:write(help())
    return 0
  end
  return run_command(name, table.move(argv, 2, #argv, 1, {}))
end

return M
