--- The whole command line as one parser of argparse: for completion, and for the manual
-- page. Running a command does not need it.

local command = require "directmethods.cli.command"
local parsers = require "directmethods.cli.parsers"

local M = {}

---@class directmethods.CliEntry
---@field name string "hub"
---@field summary string
---@field specs directmethods.CliCommand[] one; or those of its subcommands

--- All commands that are installed, in the order of the list.
---@param list { [1]: string, [2]: string }[] names and summaries
---@return directmethods.CliEntry[]
function M.entries(list)
  local entries = {}
  for _, each in ipairs(list) do
    local name, summary = table.unpack(each)
    local ok, found = pcall(require, "directmethods.cli." .. name)
    if ok then
      entries[#entries + 1] = {
        name = name,
        summary = summary,
        specs = found.specs or { found.spec },
      }
    end
  end
  return entries
end

local function add_entry(parser, entry)
  local node = parser:command(entry.name, entry.summary):add_help(false)
  if entry.specs[1].name == entry.name then
    return parsers.add_options(node, entry.specs[1])
  end
  node:require_command(false)
  for _, spec in ipairs(entry.specs) do
    parsers.add_options(
      node:command(spec.name:match "%S+$", spec.summary):add_help(false), spec)
  end
end

--- The parser of all commands. If argparse is not installed, the command ends.
---@param list { [1]: string, [2]: string }[]
---@return table
function M.parser(list)
  local parser = command.argparse()("directmethods"):add_help(false)
    :require_command(false)
  parser:flag("-h --help", "List the commands.")
  parser:flag("--version", "Print the version.")
  for _, entry in ipairs(M.entries(list)) do add_entry(parser, entry) end
  return parser
end

return M
