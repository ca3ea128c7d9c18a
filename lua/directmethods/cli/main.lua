--- The command line: `directmethods COMMAND ...`. One file a command, loaded when it
-- is asked for.

local M = {}

local COMMANDS = {
  { "hub", "run a local hub until SIGINT or SIGTERM" },
  { "explain", "say what an error code means and what helps" },
}

local USAGE_ERROR = 2 -- exit status

local function help()
  local lines = {
    "Usage: directmethods COMMAND [options]",
    "       directmethods --help | --version",
    "",
    "Azure IoT Hub direct methods without a cloud.",
    "",
    "Commands:",
  }
  for _, command in ipairs(COMMANDS) do
    lines[#lines + 1] = ("  %-8s %s"):format(command[1], command[2])
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "`directmethods COMMAND --help` shows the options of a command."
  return table.concat(lines, "\n") .. "\n"
end

local function refuse(message)
  io.stderr:write("directmethods: ", message, "\n",
    "Try `directmethods --help`.\n")
  return USAGE_ERROR
end

local function is_command(name)
  for _, command in ipairs(COMMANDS) do
    if command[1] == name then return true end
  end
  return false
end

--- Run a command.
---@param argv string[]
---@return integer status 0: all went well, 1: it failed, 2: wrong arguments
function M.run(argv)
  local name = argv[1]
  if name == nil then return refuse("a command is required") end
  if name == "--help" or name == "-h" then
    io.stdout:write(help())
    return 0
  elseif name == "--version" then
    print("directmethods " .. require "directmethods.core".version)
    return 0
  elseif not is_command(name) then
    return refuse(("there is no command or option '%s'"):format(name))
  end
  return require("directmethods.cli." .. name).run(table.move(argv, 2, #argv, 1, {}))
end

return M
