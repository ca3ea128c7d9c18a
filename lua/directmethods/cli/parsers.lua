--- Parsers of argparse for commands.

local M = {}

--- Add the options that all commands have.
---@param parser table
function M.add_common_options(parser)
  parser:flag("--json", "Print JSON on a terminal, too.")
  parser:flag("-v --verbose", "Write more log to stderr; twice: all."):count("0-2")
    :target("verbose")
  parser:flag("-q --quiet", "Write no messages for people to stderr.")
  parser:flag("-h --help", "Show this text.")
end

--- Add the arguments and options of a command.
---@param parser table
---@param spec directmethods.CliCommand
function M.add_options(parser, spec)
  if spec.options then spec.options(parser) end
  M.add_common_options(parser)
end

--- The parser of a command, with its examples.
---@param argparse table the module
---@param spec directmethods.CliCommand
---@return table
function M.new(argparse, spec)
  local epilog = "Examples:\n  " .. table.concat(spec.examples, "\n  ")
  if spec.notes then epilog = spec.notes .. "\n\n" .. epilog end
  local parser = argparse("directmethods " .. spec.name, spec.summary, epilog)
  M.add_options(parser:add_help(false):help_max_width(80), spec)
  return parser
end

return M
