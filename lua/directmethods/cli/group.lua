--- Commands that have subcommands, such as `directmethods device add`.

local command = require "directmethods.cli.command"

local M = {}

-- "run      Run a device until SIGINT or SIGTERM.", of a subcommand.
local function line_of(spec, word)
  return ("  %-8s %s"):format(word, spec.summary:match "^.-%.%f[%s]" or spec.summary)
end

local function help_of(name, summary, specs, words)
  local lines = {
    ("Usage: directmethods %s COMMAND [options]"):format(name), "", summary, "",
    "Commands:",
  }
  for i, spec in ipairs(specs) do lines[#lines + 1] = line_of(spec, words[i]) end
  lines[#lines + 1] = ("\n`directmethods %s COMMAND --help` shows the options of a "
    .. "command.\n\nExamples:"):format(name)
  for _, spec in ipairs(specs) do lines[#lines + 1] = "  " .. spec.examples[1] end
  return table.concat(lines, "\n") .. "\n"
end

local function refuse(name, word, words)
  local what = word and ("there is no command '%s'"):format(word)
    or "a command is required"
  io.stderr:write(("directmethods %s: %s: %s\n"):format(name, what,
    table.concat(words, ", ")), ("Try `directmethods %s --help`.\n"):format(name))
  return command.USAGE
end

--- Make the module of a command that has subcommands.
---@param name string
---@param summary string
---@param specs directmethods.CliCommand[]
---@return { specs: directmethods.CliCommand[], run: fun(argv: string[]): integer }
function M.define(name, summary, specs)
  local words = {}
  for i, spec in ipairs(specs) do words[i] = spec.name:match "%S+$" end
  local function run(argv)
    for i, spec in ipairs(specs) do
      if argv[1] == words[i] then
        return command.run(spec, table.move(argv, 2, #argv, 1, {}))
      end
    end
    if argv[1] ~= "--help" and argv[1] ~= "-h" then
      return refuse(name, argv[1], words)
    end
    io.stdout:write(help_of(name, summary, specs, words))
    return command.OK
  end
  return { specs = specs, run = run }
end

return M
